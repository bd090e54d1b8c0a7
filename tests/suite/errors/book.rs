//! The page as it is written: entries under chapters, each with the command as typed, what came of it and the exit
//! code, and whatever changes from run to run put into words that do not.

use regex_lite::{Captures, Regex};

use crate::support::jit::{Install, Output};
use crate::support::people::Person;
use crate::support::server::Kind;
use crate::support::shop::Shop;

/// One error as a person meets it.
pub struct Entry {
    pub chapter: String,
    pub heading: String,
    pub text: String,
    /// Zero where the error is shown by a command that itself did its work.
    pub exit: Option<i32>,
}

#[derive(Default)]
pub struct Book {
    page: String,
    chapter: String,
    pub entries: Vec<Entry>,
    /// Entries that are no errors.
    pub wrong: Vec<String>,
}

/// What stands in the page for what no two runs have alike.
#[derive(Clone, Default)]
pub struct Mask {
    words: Vec<(String, String)>,
}

/// So wide that nothing is broken: where a line breaks depends on names that no two runs have alike.
pub const WIDE: Option<u16> = Some(1000);

/// In the order in which a shop's requests are made known.
const IDS: [&str; 8] = [
    "k3fq7m2x", "p8dwz4ra", "c5tn9hv2", "m7xq3kbe", "w2rj6yfs", "h9vb4cpt", "d6zs8nma", "f4kx2wqj",
];

impl Mask {
    /// For an installation alone.
    pub fn of(jit: &Install) -> Self {
        let dir = jit.path("").display().to_string();
        let dir = dir.trim_end_matches('/').to_owned();
        let mut mask = Self::default();
        for (from, to) in [
            ("/etc", "/etc/jit"),
            ("/var", "/var"),
            ("/home", "/home"),
            ("/secrets", "/run/secrets"),
            ("", "/tmp"),
        ] {
            mask.words.push((format!("{dir}{from}"), to.to_owned()));
        }
        for name in ["alice", "bob", "carol", "dave", "mallory", "cron"] {
            mask.words.push((format!("jit{name}"), name.to_owned()));
        }
        mask
    }

    /// For a shop: its server, database and accounts, too.
    pub fn of_shop(shop: &Shop<'_>) -> Self {
        let mut mask = Self::of(&shop.jit);
        let port = shop.server.port().to_string();
        let (place, usual) = match shop.server.kind() {
            Kind::Postgres => ("db1", "5432"),
            Kind::Mysql | Kind::Mariadb => ("db2", "3306"),
        };
        let mut first = vec![
            (format!("localhost:{port}"), format!("{place}:{usual}")),
            (format!("127.0.0.1:{port}"), format!("{place}:{usual}")),
            (shop.database.clone(), "shop".to_owned()),
            (format!("_{}", shop.suffix), String::new()),
            ("jitadmin".to_owned(), "jit_admin".to_owned()),
        ];
        first.append(&mut mask.words);
        mask.words = first;
        mask
    }

    /// Another word that is different in each run.
    pub fn known(mut self, from: &str, to: &str) -> Self {
        self.words.insert(0, (from.to_owned(), to.to_owned()));
        self
    }

    /// Both, this one first.
    pub fn and(mut self, other: &Self) -> Self {
        self.words.extend(other.words.iter().cloned());
        self
    }

    /// The next request.
    pub fn id(self, id: &str) -> Self {
        let used = |word: &&str| self.words.iter().any(|(_, to)| to == *word);
        let word = IDS.iter().find(|word| !used(word)).expect("few requests");
        let word = (*word).to_owned();
        self.known(id, &word)
    }

    pub fn apply(&self, text: &str) -> String {
        // A path that was too long for its line, in one piece again: the page's own are short.
        let broken = Regex::new(r"/\n +").expect("a pattern");
        let mut text = broken.replace_all(text, "/").into_owned();
        for (from, to) in &self.words {
            text = text.replace(from.as_str(), to);
        }
        for (pattern, to) in [
            (
                r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z",
                "2026-11-23T09:15:02.123Z",
            ),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-23 09:15:02"),
            (r"\((1d|23h \d\dm)\)", "(1d)"),
            (r" #\d+ ", " #7 "),
            (r"(?m)^(ID  .*|\w{8}  \w+) {3,}", "$1  "),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d ", "2026-11-24 09:15 "),
            (r"\b\d\d:\d\d \(", "09:15 ("),
            (r"\(in \d+m( \d+s)?\)", "(in 59m)"),
            // Within an hour of midnight the same instant has a date.
            (r"2026-11-24 09:15 \(in 59m\)", "09:15 (in 59m)"),
            (r"\(in 23h \d+m( \d+s)?\)", "(in 1d)"),
            (r"\d\.\d s:", "0.1 s:"),
            (r"within \d+ms", "within 1ms"),
            (r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "5f1c0e2a-…"),
            (r"\bbyte \d+", "byte 3406"),
            (r"\b[0-9a-f]{64}\b", "ab12…"),
            (r"\b[0-9a-f]{32}\b", "cd34…"),
            (r"\b\d{15,20}\b", "7312…"),
            (r"\b(uid|pid|OID) \d+", "$1 1003"),
            (r"\(uid \d+\)", "(uid 1003)"),
            (r"\b\d\d:\d\d:\d\d\b", "09:15:02"),
            (r"\b(\d+d )?(\d+h )?(\d+m )?\d+s (ago|behind|late)", "5s $4"),
        ] {
            let pattern = Regex::new(pattern).expect("a pattern");
            text = pattern
                .replace_all(&text, |found: &Captures<'_>| {
                    let mut out = to.to_owned();
                    for place in (1..found.len()).rev() {
                        let inner = found.get(place).map_or("", |m| m.as_str());
                        out = out.replace(&format!("${place}"), inner);
                    }
                    out
                })
                .into_owned();
        }
        text
    }
}

impl Book {
    pub fn new(title: &str, words: &str) -> Self {
        Self {
            page: format!("# {title}\n\n{words}\n"),
            ..Self::default()
        }
    }

    pub fn chapter(&mut self, title: &str, words: &str) {
        self.page.push_str(&format!("\n## {title}\n\n{words}\n"));
        self.chapter = title.to_owned();
    }

    /// What came of a command that could not do its work.
    pub fn fails(
        &mut self,
        heading: &str,
        person: &Person,
        typed: &[&str],
        output: &Output,
        mask: &Mask,
    ) {
        if output.code == 0 {
            self.wrong
                .push(format!("{heading}: it did its work: {output}"));
        }
        self.entry(heading, person, typed, output, mask);
    }

    /// Any command with what it says.
    pub fn entry(
        &mut self,
        heading: &str,
        person: &Person,
        typed: &[&str],
        output: &Output,
        mask: &Mask,
    ) {
        let mut line = format!("{}$ jit", person.name);
        let first = output.out.lines().next().unwrap_or_default();
        let id = Regex::new("^[a-hjkmnp-tv-z2-9]{8}$").expect("a pattern");
        // A refused request's; no other entry speaks of it.
        let mask = match id.is_match(first) {
            true => mask.clone().known(first, "t3yp9wqd"),
            false => mask.clone(),
        };
        for word in typed {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        let mut said = output.out.clone();
        said.push_str(&output.err);
        self.add(
            heading,
            &mask.apply(&line),
            &mask.apply(&said),
            Some(output.code),
        );
    }

    /// An error that no test can bring about: its own words.
    pub fn words(&mut self, heading: &str, said: &str, exit: i32) {
        self.add(heading, "", said, (exit != 0).then_some(exit));
    }

    fn add(&mut self, heading: &str, line: &str, said: &str, exit: Option<i32>) {
        assert!(
            (self.entries.iter())
                .all(|entry| entry.heading != heading || entry.chapter != self.chapter),
            "two entries of {} are called {heading:?}",
            self.chapter
        );
        let mut block = String::new();
        for line in line.lines().chain(said.lines()).flat_map(folded) {
            block.push_str(&format!("    {line}\n").replace("    \n", "\n"));
        }
        if let Some(code) = exit {
            block.push_str(&format!("    (exit {code})\n"));
        }
        self.page.push_str(&format!("\n**{heading}**\n\n{block}"));
        self.entries.push(Entry {
            chapter: self.chapter.clone(),
            heading: heading.to_owned(),
            text: said.to_owned(),
            exit,
        });
    }

    pub fn page(&self) -> &str {
        &self.page
    }
}

/// A line of at most 80 characters a piece, broken at spaces; what follows hangs under the text, as the program does
/// it where it knows the width.
fn folded(line: &str) -> Vec<String> {
    const ROOM: usize = 80;
    let label = Regex::new(r"^( *\S.{0,22}? {3,})\S").expect("a pattern");
    let hang = match label.captures(line).and_then(|found| found.get(1)) {
        Some(label) => label.as_str().chars().count(),
        None => line.chars().take_while(|c| *c == ' ').count() + 4,
    };
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = lines.last_mut().expect("there is one");
        let wide = last.chars().count() + word.trim_end().chars().count() > ROOM;
        if wide && !last.trim().is_empty() {
            lines.push(" ".repeat(hang));
        }
        lines.last_mut().expect("there is one").push_str(word);
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
