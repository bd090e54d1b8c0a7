//! PURE. Sealing lines into a chain, and taking sealed lines apart again. [`super::verify`] checks whole trails.
//!
//! A line is one JSON object. Its last two keys are always `prev` and `hash`, so that both are found from its end
//! without parsing it: `hash` is SHA-256 over the bytes of the line up to `,"hash"`, `prev` the hash before it,
//! and the first `prev` is SHA-256 of the ledger id's text.

use std::fmt;

use sha2::{Digest, Sha256};

use super::event::Draft;
use crate::access::{At, LedgerId};

/// The version of the line's form, its first key.
const VERSION: u8 = 1;
const HEAD: &[u8] = br#"{"v":1,"seq":"#;
const AFTER_SEQ: &[u8] = br#","at":""#;
const PREV_KEY: &[u8] = br#","prev":""#;
const HASH_KEY: &[u8] = br#","hash":""#;
const HEX: usize = 64;
/// `","hash":"…"}` behind the value of `prev`: where the hashed part ends, seen from the end of the line.
const TAIL: usize = HASH_KEY.len() + HEX + 2;
/// No line of ours is longer; what is longer is no line. An event's texts are bounded by their submission
/// (64 KiB), its SQL and observations by the columns of one table.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// SHA-256 as 64 lower-case hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; HEX]);

impl Hash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = [0; HEX];
        // 32 bytes always fit into 64 characters.
        let _ = hex::encode_to_slice(Sha256::digest(bytes), &mut text);
        Self(text)
    }

    /// What the first line of a ledger's trail has as `prev`.
    pub fn start(ledger: &LedgerId) -> Self {
        Self::of(ledger.0.as_bytes())
    }

    /// Reads 64 lower-case hexadecimal characters; `None` for anything else.
    pub fn read(text: &[u8]) -> Option<Self> {
        let text: [u8; HEX] = text.try_into().ok()?;
        text.iter()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            .then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line in its final form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Without a newline, and with none inside.
    pub line: String,
    pub hash: Hash,
}

/// Gives an event its number, time, host and place in the chain.
///
/// # Errors
/// Only where the draft cannot be told in JSON, which its types do not allow.
pub fn seal(
    draft: &Draft,
    seq: u64,
    at: At,
    host: &str,
    prev: &Hash,
) -> Result<Sealed, serde_json::Error> {
    let mut line = serde_json::to_string(draft)?;
    // An object with some keys: ours come before them and behind.
    line.pop();
    line.replace_range(..1, &format!(r#"{{"v":{VERSION},"seq":{seq},"at":"{at}","#));
    line.push_str(r#","host":"#);
    line.push_str(&serde_json::to_string(host)?);
    line.push_str(r#","prev":""#);
    line.push_str(prev.as_str());
    line.push('"');
    let hash = Hash::of(line.as_bytes());
    line.push_str(r#","hash":""#);
    line.push_str(hash.as_str());
    line.push_str("\"}");
    Ok(Sealed { line, hash })
}

/// What the chain needs of one line, as the line itself says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    pub seq: u64,
    pub prev: Hash,
    /// As written in the line; [`Link::is_intact`] tells whether it is true.
    pub hash: Hash,
    hashed: &'a [u8],
}

/// Why a line is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than any line of jit")]
    TooLong,
    #[error(r#"it does not begin with {{"v":1,"seq":NUMBER,"at":""#)]
    Head,
    #[error(r#"it does not end with "prev" and "hash", 64 lower-case hexadecimal characters each"#)]
    Tail,
}

impl<'a> Link<'a> {
    /// Takes number, `prev` and `hash` from their places in a line, which is given without its newline.
    ///
    /// # Errors
    /// Where one of them is not exactly at its place.
    pub fn of(line: &'a [u8]) -> Result<Self, Malformed> {
        if line.is_empty() {
            return Err(Malformed::Empty);
        }
        if line.len() > LONGEST_LINE {
            return Err(Malformed::TooLong);
        }
        let seq = seq_of(line).ok_or(Malformed::Head)?;
        let tail = || {
            let hashed = line.get(..line.len().checked_sub(TAIL)?)?;
            let hash = line.get(hashed.len()..)?;
            let hash = hash.strip_prefix(HASH_KEY)?.strip_suffix(b"\"}")?;
            let prev = hashed.strip_suffix(b"\"")?;
            let prev = prev.get(prev.len().checked_sub(PREV_KEY.len() + HEX)?..)?;
            let prev = prev.strip_prefix(PREV_KEY)?;
            Some((Hash::read(prev)?, Hash::read(hash)?, hashed))
        };
        let (prev, hash, hashed) = tail().ok_or(Malformed::Tail)?;
        Ok(Self {
            seq,
            prev,
            hash,
            hashed,
        })
    }

    /// Whether the line's hash is the hash of the line.
    pub fn is_intact(&self) -> bool {
        Hash::of(self.hashed) == self.hash
    }
}

/// The number that a line says it has: plain digits, no sign, no leading zero.
pub fn seq_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(HEAD)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = rest.split_at(digits);
    if !(1..=19).contains(&digits) || number[0] == b'0' || !rest.starts_with(AFTER_SEQ) {
        return None;
    }
    number.iter().try_fold(0u64, |n, b| {
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Actor, Person};
    use crate::audit::event::EventKind;

    fn draft(reason: &str) -> Draft {
        let actor = Actor::Person(Person {
            uid: 1003,
            name: "carol".into(),
        });
        let mut draft = Draft::new(EventKind::Granted, &actor);
        draft.reason = Some(reason.into());
        draft
    }

    fn start() -> Hash {
        Hash::start(&LedgerId("0123456789abcdef0123456789abcdef".into()))
    }

    #[test]
    fn a_line_has_the_keys_of_the_contract_in_their_order() {
        let at = At::from_millis(1_774_000_000_120);
        let mut draft = draft("because");
        draft.observed = Some(serde_json::json!({"hash": "x", "a": 1}));
        let sealed = seal(&draft, 17, at, "bastion1", &start()).unwrap();
        assert!(sealed.line.starts_with(
            r#"{"v":1,"seq":17,"at":"2026-03-20T09:46:40.120Z","event":"granted","actor":"carol","via":"uid:1003","reason":"because","observed":{"a":1,"hash":"x"},"host":"bastion1","prev":""#
        ), "{}", sealed.line);
        let (hashed, rest) = sealed.line.rsplit_once(r#","hash""#).unwrap();
        assert_eq!(rest, format!(":\"{}\"}}", sealed.hash));
        assert_eq!(hex::encode(Sha256::digest(hashed)), sealed.hash.as_str());
        assert!(serde_json::from_str::<serde_json::Value>(&sealed.line).is_ok());
    }

    #[test]
    fn any_text_gives_one_line_that_reads_back() {
        for reason in [
            "",
            "a\nb\r\u{2028}\u{0}\u{1b}[31m",
            r#"","hash":"x"}"#,
            "é漢🙂",
        ] {
            let sealed = seal(&draft(reason), 1, At::from_millis(0), "h", &start()).unwrap();
            assert!(!sealed.line.contains('\n'));
            let link = Link::of(sealed.line.as_bytes()).unwrap();
            assert_eq!((link.seq, link.prev, link.hash), (1, start(), sealed.hash));
            assert!(link.is_intact());
        }
    }

    #[test]
    fn what_is_not_exactly_a_line_is_malformed() {
        let good = seal(&draft("x"), 12, At::from_millis(0), "h", &start())
            .unwrap()
            .line;
        for (from, to) in [
            (r#""seq":12"#, r#""seq":012"#),
            (r#""seq":12"#, r#""seq":-12"#),
            (r#""seq":12"#, r#""seq":12.0"#),
            (r#""seq":12"#, r#""seq":99999999999999999999"#),
            (r#"{"v":1"#, r#"{"v":2"#),
            (r#"{"v":1"#, r#" {"v":1"#),
            (r#","prev":""#, r#","prec":""#),
            (r#""}"#, r#"" }"#),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(Link::of(bad.as_bytes()).is_err(), "{bad}");
        }
        let mut upper = good.clone().into_bytes();
        let at = upper.len() - 10;
        upper[at] = b'F';
        assert!(!Link::of(&upper).is_ok_and(|link| link.is_intact()));
        for cut in 0..good.len() {
            assert!(Link::of(&good.as_bytes()[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let good = seal(&draft("x"), 12, At::from_millis(0), "h", &start())
            .unwrap()
            .line;
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] ^= 1;
            assert!(
                !Link::of(&bad).is_ok_and(|link| link.is_intact()),
                "byte {at}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(line in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = Link::of(&line);
        }
    }
}
