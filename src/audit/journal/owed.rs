//! The ledger's lines, read ahead.

use std::collections::VecDeque;

use super::{Owed, Source, Trouble};

/// Lines that are asked of the ledger at once.
const BATCH: usize = 500;
/// Bytes that are appended at once: beyond, one line more.
const BYTES: usize = 1024 * 1024;

pub(super) struct Reader<'a, S> {
    source: &'a S,
    /// The number of the last line handed out or waiting in `ahead`.
    last: u64,
    ahead: VecDeque<Owed>,
}

impl<'a, S: Source> Reader<'a, S> {
    pub fn after(source: &'a S, seq: u64) -> Self {
        Self {
            source,
            last: seq,
            ahead: VecDeque::new(),
        }
    }

    /// The next line, without taking it.
    pub fn peek(&mut self) -> Result<Option<&Owed>, Trouble<S::Error>> {
        if self.ahead.is_empty() {
            let more = self
                .source
                .lines_after(self.last, BATCH)
                .map_err(Trouble::Source)?;
            for owed in more {
                if owed.seq > self.last {
                    self.last = owed.seq;
                    self.ahead.push_back(owed);
                }
            }
        }
        Ok(self.ahead.front())
    }

    pub fn take(&mut self) -> Result<Option<Owed>, Trouble<S::Error>> {
        self.peek()?;
        Ok(self.ahead.pop_front())
    }

    /// Some of the next lines; none where there are no more.
    pub fn batch(&mut self) -> Result<Vec<Owed>, Trouble<S::Error>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BYTES && batch.len() < BATCH {
            let Some(owed) = self.take()? else { break };
            bytes += owed.line.len();
            batch.push(owed);
        }
        Ok(batch)
    }
}

/// The ledger's own line with this number.
pub(super) fn line<S: Source>(source: &S, seq: u64) -> Result<Option<Owed>, Trouble<S::Error>> {
    let Some(before) = seq.checked_sub(1) else {
        return Ok(None);
    };
    let lines = source.lines_after(before, 1).map_err(Trouble::Source)?;
    Ok(lines.into_iter().find(|owed| owed.seq == seq))
}
