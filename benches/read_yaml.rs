//! Reads a policy file with the YAML crate alone, into texts: what `jit policy check` is measured against.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a policy file is to the YAML crate: the same shape, nothing but texts.
#[derive(Deserialize)]
#[allow(dead_code)] // read, as a policy file's keys are, and not used
struct Plain {
    version: u32,
    policies: Vec<PlainPolicy>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct PlainPolicy {
    name: String,
    description: String,
    target: String,
    table: String,
    columns: Vec<String>,
    with: Vec<String>,
    class: String,
    allow: Vec<PlainEntry>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct PlainEntry {
    who: Vec<String>,
    purposes: Vec<String>,
    ticket: Option<String>,
    max: String,
    approval: IgnoredAny,
}

fn main() {
    let path = std::env::args_os().nth(1).expect("a file");
    let text = std::fs::read_to_string(path).expect("a text");
    let options = serde_yaml::options! {
        budget: None,
        with_snippet: false,
    };
    let plain: Plain = serde_yaml::from_str_with_options(&text, options).expect("policies");
    println!("{}", plain.policies.len());
}
