//! Identifiers that nobody can choose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::text::one_text;

/// Lower case without look-alikes: no `i`, `l`, `o`, `u`, `0`, `1`. Exactly 30 of them.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstvwxyz23456789";
const LENGTH: usize = 8;

/// Eight characters made from a hash of the submission, so that the operator can compute it again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; LENGTH]);

/// A text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a request id (eight characters of a-z and 2-9, without i, l, o and u)")]
pub struct NotAnId(pub String);

impl RequestId {
    /// The id of the request that a submission makes: from who submitted it and its whole content.
    ///
    /// `content` is the submission's bytes, its nonce included.
    pub fn of_submission(uid: u32, content: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"jit request\0");
        hash.update(uid.to_be_bytes());
        hash.update(content);
        let digest = hash.finalize();
        let first = digest.iter().take(8);
        let mut number = first.fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self(std::array::from_fn(|_| {
            let letter = ALPHABET[(number % ALPHABET.len() as u64) as usize];
            number /= ALPHABET.len() as u64;
            letter
        }))
    }

    pub fn as_str(&self) -> &str {
        // Letters of the alphabet, which are one byte each.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({:?})", self.as_str())
    }
}

impl FromStr for RequestId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.as_bytes().try_into() {
            Ok(letters) if is_prefix(text) => Ok(Self(letters)),
            _ => Err(NotAnId(text.chars().take(40).collect())),
        }
    }
}

one_text!(RequestId);

/// Whether a text can be the beginning of an id.
pub fn is_prefix(text: &str) -> bool {
    (1..=LENGTH).contains(&text.len()) && text.bytes().all(|b| ALPHABET.contains(&b))
}

/// The random name of a ledger: 32 hexadecimal characters. Its hash is the first `prev` of the audit chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LedgerId(pub String);

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_uid_and_content() {
        let id = RequestId::of_submission(1001, b"{}");
        assert_eq!(id, RequestId::of_submission(1001, b"{}"));
        assert_ne!(id, RequestId::of_submission(1002, b"{}"));
        assert_ne!(id, RequestId::of_submission(1001, b"{ }"));
        assert_eq!(id.as_str().parse::<RequestId>().unwrap(), id);
    }

    #[test]
    fn look_alikes_are_no_ids() {
        for text in ["", "abc", "abcdefgi", "ABCDEFGH", "abcdefg0", "abcdefghj"] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
    }
}
