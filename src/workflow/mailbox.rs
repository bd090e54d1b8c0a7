//! What operators put into a person's mailbox: their requests, what awaits them, what they may ask for.

use std::rc::Rc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::access::{At, Now, Person, Request, RequestId, State, Ttl};
use crate::policy::approvals;
use crate::stores::{Fact, FindRequests, Sheet, StoreError};

use super::Operator;
use super::offered::{Offered, Offers};
use super::requestable::Text;
use super::view::{RequestView, in_short, known_columns, of_request};

/// The newest form of a mailbox view.
pub const VERSION: u32 = 1;
/// What ended within this span is still shown in mailboxes.
const SHOWN_FOR: Ttl = Ttl::from_secs(7 * 24 * 3600);
/// At most so many ended requests and answers of one person in a mailbox.
const SHOWN: usize = 100;
/// So many open requests of one kind lie in full in one mailbox; the others in short, as `jit list` shows them.
const IN_FULL: usize = 100;
/// An ended request of more columns lies in short, however few there are: its leases are history.
const ENDED_IN_FULL: usize = 50;
/// Bytes of one kind of requests in one mailbox; what is beyond is counted. Three of them are what a client reads.
const LARGEST_SECTION: usize = 8 * 1024 * 1024;
/// Bytes of the columns in one mailbox; what is beyond is counted.
const LARGEST_COLUMNS: usize = 8 * 1024 * 1024;
/// Bytes of the columns of several people that are kept while all mailboxes are filled.
const COLUMNS_KEPT: usize = 4 * 1024 * 1024;
/// The same, for so many different offers.
const OFFERS_KEPT: usize = 64;

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub digest: String,
    pub at: At,
    pub act: String,
    pub outcome: String,
    pub request: Option<RequestId>,
}

/// What lies in a mailbox, beside the columns that may be asked for ([`Sheet`]).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonView {
    pub v: u32,
    pub at: At,
    pub last_sweep: Option<At>,
    /// One's own, open ones first, and what ended lately.
    pub requests: Vec<RequestView>,
    /// What one may decide about.
    pub awaiting: Vec<RequestView>,
    /// Everybody's open requests, for admins.
    pub others: Vec<RequestView>,
    pub answers: Vec<Answer>,
    /// Holds that stand, in words.
    pub holds: Vec<String>,
    /// Requests that this person may see and that are not here, because there are too many.
    #[serde(default)]
    pub left_out: usize,
}

/// The requests of one person, what awaits them, and what admins may see besides.
pub struct Visible {
    pub mine: Vec<Request>,
    pub awaiting: Vec<Request>,
    pub others: Vec<Request>,
}

/// Whether a pending request waits for this person's yes or no.
pub fn awaits(op: &Operator, request: &Request, person: &Person) -> bool {
    let given: Vec<&str> = request
        .approvals
        .iter()
        .map(|a| a.by.name.as_str())
        .collect();
    request.state == State::Pending
        && request.requester.uid != person.uid
        && !given.contains(&person.name.as_str())
        && request.terms.as_ref().is_some_and(|terms| {
            approvals::who_can(
                &terms.lines,
                &given,
                &request.requester.name,
                op.rules.people.directory(),
            )
            .contains(&person.name)
        })
}

/// What lies in everybody's mailbox now, as JSON, person by person. What several of them see is made once.
///
/// # Errors
/// Those of the ledger, and what `put` gives.
pub fn of_everybody(
    op: &Operator,
    people: &[Person],
    now: &Now,
    put: &mut dyn FnMut(&Person, Sheet, &[u8]),
) -> Result<(), StoreError> {
    let mut filling: Vec<Filling<'_>> = people
        .iter()
        .map(|person| Filling {
            person,
            is_admin: op.rules.people.is_admin(&person.name),
            requests: Section::default(),
            awaiting: Section::default(),
            others: Section::default(),
        })
        .collect();
    let open: Vec<State> = State::ALL.into_iter().filter(|s| !s.is_final()).collect();
    let find = FindRequests {
        states: Some(open),
        ..FindRequests::default()
    };
    op.ledger.each_request(&find, &mut |request| {
        let mut texts = Texts::new(op, &request);
        for one in &mut filling {
            one.take(op, &mut texts)?;
        }
        Ok(())
    })?;
    let known = known_columns(op)?;
    let mut columns = Columns {
        offered: Offered::among(&op.rules, &known),
        made: Vec::new(),
    };
    let last_sweep = op
        .ledger
        .fact(Fact::LastSweep)?
        .and_then(|text| text.parse::<At>().ok());
    let holds: Vec<String> = op
        .ledger
        .holds(false)?
        .iter()
        .map(|hold| {
            format!(
                "hold {}: {} ({}, by {})",
                hold.number, hold.selector, hold.reason, hold.by
            )
        })
        .collect();
    for mut one in filling {
        let ended = FindRequests {
            requester: Some(one.person.uid),
            ended_since: Some(now.at.minus(SHOWN_FOR)),
            limit: Some(SHOWN),
            ..FindRequests::default()
        };
        op.ledger.each_request(&ended, &mut |request| {
            if request.state.is_final() && request.requester == *one.person {
                let columns: usize = request.tables.iter().map(|of| of.columns.len()).sum();
                let mut texts = Texts::new(op, &request);
                one.requests.push(match columns > ENDED_IN_FULL {
                    true => texts.short(),
                    false => texts.whole()?,
                });
            }
            Ok(())
        })?;
        let head = Head {
            v: VERSION,
            at: now.at,
            last_sweep,
            answers: op
                .ledger
                .submissions_of(one.person.uid, SHOWN)?
                .into_iter()
                .map(|drained| Answer {
                    digest: drained.digest,
                    at: drained.at,
                    act: drained.act,
                    outcome: drained.outcome,
                    request: drained.request,
                })
                .collect(),
            holds: &holds,
            left_out: one.requests.left_out + one.awaiting.left_out + one.others.left_out,
        };
        let columns = columns.text(&one.person.name);
        put(one.person, Sheet::Columns, &columns);
        put(one.person, Sheet::View, &one.text(&head));
    }
    Ok(())
}

/// The columns that people may ask for, as JSON. Who is offered the same as somebody just before gets the same text.
struct Columns<'a> {
    offered: Offered<'a>,
    /// The last ones.
    made: Vec<(Offers, Rc<Vec<u8>>)>,
}

impl Columns<'_> {
    fn text(&mut self, user: &str) -> Rc<Vec<u8>> {
        let offers = self.offered.offers(user);
        if let Some((_, text)) = self.made.iter().find(|(made, _)| *made == offers) {
            return text.clone();
        }
        let mut text = Text::of_at_most(LARGEST_COLUMNS);
        self.offered.columns(&offers, &mut text);
        let text = Rc::new(text.finish());
        let bytes: usize = self.made.iter().map(|(_, text)| text.len()).sum();
        if bytes + text.len() > COLUMNS_KEPT || self.made.len() >= OFFERS_KEPT {
            self.made.clear();
        }
        self.made.push((offers, text.clone()));
        text
    }
}

/// A view without its requests.
#[derive(Serialize)]
struct Head<'a> {
    v: u32,
    at: At,
    last_sweep: Option<At>,
    answers: Vec<Answer>,
    holds: &'a [String],
    left_out: usize,
}

/// One person's view while it is filled.
struct Filling<'a> {
    person: &'a Person,
    is_admin: bool,
    requests: Section,
    awaiting: Section,
    others: Section,
}

/// Some requests, as JSON.
#[derive(Default)]
struct Section {
    texts: Vec<Rc<str>>,
    bytes: usize,
    left_out: usize,
}

impl Section {
    fn push(&mut self, text: Rc<str>) {
        if self.bytes + text.len() > LARGEST_SECTION {
            self.left_out += 1;
            return;
        }
        self.bytes += text.len() + 1;
        self.texts.push(text);
    }

    fn is_long(&self) -> bool {
        self.texts.len() >= IN_FULL
    }
}

impl Filling<'_> {
    /// Puts an open request where this person sees it, if at all.
    fn take(&mut self, op: &Operator, texts: &mut Texts<'_>) -> Result<(), StoreError> {
        let request = texts.request;
        // Number and name: whoever has the number now is not who had it before.
        if request.requester == *self.person {
            let text = match self.requests.is_long() {
                false => texts.whole()?,
                true => texts.short(),
            };
            self.requests.push(text);
        } else if awaits(op, request, self.person) {
            // Whoever decides must see all of it.
            self.awaiting.push(texts.whole()?);
        } else if self.is_admin || decides(op, request, self.person) {
            let text = match self.others.is_long() {
                false => texts.bare()?,
                true => texts.short(),
            };
            self.others.push(text);
        }
        Ok(())
    }

    fn text(&self, head: &Head<'_>) -> Vec<u8> {
        let sections = [
            ("requests", &self.requests),
            ("awaiting", &self.awaiting),
            ("others", &self.others),
        ];
        let mut text = serde_json::to_vec(head).unwrap_or_else(|_| b"{}".to_vec());
        let bytes: usize = sections.iter().map(|(_, section)| section.bytes + 20).sum();
        text.reserve(bytes);
        text.pop();
        for (key, section) in sections {
            text.extend_from_slice(format!(",\"{key}\":[").as_bytes());
            for (place, one) in section.texts.iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(one.as_bytes());
            }
            text.push(b']');
        }
        text.push(b'}');
        text
    }
}

/// One request as JSON, made when it is first wanted.
struct Texts<'a> {
    op: &'a Operator,
    request: &'a Request,
    /// Without its audit lines.
    bare: Option<Rc<str>>,
    whole: Option<Rc<str>>,
    short: Option<Rc<str>>,
}

impl<'a> Texts<'a> {
    fn new(op: &'a Operator, request: &'a Request) -> Self {
        Self {
            op,
            request,
            bare: None,
            whole: None,
            short: None,
        }
    }

    fn bare(&mut self) -> Result<Rc<str>, StoreError> {
        if let Some(text) = &self.bare {
            return Ok(text.clone());
        }
        let view = of_request(self.op, self.request, false)?;
        Ok(self.bare.insert(json(&view)).clone())
    }

    /// With its audit lines: they are JSON as they are.
    fn whole(&mut self) -> Result<Rc<str>, StoreError> {
        if let Some(text) = &self.whole {
            return Ok(text.clone());
        }
        let bare = self.bare()?;
        let mut lines = self.op.ledger.lines_of(&self.request.id)?;
        lines.retain(|line| serde_json::from_str::<IgnoredAny>(line).is_ok());
        let text = match bare.strip_suffix('}') {
            Some(open) if !lines.is_empty() => {
                let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
                format!("{open},\"events\":[{}]}}", lines.join(",")).into()
            }
            _ => bare,
        };
        Ok(self.whole.insert(text).clone())
    }

    fn short(&mut self) -> Rc<str> {
        let text = self
            .short
            .get_or_insert_with(|| json(&in_short(self.request)));
        text.clone()
    }
}

fn json(view: &RequestView) -> Rc<str> {
    serde_json::to_string(view).unwrap_or_default().into()
}

/// Whether the request's rule names this person as an approver at all.
pub fn decides(op: &Operator, request: &Request, person: &Person) -> bool {
    let directory = op.rules.people.directory();
    request.terms.as_ref().is_some_and(|terms| {
        terms.lines.iter().any(|line| {
            line.by
                .iter()
                .any(|entry| directory.covers(entry, &person.name))
        })
    })
}
