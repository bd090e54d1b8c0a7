//! Many real Unix users for one test, which the machine does not keep: they stand in a passwd file of the test's own,
//! which its programs see in place of the machine's (a mount namespace). Needs root, as CI has it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::jit::Install;
use super::people::Person;
use super::process::around;

/// Above what people and packages of a machine get, below what programs hand out by themselves.
const FIRST_UID: u32 = 59_001;

pub struct Crowd {
    passwd: PathBuf,
    pub people: Vec<Person>,
}

impl Crowd {
    /// So many people `NAME1`, `NAME2`, …; the file that tells of them lies in the installation.
    pub fn new(jit: &Install, groups: &[(&str, usize)]) -> Self {
        let mut text = std::fs::read_to_string("/etc/passwd").expect("every machine has it");
        let mut people = Vec::new();
        for (name, many) in groups {
            for nth in 1..=*many {
                let uid = FIRST_UID + u32::try_from(people.len()).expect("not that many");
                assert!(
                    uzers::get_user_by_uid(uid).is_none(),
                    "the uid {uid} is somebody's"
                );
                let name = format!("{name}{nth}");
                text.push_str(&format!("{name}:x:{uid}:{uid}::/:/bin/sh\n"));
                people.push(Person {
                    name,
                    uid,
                    gid: uid,
                });
            }
        }
        let passwd = jit.path("passwd");
        std::fs::write(&passwd, text).expect("a file of ours");
        Self { passwd, people }
    }

    /// Those whose names begin so.
    pub fn named(&self, name: &str) -> Vec<Person> {
        let people = self.people.iter();
        people
            .filter(|person| person.name.starts_with(name))
            .cloned()
            .collect()
    }

    /// The same command where these people exist.
    pub fn sees(&self, inner: &Command) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount --bind \"$0\" /etc/passwd && exec \"$@\"")
            .arg(Path::new(&self.passwd));
        around(command, inner)
    }
}
