//! How long access has been going on: what counts against a rule's `max_total`.

use std::cell::RefCell;

use foldhash::{HashMap, HashSet};

use crate::access::{
    At, ColumnName, Now, Request, RequestId, ShortText, State, TableName, TargetName, Ttl,
};
use crate::stores::{FindRequests, StoreError};

use super::Operator;

/// Leases that end and begin within this span of each other are one unbroken access.
const ADJOINING: Ttl = Ttl::from_secs(60);

/// The access that people had, read once for many requests. For one drain, or one step on one target: what is
/// granted meanwhile does not show.
#[derive(Default)]
pub struct Histories {
    known: RefCell<HashMap<(u32, TargetName), History>>,
}

/// One person's access on one target.
#[derive(Default)]
struct History {
    /// Ended access is read back to this instant; `None` before anything was read.
    since: Option<At>,
    spans: Vec<Span>,
    by_column: HashMap<(TableName, ShortText), Vec<usize>>,
}

struct Span {
    request: RequestId,
    from: At,
    to: At,
}

impl Histories {
    /// How long the access would be without a break if this request were granted now: over leases of the same
    /// person on any of the same columns that overlap, or follow each other within a minute, extensions included.
    pub fn unbroken(&self, op: &Operator, request: &Request, now: &Now) -> Result<Ttl, StoreError> {
        let fold = op.rules.ignores_column_case(&request.target);
        let who = (request.requester.uid, request.target.clone());
        let mut known = self.known.borrow_mut();
        let history = known.entry(who).or_default();
        let mut start = now.at;
        loop {
            let back_to = start.minus(ADJOINING);
            if history.since.is_none_or(|since| since > back_to) {
                history.read(op, request, back_to, fold)?;
            }
            match history.earlier(request, start, fold) {
                Some(from) => start = from,
                None => return Ok(now.at.since(start).plus(request.ttl)),
            }
        }
    }
}

impl History {
    /// Reads live access, and what ended at or after `since`.
    fn read(
        &mut self,
        op: &Operator,
        request: &Request,
        since: At,
        fold: bool,
    ) -> Result<(), StoreError> {
        *self = Self {
            since: Some(since),
            ..Self::default()
        };
        let live = vec![State::Granting, State::Active, State::Revoking];
        for (states, ended_since) in [(live, None), (vec![State::Ended], Some(since))] {
            let find = FindRequests {
                states: Some(states),
                requester: Some(request.requester.uid),
                target: Some(request.target.clone()),
                ended_since,
                ..FindRequests::default()
            };
            op.ledger.each_request(&find, &mut |other| {
                self.add(other, fold);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn add(&mut self, other: Request, fold: bool) {
        let (Some(from), Some(to)) = (other.granted_at, other.ended_at.or(other.expires_at)) else {
            return;
        };
        for key in columns(&other, fold) {
            let places = self.by_column.entry(key).or_default();
            places.push(self.spans.len());
        }
        self.spans.push(Span {
            request: other.id,
            from,
            to,
        });
    }

    /// The earliest beginning of an access that reaches to `start`, on any column of the request.
    fn earlier(&self, request: &Request, start: At, fold: bool) -> Option<At> {
        let touched: HashSet<usize> = columns(request, fold)
            .filter_map(|key| self.by_column.get(&key))
            .flatten()
            .copied()
            .collect();
        touched
            .into_iter()
            .map(|place| &self.spans[place])
            .filter(|span| span.request != request.id)
            .filter(|span| span.to.plus(ADJOINING) >= start && span.from < start)
            .map(|span| span.from)
            .min()
    }
}

fn columns(request: &Request, fold: bool) -> impl Iterator<Item = (TableName, ShortText)> {
    request.tables.iter().flat_map(move |table| {
        table.columns.iter().map(move |ColumnName(column)| {
            let name = if fold {
                column.to_lowercase()
            } else {
                column.clone()
            };
            (table.table.clone(), name)
        })
    })
}
