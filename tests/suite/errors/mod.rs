//! Every error that a person can meet, in one page: docs/errors.md. Each is brought about by the program itself, on
//! real servers and with real users, and held there as it is said: command, words, exit code. Read it from top to
//! bottom after a change. To write it anew:
//!
//! ```sh
//! make errors        # JIT_WRITE_PAGES=1 cargo test … -- errors::
//! ```
//!
//! A new error fails `every_error_of_the_source_is_in_the_book` until it has an entry in one of the chapters here.

mod book;
mod files;
mod host;
mod people;

use std::path::Path;

use book::Book;

const PAGE: &str = "docs/errors.md";

/// Written on three servers, so that it carries their three names.
mod the_page_of_errors {
    #[test]
    fn on_postgres_on_mysql_on_mariadb() {
        super::is_as_committed();
    }
}

fn book() -> Book {
    let mut book = Book::new(
        "Errors",
        "What each error looks like, and what to do about it. This page is written by the tests, from the program \
         itself.",
    );
    let postgres = crate::support::postgres::shared();
    people::all(&mut book, postgres);
    files::settings(&mut book);
    files::policies(&mut book);
    host::ledger(&mut book, postgres);
    host::audit(&mut book, postgres);
    host::targets(&mut book, postgres);
    host::mysql(&mut book, crate::support::mysql::shared());
    host::mariadb(&mut book, crate::support::mariadb::shared());
    book
}

fn is_as_committed() {
    let book = book();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("JIT_WRITE_PAGES").is_some() {
        std::fs::write(&path, book.page()).expect("own file");
    }
    assert!(book.wrong.is_empty(), "{}", book.wrong.join("\n"));
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = committed.lines().zip(book.page().lines()).enumerate();
    if let Some((at, (was, is))) = lines.find(|(_, (was, is))| was != is) {
        panic!(
            "{PAGE}:{}: it says {was:?}, the program {is:?}; write it anew by: make errors",
            at + 1
        );
    }
    assert_eq!(
        committed.len(),
        book.page().len(),
        "{PAGE} and the program differ in length; write it anew by: make errors"
    );
}
