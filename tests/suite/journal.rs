//! The audit file: each line of the ledger once, in order, whatever crashes, fills up, is rotated or is tampered with.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jit::audit::journal::{JournalError, Owed, Source, Written, prove_writable, write_owed};
use jit::audit::trail::{Input, verify, with_rotated};
use jit::audit::verify::{Fault, Verdict, Verifier};
use jit::stores::sqlite::{Sharing, SqliteLedger, create};
use jit::stores::{Ledger, StoreError};

use crate::ledger::fixture::*;
use crate::support::people::{alice, carol, cron};

type Outcome = Result<Written, JournalError<StoreError>>;

/// As an operator does it: under the ledger's lock.
fn drain(ledger: &SqliteLedger, audit: &Path) -> Outcome {
    let lock = ledger
        .lock("journal", Duration::from_secs(30))
        .unwrap()
        .expect("the lock");
    write_owed(audit, &Books(ledger), lock.as_ref())
}

fn verdict(ledger: &SqliteLedger, files: &[PathBuf]) -> Verdict {
    let inputs: Vec<Input> = files.iter().cloned().map(Input::File).collect();
    verify(Verifier::of_ledger(ledger.id()).from_the_start(), &inputs).unwrap()
}

/// The files together hold every line of the ledger, once and in order.
#[track_caller]
fn whole(ledger: &SqliteLedger, files: &[PathBuf]) {
    let verdict = verdict(ledger, files);
    assert!(verdict.is_sound(), "{:#?}", verdict.findings);
    assert_eq!(verdict.lines, ledger.head().unwrap().0);
}

/// The audit file with all that was rotated away holds every line, once.
#[track_caller]
fn all_whole(ledger: &SqliteLedger, audit: &Path) {
    let files = with_rotated(audit).unwrap();
    let files: Vec<PathBuf> = files
        .into_iter()
        .filter_map(|input| match input {
            Input::File(path) => Some(path),
            Input::Stdin => None,
        })
        .collect();
    whole(ledger, &files);
}

fn text(ledger: &SqliteLedger) -> String {
    ledger
        .lines_after(0, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|owed| owed.line)
        .collect()
}

/// The ledger, but its mark is lost, as by a crash between writing and marking.
struct Forgetful<'a>(Books<'a>);

impl Source for Forgetful<'_> {
    type Error = StoreError;

    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
        self.0.lines_after(seq, limit)
    }

    fn mark(&self) -> Result<(u64, Option<String>), StoreError> {
        self.0.mark()
    }

    fn set_mark(&self, _: u64, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Busy {
            path: "it".into(),
            seconds: 0,
        })
    }
}

fn crash_before_the_mark(ledger: &SqliteLedger, audit: &Path) {
    assert!(write_owed(audit, &Forgetful(Books(ledger)), &()).is_err());
}

/// A ledger of one's own with 5 lines, of which 5 are in the file.
fn five(place: &Place) -> (SqliteLedger, PathBuf) {
    let ledger = place.alone();
    ledger.commit(&now(1), events(5)).unwrap();
    drain(&ledger, &place.audit()).unwrap();
    (ledger, place.audit())
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

fn rotated(audit: &Path, end: &str) -> PathBuf {
    let mut name = audit.as_os_str().to_owned();
    name.push(end);
    name.into()
}

// What should be ---------------------------------------------------------------------------------------------------

#[test]
fn every_line_is_written_once() {
    let place = Place::new();
    let ledger = place.alone();
    let audit = place.audit();
    assert_eq!(drain(&ledger, &audit).unwrap(), Written::default());
    for lines in [1, 2, 700, 1] {
        ledger.commit(&now(1), events(lines)).unwrap();
        let head = ledger.head().unwrap().0;
        let written = drain(&ledger, &audit).unwrap();
        assert_eq!(
            written,
            Written {
                lines: lines as u64,
                newest: head,
                lost: 0
            }
        );
        assert_eq!(drain(&ledger, &audit).unwrap().lines, 0);
        assert_eq!(ledger.journal_mark().unwrap().0, head);
    }
    assert_eq!(fs::read_to_string(&audit).unwrap(), text(&ledger));
    whole(&ledger, &[audit]);
}

#[test]
fn a_renamed_file_is_followed_by_a_new_one() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    for turn in 1..4 {
        let old = rotated(&audit, &format!(".{turn}"));
        fs::rename(&audit, &old).unwrap();
        if turn == 2 {
            File::create(&audit).unwrap();
        }
        if turn == 3 {
            assert!(Command::new("gzip").arg(&old).status().unwrap().success());
        }
        ledger.commit(&now(2), events(3)).unwrap();
        assert_eq!(drain(&ledger, &audit).unwrap().lines, 3);
        assert_eq!(fs::read_to_string(&audit).unwrap().lines().count(), 3);
        all_whole(&ledger, &audit);
    }
    assert_eq!(fs::metadata(&audit).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn an_emptied_file_goes_on_with_the_next_line() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    // logrotate's copytruncate
    fs::copy(&audit, rotated(&audit, ".1")).unwrap();
    File::options()
        .write(true)
        .open(&audit)
        .unwrap()
        .set_len(0)
        .unwrap();
    ledger.commit(&now(2), events(2)).unwrap();
    assert_eq!(drain(&ledger, &audit).unwrap().lines, 2);
    all_whole(&ledger, &audit);
    // Emptied without a copy: what was in it is the ledger's alone, and it goes on all the same.
    File::options()
        .write(true)
        .open(&audit)
        .unwrap()
        .set_len(0)
        .unwrap();
    fs::remove_file(rotated(&audit, ".1")).unwrap();
    ledger.commit(&now(3), events(2)).unwrap();
    assert_eq!(drain(&ledger, &audit).unwrap().lines, 2);
    let verdict = verdict(&ledger, &[audit]);
    assert_eq!(verdict.findings[0].what, Fault::Missing { from: 1, to: 7 });
    assert_eq!(verdict.lines, 2);
}

#[test]
fn in_a_shared_folder_every_operator_can_go_on_with_a_new_file() {
    let place = Place::new();
    let ledger = place.shared();
    let audit = place.audit();
    let path = place.places().ledger;
    for (turn, person) in [carol(), cron(), carol()].iter().enumerate() {
        if turn > 0 {
            fs::rename(&audit, rotated(&audit, &format!(".{turn}"))).unwrap();
        }
        ledger.commit(&now(1), events(2)).unwrap();
        acting(person, || {
            drain(&SqliteLedger::open(&path).unwrap(), &audit).unwrap()
        });
        let status = fs::metadata(&audit).unwrap();
        assert_eq!((status.mode() & 0o777, status.gid()), (0o660, operators()));
    }
    all_whole(&ledger, &audit);
}

// Crashes ----------------------------------------------------------------------------------------------------------

/// What the children of the tests here do.
#[test]
fn child_of_the_journal() {
    let Some((order, folder)) = order() else {
        return;
    };
    let places = places(&folder);
    match order.as_str() {
        "die before the mark" => {
            let ledger = SqliteLedger::open(&places.ledger).unwrap();
            let _ = write_owed(&places.audit, &Dying(Books(&ledger)), &());
        }
        "drain for ever" => {
            let ledger = SqliteLedger::open(&places.ledger).unwrap();
            for turn in 0.. {
                ledger
                    .commit(&now(turn), events(1 + turn as usize % 5))
                    .unwrap();
                drain(&ledger, &places.audit).unwrap();
                println!("drained {turn}");
            }
        }
        "drain 50" => {
            let ledger = SqliteLedger::open(&places.ledger).unwrap();
            for turn in 0..50 {
                ledger.commit(&now(turn), events(2)).unwrap();
                drain(&ledger, &places.audit).unwrap();
            }
        }
        "full disk" => on_a_full_disk(&folder),
        "read-only" => on_a_read_only_disk(&folder),
        other => panic!("{other}"),
    }
}

const TEST: &str = "journal::child_of_the_journal";

/// Killed by the kernel where the mark should be set.
struct Dying<'a>(Books<'a>);

impl Source for Dying<'_> {
    type Error = StoreError;

    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
        self.0.lines_after(seq, limit)
    }

    fn mark(&self) -> Result<(u64, Option<String>), StoreError> {
        self.0.mark()
    }

    fn set_mark(&self, _: u64, _: &str) -> Result<(), StoreError> {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .unwrap();
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    }
}

#[test]
fn lines_written_by_a_run_that_was_killed_before_its_mark_are_not_written_again() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    for turn in 0..3 {
        ledger.commit(&now(2), events(4)).unwrap();
        let output = child(None, TEST, "die before the mark", &place.folder)
            .wait_with_output()
            .unwrap();
        assert!(!output.status.success());
        assert_eq!(ledger.journal_mark().unwrap().0, 5 + turn * 5);
        assert_eq!(
            fs::read_to_string(&audit).unwrap(),
            text(&ledger),
            "it had written them"
        );
        ledger.commit(&now(3), events(1)).unwrap();
        assert_eq!(drain(&ledger, &audit).unwrap().lines, 1);
        whole(&ledger, std::slice::from_ref(&audit));
    }
}

#[test]
fn killed_at_any_moment_every_line_is_there_once() {
    let place = Place::new();
    drop(place.alone());
    let ledger = SqliteLedger::open(&place.places().ledger).unwrap();
    for round in 0..15_u64 {
        let mut child = child(None, TEST, "drain for ever", &place.folder);
        let mut words = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..round * 3 % 17 {
            words.next();
        }
        std::thread::sleep(Duration::from_micros(round * 377 % 3000));
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 4 == 3 {
            let _ = fs::rename(place.audit(), rotated(&place.audit(), &format!(".{round}")));
        }
        drain(&ledger, &place.audit()).unwrap();
        all_whole(&ledger, &place.audit());
    }
}

#[test]
fn operators_that_journal_at_once_write_every_line_once() {
    let place = Place::new();
    let ledger = place.shared();
    let children = [None, Some(cron()), Some(carol())]
        .map(|person| child(person.as_ref(), TEST, "drain 50", &place.folder));
    for child in children {
        well(child);
    }
    assert_eq!(ledger.head().unwrap().0, 300);
    whole(&ledger, &[place.audit()]);
}

#[test]
fn a_lost_mark_is_found_again_in_the_file_that_was_rotated_since() {
    for (what, how) in [
        ("renamed", "mv audit.jsonl audit.jsonl.1"),
        ("renamed to a date", "mv audit.jsonl audit.jsonl-20261123"),
        ("renamed out of the pattern", "mv audit.jsonl old-audit"),
        (
            "renamed and made anew",
            "mv audit.jsonl audit.jsonl.1; touch audit.jsonl; chmod 600 audit.jsonl",
        ),
        (
            "renamed and packed",
            "mv audit.jsonl audit.jsonl.1; gzip audit.jsonl.1",
        ),
        (
            "copied and emptied",
            "cp -p audit.jsonl audit.jsonl.1; : > audit.jsonl",
        ),
        (
            "copied, emptied and packed",
            "cp -p audit.jsonl audit.jsonl.1; : > audit.jsonl; gzip audit.jsonl.1",
        ),
    ] {
        let place = Place::new();
        let (ledger, audit) = five(&place);
        ledger.commit(&now(2), events(4)).unwrap();
        crash_before_the_mark(&ledger, &audit);
        let folder = audit.parent().unwrap();
        assert!(
            Command::new("sh")
                .args(["-ec", how])
                .current_dir(folder)
                .status()
                .unwrap()
                .success()
        );
        ledger.commit(&now(3), events(2)).unwrap();
        assert_eq!(drain(&ledger, &audit).unwrap().lines, 2, "{what}");
        let files: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        whole(&ledger, &files);
        // And once more, after the mark was set.
        ledger.commit(&now(4), events(1)).unwrap();
        assert_eq!(drain(&ledger, &audit).unwrap().lines, 1, "{what}");
        whole(&ledger, &files);
    }
}

#[test]
fn a_tail_that_was_torn_anywhere_is_mended() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    let before = fs::read(&audit).unwrap();
    ledger.commit(&now(2), events(2)).unwrap();
    let after = text(&ledger).into_bytes();
    let mark = ledger.journal_mark().unwrap();
    for cut in before.len()..=after.len() {
        fs::write(&audit, &after[..cut]).unwrap();
        ledger.set_journal_mark(mark.0, mark.1.as_deref()).unwrap();
        drain(&ledger, &audit).unwrap();
        assert_eq!(fs::read(&audit).unwrap(), after, "cut at {cut}");
    }
    // A crash of the machine keeps the length and loses bytes.
    for (from, to) in [
        (before.len(), after.len()),
        (before.len() + 10, after.len()),
        (after.len() - 1, after.len()),
        (before.len(), before.len() + 700),
    ] {
        let mut holed = after.clone();
        holed[from..to.min(after.len())].fill(0);
        fs::write(&audit, &holed).unwrap();
        ledger.set_journal_mark(mark.0, mark.1.as_deref()).unwrap();
        drain(&ledger, &audit).unwrap();
        assert_eq!(fs::read(&audit).unwrap(), after, "zero from {from} to {to}");
    }
}

#[test]
fn a_tail_torn_in_a_file_that_was_rotated_since_is_cut_there() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    ledger.commit(&now(2), events(2)).unwrap();
    let next = ledger.lines_after(6, 0).unwrap().remove(0).line;
    append(&audit, &next.as_bytes()[..50]);
    fs::rename(&audit, rotated(&audit, ".1")).unwrap();
    assert_eq!(drain(&ledger, &audit).unwrap().lines, 2);
    all_whole(&ledger, &audit);
}

#[test]
fn a_torn_tail_of_an_append_only_file_is_finished() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    let chattr = |how: &str| {
        Command::new("chattr")
            .arg(how)
            .arg(&audit)
            .status()
            .is_ok_and(|s| s.success())
    };
    if !chattr("+a") {
        eprintln!("this file system has no append-only attribute: not tried");
        return;
    }
    ledger.commit(&now(2), events(3)).unwrap();
    let next = ledger.lines_after(6, 0).unwrap().remove(0).line;
    append(&audit, &next.as_bytes()[..50]);
    assert_eq!(drain(&ledger, &audit).unwrap().lines, 3);
    prove_writable::<StoreError>(&audit).unwrap();
    whole(&ledger, std::slice::from_ref(&audit));
    assert!(chattr("-a"));
}

// Tampering --------------------------------------------------------------------------------------------------------

/// The file must be refused as strange, and be left as it is.
#[track_caller]
fn strange(ledger: &SqliteLedger, audit: &Path) {
    let before = fs::read(audit).unwrap();
    let error = drain(ledger, audit).unwrap_err();
    assert!(matches!(error, JournalError::Strange { .. }), "{error}");
    assert_eq!(fs::read(audit).unwrap(), before, "evidence is not touched");
    // Moved away, as it says, the trail goes on.
    fs::rename(audit, audit.with_file_name("evidence")).unwrap();
    drain(ledger, audit).unwrap();
}

#[test]
fn what_somebody_else_wrote_into_the_file_is_never_cut_off() {
    for foreign in ["a line\n", "half a line", "{\"v\":1}\n", "\n"] {
        let place = Place::new();
        let (ledger, audit) = five(&place);
        append(&audit, foreign.as_bytes());
        ledger.commit(&now(2), events(1)).unwrap();
        strange(&ledger, &audit);
        assert_eq!(fs::read_to_string(&audit).unwrap().lines().count(), 1);
    }
}

#[test]
fn an_edited_last_line_is_noticed() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    let edited = text(&ledger).replace("person1003", "person1004");
    fs::write(&audit, &edited).unwrap();
    ledger.commit(&now(2), events(1)).unwrap();
    strange(&ledger, &audit);
}

#[test]
fn another_ledgers_file_is_not_written_to() {
    let place = Place::new();
    let other = Place::new();
    let ledger = place.alone();
    let (_, theirs) = five(&other);
    for marked in [false, true] {
        if marked {
            ledger.commit(&now(1), events(5)).unwrap();
            drain(&ledger, &place.audit()).unwrap();
        }
        fs::copy(&theirs, place.audit()).unwrap();
        ledger.commit(&now(1), events(1)).unwrap();
        strange(&ledger, &place.audit());
    }
}

#[test]
fn an_older_file_put_in_place_is_not_gone_on_with() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    fs::rename(&audit, rotated(&audit, ".1")).unwrap();
    ledger.commit(&now(2), events(3)).unwrap();
    drain(&ledger, &audit).unwrap();
    fs::rename(&audit, rotated(&audit, ".0")).unwrap();
    fs::rename(rotated(&audit, ".1"), &audit).unwrap();
    ledger.commit(&now(3), events(1)).unwrap();
    strange(&ledger, &audit);
}

#[test]
fn lines_cut_off_the_end_are_written_again_and_told() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    let whole_text = fs::read_to_string(&audit).unwrap();
    let three: String = whole_text.split_inclusive('\n').take(3).collect();
    for keep in [three.len(), three.len() - 10] {
        let file = File::options().write(true).open(&audit).unwrap();
        file.set_len(keep as u64).unwrap();
        ledger.commit(&now(2), events(1)).unwrap();
        let head = ledger.head().unwrap().0;
        let written = drain(&ledger, &audit).unwrap();
        assert!(written.lost > 0, "{written:?}");
        assert_eq!(written.newest, head);
        whole(&ledger, std::slice::from_ref(&audit));
    }
}

#[test]
fn verify_names_what_was_done_to_a_file() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    let lines: Vec<String> = fs::read_to_string(&audit)
        .unwrap()
        .lines()
        .map(|l| format!("{l}\n"))
        .collect();
    let with = |text: String| {
        let file = place.at("tampered");
        fs::write(&file, text).unwrap();
        let mut verifier = Verifier::of_ledger(ledger.id()).from_the_start();
        let (seq, hash) = ledger.head().unwrap();
        let hash = jit::audit::chain::Hash::read(hash.as_bytes()).unwrap();
        verifier.expect(&jit::audit::verify::Head { seq, hash });
        let verdict = verify(verifier, &[Input::File(file)]).unwrap();
        verdict
            .findings
            .into_iter()
            .map(|f| (f.place.line, f.what))
            .collect::<Vec<_>>()
    };
    assert_eq!(with(lines.concat()), []);
    let edited = lines[2].replace("person1003", "person1004");
    assert_eq!(
        with(lines.concat().replace(&lines[2], &edited)),
        [(3, Fault::Edited { seq: 3 })]
    );
    assert_eq!(
        with(lines.concat().replace(&lines[2], "")),
        [(3, Fault::Missing { from: 3, to: 3 })]
    );
    let swapped = [0, 2, 1, 3, 4].map(|n| lines[n].clone()).concat();
    assert_eq!(with(swapped), [(3, Fault::Reordered { seq: 2 })]);
    assert_eq!(
        with(lines[..3].concat()),
        [(
            3,
            Fault::Truncated {
                last: 3,
                expected: 5
            }
        )]
    );
    let torn = lines.concat();
    let torn = with(torn[..torn.len() - 5].to_owned());
    assert_eq!(
        torn,
        [
            (5, Fault::Torn),
            (
                5,
                Fault::Truncated {
                    last: 4,
                    expected: 5
                }
            )
        ]
    );
    let twice = format!("{}{}", lines.concat(), lines[4]);
    assert_eq!(with(twice), [(6, Fault::Duplicated { seq: 5 })]);
}

#[test]
fn verify_reads_packed_files_in_whatever_order_they_are_named() {
    let place = Place::new();
    let (ledger, audit) = five(&place);
    let mut files = vec![audit.clone()];
    for turn in 1..4 {
        let old = rotated(&audit, &format!(".{turn}"));
        fs::rename(&audit, &old).unwrap();
        assert!(Command::new("gzip").arg(&old).status().unwrap().success());
        files.insert(0, rotated(&audit, &format!(".{turn}.gz")));
        ledger.commit(&now(2), events(2)).unwrap();
        drain(&ledger, &audit).unwrap();
    }
    whole(&ledger, &files);
    files.reverse();
    whole(&ledger, &files);
    files.push(audit.clone());
    assert!(!verdict(&ledger, &files).is_sound(), "one was named twice");
    // A packed file that was cut is an error of reading, not a sound trail.
    let packed = &files[0];
    let _ = packed;
    let first = rotated(&audit, ".1.gz");
    let bytes = fs::read(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() / 2]).unwrap();
    assert!(verify(Verifier::anywhere(), &[Input::File(first)]).is_err());
}

#[test]
fn an_endless_line_is_no_trap() {
    let place = Place::new();
    let file = place.at("endless");
    File::create(&file)
        .unwrap()
        .set_len(300 * 1024 * 1024)
        .unwrap();
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .write_all_at(b"{\"v\":1,\"seq\":1,\"at\":\"", 0)
        .unwrap();
    let verdict = verify(Verifier::anywhere(), &[Input::File(file)]).unwrap();
    assert!(!verdict.is_sound());
}

// Who could have written it ----------------------------------------------------------------------------------------

#[test]
fn a_file_that_others_could_write_is_refused() {
    type Prepare = fn(&Path);
    let prepare: [(&str, Prepare); 8] = [
        ("writable by all", |audit| {
            fs::set_permissions(audit, fs::Permissions::from_mode(0o666)).unwrap()
        }),
        ("two names", |audit| {
            fs::hard_link(audit, audit.with_file_name("other")).unwrap()
        }),
        ("a link", |audit| {
            fs::rename(audit, audit.with_file_name("other")).unwrap();
            symlink(audit.with_file_name("other"), audit).unwrap();
        }),
        ("a dangling link", |audit| {
            fs::remove_file(audit).unwrap();
            symlink(audit.with_file_name("other"), audit).unwrap();
        }),
        ("a fifo", |audit| {
            fs::remove_file(audit).unwrap();
            assert!(
                Command::new("mkfifo")
                    .arg(audit)
                    .status()
                    .unwrap()
                    .success()
            );
        }),
        ("a folder", |audit| {
            fs::remove_file(audit).unwrap();
            fs::create_dir(audit).unwrap();
        }),
        ("a folder open to all", |audit| {
            fs::set_permissions(audit.parent().unwrap(), fs::Permissions::from_mode(0o777))
                .unwrap();
        }),
        ("groups that differ", |audit| {
            fs::set_permissions(audit, fs::Permissions::from_mode(0o660)).unwrap();
            fs::set_permissions(audit.parent().unwrap(), fs::Permissions::from_mode(0o770))
                .unwrap();
            std::os::unix::fs::chown(audit, None, Some(12345)).unwrap();
        }),
    ];
    for (what, prepare) in prepare {
        let place = Place::new();
        let (ledger, audit) = five(&place);
        prepare(&audit);
        ledger.commit(&now(2), events(1)).unwrap();
        let refused = drain(&ledger, &audit).unwrap_err();
        assert!(
            matches!(refused, JournalError::Untrusted { .. }),
            "{what}: {refused}"
        );
        assert!(prove_writable::<StoreError>(&audit).is_err(), "{what}");
        assert!(!audit.with_file_name("other").exists() || what != "a dangling link");
    }
}

#[test]
fn whoever_can_read_the_file_cannot_hold_it_up() {
    let place = Place::new();
    let ledger = place.shared();
    let audit = place.audit();
    fs::set_permissions(audit.parent().unwrap(), fs::Permissions::from_mode(0o2775)).unwrap();
    fs::set_permissions(&audit, fs::Permissions::from_mode(0o664)).unwrap();
    let held = acting(&alice(), || {
        let file = File::open(&audit).unwrap();
        file.try_lock().unwrap();
        file
    });
    ledger.commit(&now(1), events(2)).unwrap();
    assert_eq!(drain(&ledger, &audit).unwrap().lines, 2);
    drop(held);
}

// Disks ------------------------------------------------------------------------------------------------------------

const TINY: &str = r#"mkdir -p "$JIT_TEST_PLACE/log"
    mount -t tmpfs -o size=512k,mode=700 tmpfs "$JIT_TEST_PLACE/log"; exec "$@""#;

#[test]
fn on_a_full_disk_nothing_is_proved_writable_and_nothing_is_lost() {
    let place = Place::new();
    well(child_after(TINY, TEST, "full disk", &place.folder));
}

fn on_a_full_disk(folder: &Path) {
    let places = places(folder);
    let ledger = create(&places, Sharing::Alone, &now(0)).unwrap();
    ledger.commit(&now(1), events(3)).unwrap();
    drain(&ledger, &places.audit).unwrap();
    prove_writable::<StoreError>(&places.audit).unwrap();
    assert_eq!(
        fs::read_to_string(&places.audit).unwrap(),
        text(&ledger),
        "proving changes nothing"
    );

    // Room for some of what is owed.
    ledger.commit(&now(1), events(3000)).unwrap();
    let full = drain(&ledger, &places.audit).unwrap_err();
    assert!(matches!(full, JournalError::Unwritable { .. }), "{full}");
    let there = fs::read_to_string(&places.audit).unwrap();
    assert!(
        there.ends_with("}\n"),
        "what was written in part was taken back"
    );
    let filler = folder.join("log/filler");
    let mut file = File::create(&filler).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    let refused = prove_writable::<StoreError>(&places.audit).unwrap_err();
    assert!(
        matches!(refused, JournalError::Unwritable { .. }),
        "{refused}"
    );
    assert!(drain(&ledger, &places.audit).is_err());
    drop(file);

    let remount = ["-o", "remount,size=32m"];
    let grown = Command::new("mount")
        .args(remount)
        .arg(folder.join("log"))
        .status()
        .unwrap();
    assert!(grown.success());
    drain(&ledger, &places.audit).unwrap();
    whole(&ledger, std::slice::from_ref(&places.audit));
    assert_eq!(fs::read_to_string(&places.audit).unwrap(), text(&ledger));
}

#[test]
fn on_a_read_only_disk_nothing_is_proved_writable() {
    let place = Place::new();
    well(child_after(TINY, TEST, "read-only", &place.folder));
}

fn on_a_read_only_disk(folder: &Path) {
    let places = places(folder);
    let ledger = create(&places, Sharing::Alone, &now(0)).unwrap();
    ledger.commit(&now(1), events(3)).unwrap();
    drain(&ledger, &places.audit).unwrap();
    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        assert!(
            mount
                .args(["-o", how])
                .arg(folder.join("log"))
                .status()
                .unwrap()
                .success()
        );
    };
    remount("remount,ro");
    ledger.commit(&now(1), events(3)).unwrap();
    assert!(prove_writable::<StoreError>(&places.audit).is_err());
    assert!(matches!(
        drain(&ledger, &places.audit),
        Err(JournalError::Unwritable { .. })
    ));
    remount("remount,rw");
    assert_eq!(drain(&ledger, &places.audit).unwrap().lines, 3);
    whole(&ledger, &[places.audit]);
}
