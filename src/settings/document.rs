//! The settings file as it is written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny};

use crate::access::Ttl;
use crate::engines::password::PasswordSource;
use crate::policy::document::{DurationText, Who};
use crate::yaml::Placed;

/// The settings of jit.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// Always 1.
    pub version: Placed<u32>,
    /// `sqlite:` and the file of the ledger. Relative paths are relative to this file.
    pub ledger: Option<Placed<String>>,
    /// The folder in which people have their mailboxes.
    pub inbox: Option<Placed<String>>,
    /// The file of the audit trail.
    pub audit: Option<Placed<String>>,
    /// Policy files, or folders of them (`*.yaml` and `*.yml`, without the folders in them). Default: policies/
    pub policies: Option<Vec<Placed<String>>>,
    /// Grants are made only if a sweep succeeded within this time. Default: 5m
    #[schemars(with = "Option<DurationText>")]
    pub sweep_within: Option<Placed<Ttl>>,
    /// The databases, by name.
    pub targets: Option<BTreeMap<String, Placed<TargetDoc>>>,
    /// Groups of people; a group may be a member of another: `group:dba`.
    pub groups: Option<BTreeMap<String, Placed<Vec<Placed<Who>>>>>,
    /// Accounts of people, by target, where the target's pattern does not fit.
    pub people: Option<BTreeMap<String, Placed<AccountsDoc>>>,
    /// May revoke by selector and see every request.
    pub admins: Option<Vec<Placed<Who>>>,
}

/// A person's accounts, by target.
pub type AccountsDoc = BTreeMap<String, Placed<String>>;

/// One database.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetDoc {
    /// postgres://user@host/database or mysql://user@host/database (MySQL and MariaDB); never with a password. Several
    /// hosts: the one that can be written is taken. Keys: sslmode, sslrootcert, sslcrl, sslcert, sslkey,
    /// connect_timeout, statement_timeout; Postgres also channel_binding, service.
    pub url: Placed<String>,
    /// Where the password comes from. Left out: ~/.pgpass, PGPASSWORD, ~/.my.cnf.
    pub password: Option<Placed<PasswordDoc>>,
    /// Which account a person has there. Default: {user}, and {user}@% on MySQL.
    pub grantee: Option<Placed<String>>,
    /// Postgres: the NOLOGIN role that holds what may be leased. Default: jit_grantor
    pub grantor: Option<Placed<String>>,
}

/// Where a password comes from. The password itself cannot be written.
#[derive(Debug)]
pub struct PasswordDoc(pub PasswordSource);

const KINDS: &str =
    "{file: PATH}, {env: NAME}, {command: [PROGRAM, ARGUMENT]} or {credential: NAME}";

impl<'de> Deserialize<'de> for PasswordDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = PasswordDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(KINDS)
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<PasswordDoc, E> {
                Err(E::custom(format_args!(
                    "a password is never written here; say where it comes from: {KINDS}"
                )))
            }

            // Keys are not repeated either: somebody may have put the password there.
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<PasswordDoc, A::Error> {
                let key: Option<String> = map.next_key()?;
                let source = match key.as_deref() {
                    Some("file") => PasswordSource::File(map.next_value::<String>()?.into()),
                    Some("env") => PasswordSource::Env(map.next_value()?),
                    Some("command") => PasswordSource::Command(map.next_value()?),
                    Some("credential") => PasswordSource::Credential(map.next_value()?),
                    _ => {
                        return Err(de::Error::custom(format_args!(
                            "the password comes from one of {KINDS}"
                        )));
                    }
                };
                if map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    return Err(de::Error::custom("the password comes from one place only"));
                }
                match &source {
                    PasswordSource::Command(words)
                        if words.first().is_none_or(String::is_empty) =>
                    {
                        Err(de::Error::custom("the password's command is empty"))
                    }
                    PasswordSource::Env(name) | PasswordSource::Credential(name)
                        if name.is_empty() =>
                    {
                        Err(de::Error::custom("the password's name is empty"))
                    }
                    // A credential is a plain name in $CREDENTIALS_DIRECTORY, never a way out of it.
                    PasswordSource::Credential(name) if name.contains('/') || name == ".." => {
                        Err(de::Error::custom("a credential is a name, not a path"))
                    }
                    _ => Ok(PasswordDoc(source)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for PasswordDoc {
    fn schema_name() -> Cow<'static, str> {
        "Password".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({"type": "string", "minLength": 1});
        json_schema!({
            "type": "object",
            "description": "Where the password comes from: one of file, env, command, credential.",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
            "properties": {
                "file": text,
                "env": text,
                "credential": text,
                "command": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            },
        })
    }
}

/// The JSON Schema of a settings file, for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(SettingsFile);
    schema.insert("title".into(), "jit settings".into());
    schema.to_value()
}
