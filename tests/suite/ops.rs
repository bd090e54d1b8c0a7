//! What runs jit on a host: the units, the bell that starts a sweep, rotation, alerts, and installing all of it.

use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::inotify;

use crate::support::jit::{Install, program, run};
use crate::support::people::{Person, alice, bob, cron};
use crate::support::process::CURE;

fn project(inner: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inner)
}

fn text(inner: &str) -> String {
    fs::read_to_string(project(inner)).unwrap_or_else(|error| panic!("{inner}: {error}"))
}

/// What systemd's PathChanged= asks of inotify for a folder (systemd.path(5), src/core/path.c).
const PATH_CHANGED: inotify::WatchFlags = inotify::WatchFlags::ATTRIB
    .union(inotify::WatchFlags::CLOSE_WRITE)
    .union(inotify::WatchFlags::CREATE)
    .union(inotify::WatchFlags::DELETE)
    .union(inotify::WatchFlags::MOVED_FROM)
    .union(inotify::WatchFlags::MOVED_TO);

/// A watch on an inbox, as the path unit has it.
struct Watch(rustix::fd::OwnedFd);

impl Watch {
    fn on(inbox: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
        inotify::add_watch(&watch, inbox, PATH_CHANGED).expect("root may");
        Self(watch)
    }

    /// The names that were told of since the last time.
    fn told(&self) -> BTreeSet<String> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = BTreeSet::new();
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| name.to_string_lossy().into());
            names.extend(name);
        }
        names
    }
}

/// An installation whose policies spell out a column; nobody needs the database.
fn quiet() -> Install {
    let jit = Install::new()
        .settings("targets: {shop: {url: 'postgres://jit_admin@127.0.0.1:1/shop'}}")
        .policy(
            "p.yaml",
            "version: 1\npolicies:\n  - name: p\n    target: shop\n    table: public.customers\n    \
             columns: [email]\n    allow: [{who: [jitalice, jitbob], max: 1h, approval: auto}]\n",
        );
    jit.init();
    jit
}

fn ask(jit: &Install, person: &Person) {
    let words = [
        "request",
        "public.customers:email",
        "--for",
        "1h",
        "--reason",
        "x",
    ];
    jit.run(person, &words).ok();
}

#[test]
fn what_is_handed_in_rings_and_what_operators_do_does_not() {
    let jit = quiet();
    let watch = Watch::on(&jit.path("var/lib/jit/inbox"));
    let mailbox = |person: &Person| BTreeSet::from([person.uid.to_string()]);
    // A first command makes the mailbox: its owner waits for what operators put there.
    jit.run(&bob(), &["list"]).ok();
    assert_eq!(watch.told(), mailbox(&bob()));
    ask(&jit, &alice());
    assert_eq!(watch.told(), mailbox(&alice()));
    ask(&jit, &alice());
    assert_eq!(watch.told(), mailbox(&alice()), "each time");
    // Looking is no reason to sweep.
    jit.run(&alice(), &["list"]).ok();
    assert_eq!(watch.told(), BTreeSet::new());
    // Neither is a sweep: it takes submissions out and puts views in, or it would start itself for ever.
    jit.run(&cron(), &["sweep"]);
    let view = jit.path(format!("var/lib/jit/inbox/{}/view.json", alice().uid));
    assert!(view.exists());
    assert_eq!(watch.told(), BTreeSet::new());
}

/// `[Section]` and `Key=Value` of a unit, without comments.
fn unit(name: &str) -> Vec<String> {
    text(&format!("ops/systemd/{name}"))
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_services_are_closed_alike_and_never_give_up() {
    let differs = ["Description=", "ExecStart="];
    let same = |name: &str| -> Vec<String> {
        let mut lines = unit(name);
        lines.retain(|line| !differs.iter().any(|key| line.starts_with(key)));
        lines
    };
    let sweep = same("jit-sweep.service");
    assert_eq!(sweep, same("jit-inbox.service"));
    // Law 9: what outsiders can start as often as they like is not what takes access back.
    assert!(sweep.contains(&"StartLimitIntervalSec=0".to_owned()));
    assert!(unit("jit-inbox.path").contains(&"Unit=jit-inbox.service".to_owned()));
    for line in &sweep {
        assert!(
            !line.starts_with("PrivateUsers="),
            "mailboxes would have no owners"
        );
    }
    for name in ["jit-sweep.service", "jit-inbox.service"] {
        let mut command = Command::new("systemd-analyze");
        command
            .args(["security", "--offline=yes", "--no-pager", "--threshold=20"])
            .arg(project("ops/systemd").join(name));
        let output = run(&mut command, "");
        assert_eq!(output.code, 0, "exposed more than 2.0: {output}; {CURE}");
    }
}

#[test]
fn systemd_reads_the_units_without_complaint() {
    let place = tempfile::tempdir().expect("a folder");
    let units = place.path().join("units");
    fs::create_dir(&units).expect("own folder");
    let names = [
        "jit-sweep.service",
        "jit-sweep.timer",
        "jit-inbox.service",
        "jit-inbox.path",
    ];
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no"]);
    for name in names {
        let program = program().display().to_string();
        let text = text(&format!("ops/systemd/{name}")).replace("/usr/bin/jit", &program);
        fs::write(units.join(name), text).expect("own file");
        command.arg(units.join(name));
    }
    let output = run(&mut command, "");
    assert_eq!(
        (output.code, output.out.as_str(), output.err.as_str()),
        (0, "", ""),
        "{output}; {CURE}"
    );
}

#[test]
fn alerts_are_on_figures_that_a_sweep_writes() {
    let jit = quiet();
    let metrics = jit.path("home/jit.prom");
    let words = ["sweep", "--metrics", &metrics.display().to_string()];
    jit.run(&crate::support::people::root(), &words).exit(5);
    let written = fs::read_to_string(&metrics).expect("the figures");
    assert_eq!(
        fs::metadata(&metrics).expect("it").mode() & 0o777,
        0o644,
        "the collector must be able to read it"
    );
    let rules = text("ops/prometheus/jit.rules.yml");
    let names = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("jit_"))
            .map(str::to_owned)
            .collect()
    };
    let expressions: String = rules
        .lines()
        .filter(|line| line.contains("expr:"))
        .collect();
    let used = names(&expressions);
    assert!(used.len() >= 5, "{used:?}");
    let known = names(&written);
    assert!(used.is_subset(&known), "{used:?} is not all in {known:?}");
}

#[test]
fn the_real_logrotate_breaks_no_chain() {
    let jit = quiet();
    let fragment = text("ops/logrotate/jit")
        .replace(
            "/var/log/jit/audit.jsonl",
            &jit.audit().display().to_string(),
        )
        .replace("su jit jit", "su jitcron jitops");
    let path = jit.path("home/logrotate.conf");
    fs::write(&path, fragment).expect("root may");
    for round in 0..3 {
        if round > 0 {
            let mut command = Command::new("sh");
            let state = jit.path("home/state");
            command
                .args([
                    "-c",
                    "PATH=$PATH:/usr/sbin exec logrotate --force --verbose --state \"$0\" \"$1\"",
                ])
                .args([&state, &path]);
            let output = run(&mut command, "").ok();
            assert!(!output.err.contains("error"), "{output}; {CURE}");
            assert!(!jit.audit().exists(), "nothing is made in its place");
            // The names carry seconds.
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        ask(&jit, &alice());
        jit.run(&cron(), &["sweep"]);
    }
    let mut files: Vec<String> = fs::read_dir(jit.path("var/log/jit"))
        .expect("root may")
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .filter(|path| path.contains("audit.jsonl-"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(
        files[0].ends_with(".gz"),
        "the older one is packed: {files:?}"
    );
    files.push(jit.audit().display().to_string());
    let mut words = vec!["audit", "verify"];
    words.extend(files.iter().map(String::as_str));
    jit.run(&cron(), &words).ok();
    jit.run(&cron(), &["audit", "verify"]).ok();
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        for entry in fs::read_dir(&path).expect("own folder").flatten() {
            if entry.path().is_dir() {
                todo.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn make_uninstall_leaves_nothing_of_make_install() {
    for (prefix, units) in [("/usr", "yes"), ("/opt/jit", "no"), ("/usr/local", "yes")] {
        let place = tempfile::tempdir().expect("a folder");
        let make = |verb: &str| {
            let mut command = Command::new("make");
            command
                .current_dir(project(""))
                .args(["--silent", verb])
                .arg(format!("PROGRAM={}", program().display()))
                .arg(format!("PREFIX={prefix}"))
                .arg(format!("UNITS={units}"))
                .arg(format!("DESTDIR={}", place.path().display()));
            run(&mut command, "").ok()
        };
        make("install");
        let at = |inner: &str| {
            place
                .path()
                .join(prefix.trim_start_matches('/'))
                .join(inner)
        };
        for file in [
            "bin/jit",
            "share/man/man1/jit-approve.1",
            "share/man/man5/jit-config.5",
            "share/bash-completion/completions/jit",
            "share/zsh/site-functions/_jit",
            "share/fish/vendor_completions.d/jit.fish",
            "share/doc/jit/examples/policies/shop.yaml",
            "share/doc/jit/examples/ops/setup-host",
            "lib/systemd/system/jit-sweep.timer",
        ] {
            let wanted = units == "yes" || !file.contains("systemd");
            assert_eq!(at(file).exists(), wanted, "{}", at(file).display());
        }
        run(Command::new(at("bin/jit")).arg("--version"), "").ok();
        if units == "yes" {
            let service = at("lib/systemd/system/jit-sweep.service");
            let service = fs::read_to_string(service).expect("it");
            let start = format!("ExecStart={prefix}/bin/jit ");
            assert!(service.contains(&start), "{service}");
        }
        // Somebody else's, beside ours.
        let other = at("share/man/man1/other.1");
        fs::write(&other, "").expect("own folder");
        make("uninstall");
        assert_eq!(all_files(place.path()), std::slice::from_ref(&other));
        fs::remove_file(&other).expect("own file");
        make("uninstall");
        assert_eq!(all_files(place.path()), Vec::<PathBuf>::new());
        assert!(!at("share/doc").exists(), "empty folders are gone, too");
    }
}

#[test]
fn doctor_names_a_cure_for_each_failing_line() {
    let jit = Install::new()
        .settings(
            "targets:\n  shop: {url: 'postgres://jit_admin@127.0.0.1:1/shop'}\n  \
             till: {url: 'mysql://jit_admin@127.0.0.1:1/till', password: {file: '{dir}/secrets/none'}}\n\
             admins: [jitcarol]",
        )
        .policy("p.yaml", "version: 1\npolicies: []\n");
    jit.init();
    let revoke = ["revoke", "--everything", "--reason", "a test", "--yes"];
    jit.run(&crate::support::people::carol(), &revoke);
    fs::remove_file(jit.audit()).expect("root may");
    fs::create_dir(jit.audit()).expect("root may");
    let output = jit.run(&cron(), &["doctor", "-o", "json"]).exit(1).json();
    let failing: Vec<&serde_json::Value> = output["checks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|line| line["ok"] == false)
        .collect();
    let what: BTreeSet<&str> = failing
        .iter()
        .filter_map(|line| line["what"].as_str())
        .collect();
    for expected in ["hold", "audit file", "sweep of shop", "shop", "till"] {
        assert!(what.contains(expected), "{expected} is not in {what:?}");
    }
    for line in failing {
        let cure = line["cure"].as_str().unwrap_or_default();
        let acts = ["jit ", "ls -l", "systemctl", "see that", "set ", "give "];
        assert!(
            acts.iter().any(|act| cure.contains(act)),
            "what is one to do? {line}"
        );
        assert!(!cure.contains("jit doctor"), "one is there already: {line}");
    }
}
