//! PURE. What the rows showed right after our GRANT, and whether somebody else has granted the same since.
//!
//! Measured on MySQL 9.7 and MariaDB 10.11 (a column row in `columns_priv`, one row for its table in `tables_priv`):
//!
//! - `Grantor` and `Timestamp` of the table's row are those of the last GRANT *or REVOKE* on that table for that
//!   account, by whomever, of whichever column or privilege.
//! - MySQL: `Timestamp` of the column's row changes with every GRANT that names this column, ours or another's, also
//!   when it changes nothing, and with a GRANT or REVOKE of another privilege (UPDATE) on this column. It does *not*
//!   change when other columns of the table are granted or revoked. RENAME USER and FLUSH PRIVILEGES keep it. Its
//!   resolution is one second.
//! - MariaDB: all timestamps are zero. Only the table's `Grantor` tells anything, and a later statement of ours for
//!   the same account and table overwrites it: then a DBA's GRANT of the same column leaves no trace at all.
//! - `Grantor` is `USER()` of the granting session (user and client host), not the account it logged in as.
//! - A spelling of the column in another case is a row of its own (facts-mysql, finding 1), and never ours.
//!
//! So on MySQL, what cannot be told is a GRANT of the same column within the second of ours, once any later
//! statement on that table has moved the table's row on.

use serde::{Deserialize, Serialize};

use super::account::user_of;
use crate::access::names::lowercase;
use crate::access::{SharedText, ShortText};

/// Written into `Privilege::stamp` as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// The row's spelling.
    #[serde(default, skip_serializing_if = "ShortText::is_empty")]
    pub(super) column: ShortText,
    /// The column row's timestamp, UTC; MySQL only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<ShortText>,
    /// The table row's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) table_at: Option<ShortText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) grantor: Option<ShortText>,
    /// Accounts that held the same column then, on MySQL since the same second: a renamed account is none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) others: Vec<ShortText>,
    /// There were too many of them to write down: then a rename cannot be told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) many: bool,
    /// The lease has ended, and its row was seen gone in the very second of its GRANT: a row of that second may be
    /// anybody's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) at_once: bool,
}

/// How many other holders are written down.
pub(super) const OTHERS: usize = 50;

impl Stamp {
    /// The same behind our REVOKE. `hand` is who was last at the account's rights on the table and when, where it has
    /// some left; `now` is the server's second, of before the row was seen gone. `None` where nothing is to be added.
    pub(super) fn revoked(self, hand: Option<(&str, &str)>, now: &str) -> Option<Self> {
        let at_once = self.at.as_deref() == Some(now);
        (at_once || hand.is_some()).then(|| Self {
            table_at: hand.map(|(_, at)| at.into()),
            grantor: hand.map(|(grantor, _)| grantor.into()),
            at_once,
            ..self
        })
    }

    /// Reads what was kept of a privilege on this column, in whatever spelling.
    pub(super) fn read(text: &str, column: &str) -> Option<Self> {
        let mut stamp: Self = serde_json::from_str(text).ok()?;
        if stamp.column.is_empty() {
            stamp.column = lowercase(column).into();
        }
        Some(stamp)
    }

    /// What is kept of it beside a privilege on this column. A spelling in lower case goes without saying, so that all
    /// columns of one statement have the same text: the ledger keeps it of all of them at once.
    pub(super) fn text(mut self, column: &str) -> Option<SharedText> {
        if self.column == lowercase(column).as_ref() {
            self.column.clear();
        }
        serde_json::to_string(&self).ok().map(SharedText::from)
    }

    /// Whether the last hand on the account's table was ours.
    pub(super) fn by(&self, our_user: &str) -> bool {
        self.grantor
            .as_deref()
            .is_some_and(|grantor| user_of(grantor) == our_user)
    }

    /// Whether it was taken behind our REVOKE.
    pub(super) fn is_of_a_revoke(&self) -> bool {
        self.at_once || self.at != self.table_at
    }

    /// Whether a row that shows this today must be the one that our GRANT made, come back: it has that one's second,
    /// and was seen gone in a later one.
    pub(super) fn is_back(&self, today: &Self) -> bool {
        self.at == today.at && !self.at_once
    }

    /// Whether the REVOKE of ours that this was taken behind was the last statement on the account's table in `today`,
    /// too.
    pub(super) fn is_the_revoke_of(&self, today: &Self) -> bool {
        self.is_of_a_revoke()
            && self.table_at.is_some()
            && self.table_at == today.table_at
            && self.grantor == today.grantor
    }

    /// Whether the last statement on the account's table touched this column.
    pub(super) fn is_last(&self) -> bool {
        self.at.is_some() && self.at == self.table_at
    }
}

/// What is known of our own hand.
pub(super) struct Ours<'o> {
    /// The user that our GRANTs write as grantor.
    pub(super) user: &'o str,
    /// Stamps of all leases of this privilege that the caller knows.
    pub(super) stamps: &'o [&'o Stamp],
    /// Spellings under which we have granted it.
    pub(super) spellings: &'o [&'o str],
}

/// Why somebody else's hand is seen; `None` where it is not. `rows` are today's, one a spelling.
pub(super) fn contested(recorded: &Stamp, rows: &[Stamp], ours: &Ours<'_>) -> Option<String> {
    if let Some(other) = rows
        .iter()
        .find(|row| !ours.spellings.contains(&row.column.as_str()))
    {
        return Some(format!(
            "somebody else has granted the same column in another spelling ({}), which we never wrote",
            other.column
        ));
    }
    rows.iter().find_map(|row| {
        if row.at.is_some() {
            by_time(recorded, row, ours)
        } else {
            by_grantor(recorded, row, ours)
        }
    })
}

/// MySQL: by the column row's own time.
fn by_time(recorded: &Stamp, today: &Stamp, ours: &Ours<'_>) -> Option<String> {
    let at = today.at.as_deref().unwrap_or_default();
    let grantor = today.grantor.as_deref().unwrap_or("somebody");
    let known = ours
        .stamps
        .iter()
        .copied()
        .chain([recorded])
        .find(|stamp| stamp.column == today.column && stamp.at == today.at);
    match known {
        // The row is as we left it; but within that same second somebody else was at this table.
        Some(stamp)
            if today.is_last()
                && !today.by(ours.user)
                && (stamp.grantor != today.grantor || stamp.table_at != today.table_at) =>
        {
            Some(format!(
                "{grantor} granted something on this table in the very second of our grant ({at} UTC); it may have \
                 been this column"
            ))
        }
        Some(_) => None,
        // Our own GRANT for another lease: it was the last statement, and it touched this column.
        None if today.is_last() && today.by(ours.user) => None,
        None if today.is_last() => Some(format!("{grantor} has granted it too, at {at} UTC")),
        None => Some(format!(
            "somebody has granted it again, or granted or revoked another privilege on it, at {at} UTC"
        )),
    }
}

/// MariaDB: by the table row's grantor alone.
fn by_grantor(recorded: &Stamp, today: &Stamp, ours: &Ours<'_>) -> Option<String> {
    let grantor = today.grantor.as_deref()?;
    (!today.by(ours.user) && recorded.grantor != today.grantor).then(|| {
        format!(
            "{grantor} has granted or revoked something on this table since; MariaDB does not tell which column it \
             was, so it may have been this one"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(at: &str, grantor: &str, table_at: &str) -> Stamp {
        let some = |text: &str| (!text.is_empty()).then(|| ShortText::from(text));
        Stamp {
            column: "email".into(),
            at: some(at),
            table_at: some(table_at),
            grantor: some(grantor),
            others: Vec::new(),
            many: false,
            at_once: false,
        }
    }

    fn judge(recorded: &Stamp, today: Stamp, siblings: &[Stamp]) -> Option<String> {
        let ours = Ours {
            user: "jit",
            stamps: &siblings.iter().collect::<Vec<_>>(),
            spellings: &["email"],
        };
        contested(recorded, &[today], &ours)
    }

    #[test]
    fn what_is_kept_says_a_spelling_only_where_it_is_not_in_lower_case() {
        let given = stamp("10:00:00", "jit@a", "10:00:00");
        let spelled = |column: &str| Stamp {
            column: column.into(),
            ..given.clone()
        };
        // The lease itself may have another spelling than the row.
        for (row, lease) in [
            ("email", "email"),
            ("email", "EMail"),
            ("EMail", "EMail"),
            ("EMail", "email"),
            ("straße", "STRAßE"),
        ] {
            let text = spelled(row).text(lease).unwrap();
            assert_eq!(text.contains("column"), row == "EMail", "{text}");
            assert_eq!(
                Stamp::read(&text, lease),
                Some(spelled(row)),
                "{row} {lease}"
            );
        }
        assert_eq!(spelled("ssn").text("ssn"), given.clone().text("email"));
        // As earlier builds kept it.
        let earlier = serde_json::to_string(&given).unwrap();
        assert!(earlier.contains(r#""column":"email""#));
        assert_eq!(Stamp::read(&earlier, "email"), Some(given));
    }

    #[test]
    fn a_grant_of_another_column_is_no_contest_on_mysql() {
        let recorded = stamp("10:00:00", "jit@a", "10:00:00");
        assert_eq!(judge(&recorded, recorded.clone(), &[]), None);
        let today = stamp("10:00:00", "dba@b", "10:00:07");
        assert_eq!(judge(&recorded, today, &[]), None);
    }

    #[test]
    fn a_grant_of_the_same_column_is() {
        let recorded = stamp("10:00:00", "jit@a", "10:00:00");
        let why = judge(&recorded, stamp("10:00:07", "dba@b", "10:00:07"), &[]).unwrap();
        assert!(why.contains("dba@b"), "{why}");
        // And although we have worked on the table since.
        assert!(judge(&recorded, stamp("10:00:07", "jit@a", "10:00:09"), &[]).is_some());
    }

    #[test]
    fn our_own_overlapping_grant_is_not() {
        let recorded = stamp("10:00:00", "jit@a", "10:00:00");
        assert_eq!(
            judge(&recorded, stamp("10:00:07", "jit@b", "10:00:07"), &[]),
            None
        );
        // Known from the other lease, also after a DBA has granted another column.
        let sibling = stamp("10:00:07", "jit@b", "10:00:07");
        let today = stamp("10:00:07", "dba@b", "10:00:11");
        assert_eq!(judge(&recorded, today.clone(), &[sibling]), None);
        assert!(judge(&recorded, today, &[]).is_some());
    }

    #[test]
    fn within_our_second_it_is_for_a_person_to_say() {
        let recorded = stamp("10:00:00", "jit@a", "10:00:00");
        let why = judge(&recorded, stamp("10:00:00", "dba@b", "10:00:00"), &[]).unwrap();
        assert!(why.contains("very second"), "{why}");
    }

    #[test]
    fn a_revoke_of_ours_is_known_by_the_second_of_the_tables_row() {
        let given = stamp("10:00:00", "jit@a", "10:00:00");
        let hand = Some(("jit@a", "10:00:09"));
        let left = given.clone().revoked(hand, "10:00:09").unwrap();
        // Of another column of the same account and table.
        let given_then = stamp("10:00:09", "jit@a", "10:00:09");
        assert!(left.is_the_revoke_of(&given_then));
        let given_since = stamp("10:00:12", "jit@a", "10:00:12");
        assert!(!left.is_the_revoke_of(&given_since));
        let of_a_grant = stamp("10:00:09", "jit@a", "10:00:09");
        assert!(!of_a_grant.is_the_revoke_of(&given_then));
        // In the second of its own GRANT.
        let left = given.revoked(Some(("jit@a", "10:00:00")), "10:00:00");
        assert!(
            left.unwrap()
                .is_the_revoke_of(&stamp("10:00:00", "jit@a", "10:00:00"))
        );
    }

    #[test]
    fn a_row_of_our_grants_second_is_ours_unless_it_was_gone_within_that_second() {
        let given = stamp("10:00:00", "jit@a", "10:00:00");
        let today = stamp("10:00:00", "dba@b", "10:00:00");
        assert!(given.is_back(&today));
        assert_eq!(given.clone().revoked(None, "10:00:01"), None);
        let at_once = given.revoked(None, "10:00:00").unwrap();
        assert!(!at_once.is_back(&today));
        // No right was left on the table, so no row of it says when the REVOKE was.
        assert!(at_once.is_of_a_revoke() && !at_once.is_the_revoke_of(&today));
    }

    #[test]
    fn mariadb_knows_only_the_last_hand_on_the_table() {
        let recorded = stamp("", "jit@a", "");
        assert_eq!(judge(&recorded, stamp("", "jit@b", ""), &[]), None);
        assert!(
            judge(&recorded, stamp("", "dba@b", ""), &[])
                .unwrap()
                .contains("MariaDB does not tell")
        );
    }

    #[test]
    fn another_spelling_is_never_ours() {
        let recorded = stamp("", "jit@a", "");
        let mut today = recorded.clone();
        today.column = "EMAIL".into();
        assert!(judge(&recorded, today, &[]).unwrap().contains("EMAIL"));
    }
}
