//! What somebody who knows how `jit` works could put into mailboxes and files, without `jit`; and changes of a
//! shop's settings and policies under way.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::people::Person;
use super::shop::Shop;

/// A submission of this act, with a nonce that no other has.
pub fn submission(act: Value) -> Vec<u8> {
    let nonce = format!("{:016x}{:016x}", std::process::id(), super::unique());
    json!({ "v": 1, "nonce": nonce, "act": act })
        .to_string()
        .into_bytes()
}

impl Shop<'_> {
    /// The first mailbox of a person, who has run a command before.
    pub fn mailbox(&self, person: &Person) -> PathBuf {
        self.jit.path(format!("var/lib/jit/inbox/{}", person.uid))
    }

    /// Puts a file into a person's mailbox, as theirs.
    pub fn drop_into(&self, person: &Person, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.mailbox(person).join(name);
        fs::write(&path, bytes).expect("root may write anywhere");
        // The group stays the operators', which the folder's setgid bit gave it.
        chown(&path, Some(person.uid), None).expect("root may give it away");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a file of ours");
        path
    }

    /// Hands in an act as this person without asking `jit` whether it is one.
    pub fn forge(&self, person: &Person, act: Value) -> PathBuf {
        let name = format!("0000000000001-forged{}.json", super::unique());
        self.drop_into(person, &name, &submission(act))
    }

    /// A request as the command would write it.
    pub fn ask_act(&self, columns: &[&str], ttl: &str) -> Value {
        json!({
            "do": "request", "target": "shop", "ttl": ttl, "reason": "a test", "purpose": "support",
            "tables": [{ "table": self.table("customers"), "columns": columns }]
        })
    }

    /// Replaces text in a file of the installation; it must be there.
    #[track_caller]
    pub fn edit(&self, inner: &str, from: &str, to: &str) {
        let path = self.jit.path(inner);
        let text = fs::read_to_string(&path).expect("a file of ours");
        assert!(text.contains(from), "{from:?} is not in {text}");
        fs::write(&path, text.replace(from, to)).expect("a file of ours");
    }

    /// The target is reached at this address (`host:port`) from now on, with these options in its url. How its url
    /// went on behind the login before, and how it does now.
    pub fn reach_at(&self, address: &str, options: &str) -> [String; 2] {
        let (server, database) = (self.server, &self.database);
        let before = format!("{}:{}/{database}", server.host(), server.port());
        let now = format!("{address}/{database}?{options}");
        self.edit("etc/config.yaml", &before, &now);
        [before, now]
    }

    /// Adds lines to the settings.
    pub fn add_settings(&self, yaml: &str) {
        let path = self.jit.path("etc/config.yaml");
        let text = fs::read_to_string(&path).expect("a file of ours");
        fs::write(&path, format!("{text}{yaml}\n")).expect("a file of ours");
    }

    /// Why submissions were rejected so far, with who handed them in.
    pub fn rejections(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.events("rejected")
            .iter()
            .map(|event| (text(&event["actor"]), text(&event["why"])))
            .collect()
    }

    /// The last submission of this person was rejected, and the trail says so with these words.
    #[track_caller]
    pub fn rejected(&self, person: &Person, words: &str) {
        let all = self.rejections();
        assert!(
            all.iter()
                .any(|(actor, why)| *actor == person.name && why.contains(words)),
            "{} was not rejected with {words:?}: {all:#?}",
            person.name
        );
    }
}
