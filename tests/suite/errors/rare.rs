//! What no test can bring about: shown from the error itself, as the program would say it, or by the words of the
//! source with their gaps.

use jit::engines::EngineError;
use jit::failure::classify;
use jit::identity::IdentityError;
use jit::stores::StoreError;

use super::book::Book;

pub fn all(book: &mut Book, source: &[(String, String)]) {
    book.chapter(
        "Rare ones",
        "Not brought about by the tests: these are the errors themselves, with examples in their gaps.",
    );
    let address = || "db1:5432/shop".to_owned();
    let path = || "/var/lib/jit/ledger/ledger.db".to_owned();
    for (heading, error) in [
        (
            "The answer was lost",
            anyhow::Error::from(EngineError::Unknown {
                address: address(),
                statement: "GRANT SELECT (\"email\") ON …".into(),
                why: "connection closed".into(),
            }),
        ),
        (
            "The names lead elsewhere",
            EngineError::Changed {
                address: address(),
                what: "public.customers".into(),
                why: "it was renamed while it was looked at".into(),
            }
            .into(),
        ),
        (
            "A server that is not trusted",
            EngineError::Untrusted {
                address: address(),
                why: "its certificate is for db7, not for db1".into(),
            }
            .into(),
        ),
        (
            "Somebody else was faster",
            StoreError::Conflict("request k3fq7m2x".into()).into(),
        ),
        (
            "Taken up already",
            StoreError::AlreadyDrained("ab12…".into()).into(),
        ),
        (
            "The schema refuses it",
            StoreError::Unlawful {
                path: path(),
                why: "a request cannot go from ended to active".into(),
            }
            .into(),
        ),
        (
            "A ledger is there already",
            StoreError::Exists(path()).into(),
        ),
        (
            "A disk that is full",
            StoreError::Unwritable {
                path: path(),
                why: "database or disk is full".into(),
            }
            .into(),
        ),
        (
            "A disk that fails",
            StoreError::Unreadable {
                path: path(),
                why: "disk I/O error".into(),
            }
            .into(),
        ),
        (
            "Installed setuid",
            IdentityError::Setuid {
                real: 1003,
                effective: 0,
            }
            .into(),
        ),
    ] {
        let failure = classify(&error);
        let mut said = format!("jit: {}\n", failure.what);
        for hint in &failure.hints {
            let next = if hint.starts_with("jit ") {
                "next: "
            } else {
                ""
            };
            said.push_str(&format!("  {next}{hint}\n"));
        }
        book.words(heading, &said, failure.exit as i32);
    }
    book.chapter(
        "Parts of messages",
        "The reason within another message, or a message of which only the words of the source can be shown.",
    );
    for (heading, beginning) in [
        ("An id in a file that is none", "{0:?} is not a request id"),
        (
            "A lease in a ledger, of no privilege",
            "{0:?} is not the key of a privilege",
        ),
        (
            "An id that begins several",
            "{prefix} is the beginning of several ids",
        ),
        ("A question that was left", "stopped at a question"),
        ("A question without an answer", "nothing was picked"),
        (
            "A request that was not finished",
            "the request is not complete",
        ),
        (
            "A wait that was ended by Ctrl-C",
            "request {id} stands as it is",
        ),
        (
            "A word that names nothing",
            "{} is neither a target nor a table",
        ),
        (
            "Nothing to withdraw",
            "you have no open request to withdraw",
        ),
        (
            "Nothing to pick from",
            "no policy lets you ask for a column",
        ),
        ("No home", "there is no home folder to write to"),
        (
            "Taken back, and not recorded: the next sweep records it",
            "it is seen gone from the catalog",
        ),
        ("Handed in, and not taken up", "it lies in the inbox"),
        ("No random numbers", "no random numbers"),
        (
            "A mailbox of another version",
            "what operators put into your mailbox",
        ),
        ("A name that is empty", "a name is empty"),
        (
            "A name with a zero byte",
            "the name {0:?} holds a zero byte",
        ),
        (
            "A name that the server would cut",
            "the name {0:?} is longer than the 63 bytes",
        ),
        ("A role called public", "a role named {0:?} cannot be told"),
    ] {
        let found = source.iter().find(|(_, text)| text.starts_with(beginning));
        let (_, text) = found.unwrap_or_else(|| panic!("no error begins with {beginning:?}"));
        book.words(heading, &format!("… {text}\n"), 0);
    }
}
