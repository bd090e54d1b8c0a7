//! The README and docs/ are true: commands and flags that they name exist, examples pass, one-liners run on a real
//! audit file, and the lists of keys and events are whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::jit::{Install, program, run};
use crate::support::people::{alice, root};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

const PAGES: [&str; 10] = [
    "README.md",
    "docs/engineer.md",
    "docs/dba.md",
    "docs/host.md",
    "docs/auditor.md",
    "docs/privileges.md",
    "docs/settings.md",
    "docs/policies.md",
    "docs/audit.md",
    "docs/threat-model.md",
];

/// Lines of code blocks: indented by four.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("    "))
}

/// Everything that is written as a call of `jit`: in code blocks, and between backticks.
fn calls(text: &str) -> Vec<Vec<String>> {
    let blocks = code(text).map(str::to_owned);
    let joined = text.replace('\n', " ");
    let inline: Vec<String> = joined
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    blocks
        .chain(inline)
        .filter_map(|line| {
            let line = line.split(" #").next().unwrap_or_default();
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let start = words.iter().position(|word| word == "jit")?;
            let before_is_a_prompt = words[..start].iter().all(|word| {
                ["$", "sudo", "*", "jitops", "&&"].contains(&word.as_str()) || word.contains('/')
            });
            let end = words
                .iter()
                .position(|word| word == "|")
                .unwrap_or(words.len());
            (before_is_a_prompt && start < end).then(|| words[start + 1..end].to_vec())
        })
        .collect()
}

#[test]
fn every_command_and_flag_that_is_named_exists() {
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut help = |path: &[String]| {
        helps
            .entry(path.to_vec())
            .or_insert_with(|| {
                run(Command::new(program()).args(path).arg("--help"), "")
                    .ok()
                    .out
            })
            .clone()
    };
    let mut seen = BTreeSet::new();
    for name in PAGES {
        for call in calls(&page(name)) {
            let mut path: Vec<String> = Vec::new();
            for word in call
                .iter()
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            {
                let known = help(&path)
                    .lines()
                    .skip_while(|line| *line != "Commands:")
                    .any(|line| {
                        line.starts_with("  ") && line.split_whitespace().next() == Some(word)
                    });
                if !known {
                    break;
                }
                path.push(word.clone());
            }
            let leaf = help(&path);
            assert!(
                !path.is_empty() || call.iter().all(|word| word.starts_with('-') || word == "…"),
                "{name}: there is no `jit {}`",
                call.join(" ")
            );
            for flag in call
                .iter()
                .filter(|word| word.starts_with("--") && word.len() > 2)
            {
                let flag = flag
                    .split(['=', '['])
                    .next()
                    .unwrap_or(flag)
                    .trim_end_matches([',', ';', ')']);
                assert!(
                    leaf.contains(flag),
                    "{name}: `jit {}` has no {flag}",
                    path.join(" ")
                );
            }
            seen.insert(path.join(" "));
        }
    }
    for command in [
        "request",
        "approve",
        "sweep",
        "audit verify",
        "setup",
        "policy explain",
    ] {
        assert!(seen.contains(command), "no page shows jit {command}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for name in PAGES.iter().chain(&["docs/errors.md"]) {
        let text = page(name);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let folder = folder.parent().expect("a folder");
        let mut links = 0;
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split(')').next().unwrap_or_default();
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = match file {
                "" => Path::new(env!("CARGO_MANIFEST_DIR")).join(name),
                file => folder.join(file),
            };
            assert!(file.exists(), "{name}: {link} is not there");
            if !heading.is_empty() {
                let there = std::fs::read_to_string(&file).expect("a page");
                let mut headings = there.lines().filter_map(|line| {
                    line.strip_prefix('#')?
                        .trim_start_matches('#')
                        .strip_prefix(' ')
                });
                assert!(
                    headings.any(|line| line.to_lowercase().replace(' ', "-") == heading),
                    "{name}: {link} names no heading"
                );
            }
        }
        assert!(links > 0 || *name != "README.md");
    }
}

/// A block of a page that begins with this line.
fn block(text: &str, first: &str) -> String {
    code_block(text, first).unwrap_or_else(|| panic!("no block begins with {first:?}"))
}

fn code_block(text: &str, first: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines
        .iter()
        .position(|line| line.strip_prefix("    ") == Some(first))?;
    let block: Vec<&str> = lines[start..]
        .iter()
        .take_while(|line| line.starts_with("    ") || line.is_empty())
        .map(|line| line.strip_prefix("    ").unwrap_or(""))
        .collect();
    Some(block.join("\n"))
}

#[test]
fn the_policy_of_the_readme_passes_its_check_and_its_tests() {
    let policy = block(&page("docs/dba.md"), "version: 1");
    assert!(policy.contains("policies:"), "{policy}");
    let jit = Install::new()
        .settings(
            "targets: {shop: {url: 'postgres://jit_admin@localhost/shop'}}\n\
             groups: {support: [alice], engineering: [erin], dba: [carol], privacy: [paula]}",
        )
        .policy("readme.yaml", &policy);
    jit.run(&root(), &["policy", "check"])
        .ok()
        .says("1 policy, 0 errors, 0 warnings");
    jit.run(&root(), &["policy", "test"]).ok().says(" 0 failed");
}

on_every_server!(setup_prints_the_lines_that_the_page_explains);

const ENDING: &str = "
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, phone]
    allow: [{who: [jitalice], max: 1h, approval: auto, sessions: end}]
";

/// Each line of docs/privileges.md under the server's heading is printed, and no other.
fn setup_prints_the_lines_that_the_page_explains(server: &Server) {
    let shop = Shop::bare(server, ENDING);
    shop.jit.init();
    let login = shop.account("jitadmin");
    let (title, drop) = match server.kind() {
        Kind::Postgres => ("## Postgres", format!("DROP ROLE {login}")),
        Kind::Mysql => ("## MySQL", format!("DROP USER {login}")),
        Kind::Mariadb => ("## MariaDB", format!("DROP USER {login}")),
    };
    shop.dba(&drop);
    let url = server.url(server.superuser(), &shop.database);
    let said = shop
        .as_superuser(&["setup", "shop", "--as-url", &url])
        .ok()
        .out;
    let ledger = regex_lite::Regex::new(r"\b[0-9a-f]{32}\b").expect("a pattern");
    let said = ledger
        .replace_all(&said, "…")
        .replace(&shop.database, "shop")
        .replace(&format!("_{}", shop.suffix), "")
        .replace("jitadmin", "jit_admin");
    let printed: Vec<&str> = said
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("-- "))
        .collect();
    let text = page("docs/privileges.md");
    let section = text.split(title).nth(1).expect("the server's heading");
    let section = section.split("\n## ").next().unwrap_or_default();
    let explained: Vec<&str> = code(section).collect();
    assert_eq!(explained, printed, "docs/privileges.md, {title}");
}

on_postgres!(the_checker_and_every_one_liner_run_on_a_real_audit_file);

fn the_checker_and_every_one_liner_run_on_a_real_audit_file(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    let folder = shop.jit.path("var/log/jit");

    let checker = block(&page("docs/auditor.md"), "import hashlib, json, sys");
    let python = |file: &Path| {
        run(
            Command::new("python3").arg("-c").arg(&checker).arg(file),
            "",
        )
    };
    let head = shop.jit(&root(), &["audit", "head"]).ok().out;
    let (seq, hash) = head.trim().split_once(':').expect("SEQ:HASH");
    python(&shop.jit.audit())
        .ok()
        .says(&format!("sound up to {seq} {hash}"));
    let text = fs::read_to_string(shop.jit.audit()).expect("the audit file");
    let forged = shop.jit.path("forged.jsonl");
    fs::write(
        &forged,
        text.replace("\"reason\":\"a test\"", "\"reason\":\"a jest\""),
    )
    .expect("own folder");
    python(&forged).exit(1).says("was edited");
    let dropped: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(n, _)| *n != 2)
        .map(|(_, l)| l)
        .collect();
    fs::write(&forged, dropped.join("\n") + "\n").expect("own folder");
    python(&forged).exit(1).says("does not follow");

    let mut tried = 0;
    for name in ["docs/auditor.md", "docs/audit.md"] {
        for line in
            code(&page(name)).filter(|line| line.starts_with("jq ") || line.starts_with("grep "))
        {
            let line = line
                .replace("ID", &id)
                .replace("alice", "jitalice")
                .replace("public.customers", &shop.table("customers"));
            let output = run(
                Command::new("bash")
                    .args(["-c", &line])
                    .current_dir(&folder),
                "",
            );
            assert!(
                output.code == 0 || (line.starts_with("grep") && output.code == 1),
                "{line}: {output}"
            );
            if line.contains("select(.event==\"granted\"") && !line.contains("-rs") {
                assert!(
                    !output.out.trim().is_empty(),
                    "{line} finds nothing in {text}"
                );
            }
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried} one-liners");
}

/// The first column of the tables of a page, without backticks; a cell may name several.
fn first_cells(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(" |").next())
        .flat_map(|cell| {
            cell.split(", ")
                .map(|name| name.trim_matches('`').to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Every property that a JSON Schema names, at any depth.
fn properties(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    if let Some(object) = schema.as_object() {
        for (key, inner) in object {
            if key == "properties" {
                found.extend(
                    inner
                        .as_object()
                        .into_iter()
                        .flat_map(|keys| keys.keys().cloned()),
                );
            }
            properties(inner, found);
        }
    }
    for inner in schema.as_array().into_iter().flatten() {
        properties(inner, found);
    }
}

#[test]
fn the_reference_names_every_key_and_every_event() {
    let schema = |arguments: &[&str]| run(Command::new(program()).args(arguments), "").ok().json();
    let audit = first_cells(&page("docs/audit.md"));
    let event = schema(&["schema", "event"]);
    let mut keys = BTreeSet::new();
    properties(&event, &mut keys);
    for key in keys {
        assert!(
            audit.contains(&key),
            "docs/audit.md does not explain the key {key}"
        );
    }
    let text = event.to_string();
    for kind in [
        "granted",
        "stray",
        "clock_accepted",
        "settings_changed",
        "revoke_failed",
    ] {
        assert!(
            text.contains(&format!("\"{kind}\"")) && audit.contains(kind),
            "{kind}"
        );
    }

    let policies = page("docs/policies.md");
    let mut keys = BTreeSet::new();
    properties(&schema(&["policy", "schema"]), &mut keys);
    for key in keys {
        assert!(
            policies.contains(&format!("`{key}`"))
                || policies.contains(&format!("{key}:"))
                || key == "policies"
                || key == "version",
            "docs/policies.md does not name {key}"
        );
    }

    let settings = page("docs/settings.md");
    let mut keys = BTreeSet::new();
    let text: serde_json::Value =
        serde_json::from_str(&page("policies/settings.schema.json")).expect("JSON");
    properties(&text, &mut keys);
    for key in keys {
        assert!(
            settings.contains(&format!("`{key}`")) || settings.contains(&format!("{{{key}:")),
            "docs/settings.md does not name {key}"
        );
    }
}
