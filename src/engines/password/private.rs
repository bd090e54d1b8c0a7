//! Files that hold secrets, or decide who gets one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// `$HOME`, or what the system knows: services often have no environment.
pub fn home() -> Option<PathBuf> {
    use uzers::os::unix::UserExt as _;
    std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| {
            uzers::get_user_by_uid(uzers::get_effective_uid())
                .map(|user| user.home_dir().to_owned())
        })
}

/// libpq's rule for keys: 0600, or 0640 where the file is root's, so that a group of operators can share it.
///
/// # Errors
/// A sentence with the command that mends it.
pub fn refuse_if_others_read(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is not a plain file", path.display()));
    }
    judged(metadata.mode(), metadata.uid(), path)
}

fn judged(mode: u32, owner: u32, path: &Path) -> Result<(), String> {
    let allowed = if owner == 0 { 0o740 } else { 0o700 };
    let beyond = mode & 0o777 & !allowed;
    if beyond == 0 {
        return Ok(());
    }
    let whom = match beyond & 0o007 {
        0 => "by its group",
        _ => "by everybody",
    };
    let done = match beyond & 0o044 {
        0 => "written",
        _ => "read",
    };
    let group = match owner {
        0 => " (or 640, for a group of operators)",
        _ => "",
    };
    Err(format!(
        "{} can be {done} {whom}; run: chmod 600 {0}{group}",
        path.display()
    ))
}

/// # Errors
/// A sentence with the command that mends it.
pub fn refuse_if_others_write(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if metadata.is_file() && metadata.mode() & 0o022 != 0 {
        return Err(format!(
            "{} can be written by others; run: chmod go-w {0}",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_cure() {
        let path = Path::new("/run/secrets/shop");
        for (mode, owner) in [(0o600, 7), (0o400, 7), (0o640, 0), (0o440, 0)] {
            assert_eq!(judged(mode, owner, path), Ok(()), "{mode:o}");
        }
        for (mode, owner, words) in [
            (0o640, 7, "read by its group"),
            (0o660, 0, "written by its group"),
            (0o644, 0, "read by everybody"),
            (0o604, 7, "read by everybody"),
            (0o602, 7, "written by everybody"),
        ] {
            let error = judged(mode, owner, path).unwrap_err();
            assert!(error.contains(words), "{mode:o}: {error}");
            assert!(error.contains("chmod 600 /run/secrets/shop"), "{error}");
        }
    }
}
