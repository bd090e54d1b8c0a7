//! PURE. A YAML text becomes a typed document, or a problem with its place and its cure.
//!
//! Whatever the text holds, reading ends soon and without a panic: size, nesting, nodes and the growth of aliases
//! are bounded ([`LARGEST`] and below). No value of the text is ever repeated in a problem, for a settings file may
//! hold a secret where none belongs; keys and the names of choices are.

mod words;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_yaml::{Options, Spanned};

pub use words::nearest;

/// The largest text that is read, in bytes. Ten thousand policies over a hundred thousand columns take about 6 MB.
pub const LARGEST: usize = 32 * 1024 * 1024;

/// Nodes (scalars, lists, mappings) in one text. Ten thousand policies over a hundred thousand columns have about
/// half a million; the crate's own default is 250,000.
const MOST_NODES: usize = 1_500_000;

/// Aliases in one text, and merges of mappings (`<<`) by them: several for each of ten thousand policies.
const MOST_ALIASES: usize = 100_000;
const MOST_MERGES: usize = 30_000;

/// How deep lists and mappings may nest. A policy needs eight.
const DEEPEST: usize = 32;

/// How serious a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is judged by these files until it is mended.
    Error,
    /// Worth a look; everything works as written.
    Warning,
}

/// Something wrong in a file: where, what, and what to do about it. Texts are lower case, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    pub level: Level,
    pub file: String,
    /// Counted from 1; 0 where it is about the whole file.
    pub line: u64,
    /// Counted from 1, in characters; 0 where it is about the whole file.
    pub column: u64,
    pub what: String,
    pub cure: Option<String>,
}

impl Problem {
    pub fn error(file: &str, place: Place, what: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            what: what.into(),
            cure: None,
        }
    }

    pub fn warning(file: &str, place: Place, what: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(file, place, what)
        }
    }

    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Problem {
    /// `policies/shop.yaml:12:5: unknown key "colums"; did you mean "columns"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if self.level == Level::Warning {
            f.write_str(": warning")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(cure) = &self.cure {
            write!(f, "; {cure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// A place in a text, counted from 1; all zero where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// A value and where it stands: at an alias, the place of the alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

impl<T> std::ops::Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            place: Place {
                line: spanned.referenced.line(),
                column: spanned.referenced.column(),
            },
        })
    }
}

/// In the schema a placed value is the value.
impl<T: schemars::JsonSchema> schemars::JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Reads the bytes of a file, named `file` in problems, as one YAML document.
///
/// # Errors
/// The first problem found, always an error.
pub fn read<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Problem> {
    if bytes.len() > LARGEST {
        return Err(too_large(file, bytes.len() as u64));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let place = Place {
            line: before.iter().filter(|b| **b == b'\n').count() as u64 + 1,
            column: String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count() as u64
                + 1,
        };
        Problem::error(file, place, "this is not UTF-8 text").cure("save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_yaml::from_str_with_options(text, options()).map_err(|error| words::problem(file, &error))
}

/// The problem of a file that is larger than [`LARGEST`], for those who see the size before they read.
pub fn too_large(file: &str, bytes: u64) -> Problem {
    let mib = 1024 * 1024;
    Problem::error(
        file,
        Place::default(),
        format!(
            "the file has {} MiB; at most {} are read",
            bytes.div_ceil(mib),
            LARGEST as u64 / mib
        ),
    )
    .cure("split it into several files")
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: MOST_NODES,
            max_events: 2 * MOST_NODES,
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_documents: 1,
            // One anchor for ten thousand entries is honest: `approval: *two-people`. What aliases expand to is
            // bounded below instead.
            enforce_alias_anchor_ratio: false,
            max_aliases: MOST_ALIASES,
            max_merge_keys: MOST_MERGES,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 1_000_000,
            max_replay_stack_depth: 16,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests;
