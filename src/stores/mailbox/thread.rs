//! Acting as a person on a thread of its own, so that the kernel authenticates them as always.

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::stores::StoreError;

/// Whose rights to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    /// The further groups.
    pub groups: Vec<u32>,
}

/// Runs `act` with the rights of this person and none of ours; only for root, who acts for somebody behind sudo.
///
/// Only a thread changes, which ends here: the kernel keeps credentials for each (setresuid(2), "C library/kernel
/// differences"). The kernel lets nobody trace a process that has changed so.
///
/// # Errors
/// Those of `act`, and `Unwritable` where the rights cannot be taken; then `act` never runs.
pub fn as_person<T: Send>(
    who: &Credentials,
    act: impl FnOnce() -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    let failed = |why: String| StoreError::Unwritable {
        path: format!("the mailbox of uid {}", who.uid),
        why,
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_person(who).map_err(|error| {
                failed(format!(
                    "cannot take that user's rights: {}",
                    std::io::Error::from(error)
                ))
            })?;
            act()
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(failed("the thread for it has panicked".into())))
    })
}

fn become_person(who: &Credentials) -> rustix::io::Result<()> {
    let groups: Vec<Gid> = who.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(who.uid), Gid::from_raw(who.gid));
    // In this order: without root's uid the others could not be changed any more.
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}
