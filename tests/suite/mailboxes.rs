//! The inbox of section 6, attacked by people of this host with a shell: nobody speaks for another, nobody looks into
//! another's mailbox, and nobody stops the rest.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jit::stores::mailbox::{LARGEST_SUBMISSION, Mailbox, Names, Receipt, as_person, digest};
use jit::stores::sqlite::{Sharing, create};
use jit::stores::{Content, Deposit, Inbox, Sheet, StoreError};

use crate::ledger::fixture::*;
use crate::support::people::{Person, alice, bob, carol, cron, mallory, root};

/// A person drops something, as their command would.
fn submit(inbox: &Path, person: &Person, text: &str) -> Receipt {
    acting(person, || {
        Mailbox::open_or_make(inbox)
            .unwrap()
            .submit(text.as_bytes())
            .unwrap()
    })
}

/// A person's mailbox, made if need be.
fn mailbox(inbox: &Path, person: &Person) -> PathBuf {
    acting(person, || {
        Mailbox::open_or_make(inbox).unwrap().path().to_owned()
    })
}

/// Gives a file of one's own the mode that it would have had. The client under test changes the umask for a moment, and
/// that is the whole process's: a file that another test makes in that moment could be written by its group.
fn readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// What an operator who is not root finds.
fn found(inbox: &Path, per_person: usize) -> Vec<Deposit> {
    acting(&cron(), || mailboxes(inbox).deposits(per_person).unwrap())
}

fn told(deposit: &Deposit) -> String {
    let content = match &deposit.content {
        Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Content::Unacceptable(why) => format!("unacceptable: {why}"),
    };
    format!("{}: {content}", deposit.person.name)
}

/// What came from one person.
fn from(deposits: &[Deposit], person: &Person) -> Vec<String> {
    deposits
        .iter()
        .filter(|d| d.person.uid == person.uid)
        .map(told)
        .collect()
}

fn refused<T>(what: &str, result: std::io::Result<T>) {
    let error = result
        .err()
        .unwrap_or_else(|| panic!("{what} was possible"));
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::PermissionDenied,
        "{what}: {error}"
    );
}

// What should be ---------------------------------------------------------------------------------------------------

#[test]
fn what_a_person_drops_reaches_operators_under_their_name() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let receipt = submit(&inbox, &alice(), "first");
    submit(&inbox, &bob(), "other");
    std::thread::sleep(Duration::from_millis(3));
    submit(&inbox, &alice(), "second");
    let deposits = found(&inbox, 10);
    assert_eq!(
        from(&deposits, &alice()),
        ["jitalice: first", "jitalice: second"]
    );
    assert_eq!(from(&deposits, &bob()), ["jitbob: other"]);
    assert_eq!(deposits.len(), 3);
    let first = deposits
        .iter()
        .find(|d| told(d).ends_with("first"))
        .unwrap();
    assert_eq!(first.digest, receipt.digest);
    assert_eq!(first.digest, digest(alice().uid, b"first"));

    let waiting = || {
        acting(&alice(), || {
            Mailbox::open(&inbox).unwrap().unwrap().is_waiting(&receipt)
        })
    };
    assert!(waiting());
    acting(&cron(), || {
        let boxes = mailboxes(&inbox);
        boxes.discard(first).unwrap();
        boxes.discard(first).unwrap();
    });
    assert!(!waiting());
    assert_eq!(from(&found(&inbox, 10), &alice()), ["jitalice: second"]);
    let people = acting(&cron(), || mailboxes(&inbox).people().unwrap());
    let names: Vec<_> = people.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["jitalice", "jitbob"]);
}

#[test]
fn whatever_the_umask_a_mailbox_is_closed_and_a_submission_readable_to_operators() {
    for umask in ["000", "022", "027", "077", "777"] {
        let place = Place::new();
        drop(place.shared());
        let script = format!("umask {umask}; exec \"$@\"");
        let alice = credentials(&alice());
        let mut command = Command::new("setpriv");
        let suite = std::env::current_exe().unwrap();
        let copy = place.at("suite");
        crate::support::copy_program(&suite, &copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        command
            .args([
                format!("--reuid={}", alice.uid),
                format!("--regid={}", alice.gid),
            ])
            .args(["--clear-groups", "sh", "-c", &script, "sh"])
            .arg(copy)
            .args(["mailboxes::child_of_the_mailboxes", "--exact"])
            .env("JIT_TEST_CHILD", "submit")
            .env("JIT_TEST_PLACE", &place.folder);
        assert!(command.output().unwrap().status.success());
        let folder = place.inbox().join(alice.uid.to_string());
        let status = fs::metadata(&folder).unwrap();
        assert_eq!(status.mode() & 0o7777, 0o2770, "umask {umask}");
        assert_eq!((status.uid(), status.gid()), (alice.uid, operators()));
        let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        let status = file.metadata().unwrap();
        assert_eq!(status.mode() & 0o7777, 0o640, "umask {umask}");
        assert_eq!((status.uid(), status.gid()), (alice.uid, operators()));
        assert_eq!(found(&place.inbox(), 9).len(), 1);
    }
}

/// What the children of the tests here do.
#[test]
fn child_of_the_mailboxes() {
    let Some((order, folder)) = order() else {
        return;
    };
    let inbox = places(&folder).inbox;
    match order.as_str() {
        "submit" => drop(
            Mailbox::open_or_make(&inbox)
                .unwrap()
                .submit(b"hello")
                .unwrap(),
        ),
        "mounted" => with_things_mounted(&inbox),
        "other file systems" => on_other_file_systems(&folder),
        other => panic!("{other}"),
    }
}

#[test]
fn root_and_operators_have_mailboxes_too() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    for person in [root(), carol(), cron()] {
        submit(&inbox, &person, "x");
    }
    let deposits = found(&inbox, 9);
    assert_eq!(deposits.len(), 3);
    assert_eq!(from(&deposits, &root()), ["root: x"]);
}

#[test]
fn behind_sudo_the_kernel_sees_the_person_and_root_stays_root() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let path = as_person(&credentials(&alice()), || {
        assert!(
            File::open("/etc/shadow").is_err(),
            "nothing of root is left"
        );
        let mailbox = Mailbox::open_or_make(&inbox)?;
        mailbox.submit(b"approve")?;
        Ok(mailbox.path().to_owned())
    })
    .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), alice().uid);
    assert!(rustix::process::geteuid().is_root());
    assert!(File::open("/etc/shadow").is_ok());
    assert_eq!(from(&found(&inbox, 9), &alice()), ["jitalice: approve"]);
    // Nobody who is not root can do that.
    let refused = acting(&mallory(), || {
        as_person(&credentials(&alice()), || -> Result<(), StoreError> {
            panic!("it ran")
        })
    });
    assert!(refused.is_err());
}

#[test]
fn alone_the_same_way_works_and_others_are_not_heard() {
    let place = Place::new();
    fs::create_dir(place.at("home")).unwrap();
    chown(place.at("home"), Some(alice().uid), Some(alice().gid)).unwrap();
    let inbox = places(&place.at("home")).inbox;
    acting(&alice(), || {
        drop(create(&places(&place.at("home")), Sharing::Alone, &now(0)).unwrap());
        Mailbox::open_or_make(&inbox)
            .unwrap()
            .submit(b"mine")
            .unwrap();
        let boxes = mailboxes(&inbox);
        let deposits = boxes.deposits(9).unwrap();
        assert_eq!(
            deposits.iter().map(told).collect::<Vec<_>>(),
            ["jitalice: mine"]
        );
        boxes
            .publish(&deposits[0].person, Sheet::View, b"{}")
            .unwrap();
        boxes.discard(&deposits[0]).unwrap();
        let mailbox = Mailbox::open(&inbox).unwrap().unwrap();
        assert_eq!(mailbox.sheet(Sheet::View).unwrap().unwrap().bytes, b"{}");
    });
    assert!(acting(&bob(), || Mailbox::open_or_make(&inbox)).is_err());
    // Behind sudo, root drops it as the person.
    submit(&inbox, &alice(), "behind sudo");
    let all = mailboxes(&inbox).deposits(9).unwrap();
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        ["jitalice: behind sudo"]
    );
}

#[test]
fn a_person_reads_the_view_that_operators_put_there() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let who = jit::access::Person {
        uid: alice().uid,
        name: "jitalice".into(),
    };
    let publish = |view: &[u8]| {
        acting(&cron(), || {
            mailboxes(&inbox).publish(&who, Sheet::View, view).unwrap()
        })
    };
    publish(b"nobody there yet");
    assert!(fs::read_dir(&inbox).unwrap().next().is_none());
    let folder = mailbox(&inbox, &alice());
    let view = || {
        acting(&alice(), || {
            Mailbox::open(&inbox)
                .unwrap()
                .unwrap()
                .sheet(Sheet::View)
                .unwrap()
        })
    };
    assert_eq!(view(), None);
    publish(b"first");
    assert_eq!(view().unwrap().bytes, b"first");
    let inode = fs::metadata(folder.join("view.json")).unwrap().ino();
    publish(b"first");
    assert_eq!(
        fs::metadata(folder.join("view.json")).unwrap().ino(),
        inode,
        "an equal one is not written again"
    );
    publish(b"second one");
    assert_eq!(view().unwrap().bytes, b"second one");
    assert_eq!(
        fs::metadata(folder.join("view.json")).unwrap().mode() & 0o777,
        0o644
    );
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing else is left there"
    );
}

// Looking, moving, writing where one may not -----------------------------------------------------------------------

#[test]
fn nobody_lists_enters_moves_or_writes_what_is_anothers() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    submit(&inbox, &alice(), "secret");
    let folder = mailbox(&inbox, &alice());
    let file = fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for person in [mallory(), bob()] {
        acting(&person, || {
            refused("listing the inbox", fs::read_dir(&inbox));
            refused("listing a mailbox", fs::read_dir(&folder));
            refused("reading a submission", File::open(&file));
            refused("knowing a submission", fs::metadata(&file));
            refused("dropping there", File::create(folder.join("mine")));
            refused(
                "linking there",
                fs::hard_link("/etc/hostname", folder.join("mine")),
            );
            refused("removing a submission", fs::remove_file(&file));
            refused(
                "moving a submission",
                fs::rename(&file, inbox.join("stolen")),
            );
            let not_permitted = |what: &str, done: std::io::Result<()>| {
                assert!(done.is_err(), "{what} was possible");
            };
            not_permitted("moving a mailbox", fs::rename(&folder, inbox.join("moved")));
            not_permitted("removing a mailbox", fs::remove_dir(&folder));
            not_permitted(
                "opening a mailbox",
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)),
            );
            not_permitted(
                "moving the inbox",
                fs::rename(&inbox, place.at("jit/other")),
            );
        });
    }
    assert_eq!(found(&inbox, 9).len(), 1);
}

#[test]
fn anothers_file_or_folder_in_ones_own_mailbox_says_nothing() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let mine = mailbox(&inbox, &mallory());
    // Alice leaves a file where Mallory may move it from.
    let shared = place.at("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    acting(&alice(), || {
        fs::write(shared.join("note"), "approve").unwrap();
        readable(&shared.join("note"));
    });
    acting(&alice(), || {
        fs::create_dir(shared.join("folder")).unwrap();
        fs::set_permissions(shared.join("folder"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    acting(&mallory(), || {
        fs::rename(shared.join("note"), mine.join("note")).unwrap();
        fs::rename(shared.join("folder"), mine.join("folder")).unwrap();
    });
    let deposits = found(&inbox, 9);
    assert!(from(&deposits, &alice()).is_empty());
    let said = from(&deposits, &mallory());
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("its owner is"), "{said:?}");
    // A folder of Alice's that Mallory moves into the inbox under her name, open or closed.
    for mode in [0o777, 0o2770] {
        acting(&alice(), || {
            fs::create_dir(shared.join("f")).unwrap();
            fs::write(shared.join("f/act"), "approve").unwrap();
            fs::set_permissions(shared.join("f"), fs::Permissions::from_mode(mode)).unwrap();
        });
        let moved = acting(&mallory(), || {
            fs::rename(shared.join("f"), inbox.join(alice().uid.to_string()))
        });
        assert!(moved.is_ok() || mode == 0o2770);
        assert!(from(&found(&inbox, 9), &alice()).is_empty(), "{mode:o}");
        let _ = fs::remove_dir_all(inbox.join(alice().uid.to_string()));
        let _ = fs::remove_dir_all(shared.join("f"));
    }
}

// Things that are no submissions -----------------------------------------------------------------------------------

#[test]
fn what_is_no_plain_small_file_of_its_owner_is_told_and_thrown_away() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    let secret = place.at("secret");
    fs::write(&secret, "sesame").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    acting(&mallory(), || {
        let at = |name: &str| folder.join(name);
        let write = |name: &str, mode| {
            fs::write(at(name), "text").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        symlink(&secret, at("link")).unwrap();
        symlink("/dev/zero", at("endless")).unwrap();
        symlink("..", at("up")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(at("fifo"))
                .status()
                .unwrap()
                .success()
        );
        std::os::unix::net::UnixListener::bind(at("socket"))
            .map(drop)
            .unwrap();
        write("group-writable", 0o660);
        write("world-writable", 0o646);
        write("two-names", 0o640);
        fs::hard_link(at("two-names"), at("two-names-b")).unwrap();
        File::create(at("huge")).unwrap().set_len(1 << 42).unwrap();
        File::create(at("one-too-large"))
            .unwrap()
            .set_len(LARGEST_SUBMISSION as u64 + 1)
            .unwrap();
        for name in ["huge", "one-too-large"] {
            readable(&at(name));
        }
        write("closed", 0o200);
        fs::create_dir_all(at("a-folder/inner")).unwrap();
    });
    // Only root could make these.
    let device = folder.join("device");
    assert!(
        Command::new("mknod")
            .arg(&device)
            .args(["c", "1", "5"])
            .status()
            .unwrap()
            .success()
    );
    chown(&device, Some(mallory().uid), None).unwrap();
    fs::hard_link(&secret, folder.join("secret-by-hard-link")).unwrap();

    let begun = Instant::now();
    let deposits = found(&inbox, 100);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut reasons = HashMap::new();
    for deposit in &deposits {
        let Content::Unacceptable(why) = &deposit.content else {
            panic!("{}", told(deposit))
        };
        let name = deposit.place.split(['/', '#']).nth(1).unwrap().to_owned();
        reasons.insert(name, why.clone());
    }
    for (name, why) in [
        ("link", "symbolic link"),
        ("endless", "symbolic link"),
        ("up", "symbolic link"),
        ("fifo", "regular file"),
        ("socket", "socket"),
        ("device", "may not read"),
        ("group-writable", "may write"),
        ("world-writable", "may write"),
        ("two-names", "2 names"),
        ("two-names-b", "2 names"),
        ("huge", "larger"),
        ("one-too-large", "larger"),
        ("closed", "may not read"),
        ("secret-by-hard-link", "may not read"),
    ] {
        let said = reasons
            .remove(name)
            .unwrap_or_else(|| panic!("{name} was not told"));
        assert!(said.contains(why) || name == "device", "{name}: {said}");
    }
    assert!(reasons.is_empty(), "{reasons:?}");
    // The same things give the same digests, so that they are recorded once however often they are seen.
    let digests = |deposits: &[Deposit]| {
        let mut all: Vec<_> = deposits.iter().map(|d| d.digest.clone()).collect();
        all.sort();
        all
    };
    assert_eq!(digests(&deposits), digests(&found(&inbox, 100)));
    acting(&cron(), || {
        let boxes = mailboxes(&inbox);
        deposits
            .iter()
            .for_each(|deposit| boxes.discard(deposit).unwrap());
        assert!(boxes.deposits(100).unwrap().is_empty());
    });
    assert_eq!(fs::read_to_string(&secret).unwrap(), "sesame");
}

/// As root, who may read everything, the same things are no more acceptable.
#[test]
fn root_is_not_led_astray_either() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    let secret = place.at("secret");
    fs::write(&secret, "sesame").unwrap();
    symlink(&secret, folder.join("link")).unwrap();
    fs::hard_link(&secret, folder.join("hard")).unwrap();
    let device = folder.join("device");
    assert!(
        Command::new("mknod")
            .arg(&device)
            .args(["c", "1", "5"])
            .status()
            .unwrap()
            .success()
    );
    chown(&device, Some(mallory().uid), None).unwrap();
    let deposits = mailboxes(&inbox).deposits(9).unwrap();
    assert_eq!(deposits.len(), 3);
    for deposit in &deposits {
        assert!(
            matches!(deposit.content, Content::Unacceptable(_)),
            "{}",
            told(deposit)
        );
    }
}

#[test]
fn odd_names_are_read_and_told_harmlessly() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    let names: [&[u8]; 7] = [
        b"new\nline",
        b"\x1b[31mred\x07",
        b"\xff\xfe",
        "\u{202e}gnp.exe".as_bytes(),
        b"a%2fb#c d",
        b"-rf *",
        &[b'x'; 255],
    ];
    let passed_over = [".hidden", "columns.json", "view.json"];
    acting(&mallory(), || {
        for name in names {
            let path = folder.join(OsStr::from_bytes(name));
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o640)
                .open(path)
                .unwrap();
            file.write_all(b"text").unwrap();
        }
        for passed_over in passed_over {
            fs::write(folder.join(passed_over), "no submission").unwrap();
        }
    });
    let deposits = found(&inbox, 100);
    assert_eq!(deposits.len(), names.len());
    for deposit in &deposits {
        assert!(
            deposit.place.bytes().all(|b| b.is_ascii_graphic()),
            "{}",
            deposit.place
        );
        assert_eq!(told(deposit), "jitmallory: text");
    }
    acting(&cron(), || {
        let boxes = mailboxes(&inbox);
        deposits
            .iter()
            .for_each(|deposit| boxes.discard(deposit).unwrap());
    });
    let mut left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, passed_over);
}

/// Mallory swaps what stands under one name for ever, while an operator reads.
#[test]
fn what_is_replaced_between_check_and_use_is_never_read() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    let secret = place.at("secret");
    fs::write(&secret, "sesame").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    chown(&secret, None, Some(operators())).unwrap();
    let stop = AtomicBool::new(false);
    let (mut good, mut bad) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            acting(&mallory(), || {
                let act = folder.join("act");
                while !stop.load(Ordering::Relaxed) {
                    let _ = fs::write(folder.join(".good"), "good");
                    let _ = fs::set_permissions(
                        folder.join(".good"),
                        fs::Permissions::from_mode(0o640),
                    );
                    let _ = fs::rename(folder.join(".good"), &act);
                    let _ = symlink(&secret, folder.join(".link"));
                    let _ = fs::rename(folder.join(".link"), &act);
                    let _ = fs::rename(&folder, inbox.join(format!("{}.3", mallory().uid)));
                    let _ = symlink(&place.folder, &folder);
                    let _ = fs::remove_file(&folder);
                    let _ = fs::rename(inbox.join(format!("{}.3", mallory().uid)), &folder);
                }
            });
        });
        // Root is the operator: every file could be read.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            for deposit in mailboxes(&inbox).deposits(9).unwrap() {
                match &deposit.content {
                    Content::Bytes(bytes) => {
                        assert!(bytes == b"good" || bytes.is_empty(), "{}", told(&deposit));
                        good += 1;
                    }
                    Content::Unacceptable(_) => bad += 1,
                }
                assert_eq!(deposit.person.uid, mallory().uid);
                mailboxes(&inbox).discard(&deposit).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(&secret).unwrap(), "sesame");
    assert!(
        good > 0 && bad > 0,
        "{good} good, {bad} bad: the race was not run"
    );
}

/// A lease (fcntl(2), F_SETLEASE) makes whoever opens the file wait for its holder, up to 45 s.
#[test]
fn a_lease_on_a_submission_makes_nobody_wait() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let file = mailbox(&inbox, &mallory()).join("leased");
    let hold = r#"$SIG{IO} = 'IGNORE'; umask 027; open(F, '+>', $ARGV[0]) or die; $| = 1;
        fcntl(F, 1024, 1) or die "no lease: $!"; print "leased\n"; sleep 60"#;
    let mut holder = mallory()
        .command("perl")
        .args(["-e", hold])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert_eq!(words.next().unwrap().unwrap(), "leased");
    submit(&inbox, &alice(), "please");
    let begun = Instant::now();
    let deposits = found(&inbox, 9);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(from(&deposits, &alice()), ["jitalice: please"]);
    let said = from(&deposits, &mallory());
    assert!(said[0].contains("lease"), "{said:?}");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// A deposit that was replaced after it was read is not the one that is thrown away.
#[test]
fn what_was_not_read_is_not_discarded() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    submit(&inbox, &alice(), "first");
    let first = found(&inbox, 9).remove(0);
    let folder = mailbox(&inbox, &alice());
    acting(&alice(), || {
        let name = fs::read_dir(&folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        fs::write(folder.join(".other"), "other").unwrap();
        readable(&folder.join(".other"));
        fs::rename(folder.join(".other"), name).unwrap();
    });
    acting(&cron(), || mailboxes(&inbox).discard(&first).unwrap());
    assert_eq!(from(&found(&inbox, 9), &alice()), ["jitalice: other"]);
    // A place that was never ours leads nowhere.
    for place in [
        "",
        "../../../etc/passwd",
        "1001/../../secret#1",
        "1001/%2e%2e%2fsecret#0",
    ] {
        let forged = Deposit {
            place: place.into(),
            ..first.clone()
        };
        let _ = mailboxes(&inbox).discard(&forged);
    }
    assert_eq!(from(&found(&inbox, 9), &alice()), ["jitalice: other"]);
}

// Names that others take -------------------------------------------------------------------------------------------

#[test]
fn whoever_squats_a_name_gains_nothing_and_stops_nobody() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let name = |n: u32| match n {
        0 => inbox.join(alice().uid.to_string()),
        n => inbox.join(format!("{}.{n}", alice().uid)),
    };
    let own = mailbox(&inbox, &mallory());
    acting(&mallory(), || {
        // A folder that looks like a mailbox: mkdir under the right umask gives the right mode and group.
        fs::rename(&own, name(0)).unwrap();
        fs::write(name(0).join("act"), "approve").unwrap();
        fs::set_permissions(name(0).join("act"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(name(1), "a file").unwrap();
        symlink(name(0), name(2)).unwrap();
        symlink("/etc", name(3)).unwrap();
        fs::create_dir(name(4)).unwrap();
        fs::set_permissions(name(4), fs::Permissions::from_mode(0o777)).unwrap();
    });
    submit(&inbox, &alice(), "mine");
    assert_eq!(mailbox(&inbox, &alice()), name(5));
    let deposits = found(&inbox, 9);
    assert_eq!(
        deposits.iter().map(told).collect::<Vec<_>>(),
        ["jitalice: mine"]
    );
    // The view reaches her there.
    let who = deposits[0].person.clone();
    acting(&cron(), || {
        mailboxes(&inbox)
            .publish(&who, Sheet::View, b"view")
            .unwrap()
    });
    let view = acting(&alice(), || {
        Mailbox::open(&inbox)
            .unwrap()
            .unwrap()
            .sheet(Sheet::View)
            .unwrap()
            .unwrap()
    });
    assert_eq!(view.bytes, b"view");
    assert!(!name(0).join("view.json").exists());
    // All of it is told to a doctor.
    let odd = acting(&cron(), || mailboxes(&inbox).oddities().unwrap());
    assert_eq!(odd.len(), 5, "{odd:?}");
    assert!(
        odd.iter()
            .any(|o| o.why.contains(&format!("its owner is {}", mallory().uid))),
        "{odd:?}"
    );
    // With every name taken it is said by whom.
    let _ = fs::remove_dir_all(name(5));
    acting(&mallory(), || {
        (5..16).for_each(|n| fs::create_dir(name(n)).unwrap())
    });
    let all_taken = acting(&alice(), || Mailbox::open_or_make(&inbox).unwrap_err());
    let text = all_taken.to_string();
    assert!(
        text.contains("taken") && text.contains(&mallory().uid.to_string()),
        "{text}"
    );
}

#[test]
fn a_mailbox_that_its_owner_opened_is_not_believed_and_made_anew() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    for mode in [0o2777, 0o2771, 0o770, 0o3770] {
        submit(&inbox, &alice(), "before");
        let folder = mailbox(&inbox, &alice());
        acting(&alice(), || {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap()
        });
        // Not empty: it is left alone, and the next name is taken.
        submit(&inbox, &alice(), "after");
        assert_eq!(
            from(&found(&inbox, 9), &alice()),
            ["jitalice: after"],
            "{mode:o}"
        );
        assert_ne!(mailbox(&inbox, &alice()), folder);
        for entry in fs::read_dir(&inbox).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        // Empty: made anew under the same name.
        let folder = mailbox(&inbox, &alice());
        acting(&alice(), || {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap()
        });
        assert_eq!(mailbox(&inbox, &alice()), folder);
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn who_has_no_name_and_nobody_are_not_heard() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let nameless = jit::stores::mailbox::Credentials {
        uid: 3_999_999,
        gid: 3_999_999,
        groups: vec![],
    };
    let nobody = jit::stores::mailbox::Credentials {
        uid: 65534,
        gid: 65534,
        groups: vec![],
    };
    as_person(&nameless, || Mailbox::open_or_make(&inbox)?.submit(b"x")).unwrap();
    let refused = as_person(&nobody, || Mailbox::open_or_make(&inbox)?.submit(b"x"));
    assert!(refused.is_err(), "nobody has a mailbox");
    assert!(found(&inbox, 9).is_empty());
    let odd = acting(&cron(), || mailboxes(&inbox).oddities().unwrap());
    assert!(odd.iter().any(|o| o.why.contains("has no name")), "{odd:?}");
    // As soon as it has a name, it is heard.
    let named = Names {
        name_of: Box::new(|uid| Some(format!("u{uid}"))),
        local: Box::new(Vec::new),
    };
    let boxes = jit::stores::mailbox::Mailboxes::open(&inbox, named).unwrap();
    assert_eq!(
        boxes
            .deposits(9)
            .unwrap()
            .iter()
            .map(told)
            .collect::<Vec<_>>(),
        ["u3999999: x"]
    );
}

// Views ------------------------------------------------------------------------------------------------------------

#[test]
fn a_view_never_goes_where_the_mailboxes_owner_points() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    let victim = place.at("victim");
    fs::write(&victim, "precious").unwrap();
    let who = jit::access::Person {
        uid: mallory().uid,
        name: "jitmallory".into(),
    };
    type Plant<'a> = &'a (dyn Fn(&Path) + Sync);
    let plant: [(&str, Plant<'_>); 6] = [
        ("a link", &|path| symlink(&victim, path).unwrap()),
        ("a dangling link", &|path| {
            symlink(place.at("new"), path).unwrap()
        }),
        ("a fifo", &|path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success())
        }),
        ("a folder", &|path| fs::create_dir(path).unwrap()),
        ("a full folder", &|path| {
            fs::create_dir_all(path.join("inner")).unwrap()
        }),
        ("a file of one's own", &|path| {
            fs::write(path, "own").unwrap()
        }),
    ];
    for (sheet, name) in [(Sheet::View, "view"), (Sheet::Columns, "columns")] {
        let view = folder.join(format!("{name}.json"));
        let beside = folder.join(format!(".{name}.{}", std::process::id()));
        for (what, plant) in plant {
            for at in [&view, &beside] {
                acting(&mallory(), || plant(at));
                let text = format!("the view after {what}");
                // As root, who could follow anything.
                mailboxes(&inbox)
                    .publish(&who, sheet, text.as_bytes())
                    .unwrap();
                let seen = acting(&mallory(), || {
                    Mailbox::open(&inbox)
                        .unwrap()
                        .unwrap()
                        .sheet(sheet)
                        .unwrap()
                        .unwrap()
                });
                assert_eq!(seen.bytes, text.as_bytes(), "{what}");
                assert!(fs::symlink_metadata(&view).unwrap().is_file(), "{what}");
                assert!(fs::symlink_metadata(&beside).is_err(), "{what}");
                fs::remove_file(&view).unwrap();
            }
        }
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!place.at("new").exists());
}

/// As above, with the links planted at every moment.
#[test]
fn a_view_goes_nowhere_else_however_quickly_links_are_planted() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    let victim = place.at("victim");
    fs::write(&victim, "precious").unwrap();
    let who = jit::access::Person {
        uid: mallory().uid,
        name: "jitmallory".into(),
    };
    let beside = folder.join(format!(".view.{}", std::process::id()));
    let stop = AtomicBool::new(false);
    let (mut done, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            acting(&mallory(), || {
                while !stop.load(Ordering::Relaxed) {
                    let _ = symlink(&victim, &beside);
                    let _ = fs::remove_file(&beside);
                    let _ = symlink(&victim, folder.join(".l"));
                    let _ = fs::rename(folder.join(".l"), folder.join("view.json"));
                }
            });
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            match mailboxes(&inbox).publish(&who, Sheet::View, b"view") {
                Ok(()) => done += 1,
                Err(_) => failed += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(
        done > 0 && failed > 0,
        "{done} done, {failed} failed: the race was not run"
    );
}

#[test]
fn a_person_is_not_harmed_by_what_stands_in_place_of_the_view() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &alice());
    let view = folder.join("view.json");
    let read = || {
        acting(&alice(), || {
            Mailbox::open(&inbox).unwrap().unwrap().sheet(Sheet::View)
        })
    };
    symlink("/dev/zero", &view).unwrap();
    assert!(read().is_err());
    fs::remove_file(&view).unwrap();
    assert!(
        Command::new("mkfifo")
            .args(["-m", "666"])
            .arg(&view)
            .status()
            .unwrap()
            .success()
    );
    assert!(read().is_err());
    fs::remove_file(&view).unwrap();
    File::create(&view).unwrap().set_len(1 << 40).unwrap();
    fs::set_permissions(&view, fs::Permissions::from_mode(0o644)).unwrap();
    let begun = Instant::now();
    assert!(read().is_err());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

// Floods -----------------------------------------------------------------------------------------------------------

#[test]
fn a_flood_delays_nobody_else() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    acting(&mallory(), || {
        for n in 0..5_000 {
            let path = folder.join(format!("{n:05}"));
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o640)
                .open(path)
                .unwrap();
        }
        for n in 0..5_000 {
            fs::create_dir(inbox.join((5_000_000 + n).to_string())).unwrap();
            symlink("/", inbox.join(format!("noise {n}"))).unwrap();
        }
    });
    submit(&inbox, &alice(), "please");
    submit(&inbox, &bob(), "please");
    let begun = Instant::now();
    let deposits = found(&inbox, 5);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(from(&deposits, &alice()).len(), 1);
    assert_eq!(from(&deposits, &bob()).len(), 1);
    assert_eq!(from(&deposits, &mallory()).len(), 5);
    // In turns: everybody's first comes before anybody's second.
    let last_first = deposits
        .iter()
        .rposition(|d| d.person.uid != mallory().uid)
        .unwrap();
    assert!(
        last_first < 3,
        "{:?}",
        deposits.iter().map(told).collect::<Vec<_>>()
    );
    acting(&cron(), || {
        let boxes = mailboxes(&inbox);
        deposits
            .iter()
            .for_each(|deposit| boxes.discard(deposit).unwrap());
        assert_eq!(
            boxes.deposits(5).unwrap().len(),
            5,
            "then the flood goes on draining"
        );
    });
}

#[test]
fn large_submissions_of_many_are_read_in_portions() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    let folder = mailbox(&inbox, &mallory());
    acting(&mallory(), || {
        for n in 0..400 {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o640)
                .open(folder.join(n.to_string()))
                .unwrap();
            file.write_all(&vec![b'x'; LARGEST_SUBMISSION]).unwrap();
        }
    });
    let deposits = found(&inbox, 400);
    assert!((200..300).contains(&deposits.len()), "{}", deposits.len());
    let too_large = acting(&alice(), || {
        Mailbox::open_or_make(&inbox)
            .unwrap()
            .submit(&vec![b'x'; LARGEST_SUBMISSION + 1])
    });
    assert!(too_large.is_err());
    acting(&alice(), || {
        Mailbox::open(&inbox)
            .unwrap()
            .unwrap()
            .submit(&vec![b'x'; LARGEST_SUBMISSION])
            .unwrap()
    });
}

// File systems -----------------------------------------------------------------------------------------------------

#[test]
fn nothing_that_is_mounted_in_the_inbox_is_believed() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    submit(&inbox, &alice(), "under the mount");
    submit(&inbox, &bob(), "under the mount");
    let script = format!(
        r#"
        box="{0}/{1}"; file=$(ls "{0}/{2}")
        mount -t tmpfs -o mode=2770,uid={1},gid={3} tmpfs "$box"
        echo forged > "$box/act"; chown {1} "$box/act"; chmod 640 "$box/act"
        mkdir "{0}/../f"; mount -t tmpfs tmpfs "{0}/../f"; echo forged > "{0}/../f/act"
        chown {2} "{0}/../f/act"; chmod 640 "{0}/../f/act"
        mount --bind "{0}/../f/act" "{0}/{2}/$file"
        exec "$@""#,
        inbox.display(),
        alice().uid,
        bob().uid,
        operators(),
    );
    well(child_after(
        &script,
        "mailboxes::child_of_the_mailboxes",
        "mounted",
        &place.folder,
    ));
    fs::remove_dir(inbox.join("../f")).unwrap();
}

fn with_things_mounted(inbox: &Path) {
    let deposits = mailboxes(inbox).deposits(9).unwrap();
    assert!(from(&deposits, &alice()).is_empty());
    let bob = from(&deposits, &bob());
    assert!(bob.len() == 1 && bob[0].contains("mounted"), "{bob:?}");
    let odd = mailboxes(inbox).oddities().unwrap();
    assert!(odd.iter().any(|o| o.why.contains("mounted")), "{odd:?}");
}

#[test]
fn an_inbox_lives_on_a_file_system_of_this_kernel() {
    let place = Place::new();
    well(child_after(
        r#"
        mount -t tmpfs -o mode=755 tmpfs "$JIT_TEST_PLACE"; mkdir "$JIT_TEST_PLACE/odd"
        # Any that is not known as a disk's: its owners may be anybody's word.
        mount -t devpts -o newinstance devpts "$JIT_TEST_PLACE/odd" || mount -t proc proc "$JIT_TEST_PLACE/odd"
        exec "$@""#,
        "mailboxes::child_of_the_mailboxes",
        "other file systems",
        &place.folder,
    ));
}

fn on_other_file_systems(folder: &Path) {
    let error = Mailbox::open(&folder.join("odd")).unwrap_err();
    assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("file system"), "{error}");
    drop(
        create(
            &places(folder),
            Sharing::Group { gid: operators() },
            &now(0),
        )
        .unwrap(),
    );
    submit(&places(folder).inbox, &alice(), "on a disk in memory");
    assert_eq!(found(&places(folder).inbox, 9).len(), 1);
}

#[test]
fn an_inbox_with_other_modes_is_refused() {
    let place = Place::new();
    drop(place.shared());
    let inbox = place.inbox();
    for mode in [0o2773, 0o1777, 0o3777, 0o777, 0o3770, 0o755] {
        fs::set_permissions(&inbox, fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(Mailbox::open(&inbox), Err(StoreError::NotOurs { .. })),
            "{mode:o}"
        );
    }
    let missing = Mailbox::open_or_make(&place.at("nowhere")).unwrap_err();
    assert!(matches!(missing, StoreError::NoInbox(_)));
}
