//! From settings and policy files to the rules that `workflow` knows.

use std::cell::{OnceCell, RefCell};

use anyhow::Result;

use crate::access::{Grantee, TargetName};
use crate::policy::Directory;
use crate::policy::book::{Book, SourceFile};
use crate::settings::{self, Settings};
use crate::workflow::Rules;
use crate::workflow::rules::People;

/// The settings as `workflow` knows people.
struct House(std::rc::Rc<settings::House>);

impl Directory for House {
    fn members(&self, entry: &str) -> Vec<String> {
        self.0.members(entry)
    }

    fn covers(&self, entry: &str, person: &str) -> bool {
        self.0.covers(entry, person)
    }

    fn knows(&self, entry: &str) -> bool {
        self.0.knows(entry)
    }

    fn groups(&self) -> Vec<String> {
        self.0.groups()
    }
}

impl People for House {
    fn grantee(&self, target: &TargetName, user: &str) -> Result<Grantee, String> {
        self.0.grantee(target, user)
    }

    fn is_admin(&self, user: &str) -> bool {
        self.0.is_admin(user)
    }

    fn directory(&self) -> &dyn Directory {
        self
    }
}

/// Settings and policies as rules. Policies that cannot be read are in `unread`: who needs them judged must look there.
pub fn read(settings: &Settings, verbose: bool) -> Result<Rules> {
    let mut unread = Vec::new();
    let mut sources = Vec::new();
    let mut texts = vec![settings.text_and_hash()];
    for path in &settings.policy_files {
        let text = match settings::read_policy(path) {
            Ok(text) => text,
            Err(problem) => {
                unread.push(problem.to_string());
                continue;
            }
        };
        let source = SourceFile {
            name: path.display().to_string(),
            text,
        };
        sources.push(source);
    }
    let read = Book::load(&sources);
    texts.extend(sources.into_iter().map(|source| {
        let hash = source.hash();
        let text = String::from_utf8(source.text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        (hash, text)
    }));
    let hash = settings::hash_of(&texts);
    let book = match read {
        Ok(book) => book,
        Err(problems) => {
            unread.extend(problems.iter().map(ToString::to_string));
            Book::default()
        }
    };
    let targets = settings
        .targets
        .iter()
        .map(|(name, target)| {
            let mut address = target.address.clone();
            address.verbose = verbose;
            (name.clone(), address)
        })
        .collect();
    Ok(Rules {
        book,
        people: Box::new(House(settings.house())),
        targets,
        sweep_within: settings.sweep_within,
        unread,
        lint: OnceCell::new(),
        hash,
        texts: RefCell::new(texts),
    })
}
