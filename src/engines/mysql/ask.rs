//! One statement to the server.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, Row, Value};

use super::quote;

/// Can't create more than max_prepared_stmt_count statements.
const NONE_LEFT: u16 = 1461;

/// Runs it as a prepared statement, which can be only one, where a text could be several. But a server prepares only
/// so many (`max_prepared_stmt_count`), of all logins together, and any login may prepare all of them: then it goes
/// as text.
///
/// # Errors
/// The server's and the connection's.
pub(super) async fn ask(conn: &mut Conn, sql: &str, params: Params) -> Result<Vec<Row>, Error> {
    match conn.exec(sql, params.clone()).await {
        Err(Error::Server(error)) if error.code == NONE_LEFT => {}
        done => return done,
    }
    let text = match &params {
        Params::Positional(values) => bound(sql, values),
        Params::Empty | Params::Named(_) => sql.to_owned(),
    };
    conn.query(text).await
}

/// Puts the values in place of the `?`s, of which the statement has none elsewhere.
fn bound(sql: &str, values: &[Value]) -> String {
    let mut values = values.iter();
    let mut parts = sql.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match values.next() {
            Some(Value::Bytes(bytes)) => text += &quote::text(&String::from_utf8_lossy(bytes)),
            // A number, as the driver writes it.
            Some(value) => text += &value.as_sql(false),
            None => text.push('?'),
        }
        text += part;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_their_places_and_end_no_quotes() {
        let values = [Value::from("o'neil\\"), Value::from(7), Value::from(0.8)];
        let sql = "SET a = ?, b = ?, c = ?";
        let text = bound(sql, &values);
        assert_eq!(text, r"SET a = 'o''neil\\', b = 7, c = 0.8");
        assert_eq!(bound("SELECT ?", &[Value::from("?")]), "SELECT '?'");
        assert_eq!(bound("SELECT 1", &[]), "SELECT 1");
    }

    /// Every statement that has values, as it lies in its file.
    #[test]
    fn no_statement_has_a_question_mark_that_is_no_value() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engines/mysql/sql");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices('?') {
                let before = text[..at].trim_end();
                assert!(before.ends_with(['=', ',', '(']), "{path:?} at byte {at}");
            }
        }
    }
}
