//! The tutorials do what they say: the commands of README.md ("First steps, alone") and of docs/host.md are run from
//! top to bottom, on a real server and as real users, and what they print is what the page shows. To write the pages'
//! outputs anew: `JIT_WRITE_PAGES=1 cargo test … -- tutorial::`.
//!
//! A line that begins with a prompt (`$ `, `alice$ `, `root# `) is typed; what follows is its output, up to the next
//! prompt. A line `…` stands for any number of lines.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use crate::support::jit::{Install, program, run};
use crate::support::on_postgres;
use crate::support::people::{Person, alice, carol, cron, dave, root};
use crate::support::server::{SUPERUSER_PASSWORD, Server};

on_postgres!(the_first_steps_of_the_readme, the_shared_host,);

/// One command of a page: who types it, what, and what the page shows of it.
#[derive(Debug, PartialEq)]
struct Step {
    prompt: String,
    typed: Vec<String>,
    shown: Vec<String>,
}

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A piece of a page: plain lines, or a step.
enum Piece {
    Plain(String),
    Step(Step),
}

fn pieces(text: &str) -> Vec<Piece> {
    let prompt = Regex::new(r"^    ((?:[a-z]+)?[$#]) (.*)$").expect("a pattern");
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open_end: Option<String> = None;
    let lines: Vec<&str> = text.lines().collect();
    // A blank line within an output is the output's.
    let goes_on = |at: usize| {
        let next = lines[at..].iter().find(|line| !line.is_empty());
        next.is_some_and(|line| line.starts_with("    ") && !prompt.is_match(line))
    };
    for (at, line) in lines.iter().enumerate() {
        let line = *line;
        let code = line.strip_prefix("    ");
        if let (Some(end), Some(Piece::Step(step)), Some(code)) =
            (open_end.clone(), pieces.last_mut(), code)
        {
            step.typed.push(code.to_owned());
            if code == end || (end == "\\" && !code.ends_with('\\')) {
                open_end = None;
            }
            continue;
        }
        if let Some(found) = prompt.captures(line) {
            let typed = found[2].to_owned();
            if typed.ends_with("EOF") || typed.ends_with("'EOF'") {
                open_end = Some("EOF".to_owned());
            } else if typed.ends_with('\\') {
                open_end = Some("\\".to_owned());
            }
            pieces.push(Piece::Step(Step {
                prompt: found[1].to_owned(),
                typed: vec![typed],
                shown: Vec::new(),
            }));
            continue;
        }
        match (code, pieces.last_mut()) {
            (Some(code), Some(Piece::Step(step))) => step.shown.push(code.to_owned()),
            (None, Some(Piece::Step(step)))
                if line.is_empty() && !step.shown.is_empty() && goes_on(at) =>
            {
                step.shown.push(String::new());
            }
            _ => pieces.push(Piece::Plain(line.to_owned())),
        }
    }
    pieces
}

/// Whether the output is what is shown, `…` being any lines.
fn fits(shown: &[String], out: &[String]) -> bool {
    match shown.split_first() {
        None => out.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=out.len()).any(|skipped| fits(rest, &out[skipped..]))
        }
        Some((first, rest)) => out.first() == Some(first) && fits(rest, &out[1..]),
    }
}

/// What is different in each run, in the words that the pages use.
fn settled(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, to) in [
        (r"\b\d\d:\d\d \(", "10:15 ("),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "2026-11-23 09:15:02Z"),
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z?",
            "2026-11-23T09:15:02",
        ),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d ", "2026-11-24 10:15 "),
        (r"\(in \d+m( \d+s)?\)", "(in 9m)"),
        // Shortly before midnight the same instant has a date.
        (r"2026-11-24 10:15 \(in 9m\)", "10:15 (in 9m)"),
        (r"\(in 23h \d+m( \d+s)?\)", "(in 1d)"),
        (r"\b(9m|10m)( \d{1,2}s)? +", "9m 59s  "),
        (r"\(?(1d|23h \d\dm)\)? +alice", "(23h 59m)  alice"),
        (
            r"(?m)^ID  .*COLUMNS$",
            "ID        STATE    LEFT       WHO       TARGET  COLUMNS",
        ),
        (r"\d+s ago", "5s ago"),
        (r"in \d\.\d s", "in 0.1 s"),
        (r"#\d{10,}", "#7312…"),
        (r"\b[0-9a-f]{64}\b", "ab12…"),
        (r"\b[0-9a-f]{32}\b", "cd34…"),
        (r"within \d+ms", "within 1ms"),
        (r"postgres \d\d\.\d+", "postgres 15.18"),
    ] {
        let pattern = Regex::new(pattern).expect("a pattern");
        text = pattern.replace_all(&text, to).into_owned();
    }
    text
}

/// A path that was too long for its line, in one piece again: the pages' own are short.
fn joined(text: &str) -> String {
    let broken = Regex::new(r"/\n {10,}").expect("a pattern");
    broken.replace_all(text, "/").into_owned()
}

/// Runs a page between two headings; `type_it` runs one command and gives its output.
fn follow(page: &str, from: &str, to: &str, mut type_it: impl FnMut(&str, &str) -> String) {
    let path = project(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let start = text
        .find(from)
        .unwrap_or_else(|| panic!("{page} has no {from:?}"));
    let end = text[start..].find(to).map_or(text.len(), |at| start + at);
    let mut written = String::new();
    let mut wrong = Vec::new();
    let mut steps = 0;
    for piece in pieces(&text[start..end]) {
        let step = match piece {
            Piece::Plain(line) => {
                written.push_str(&line);
                written.push('\n');
                continue;
            }
            Piece::Step(step) => step,
        };
        steps += 1;
        let mut shown = step.shown.clone();
        while shown.last().is_some_and(String::is_empty) {
            shown.pop();
        }
        let said = settled(&type_it(&step.prompt, &step.typed.join("\n")));
        let said: Vec<String> = said
            .trim_end()
            .lines()
            .map(|l| l.trim_end().to_owned())
            .collect();
        let said: Vec<String> = if said == [""] { Vec::new() } else { said };
        let mut lines = shown.clone();
        if !fits(&shown, &said) {
            wrong.push(format!(
                "{}\nshows\n{}\nand says\n{}",
                step.typed.join("\n"),
                shown.join("\n"),
                said.join("\n")
            ));
            lines = said;
        }
        for (place, line) in step.typed.iter().enumerate() {
            let prompt = if place == 0 {
                format!("{} ", step.prompt)
            } else {
                String::new()
            };
            written.push_str(&format!("    {prompt}{line}\n"));
        }
        for line in lines {
            written.push_str(format!("    {line}").trim_end());
            written.push('\n');
        }
        // The blank line behind a block is the page's.
        let blank = step.shown.last().is_some_and(String::is_empty);
        if blank {
            written.push('\n');
        }
    }
    assert!(steps > 5, "{page}: {steps} steps");
    if std::env::var_os("JIT_WRITE_PAGES").is_some() {
        fs::write(
            &path,
            format!("{}{written}{}", &text[..start], &text[end..]),
        )
        .expect("own file");
    }
    assert!(wrong.is_empty(), "{page}:\n{}", wrong.join("\n\n"));
}

/// A line of somebody's, in bash, as on that host.
fn typed(install: &Install, person: &Person, line: &str, more: &[(&str, &str)]) -> String {
    let mut command = person.command("bash");
    command
        .args(["-c", &format!("exec 2>&1\n{line}")])
        .current_dir(install.path("clone"));
    for (name, value) in install.command(person, &[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = program()
        .parent()
        .expect("its folder")
        .display()
        .to_string();
    command
        .env("PATH", format!("{bin}:{path}"))
        .env("LANG", "C.UTF-8");
    for (name, value) in more {
        command.env(name, value);
    }
    run(&mut command, "").out
}

/// What a fresh clone holds of what the pages use.
fn clone(install: &Install) {
    let name = "demo/shop.postgres.sql";
    let to = install.path("clone").join(name);
    fs::create_dir_all(to.parent().expect("a folder")).expect("own folder");
    fs::copy(project(name), to).expect("a copy");
}

fn give(install: &Install, person: &Person, file: &str, text: &str) {
    let home = install.path("home").join(&person.name);
    let _ = install.command(person, &[]); // makes the home
    let path = home.join(file);
    fs::write(&path, text).expect("own file");
    std::os::unix::fs::chown(&path, Some(person.uid), Some(person.gid)).expect("root may");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("root may");
}

/// Ids of requests, in the order of their first sight.
#[derive(Default)]
struct Ids(Vec<String>);

impl Ids {
    const WORDS: [&'static str; 3] = ["k3fq7m2x", "p8dwz4ra", "c5tn9hv2"];

    /// In a command: the page's word is the real id.
    fn real(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (id, word) in self.0.iter().zip(Self::WORDS) {
            line = line.replace(word, id);
        }
        line
    }

    fn shown(&mut self, text: &str) -> String {
        let id = Regex::new(r"(?m)^[a-hjkmnp-tv-z2-9]{8}$").expect("a pattern");
        for found in id.find_iter(text) {
            if !self.0.iter().any(|known| known == found.as_str()) {
                self.0.push(found.as_str().to_owned());
            }
        }
        let mut text = text.to_owned();
        for (id, word) in self.0.iter().zip(Self::WORDS) {
            text = text.replace(id.as_str(), word);
        }
        text
    }
}

fn the_first_steps_of_the_readme(server: &Server) {
    let own = server.another(&[]);
    let install = Install::new();
    clone(&install);
    let me = alice();
    let port = own.port().to_string();
    give(
        &install,
        &me,
        ".pgpass",
        &format!("localhost:{port}:*:postgres:{SUPERUSER_PASSWORD}\n"),
    );
    let home = install.path("home").join(&me.name).display().to_string();
    let mut ids = Ids::default();
    follow("README.md", "## First steps, alone", "\n## ", |_, line| {
        let line = ids
            .real(line)
            .replace("@localhost/", &format!("@localhost:{port}/"))
            .replace("localhost:5432", &format!("localhost:{port}"));
        let env = [("PGPORT", port.as_str()), ("JIT_CONFIG", "")];
        let out = typed(&install, &me, &format!("unset JIT_CONFIG\n{line}"), &env);
        ids.shown(&joined(&out))
            .replace(&home, "/home/alice")
            .replace(&format!("localhost:{port}"), "localhost:5432")
            .replace("jitalice", "alice")
    });
}

fn the_shared_host(server: &Server) {
    let own = server.another(&[]);
    let install = Install::new();
    clone(&install);
    fs::remove_file(install.path("etc/config.yaml")).expect("own file");
    let port = own.port().to_string();
    own.run("postgres", "CREATE DATABASE shop");
    own.run(
        "shop",
        &fs::read_to_string(project("demo/shop.postgres.sql")).expect("the sample"),
    );
    own.run(
        "shop",
        "CREATE ROLE jitalice LOGIN PASSWORD 'hers' IN ROLE engineers",
    );
    give(
        &install,
        &root(),
        ".pgpass",
        &format!(
            "db1:{port}:*:postgres:{SUPERUSER_PASSWORD}\nlocalhost:{port}:*:postgres:{SUPERUSER_PASSWORD}\n"
        ),
    );
    give(
        &install,
        &alice(),
        ".pgpass",
        &format!("localhost:{port}:*:jitalice:hers\n"),
    );
    let dir = install.path("").display().to_string();
    let dir = dir.trim_end_matches('/').to_owned();
    let mut ids = Ids::default();
    let places = [
        ("/etc/jit", "/etc"),
        ("/var/lib/jit", "/var/lib/jit"),
        ("/var/log/jit", "/var/log/jit"),
        ("/run/secrets", "/secrets"),
    ];
    follow(
        "docs/host.md",
        "## From nothing",
        "\n## ",
        |prompt, line| {
            let person = match prompt {
                "root#" => root(),
                "cron$" => cron(),
                "alice$" => alice(),
                "carol$" => carol(),
                "dave$" => dave(),
                other => panic!("who is {other}?"),
            };
            let mut line = ids.real(line);
            // By way of marks: the real folder may itself be below /var/lib/jit-tests.
            for (nth, (said, _)) in places.iter().enumerate() {
                line = line.replace(said, &format!("\0{nth}\0"));
            }
            for (nth, (_, real)) in places.iter().enumerate() {
                line = line.replace(&format!("\0{nth}\0"), &format!("{dir}{real}"));
            }
            for name in ["alice", "carol", "dave"] {
                let word = Regex::new(&format!(r"\b{name}\b")).expect("a pattern");
                line = word
                    .replace_all(&line, format!("jit{name}").as_str())
                    .into_owned();
            }
            line = line
                .replace("@db1/", &format!("@localhost:{port}/"))
                .replace("-h db1", "-h localhost");
            let env = [("PGPORT", port.as_str())];
            let mut out = ids.shown(&joined(&typed(&install, &person, &line, &env)));
            for (said, real) in places {
                out = out.replace(&format!("{dir}{real}"), said);
            }
            out.replace(&format!("localhost:{port}"), "db1:5432")
                .replace("jitalice", "alice")
                .replace("jitcarol", "carol")
                .replace("jitdave", "dave")
                .replace("jitcron", "cron")
        },
    );
}

#[test]
fn what_differs_is_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(fits(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
    assert!(fits(&lines("…"), &[]));
    assert!(!fits(&lines("a"), &lines("b")));
    assert!(!fits(&lines("a\n…\nx"), &lines("a\nb")));
    assert!(!fits(&[], &lines("more")));
    let page = "text\n    $ cat <<EOF\n    $ no prompt\n    EOF\n    out\n\n    more\n\n    alice$ jit \\\n        list\nend\n";
    let steps: Vec<Step> = pieces(page)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Step(step) => Some(step),
            Piece::Plain(_) => None,
        })
        .collect();
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].typed, ["cat <<EOF", "$ no prompt", "EOF"]);
    assert_eq!(steps[0].shown, ["out", "", "more"]);
    assert_eq!(steps[1].prompt, "alice$");
    assert_eq!(steps[1].typed, ["jit \\", "    list"]);
}
