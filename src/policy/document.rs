//! The policy file as it is written: what serde reads and what editors get as JSON Schema.
//!
//! Names, patterns and durations are parsed here, once, so that a problem has its place.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer};

use super::glob::{Glob, TableGlob};
use crate::access::{Sessions, Ttl, Usage};
use crate::yaml::Placed;

/// A policy file: which columns are protected, and who may have them, for what, how long, with whose approval.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Always 1.
    pub version: Placed<u32>,
    pub policies: Vec<PolicyDoc>,
}

/// Which columns of a target are protected, and who may have them.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDoc {
    /// Unique over all files. Letters, digits, `-`, `_` and `.`.
    pub name: Placed<PolicyName>,
    /// For people.
    pub description: Option<String>,
    /// The target's name in the settings.
    pub target: Placed<String>,
    pub table: TableGlob,
    /// Names or patterns.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(length(min = 1))]
    pub columns: Vec<Glob>,
    /// Columns that are leased along, in exact names: without a key a column is often useless.
    #[serde(default, deserialize_with = "tight")]
    pub with: Vec<Placed<Glob>>,
    /// A word for the kind of data, such as `pii`.
    pub class: Option<String>,
    /// At expiry: `report` sessions that can still read, or `end` them. Entries may say otherwise.
    #[serde(default)]
    pub sessions: Option<Sessions>,
    /// Where USAGE on the schema is missing: `refuse`, or `grant` it along. Entries may say otherwise.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// The first entry that fits the person, purpose and duration decides; then its ticket must match.
    #[serde(deserialize_with = "tight")]
    pub allow: Vec<Placed<EntryDoc>>,
    /// Run by `jit policy test`.
    #[serde(default)]
    pub tests: Vec<Placed<TestDoc>>,
}

/// Who may have the columns, for what, how long, with whose approval.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryDoc {
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(length(min = 1))]
    pub who: Vec<Who>,
    /// The request's purpose must be one of these. Left out: any purpose, or none.
    #[serde(default, deserialize_with = "some_at_least_one")]
    #[schemars(length(min = 1))]
    pub purposes: Option<Vec<Word>>,
    /// A regular expression that the whole ticket must match. Left out: no ticket is needed.
    pub ticket: Option<Placed<String>>,
    /// The longest duration that can be asked for.
    #[schemars(with = "DurationText")]
    pub max: Placed<Ttl>,
    /// The longest unbroken access, extensions included. Left out: twice `max`.
    #[schemars(with = "Option<DurationText>")]
    pub max_total: Option<Placed<Ttl>>,
    pub sessions: Option<Sessions>,
    pub usage: Option<Usage>,
    pub approval: ApprovalDoc,
}

/// `auto`, or the lines that must be met.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ApprovalDoc {
    Auto(AutoWord),
    Needed(Approvals),
}

/// Approved at once, by nobody.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum AutoWord {
    Auto,
}

/// Whose approvals are needed.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Every line must be met, by different people.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(length(min = 1))]
    pub all: Vec<LineDoc>,
    /// From request to grant; later it lapses. Left out: 24h.
    #[schemars(with = "Option<DurationText>")]
    pub within: Option<Ttl>,
}

/// So many approvals by members of these.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineDoc {
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(length(min = 1))]
    pub by: Vec<Who>,
    /// Left out: 1.
    #[serde(default = "one", deserialize_with = "at_least_1")]
    #[schemars(range(min = 1))]
    pub count: usize,
}

/// One question with the answer that is expected.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestDoc {
    pub who: Person,
    pub purpose: Option<String>,
    pub ticket: Option<String>,
    #[serde(rename = "for")]
    #[schemars(with = "DurationText")]
    pub ttl: Ttl,
    /// Exact names. Left out: all columns of the policy, a made-up name for each pattern.
    #[serde(default, deserialize_with = "some_at_least_one")]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<Glob>>,
    pub expect: Expect,
    /// People whose approvals, all together, must then be enough.
    #[serde(default, deserialize_with = "some_at_least_one")]
    #[schemars(length(min = 1))]
    pub approvers: Option<Vec<Person>>,
}

/// What a test expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// Allowed, nobody is asked.
    Auto,
    /// Allowed, once it is approved.
    Approval,
    Refused,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Approval => "approval",
            Self::Refused => "refused",
        })
    }
}

/// The schema of a duration.
pub struct DurationText;

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\s*(\d+\s*[a-z]+\s*)+$",
            "description": "A duration: 30m, 2h, 1d, 1h30m.",
            "examples": ["30m", "1h", "1d"],
        })
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text).map_err(de::Error::custom)?;
                Ok(Self(text))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1, "description": $what })
            }
        }
    )*};
}

texts! {
    /// A policy's name.
    PolicyName, "Letters, digits, - _ and .", |text| {
        let fits = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if fits && (1..=100).contains(&text.chars().count()) {
            Ok(())
        } else {
            Err("a policy's name is 1 to 100 letters, digits, \"-\", \"_\" or \".\"".into())
        }
    };
    /// `group:NAME`, or a user's name.
    Who, "group:NAME, or a user's name.", check_who;
    /// A user's name.
    Person, "A user's name.", |text| {
        if text.starts_with("group:") {
            return Err("one person is meant here, not a group".into());
        }
        check_who(text)
    };
    /// A purpose: one word, so that it can be typed.
    Word, "A word, such as incident.", |text| {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a purpose is one word, such as \"incident\"".into());
        }
        Ok(())
    };
}

/// Whether a text can stand where a person or a group is meant.
///
/// # Errors
/// A sentence that says what is expected.
pub fn check_who(text: &str) -> Result<(), String> {
    let name = text.strip_prefix("group:").unwrap_or(text);
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '*' | '?');
    if name.is_empty() || name.chars().any(odd) {
        return Err("a user's name or group:NAME was expected here".into());
    }
    Ok(())
}

fn one() -> usize {
    1
}

fn at_least_1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(de::Error::custom(
            "count is at least 1; for no approval at all write `approval: auto`",
        )),
        count => Ok(count),
    }
}

/// A list without room for more: nobody says how long one is before it is read, and ten thousand policies have forty
/// thousand.
fn tight<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

fn at_least_one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let list = tight(deserializer)?;
    if list.is_empty() {
        return Err(de::Error::custom("this list needs at least one item"));
    }
    Ok(list)
}

fn some_at_least_one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    at_least_one(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for ApprovalDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ApprovalDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, or a mapping with `all:`,")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ApprovalDoc, E> {
                match text {
                    "auto" => Ok(ApprovalDoc::Auto(AutoWord::Auto)),
                    _ => Err(E::unknown_variant(text, &["auto"])),
                }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ApprovalDoc, A::Error> {
                Approvals::deserialize(MapAccessDeserializer::new(map)).map(ApprovalDoc::Needed)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The JSON Schema of a policy file, for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(PolicyFile);
    schema.insert("title".into(), "jit policies".into());
    schema.to_value()
}
