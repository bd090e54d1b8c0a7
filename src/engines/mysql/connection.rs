//! The connection: bounded in time, made anew when lost, never to another server.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Error, Params, Row};

use super::ask::ask;
use super::dial::{Line, Server, dial, in_words};
use crate::engines::EngineError;
use crate::engines::address::Address;

/// One target's address and, while it lives, the connection to it.
pub(super) struct Link {
    address: Address,
    line: Option<Line>,
    server: Server,
    /// How many merged statements there have been.
    merged: usize,
}

impl Link {
    pub(super) async fn open(address: &Address) -> Result<Self, EngineError> {
        let (line, server) = dial(address).await?;
        Ok(Self {
            address: address.clone(),
            line: Some(line),
            server,
            merged: 0,
        })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// How errors name this target.
    pub(super) fn shown(&self) -> String {
        self.server.identity.address.to_string()
    }

    /// A new name for a merged statement: the session's number and a count.
    pub(super) fn batch(&mut self) -> String {
        self.merged += 1;
        format!("{}-{}", self.server.session, self.merged)
    }

    /// A connection that answers: the one there is, or a new one to the same server.
    ///
    /// # Errors
    /// `Changed` where another server answers now; it is not used.
    pub(super) async fn ready(&mut self) -> Result<(), EngineError> {
        if let Some(line) = &mut self.line {
            let ping = tokio::time::timeout(self.address.connect_timeout, line.conn.ping()).await;
            if matches!(ping, Ok(Ok(()))) {
                return Ok(());
            }
            self.line = None;
        }
        let (line, server) = dial(&self.address).await?;
        if !server.identity.same_database(&self.server.identity) {
            return Err(EngineError::Changed {
                address: server.identity.address.to_string(),
                what: "the server".to_owned(),
                why: format!(
                    "it was {} and is {} now",
                    self.server.identity, server.identity
                ),
            });
        }
        self.line = Some(line);
        self.server = server;
        Ok(())
    }

    /// Rows of a query that changes nothing. A connection that broke meanwhile is made anew, once.
    pub(super) async fn rows(
        &mut self,
        sql: &str,
        params: impl Into<Params>,
    ) -> Result<Vec<Row>, EngineError> {
        let params = params.into();
        if self.line.is_none() {
            self.ready().await?;
        }
        let begun = Instant::now();
        match self.send(sql, params.clone()).await {
            Err(EngineError::Unknown { .. })
                if begun.elapsed() < self.address.statement_timeout =>
            {
                self.ready().await?;
            }
            other => return other.map_err(unanswered),
        }
        self.send(sql, params).await.map_err(unanswered)
    }

    /// One statement that changes something, sent once. Call [`Self::ready`] before, so that a connection that was
    /// closed while idle is noticed before anything is sent.
    pub(super) async fn run(&mut self, sql: &str) -> Result<(), EngineError> {
        let done = self.send(sql, Params::Empty).await.map(drop);
        crate::failpoint::reach("mysql-sent");
        done
    }

    async fn send(&mut self, sql: &str, params: Params) -> Result<Vec<Row>, EngineError> {
        let address = self.shown();
        let Some(line) = &mut self.line else {
            return Err(EngineError::Unreachable {
                address,
                why: "the connection is closed".to_owned(),
            });
        };
        let started = Instant::now();
        let answer = tokio::time::timeout(
            self.address.statement_timeout,
            ask(&mut line.conn, sql, params),
        )
        .await;
        if self.address.verbose {
            say(&address, sql, started.elapsed(), answer.is_ok());
        }
        let lost = |why: String| EngineError::Unknown {
            address: address.clone(),
            statement: shortened(sql),
            why,
        };
        match answer {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(Error::Server(error))) if !ends_the_session(error.code) => {
                // Switched to read-only under us (1290, 1836): the next call looks for the primary.
                if matches!(error.code, 1290 | 1836) {
                    self.line = None;
                }
                Err(EngineError::Refused {
                    address,
                    statement: shortened(sql),
                    code: error.code.to_string(),
                    message: error.message,
                })
            }
            Ok(Err(error)) => {
                self.line = None;
                Err(lost(in_words(&error)))
            }
            Err(_) => {
                self.line = None;
                Err(lost(format!(
                    "no answer within {} s",
                    self.address.statement_timeout.as_secs()
                )))
            }
        }
    }
}

/// Says goodbye: MariaDB warns in its log of every client that just goes. The few bytes fit into the socket at once;
/// where they do not, nobody waits for that.
impl Drop for Link {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let _ = line.conn.disconnect().now_or_never();
        }
    }
}

/// A question without an answer changed nothing.
fn unanswered(error: EngineError) -> EngineError {
    match error {
        EngineError::Unknown { address, why, .. } => EngineError::Unreachable { address, why },
        other => other,
    }
}

/// Server errors after which nothing more is answered: shutdown, killed, idle too long.
fn ends_the_session(code: u16) -> bool {
    matches!(
        code,
        1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 4031
    )
}

fn say(address: &str, sql: &str, took: Duration, answered: bool) {
    use std::io::Write;
    let end = if answered { "" } else { ", no answer" };
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    // Standard error may be closed; that must not stop a revoke.
    let _ = writeln!(
        std::io::stderr(),
        "{address}: {} ({} ms{end})",
        shortened(&line),
        took.as_millis()
    );
}

/// Statements over thousands of accounts are cut for messages.
fn shortened(sql: &str) -> String {
    const LONGEST: usize = 2000;
    if sql.len() <= LONGEST {
        return sql.to_owned();
    }
    let mut end = LONGEST;
    while !sql.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &sql[..end])
}
