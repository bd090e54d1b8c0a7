//! What a server says before it lets us in (MySQL's source documentation, "Protocol::HandshakeV10" and
//! "Protocol::AuthSwitchRequest"; MariaDB's are the same).

/// The flag by which a server offers TLS and a client asks for it.
pub(super) const CLIENT_SSL: u32 = 0x800;

/// A server's first packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) has_tls: bool,
    /// The authentication that it would like.
    pub(super) plugin: String,
}

impl Greeting {
    /// `None` for a refusal, and for what is no greeting.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let rest = body.strip_prefix(&[10])?;
        let (_version, rest) = until_zero(rest)?;
        // The session's number, eight bytes of the scramble, a zero.
        let rest = rest.get(4 + 8 + 1..)?;
        let low = u16::from_le_bytes([*rest.first()?, *rest.get(1)?]);
        // Character set and status lie between.
        let high = u16::from_le_bytes([*rest.get(5)?, *rest.get(6)?]);
        let scramble = usize::from(*rest.get(7)?).saturating_sub(8).max(13);
        let plugin = rest
            .get(8 + 10 + scramble..)
            .map(|name| until_zero(name).map_or(name, |(name, _)| name))
            .unwrap_or_default();
        Some(Self {
            has_tls: (u32::from(high) << 16 | u32::from(low)) & CLIENT_SSL != 0,
            plugin: String::from_utf8_lossy(plugin).into_owned(),
        })
    }
}

/// The authentication that a server switches to by this packet.
pub(super) fn switched_to(body: &[u8]) -> Option<String> {
    let rest = body.strip_prefix(&[0xfe])?;
    let (name, _) = until_zero(rest)?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The bytes that MariaDB's `client_ed25519` and `parsec` want signed (its manual, "Connecting").
const CHALLENGE: usize = 32;

/// Makes the driver read what is to be signed as it is: it takes a zero at the end, which one in 256 has, for the end
/// of a text, so that gets another one. Whether it is as long as it must be: the driver does not look.
pub(super) fn ends_readably(body: &mut Vec<u8>) -> bool {
    let Some((_, challenge)) = body.strip_prefix(&[0xfe]).and_then(until_zero) else {
        return false;
    };
    if challenge.len() != CHALLENGE {
        return false;
    }
    if challenge.ends_with(&[0]) {
        body.push(0);
    }
    true
}

fn until_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(low: u16) -> Vec<u8> {
        let mut body = b"\x0a8.4.3\0".to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend(b"12345678\0");
        body.extend(low.to_le_bytes());
        body.extend([45, 2, 0, 0xff, 0xc1, 21]);
        body.extend([0; 10]);
        body.extend(b"123456789012\0");
        body.extend(b"caching_sha2_password\0");
        body
    }

    #[test]
    fn a_greeting_says_whether_there_is_tls_and_how_one_logs_in() {
        let read = Greeting::read(&greeting(0x0800)).unwrap();
        assert!(read.has_tls);
        assert_eq!(read.plugin, "caching_sha2_password");
        assert!(!Greeting::read(&greeting(0xf7ff)).unwrap().has_tls);
    }

    #[test]
    fn what_is_to_be_signed_is_read_to_its_end() {
        let switch = |challenge: &[u8]| [b"\xfeparsec\0", challenge].concat();
        for challenge in [[7; 32], [0; 32]] {
            let mut body = switch(&challenge);
            assert!(ends_readably(&mut body));
            // The driver's own way (`AuthSwitchRequest::plugin_data` of mysql_common).
            let read = body[8..].strip_suffix(&[0]).unwrap_or(&body[8..]);
            assert_eq!(read, challenge);
        }
        for length in [0, 31, 33] {
            assert!(!ends_readably(&mut switch(&vec![7; length])), "{length}");
        }
        assert!(!ends_readably(&mut b"\xfe".to_vec()));
    }

    #[test]
    fn whatever_a_server_sends_is_read_without_a_panic() {
        let whole = greeting(0x0800);
        for end in 0..whole.len() {
            let _ = Greeting::read(&whole[..end]);
            let _ = switched_to(&whole[..end]);
        }
        assert_eq!(Greeting::read(b"\xff\x10\x04Too many connections"), None);
        assert_eq!(switched_to(b"\xfeparsec\0abc").as_deref(), Some("parsec"));
        assert_eq!(switched_to(b"\xfe"), None);
    }
}
