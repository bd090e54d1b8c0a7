//! libpq's password file (the manual's "The Password File").

use secrecy::SecretString;

use crate::engines::address::{Address, Endpoint};

/// The password of the first line that fits the endpoint, and that line's number.
///
/// `host:port:database:user:password`, with `*` for any and `\` before `:` and `\`. A socket's folder is named as it
/// is, or as `localhost`.
pub fn find(text: &str, address: &Address, endpoint: &Endpoint) -> Option<(SecretString, usize)> {
    let (hosts, port) = match endpoint {
        Endpoint::Tcp { host, port } => (vec![host.clone()], *port),
        Endpoint::Socket { path, port } => (
            vec![path.display().to_string(), "localhost".to_owned()],
            *port,
        ),
    };
    let rest = [
        port.to_string(),
        address.database.clone().unwrap_or_default(),
        address.user.clone(),
    ];
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'))
        .find_map(|(place, line)| {
            let fields = fields(line);
            let [host, others @ .., (password, _)] = &fields[..] else {
                return None;
            };
            let fits = others.len() == rest.len()
                && (is_any(host) || hosts.contains(&host.0))
                && others
                    .iter()
                    .zip(&rest)
                    .all(|(field, wanted)| is_any(field) || field.0 == *wanted);
            // libpq goes on behind a line without a password.
            (fits && !password.is_empty()).then(|| (password.clone().into(), place + 1))
        })
}

/// A field, and whether a letter of it was escaped: `\*` is a star, not any.
type Field = (String, bool);

fn is_any((text, escaped): &Field) -> bool {
    text == "*" && !escaped
}

/// The first five fields; as in libpq, what follows another colon is no part of the password.
fn fields(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let (next, escaped) = match letter {
            ':' if fields.len() == 5 => break,
            ':' => {
                fields.push(Field::default());
                continue;
            }
            '\\' => (letters.next(), true),
            letter => (Some(letter), false),
        };
        if let Some((text, any)) = fields.last_mut() {
            text.extend(next);
            *any |= escaped;
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn takes_the_first_line_that_fits_the_endpoint() {
        let address = Address::parse("postgres://j@db:5433,db2/shop").unwrap();
        let text = "# c\nother:*:*:*:no\ndb:5433:shop:j:\ndb:5433:shop:j:a\\:b\\\\:rest\ndb2:5432:shop:j:two\n*:*:*:*:late\n";
        let of = |place: usize| {
            let (password, line) = find(text, &address, &address.endpoints[place]).unwrap();
            (password.expose_secret().to_owned(), line)
        };
        assert_eq!(of(0), ("a:b\\".to_owned(), 4));
        assert_eq!(of(1), ("two".to_owned(), 5));
        let socket = Address::parse("postgres://j@%2Frun%2Fpg/shop").unwrap();
        let read = |text: &str| {
            find(text, &socket, &socket.endpoints[0]).map(|(p, _)| p.expose_secret().to_owned())
        };
        assert_eq!(read("/run/pg:*:*:j:x").as_deref(), Some("x"));
        assert_eq!(read("localhost:*:*:j:x").as_deref(), Some("x"));
        assert_eq!(read("db:*:*:j:x"), None);
        assert_eq!(read("*:*:*:j"), None);
        assert_eq!(read("\\*:*:*:j:x"), None, "an escaped star is a star");
    }

    #[test]
    fn an_address_of_ipv6_is_written_with_escaped_colons() {
        let address = Address::parse("postgres://j@[::1]:5433/shop").unwrap();
        let found = find("\\:\\:1:5433:shop:j:six\n", &address, &address.endpoints[0]);
        assert_eq!(found.unwrap().0.expose_secret(), "six");
    }
}
