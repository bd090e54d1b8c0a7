//! Who the operating system says I am. Never a flag, and of the environment only what root itself is told by sudo.

use std::path::Path;

use rustix::process::{getegid, geteuid, getgroups, getuid};

use crate::access::Person;

/// What the kernel keeps of a session that was never logged in: cron without PAM, a container, a system service.
const UNSET: u32 = u32::MAX;

/// What the kernel, and sudo, say of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    pub real_uid: u32,
    pub effective_uid: u32,
    /// `/proc/self/loginuid`: set once at login and kept through su and sudo. `None` where it is unset, or where
    /// the kernel has none.
    pub login_uid: Option<u32>,
    /// `$SUDO_UID`, for what it is worth: looked at only where the effective uid is 0.
    pub sudo_uid: Option<String>,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody with their own rights.
    Plain { uid: u32 },
    /// Somebody with root's rights: their name goes into the record, root's rights do the work.
    BehindSudo { uid: u32 },
    /// Root, and nobody can say who: may sweep and revoke, but neither request nor approve.
    BareRoot,
}

/// Recognised, with the name that the uid has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub person: Person,
    /// Bare root: nobody can say which person.
    pub is_root: bool,
    /// Root's rights, used by `person`.
    pub behind_sudo: bool,
}

/// Why nobody was recognised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("user id {0} has no name on this host")]
    NoName(u32),
    #[error(
        "the real user id is {real} and the effective one {effective}: jit must not be installed setuid"
    )]
    Setuid { real: u32, effective: u32 },
    #[error("SUDO_UID is {0:?}, which is not a user id")]
    SudoUid(String),
    #[error("user id {0} stands for nobody")]
    Nobody(u32),
}

/// Recognises who acts, from what was read. Pure.
///
/// # Errors
/// Where the marks contradict each other: nothing is guessed.
pub fn recognise(marks: &Marks) -> Result<Standing, IdentityError> {
    if marks.real_uid != marks.effective_uid {
        return Err(IdentityError::Setuid {
            real: marks.real_uid,
            effective: marks.effective_uid,
        });
    }
    if marks.effective_uid != 0 {
        return Ok(Standing::Plain {
            uid: known(marks.effective_uid)?,
        });
    }
    let caller = match (marks.login_uid, &marks.sudo_uid) {
        (Some(uid), _) => uid,
        (None, Some(text)) => plain_number(text)
            .ok_or_else(|| IdentityError::SudoUid(text.chars().take(20).collect()))?,
        (None, None) => 0,
    };
    Ok(match known(caller)? {
        0 => Standing::BareRoot,
        uid => Standing::BehindSudo { uid },
    })
}

/// 65534 is what the kernel shows where it cannot tell, and what services share.
fn known(uid: u32) -> Result<u32, IdentityError> {
    match uid {
        65534 | UNSET => Err(IdentityError::Nobody(uid)),
        uid => Ok(uid),
    }
}

/// Reads the text of `/proc/self/loginuid`. `None` where it says that none was set.
fn login_uid(text: &str) -> Option<u32> {
    plain_number(text.trim()).filter(|uid| *uid != UNSET)
}

/// Digits only: no sign, no space, as the kernel and sudo write it.
fn plain_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Reads what this process is.
pub fn marks() -> Marks {
    Marks {
        real_uid: getuid().as_raw(),
        effective_uid: geteuid().as_raw(),
        login_uid: std::fs::read_to_string("/proc/self/loginuid")
            .ok()
            .as_deref()
            .and_then(login_uid),
        sudo_uid: std::env::var_os("SUDO_UID").map(|text| text.to_string_lossy().into_owned()),
    }
}

/// Who I am.
///
/// # Errors
/// As [`recognise`]; and where the uid has no name, which every act must be recorded under.
pub fn who_am_i() -> Result<Identity, IdentityError> {
    let (uid, is_root, behind_sudo) = match recognise(&marks())? {
        Standing::Plain { uid } => (uid, false, false),
        Standing::BehindSudo { uid } => (uid, false, true),
        Standing::BareRoot => (0, true, false),
    };
    let name = name_of(uid).ok_or(IdentityError::NoName(uid))?;
    Ok(Identity {
        person: Person { uid, name },
        is_root,
        behind_sudo,
    })
}

/// The name of a uid on this host now; `None` where it has none that can be written down.
pub fn name_of(uid: u32) -> Option<String> {
    let user = uzers::get_user_by_uid(uid)?;
    let name = user.name().to_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The uids in `/etc/passwd`; directory services are not asked.
pub fn local_uids() -> Vec<u32> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines().filter_map(uid_of_line).collect()
}

/// `name:password:uid:…` (passwd(5)).
fn uid_of_line(line: &str) -> Option<u32> {
    plain_number(line.split(':').nth(2)?)
}

/// The primary group of a uid, and all its groups.
pub fn groups_of(uid: u32) -> Option<(u32, Vec<u32>)> {
    let user = uzers::get_user_by_uid(uid)?;
    let gid = user.primary_group_id();
    let groups = uzers::get_user_groups(user.name(), gid)?;
    Some((gid, groups.iter().map(uzers::Group::gid).collect()))
}

/// The number of a group by its name.
pub fn group_id(name: &str) -> Option<u32> {
    uzers::get_group_by_name(name).map(|group| group.gid())
}

/// Whether this process is root or has the group among its own. (Somebody who was added to the group since they
/// logged in is not in it yet.)
pub fn is_in_group(gid: u32) -> bool {
    geteuid().is_root()
        || getegid().as_raw() == gid
        || getgroups().is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == gid))
}

/// The group of a folder, by its name where it has one: for messages such as "you are not in jit-operators".
pub fn group_of(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let gid = std::fs::metadata(path).ok()?.gid();
    let named =
        uzers::get_group_by_gid(gid).and_then(|group| group.name().to_str().map(str::to_owned));
    Some(named.unwrap_or_else(|| gid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(uid: u32, login_uid: Option<u32>, sudo_uid: Option<&str>) -> Marks {
        Marks {
            real_uid: uid,
            effective_uid: uid,
            login_uid,
            sudo_uid: sudo_uid.map(str::to_owned),
        }
    }

    #[test]
    fn a_plain_process_is_its_uid_whatever_it_claims() {
        for claim in [None, Some("0"), Some("1002"), Some("rubbish")] {
            for login in [None, Some(0), Some(1002)] {
                assert_eq!(
                    recognise(&marks(1001, login, claim)),
                    Ok(Standing::Plain { uid: 1001 })
                );
            }
        }
    }

    #[test]
    fn behind_sudo_the_kernels_login_counts_before_the_variable() {
        let sudo = |login, claim| recognise(&marks(0, login, claim));
        assert_eq!(
            sudo(Some(1003), Some("1001")),
            Ok(Standing::BehindSudo { uid: 1003 })
        );
        assert_eq!(
            sudo(None, Some("1001")),
            Ok(Standing::BehindSudo { uid: 1001 })
        );
        assert_eq!(sudo(Some(0), Some("1001")), Ok(Standing::BareRoot));
        assert_eq!(sudo(None, Some("0")), Ok(Standing::BareRoot));
        assert_eq!(sudo(None, None), Ok(Standing::BareRoot));
    }

    #[test]
    fn nothing_is_guessed() {
        for claim in [
            "",
            " 1001",
            "-1",
            "+1001",
            "alice",
            "1001\n",
            "4294967296",
            "99999999999",
        ] {
            assert!(
                matches!(
                    recognise(&marks(0, None, Some(claim))),
                    Err(IdentityError::SudoUid(_))
                ),
                "{claim:?}"
            );
        }
        for uid in [65534, UNSET] {
            assert_eq!(
                recognise(&marks(uid, None, None)),
                Err(IdentityError::Nobody(uid))
            );
            assert_eq!(
                recognise(&marks(0, Some(uid), None)),
                Err(IdentityError::Nobody(uid))
            );
        }
        let setuid = Marks {
            effective_uid: 0,
            ..marks(1001, None, None)
        };
        assert!(matches!(
            recognise(&setuid),
            Err(IdentityError::Setuid { .. })
        ));
        let dropped = Marks {
            real_uid: 0,
            ..marks(1001, None, None)
        };
        assert!(matches!(
            recognise(&dropped),
            Err(IdentityError::Setuid { .. })
        ));
    }

    #[test]
    fn an_unset_login_is_none() {
        for (text, uid) in [
            ("4294967295", None),
            ("1001\n", Some(1001)),
            ("0", Some(0)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(login_uid(text), uid, "{text:?}");
        }
    }

    #[test]
    fn uids_are_the_third_field_of_a_line() {
        assert_eq!(
            uid_of_line("alice:x:1001:1001::/home/alice:/bin/sh"),
            Some(1001)
        );
        for line in ["", "#", "+::::::", "a:x:", "a:x:b:1"] {
            assert_eq!(uid_of_line(line), None, "{line}");
        }
    }
}
