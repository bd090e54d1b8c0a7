//! Values that are one text in files and documents: written as they are shown and read as they are typed, without a
//! copy of the text in between.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};

/// Reads a `T` from its text. What is wrong with it is told in the words of `T`.
pub(super) struct Text<T>(pub(super) PhantomData<T>);

impl<T: FromStr<Err: Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// `Serialize` as `Display` shows it, and `Deserialize` as `FromStr` reads it.
macro_rules! one_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        $crate::access::text::read_from_text!($name);
    };
}
pub(super) use one_text;

/// `Deserialize` as `FromStr` reads it.
macro_rules! read_from_text {
    ($name:ty) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str($crate::access::text::Text(std::marker::PhantomData))
            }
        }
    };
}
pub(super) use read_from_text;
