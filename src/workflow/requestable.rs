//! The columns that one person may ask for. What a policy offers stands once, and so does the name of a table,
//! however many columns there are: a company has a hundred thousand.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use crate::access::{ColumnName, TableName, TargetName, Ttl};
use crate::policy::Offer;

use super::view::ColumnView;

/// What one policy offers to one person, for each of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    pub policy: String,
    pub class: Option<String>,
    /// The longest of the offers; zero where there is none.
    pub max: Ttl,
    /// Empty where the person may not ask for these columns, and their names alone are told.
    pub offers: Vec<Offer>,
}

/// One column, with what may be had of it.
#[derive(Clone, Copy, Debug)]
pub struct Requestable<'a> {
    pub target: &'a TargetName,
    pub table: &'a TableName,
    pub column: &'a ColumnName,
    pub by: &'a Offering,
}

impl From<Requestable<'_>> for ColumnView {
    fn from(of: Requestable<'_>) -> Self {
        Self {
            target: of.target.clone(),
            table: of.table.clone(),
            column: of.column.clone(),
            policy: of.by.policy.clone(),
            class: of.by.class.clone(),
            max: of.by.max,
            offers: of.by.offers.clone(),
        }
    }
}

/// Columns in the order of targets, catalogs and tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    offerings: Vec<Offering>,
    tables: Vec<OfTable>,
    /// How many more there are, where not all of them fit.
    #[serde(default)]
    pub left_out: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OfTable {
    target: TargetName,
    table: TableName,
    /// Neighbours of one policy, with its place among the offerings. A file may hold any place.
    runs: Vec<(usize, Vec<ColumnName>)>,
}

impl OfTable {
    fn push(&mut self, column: &ColumnName, place: usize) {
        match self.runs.last_mut() {
            Some((last, columns)) if *last == place => columns.push(column.clone()),
            _ => self.runs.push((place, vec![column.clone()])),
        }
    }

    fn len(&self) -> usize {
        self.runs.iter().map(|(_, columns)| columns.len()).sum()
    }
}

impl Columns {
    /// Adds all of these behind the others.
    pub fn append(&mut self, more: Self) {
        let before = self.offerings.len();
        self.offerings.extend(more.offerings);
        self.tables.extend(more.tables.into_iter().map(|mut of| {
            for (place, _) in &mut of.runs {
                *place = place.saturating_add(before);
            }
            of
        }));
        self.left_out += more.left_out;
    }

    /// Keeps the columns of these tables.
    pub fn retain(&mut self, keeps: impl Fn(&TargetName, &TableName) -> bool) {
        self.tables.retain(|of| keeps(&of.target, &of.table));
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub fn iter(&self) -> impl Iterator<Item = Requestable<'_>> {
        self.tables.iter().flat_map(|of| self.each(of))
    }

    /// The tables that have one, each once where its columns follow each other.
    pub fn tables(&self) -> impl Iterator<Item = (&TargetName, &TableName)> {
        let has_some = self
            .tables
            .iter()
            .filter(|of| self.each(of).next().is_some());
        has_some.map(|of| (&of.target, &of.table))
    }

    /// The columns of one table.
    pub fn of(
        &self,
        target: &TargetName,
        table: &TableName,
    ) -> impl Iterator<Item = Requestable<'_>> {
        let here = move |of: &&OfTable| of.table == *table && of.target == *target;
        let here: Vec<&OfTable> = self.tables.iter().filter(here).collect();
        here.into_iter().flat_map(|of| self.each(of))
    }

    /// One column by its name, in the very spelling of the catalog.
    pub fn find(
        &self,
        target: &TargetName,
        table: &TableName,
        column: &ColumnName,
    ) -> Option<Requestable<'_>> {
        self.of(target, table).find(|of| of.column == column)
    }

    /// Neighbours that may be had in the same ways, a table at a time.
    pub fn groups(&self) -> Vec<Vec<Requestable<'_>>> {
        let mut groups = Vec::new();
        for of in &self.tables {
            let columns: Vec<Requestable<'_>> = self.each(of).collect();
            let alike = columns.chunk_by(|a, b| a.by.offers == b.by.offers);
            groups.extend(alike.map(<[_]>::to_vec));
        }
        groups
    }

    fn each<'a>(&'a self, of: &'a OfTable) -> impl Iterator<Item = Requestable<'a>> {
        of.runs.iter().flat_map(move |(place, columns)| {
            let by = self.offerings.get(*place);
            columns.iter().filter_map(move |column| {
                Some(Requestable {
                    target: &of.target,
                    table: &of.table,
                    column,
                    by: by?,
                })
            })
        })
    }
}

/// What takes columns one after the other.
pub trait Collect {
    /// A place for what a policy offers, for [`Collect::push`].
    fn offering(&mut self, of: Offering) -> usize;

    /// Adds a column behind the others. Columns of one table must follow each other.
    fn push(&mut self, target: &TargetName, table: &TableName, column: &ColumnName, place: usize);
}

impl Collect for Columns {
    fn offering(&mut self, of: Offering) -> usize {
        self.offerings.push(of);
        self.offerings.len() - 1
    }

    fn push(&mut self, target: &TargetName, table: &TableName, column: &ColumnName, place: usize) {
        let here = |of: &OfTable| of.table == *table && of.target == *target;
        if !self.tables.last().is_some_and(here) {
            self.tables.push(OfTable {
                target: target.clone(),
                table: table.clone(),
                runs: Vec::new(),
            });
        }
        if let Some(of) = self.tables.last_mut() {
            of.push(column, place);
        }
    }
}

/// Columns as the JSON that [`Columns`] are read from, with room for one table beside it. Its tables and its offerings
/// are of at most so many bytes each, and a little; columns that do not fit are counted.
pub struct Text {
    most: usize,
    /// Begun with the tables.
    text: Vec<u8>,
    offerings: Vec<u8>,
    offered: usize,
    last: Option<OfTable>,
    kept: usize,
    left_out: usize,
}

const TABLES: &[u8] = b"{\"tables\":[";

impl Text {
    pub fn of_at_most(bytes: usize) -> Self {
        Self {
            most: bytes,
            text: TABLES.to_vec(),
            offerings: Vec::new(),
            offered: 0,
            last: None,
            kept: 0,
            left_out: 0,
        }
    }

    fn close_table(&mut self) {
        let Some(of) = self.last.take() else {
            return;
        };
        let before = self.text.len();
        if before > TABLES.len() {
            self.text.push(b',');
        }
        let written = serde_json::to_writer(&mut self.text, &of);
        if written.is_err() || self.offerings.len() + self.text.len() > self.most {
            self.text.truncate(before);
            self.left_out += of.len();
        } else {
            self.kept += of.len();
        }
    }

    /// The whole of it.
    pub fn finish(mut self) -> Vec<u8> {
        self.close_table();
        if self.offerings.len() > self.most {
            self.offerings.clear();
            self.text.truncate(TABLES.len());
            self.left_out += self.kept;
        }
        let mut text = self.text;
        text.reserve_exact(self.offerings.len() + 80);
        text.extend_from_slice(b"],\"offerings\":[");
        text.append(&mut self.offerings);
        text.extend_from_slice(format!("],\"left_out\":{}}}", self.left_out).as_bytes());
        text
    }
}

impl Collect for Text {
    fn offering(&mut self, of: Offering) -> usize {
        if self.offered > 0 {
            self.offerings.push(b',');
        }
        // It is a value of texts and numbers: nothing in it can fail.
        let _ = serde_json::to_writer(&mut self.offerings, &of);
        self.offered += 1;
        self.offered - 1
    }

    fn push(&mut self, target: &TargetName, table: &TableName, column: &ColumnName, place: usize) {
        let here = |of: &OfTable| of.table == *table && of.target == *target;
        if !self.last.as_ref().is_some_and(here) {
            self.close_table();
            self.last = Some(OfTable {
                target: target.clone(),
                table: table.clone(),
                runs: Vec::new(),
            });
        }
        if let Some(of) = &mut self.last {
            of.push(column, place);
        }
    }
}

/// As `-o json` shows them: a [`ColumnView`] each, made one by one.
pub struct Views<'a>(pub &'a Columns);

impl Serialize for Views<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(None)?;
        for of in self.0.iter() {
            all.serialize_element(&ColumnView::from(of))?;
        }
        all.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(policy: &str, max: u64) -> Offering {
        let max = Ttl::from_secs(max);
        Offering {
            policy: policy.into(),
            class: None,
            max,
            offers: vec![Offer {
                max,
                purposes: Vec::new(),
                ticket: None,
                approval: "no approval".into(),
            }],
        }
    }

    fn shop() -> Columns {
        let mut columns = Columns::default();
        fill(&mut columns);
        columns
    }

    fn fill(columns: &mut impl Collect) {
        let contact = columns.offering(offering("contact", 60));
        let cards = columns.offering(offering("cards", 30));
        let shop = TargetName::from("shop");
        for (table, column, place) in [
            ("customers", "email", contact),
            ("customers", "card", cards),
            ("customers", "phone", contact),
            ("orders", "note", contact),
        ] {
            let table = TableName::new("public", table);
            columns.push(&shop, &table, &column.into(), place);
        }
    }

    fn read(most: usize) -> (usize, Columns) {
        let mut text = Text::of_at_most(most);
        fill(&mut text);
        let text = text.finish();
        (text.len(), serde_json::from_slice(&text).unwrap())
    }

    fn names(of: impl Iterator<Item = String>) -> String {
        of.collect::<Vec<_>>().join(" ")
    }

    fn shown(columns: &Columns) -> String {
        names(
            columns
                .iter()
                .map(|of| format!("{}:{}={}", of.table.table, of.column, of.by.policy)),
        )
    }

    #[test]
    fn columns_keep_their_order_and_their_policies() {
        let columns = shop();
        let all = "customers:email=contact customers:card=cards customers:phone=contact orders:note=contact";
        assert_eq!(shown(&columns), all);
        assert_eq!(read(10_000).1, columns);
        let customers = TableName::new("public", "customers");
        let card = columns.find(&"shop".into(), &customers, &"card".into());
        assert_eq!(card.unwrap().by.policy, "cards");
        assert!(
            columns
                .find(&"shop".into(), &customers, &"CARD".into())
                .is_none()
        );
        assert!(
            columns
                .find(&"other".into(), &customers, &"card".into())
                .is_none()
        );
    }

    #[test]
    fn those_of_other_places_keep_their_policies() {
        let mut columns = shop();
        let mut more = Columns::default();
        let place = more.offering(offering("wages", 10));
        more.push(
            &"staff".into(),
            &TableName::new("hr", "pay"),
            &"sum".into(),
            place,
        );
        columns.append(more);
        let pay = columns.iter().last().unwrap();
        assert_eq!(
            (pay.by.policy.as_str(), pay.target.as_str()),
            ("wages", "staff")
        );
        columns.retain(|target, _| target.as_str() == "staff");
        assert_eq!(shown(&columns), "pay:sum=wages");
    }

    #[test]
    fn neighbours_of_equal_offers_are_one_group() {
        let columns = shop();
        let groups = columns.groups();
        let group =
            |group: &Vec<Requestable<'_>>| names(group.iter().map(|of| of.column.to_string()));
        let groups: Vec<String> = groups.iter().map(group).collect();
        assert_eq!(groups, ["email", "card", "phone", "note"]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (whole, _) = read(10_000);
        let (_, less) = read(whole - 50);
        assert_eq!(less.left_out, 1, "the table of one column is left out");
        assert_eq!(less.tables().count(), 1);
        let (_, none) = read(0);
        assert_eq!((none.left_out, none.is_empty()), (4, true));
    }

    #[test]
    fn more_offers_than_fit_leave_all_columns_out() {
        let mut text = Text::of_at_most(1000);
        for n in 0..20 {
            let place = text.offering(offering(&format!("policy {n}"), 60));
            let table = TableName::new("public", format!("t{n}"));
            text.push(&"shop".into(), &table, &"c".into(), place);
        }
        let read: Columns = serde_json::from_slice(&text.finish()).unwrap();
        assert_eq!((read.left_out, read.tables().count()), (20, 0));
    }

    #[test]
    fn a_place_that_nobody_gave_is_passed_over() {
        let text =
            r#"{"offerings":[],"tables":[{"target":"shop","table":"a.b","runs":[[7,["c"]]]}]}"#;
        let columns: Columns = serde_json::from_str(text).unwrap();
        assert!(columns.is_empty());
        assert_eq!(columns.tables().count(), 0);
        assert!(columns.groups().is_empty());
    }
}
