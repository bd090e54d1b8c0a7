//! `jit generate DIR`: the files that are made from the command line's definition and from docs/, as this project
//! keeps them. A test compares them byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap_complete::Shell;

use super::{complete, man};
use crate::failure::Exit;

/// Names that each shell finds in its own folder.
const COMPLETIONS: [(Shell, &str); 5] = [
    (Shell::Bash, "jit.bash"),
    (Shell::Zsh, "_jit"),
    (Shell::Fish, "jit.fish"),
    (Shell::Elvish, "jit.elv"),
    (Shell::PowerShell, "jit.ps1"),
];

pub fn run(folder: &Path) -> Result<Exit> {
    let completions = COMPLETIONS.iter().map(|(shell, name)| {
        let place = Path::new("completions").join(name);
        (place, complete::script(*shell).to_owned())
    });
    let mut files: Vec<(PathBuf, String)> = completions.collect();
    let pages = man::pages();
    files.extend(
        pages
            .into_iter()
            .map(|page| (Path::new("man").join(page.place()), page.roff)),
    );
    // What a command that is gone has left.
    for section in ["man/man1", "man/man5"] {
        let _ = fs::remove_dir_all(folder.join(section));
    }
    write(folder, &files)?;
    Ok(Exit::Done)
}

/// Writes files into a folder, making the folders on the way.
pub fn write(folder: &Path, files: &[(PathBuf, String)]) -> Result<()> {
    for (place, text) in files {
        let path = folder.join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
