//! One connection: statements in order, each bounded in time, with errors in the engine's words.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row};

use crate::engines::EngineError;
use crate::engines::tls::{Seen, Sight};

/// A value and its type, so that no round trip is needed to ask for it.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Something to send.
#[derive(Clone, Debug)]
pub enum Send<'a> {
    /// One statement without parameters; its rows are of no interest.
    Run(String),
    /// A query of ours; `name` stands for it in messages.
    Ask {
        name: &'static str,
        sql: &'a str,
        parameters: Vec<Parameter<'a>>,
    },
}

/// What came back for one thing sent.
pub type Answer = Result<Vec<Row>, Fault>;

/// What went wrong with one statement, before it is put into the engine's words.
#[derive(Debug)]
pub enum Fault {
    /// The server refused it.
    Refused { code: String, message: String },
    /// The connection is gone, or nothing came back in time.
    Lost(String),
}

impl Fault {
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Lost(_) => None,
        }
    }
}

/// A connection and the task that drives it.
pub struct Link {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
    notices: Notices,
    /// For messages: endpoint and database.
    shown: String,
    /// How long to wait for one answer.
    patience: Duration,
    verbose: bool,
    seen: Option<Seen>,
    /// Nothing came back in time: what is sent now would wait behind it.
    stuck: Cell<bool>,
}

/// What a link knows of how it was made.
pub struct Made {
    pub shown: String,
    pub statement_timeout: Duration,
    pub verbose: bool,
    /// What the TLS handshake showed, where there was one.
    pub seen: Option<Seen>,
}

type Notices = Arc<Mutex<VecDeque<String>>>;

/// Beyond the server's own statement_timeout: for the way there and back, and for a server too busy to notice.
const GRACE: Duration = Duration::from_secs(5);

impl Drop for Link {
    fn drop(&mut self) {
        if self.stuck.get() {
            self.driver.abort();
        }
    }
}

impl Link {
    /// Takes over a fresh connection.
    pub fn new<S, T>(
        client: Client,
        connection: tokio_postgres::Connection<S, T>,
        made: Made,
    ) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::marker::Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::marker::Send + 'static,
    {
        let notices = Notices::default();
        let driver = tokio::spawn(drive(connection, notices.clone()));
        Self {
            client,
            driver,
            notices,
            shown: made.shown,
            patience: made.statement_timeout + GRACE,
            verbose: made.verbose,
            seen: made.seen,
            stuck: Cell::new(false),
        }
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What the TLS handshake showed of the server.
    pub fn sight(&self) -> Option<Sight> {
        self.seen.as_ref().map(Seen::sight)
    }

    /// Whether nothing more can be sent here.
    pub fn is_dead(&self) -> bool {
        self.stuck.get() || self.client.is_closed()
    }

    /// Warnings and notices since the last call, oldest first.
    pub fn notices(&self) -> Vec<String> {
        match self.notices.lock() {
            Ok(mut notices) => notices.drain(..).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Runs statements without parameters.
    pub async fn run(&self, sql: &str) -> Result<(), EngineError> {
        let answers = self.pipeline(vec![Send::Run(sql.to_owned())]).await;
        for answer in answers {
            answer.map_err(|fault| self.error(fault, sql))?;
        }
        Ok(())
    }

    /// Asks one query of ours.
    pub async fn ask(
        &self,
        name: &'static str,
        sql: &str,
        parameters: Vec<Parameter<'_>>,
    ) -> Result<Vec<Row>, EngineError> {
        let mut answers = self.ask_all(vec![(name, sql, parameters)]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Asks several queries of ours at once, all in one snapshot that changes nothing.
    pub async fn snapshot(
        &self,
        queries: Vec<(&'static str, &str, Vec<Parameter<'_>>)>,
    ) -> Result<Vec<Vec<Row>>, EngineError> {
        let names: Vec<&'static str> = queries.iter().map(|(name, ..)| *name).collect();
        let mut sends = vec![Send::Run(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY".to_owned(),
        )];
        sends.extend(
            queries
                .into_iter()
                .map(|(name, sql, parameters)| Send::Ask {
                    name,
                    sql,
                    parameters,
                }),
        );
        // Ends the transaction whether or not a query failed in it.
        sends.push(Send::Run("COMMIT".to_owned()));
        let last = sends.len() - 1;
        let mut rows = Vec::new();
        for (place, answer) in self.pipeline(sends).await.into_iter().enumerate() {
            let name = match place {
                0 => "begin",
                place if place == last => "commit",
                place => names[place - 1],
            };
            let answer = answer.map_err(|fault| self.error(fault, name))?;
            if place != 0 && place != last {
                rows.push(answer);
            }
        }
        Ok(rows)
    }

    async fn ask_all(
        &self,
        queries: Vec<(&'static str, &str, Vec<Parameter<'_>>)>,
    ) -> Result<Vec<Vec<Row>>, EngineError> {
        let names: Vec<&'static str> = queries.iter().map(|(name, ..)| *name).collect();
        let sends = queries
            .into_iter()
            .map(|(name, sql, parameters)| Send::Ask {
                name,
                sql,
                parameters,
            })
            .collect();
        self.pipeline(sends)
            .await
            .into_iter()
            .zip(names)
            .map(|(answer, name)| answer.map_err(|fault| self.error(fault, name)))
            .collect()
    }

    /// Sends everything at once, in this order, and gives the answers in the same order.
    ///
    /// Each thing sent is a message of its own, so that the server's log shows each statement once. After a
    /// refusal the later ones answer 25P02 where a transaction is open, and are carried out where none is.
    pub async fn pipeline(&self, sends: Vec<Send<'_>>) -> Vec<Answer> {
        let began = Instant::now();
        let count = sends.len();
        let first = sends.first().map(Send::shown).unwrap_or_default();
        let mut waiting: Vec<Pending<'_>> = Vec::with_capacity(count);
        for send in sends {
            // The first poll is what sends: done one after the other, the order on the wire is this one.
            let mut future = self.future(send);
            let ready = match poll_once(future.as_mut()).await {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            };
            waiting.push((future, ready));
        }
        let mut answers = Vec::with_capacity(count);
        for (future, ready) in waiting {
            let answer = match ready {
                Some(answer) => answer,
                None if self.stuck.get() => Err(Fault::Lost("the server did not answer".into())),
                None => match tokio::time::timeout(self.patience, future).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.stuck.set(true);
                        Err(Fault::Lost(format!(
                            "nothing came back within {} s",
                            self.patience.as_secs()
                        )))
                    }
                },
            };
            answers.push(answer);
        }
        if self.verbose {
            say(&first, count, began.elapsed());
        }
        answers
    }

    fn future<'a>(&'a self, send: Send<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>> {
        Box::pin(async move {
            match send {
                Send::Run(sql) => {
                    let done = self.client.batch_execute(&sql).await;
                    done.map(|()| Vec::new()).map_err(|error| fault(&error))
                }
                Send::Ask {
                    sql, parameters, ..
                } => {
                    let rows = self.client.query_typed(sql, &parameters).await;
                    rows.map_err(|error| fault(&error))
                }
            }
        })
    }

    /// The engine's error for a fault of a statement that changes nothing, or whose transaction was not committed.
    pub fn error(&self, fault: Fault, statement: &str) -> EngineError {
        let statement = shortened(statement);
        match fault {
            Fault::Refused { code, message } => EngineError::Refused {
                address: self.shown.clone(),
                statement,
                code,
                message,
            },
            Fault::Lost(why) => EngineError::Unknown {
                address: self.shown.clone(),
                statement,
                why,
            },
        }
    }
}

type Pending<'a> = (Pin<Box<dyn Future<Output = Answer> + 'a>>, Option<Answer>);

impl Send<'_> {
    /// For messages.
    pub fn shown(&self) -> String {
        match self {
            Self::Run(sql) => shortened(sql),
            Self::Ask { name, .. } => (*name).to_owned(),
        }
    }
}

/// Polls once, with the waker of the task that calls.
async fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    let mut future = Some(future);
    std::future::poll_fn(move |context| {
        Poll::Ready(match future.take() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        })
    })
    .await
}

/// Drives a connection until it ends, and keeps the newest notices.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>, notices: Notices)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    const KEPT: usize = 50;
    let mut connection = pin!(connection);
    loop {
        let message = std::future::poll_fn(|context| connection.as_mut().poll_message(context));
        match message.await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                if let Ok(mut notices) = notices.lock() {
                    if notices.len() == KEPT {
                        notices.pop_front();
                    }
                    notices.push_back(format!("{} ({})", notice.message(), notice.code().code()));
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// Whether an error ended the connection is told by its class: the server says 57P0x as it closes.
fn fault(error: &tokio_postgres::Error) -> Fault {
    match error.as_db_error() {
        Some(refusal) if refusal.code().code().starts_with("57P") => {
            Fault::Lost(refusal.message().to_owned())
        }
        Some(refusal) => Fault::Refused {
            code: refusal.code().code().to_owned(),
            message: match refusal.detail() {
                Some(detail) => format!("{}: {}", refusal.message(), shortened(detail)),
                None => refusal.message().to_owned(),
            },
        },
        None => Fault::Lost(causes(error)),
    }
}

/// An error and what is behind it, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// At most 200 characters, in one line.
pub fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).collect::<String>() + "…"
}

/// `-v`. A closed standard error is no reason to stop.
fn say(first: &str, count: usize, took: Duration) {
    let more = match count {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let _ = writeln!(
        std::io::stderr(),
        "sql: {first}{more} [{:.1} ms]",
        took.as_secs_f64() * 1000.0
    );
}
