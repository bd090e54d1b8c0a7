//! Laws 8 and 1: no audit, no access. What cannot be written down is not granted; a revoke waits for nothing, and
//! its lines come later, each once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::mount::SmallDisk;
use crate::support::people::{alice, cron, dave};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

/// Sequence numbers of the audit file must be 1, 2, 3 …: nothing lost, nothing doubled, and the chain whole.
#[track_caller]
pub fn every_line_once(shop: &Shop<'_>) {
    let numbers: Vec<u64> = shop
        .jit
        .events()
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect();
    let wanted: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, wanted, "no line is lost or doubled");
    shop.audit_is_sound();
}

/// How an audit file becomes one that cannot take lines.
#[derive(Clone, Copy, Debug)]
enum Spoilt {
    Folder,
    Mode,
    Symlink,
    HardLink,
    Fifo,
    WritableByAll,
    FullDisk,
}

/// Spoils it; the answer heals it again.
fn spoil(shop: &Shop<'_>, how: Spoilt) -> Box<dyn FnOnce()> {
    let file = shop.jit.audit();
    let aside = shop.jit.path("var/log/jit/aside");
    let mode = fs::metadata(&file)
        .expect("the audit file")
        .permissions()
        .mode();
    let set = |path: &PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
    };
    match how {
        Spoilt::Folder | Spoilt::Symlink | Spoilt::Fifo => {
            fs::rename(&file, &aside).expect("root may");
            match how {
                Spoilt::Folder => fs::create_dir(&file).expect("root may"),
                Spoilt::Symlink => symlink(&aside, &file).expect("root may"),
                _ => drop(crate::support::process::must(
                    std::process::Command::new("mkfifo").arg(&file),
                )),
            }
            Box::new(move || {
                let _ = fs::remove_file(&file).or_else(|_| fs::remove_dir(&file));
                fs::rename(&aside, &file).expect("root may");
            })
        }
        Spoilt::Mode => {
            let gid = std::os::unix::fs::MetadataExt::gid(&fs::metadata(&file).expect("it"));
            chown(&file, Some(0), Some(0)).expect("root may");
            set(&file, 0o640);
            Box::new(move || {
                chown(&file, Some(0), Some(gid)).expect("root may");
                set(&file, mode);
            })
        }
        Spoilt::HardLink => {
            fs::hard_link(&file, &aside).expect("root may");
            Box::new(move || fs::remove_file(&aside).expect("root may"))
        }
        Spoilt::WritableByAll => {
            set(&file, mode | 0o002);
            Box::new(move || set(&file, mode))
        }
        Spoilt::FullDisk => {
            let disk = SmallDisk::over(&shop.jit.path("var/log/jit"), "1m");
            disk.fill();
            let folder = shop.jit.path("var/log/jit");
            Box::new(move || {
                disk.empty();
                let now = fs::read(&file).expect("the audit file");
                drop(disk);
                // What was on the small disk goes on beneath it.
                fs::write(folder.join("audit.jsonl"), now).expect("root may");
            })
        }
    }
}

fn nothing_is_granted(shop: &Shop<'_>, how: Spoilt) {
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    let heal = spoil(shop, how);
    let output = shop.sweep();
    assert_eq!(output.code, 7, "{how:?}: {output}");
    assert!(output.err.contains("audit"), "{how:?}: {output}");
    assert!(!shop.reads("jitalice", "email"), "{how:?}");
    assert!(!shop.has_row("jitalice", "customers", "email"), "{how:?}");
    assert_eq!(shop.state(&id), "approved", "{how:?}");
    let doctor = shop.jit(&cron(), &["doctor"]);
    assert_eq!(doctor.code, 1, "{how:?}: {doctor}");
    assert!(doctor.out.contains("FAIL audit file"), "{how:?}: {doctor}");
    heal();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "active", "{how:?}");
    assert!(shop.reads("jitalice", "email"), "{how:?}");
    every_line_once(shop);

    // And a revoke does not wait for it.
    let heal = spoil(shop, how);
    shop.jit(&alice(), &["return", &id]).ok();
    let output = shop.sweep();
    assert_eq!(output.code, 7, "{how:?}: {output}");
    assert!(!shop.reads("jitalice", "email"), "{how:?}");
    assert!(!shop.has_row("jitalice", "customers", "email"), "{how:?}");
    assert_eq!(shop.state(&id), "ended", "{how:?}");
    heal();
    assert!(shop.events("revoked").is_empty(), "{how:?}");
    shop.sweep().ok();
    assert_eq!(shop.events("revoked").len(), 1, "{how:?}");
    every_line_once(shop);
}

on_every_server!(
    no_audit_no_access_and_a_revoke_does_not_wait,
    the_intent_is_in_the_file_before_the_grant,
    due_revokes_are_sent_with_a_ledger_on_a_read_only_disk,
    due_revokes_are_sent_with_a_ledger_on_a_full_disk,
    due_revokes_are_sent_with_a_ledger_where_no_file_can_be_made,
);

fn no_audit_no_access_and_a_revoke_does_not_wait(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::Folder);
}

on_postgres!(
    not_without_the_right_to_write,
    not_through_a_symbolic_link,
    not_into_a_file_with_another_name,
    not_into_a_pipe,
    not_into_a_file_that_all_may_write,
    not_on_a_full_disk,
    a_grant_that_only_awaits_the_audit_file_is_loud,
    the_reserve_lets_a_revoke_be_recorded_on_a_full_disk,
    the_reserve_lets_a_revoke_be_recorded_where_no_file_can_be_made,
    a_file_edited_behind_our_back_takes_no_intent,
);

fn not_without_the_right_to_write(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::Mode);
}

fn not_through_a_symbolic_link(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::Symlink);
}

fn not_into_a_file_with_another_name(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::HardLink);
}

fn not_into_a_pipe(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::Fifo);
}

fn not_into_a_file_that_all_may_write(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::WritableByAll);
}

fn not_on_a_full_disk(server: &Server) {
    nothing_is_granted(&Shop::on(server), Spoilt::FullDisk);
}

/// Nothing is owed to the file: only the grant needs it. That is as loud as an owed line.
fn a_grant_that_only_awaits_the_audit_file_is_loud(server: &Server) {
    let own = server.another(&[]);
    let shop = Shop::on(&own);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    // Approved and written down, while the target is away.
    own.stop();
    shop.sweep().exit(5);
    own.start();
    let owed = shop.jit(&cron(), &["doctor"]).out;
    assert!(!owed.contains("audit backlog"), "{owed}");
    assert_eq!(shop.state(&id), "approved");
    let heal = spoil(&shop, Spoilt::Mode);
    shop.sweep().exit(7).says("audit");
    assert!(!shop.reads("jitalice", "email"));
    heal();
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email"));
    every_line_once(&shop);
}

/// The lines about the intent are in the file, and then the GRANT is sent.
fn the_intent_is_in_the_file_before_the_grant(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email,phone", "1h", &["--purpose", "support"]);
    let go_on = shop.jit.path("go-on");
    let mut held = shop
        .sweep_at(&format!("intent-audited=wait:{}", go_on.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a sweep");
    let begun = Instant::now();
    while shop.events("granting").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no intent");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    let granting = &shop.events("granting")[0];
    assert_eq!(granting["request"], id.as_str());
    assert_eq!(granting["columns"], serde_json::json!(["email", "phone"]));
    assert!(granting["expires_at"].is_string() && granting["sql"].is_array());
    assert_eq!(shop.state(&id), "granting");
    assert!(shop.events("granted").is_empty());
    assert!(!shop.reads("jitalice", "email"), "written, and not given");
    fs::write(&go_on, "").expect("root may");
    assert!(held.wait().expect("the sweep").success());
    assert_eq!(shop.state(&id), "active");
    assert!(shop.reads("jitalice", "email, phone"));
    every_line_once(&shop);
}

/// A lease that is due, with its ledger on a small disk.
fn due_on_a_small_disk<'s>(server: &'s Server) -> (Shop<'s>, String, SmallDisk) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "2s");
    let ledger = shop.jit.path("var/lib/jit/ledger");
    let disk = SmallDisk::over(&ledger, "16m,nr_inodes=100");
    std::thread::sleep(Duration::from_millis(2200));
    (shop, id, disk)
}

/// It would be given back.
fn without_its_reserve(disk: &SmallDisk) {
    let _ = fs::remove_file(disk.path("reserve"));
}

/// `spoil` makes the disk unwritable; the privilege must go.
fn due_with(server: &Server, spoil: impl FnOnce(&SmallDisk), heal: impl FnOnce(&SmallDisk)) {
    let (shop, id, disk) = due_on_a_small_disk(server);
    spoil(&disk);
    let output = shop.sweep();
    assert!(
        !shop.reads("jitalice", "email") && !shop.has_row("jitalice", "customers", "email"),
        "the REVOKE is sent: {output}"
    );
    assert!([5, 6].contains(&output.code), "loud: {output}");
    assert!(output.err.contains("ledger"), "says why: {output}");
    assert!(
        output.err.contains("seen gone from the catalog"),
        "and that only the record is missing: {output}"
    );
    heal(&disk);
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    every_line_once(&shop);
    let ends = shop.events("revoked").len() + shop.events("gone").len();
    assert_eq!(ends, 1, "recorded once");
    drop(disk);
}

fn due_revokes_are_sent_with_a_ledger_on_a_read_only_disk(server: &Server) {
    due_with(
        server,
        |disk| disk.read_only(true),
        |disk| disk.read_only(false),
    );
}

fn due_revokes_are_sent_with_a_ledger_on_a_full_disk(server: &Server) {
    due_with(
        server,
        |disk| {
            without_its_reserve(disk);
            disk.fill();
        },
        SmallDisk::empty,
    );
}

/// Room enough, but for no more files: whoever may write on that disk can make as many as it takes.
fn due_revokes_are_sent_with_a_ledger_where_no_file_can_be_made(server: &Server) {
    due_with(
        server,
        |disk| {
            without_its_reserve(disk);
            disk.take_every_inode();
        },
        SmallDisk::give_every_inode_back,
    );
}

/// Everything has to be recorded, whatever `spoil` makes of the ledger's small disk.
fn recorded_with(server: &Server, spoil: impl FnOnce(&SmallDisk), heal: impl FnOnce(&SmallDisk)) {
    let (shop, id, disk) = due_on_a_small_disk(server);
    spoil(&disk);
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    heal(&disk);
    every_line_once(&shop);
    drop(disk);
}

fn the_reserve_lets_a_revoke_be_recorded_on_a_full_disk(server: &Server) {
    recorded_with(server, SmallDisk::fill, SmallDisk::empty);
}

fn the_reserve_lets_a_revoke_be_recorded_where_no_file_can_be_made(server: &Server) {
    recorded_with(
        server,
        SmallDisk::take_every_inode,
        SmallDisk::give_every_inode_back,
    );
}

/// The file's last line is not the ledger's: it may be evidence, so nothing is written to it, and nothing granted.
fn a_file_edited_behind_our_back_takes_no_intent(server: &Server) {
    let shop = Shop::on(server);
    let right = fs::read(shop.jit.audit()).expect("the audit file");
    let mut wrong = right.clone();
    let at = right.len() - 20;
    wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
    fs::write(shop.jit.audit(), &wrong).expect("root may");
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    shop.sweep().exit(7);
    assert!(!shop.reads("jitalice", "email"));
    assert!(["approved", "failed"].contains(&shop.state(&id).as_str()));
    assert_eq!(
        fs::read(shop.jit.audit()).expect("it"),
        wrong,
        "left as it is"
    );
    shop.jit(&cron(), &["doctor"]).exit(1);
    fs::write(shop.jit.audit(), &right).expect("root may");
    shop.sweep().ok();
    every_line_once(&shop);
}
