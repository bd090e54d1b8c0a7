//! PURE. Where a deposit lies, as one printable text: `1001.2/name#inode`, with what is odd in the name escaped.

use std::ffi::{CStr, CString};
use std::fmt::Write;

use super::folders::Slot;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub slot: Slot,
    pub name: CString,
    /// 0 where it could not be opened.
    pub inode: u64,
}

impl Place {
    pub fn text(&self) -> String {
        format!(
            "{}/{}#{}",
            self.slot.name(),
            escaped(&self.name),
            self.inode
        )
    }

    /// Reads exactly what [`Place::text`] writes.
    pub fn read(text: &str) -> Option<Self> {
        let (slot, rest) = text.split_once('/')?;
        let (name, inode) = rest.rsplit_once('#')?;
        let place = Self {
            slot: Slot::read(slot.as_bytes())?,
            name: CString::new(unescaped(name)?).ok()?,
            inode: inode.parse().ok()?,
        };
        (place.text() == text).then_some(place)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

fn escaped(name: &CStr) -> String {
    let mut text = String::new();
    for &byte in name.to_bytes() {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        if *first == b'%' {
            let digits = behind.get(..2)?;
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok()?;
            bytes.push(byte[0]);
            rest = behind.get(2..)?;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_name_reads_back_and_prints_harmlessly(name in proptest::collection::vec(1u8..=255, 1..200), inode: u64) {
            let slot = Slot { uid: 1001, number: 2 };
            let place = Place { slot, name: CString::new(name).unwrap(), inode };
            let text = place.text();
            proptest::prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
            proptest::prop_assert_eq!(Place::read(&text), Some(place));
        }
    }

    #[test]
    fn what_was_not_written_so_is_not_read() {
        for text in [
            "",
            "1001/a",
            "1001#1",
            "1001/a#",
            "x/a#1",
            "1001/a/b#1",
            "1001/%2#1",
            "1001/%zz#1",
            "1001/%61#1",
        ] {
            assert_eq!(Place::read(text), None, "{text}");
        }
    }
}
