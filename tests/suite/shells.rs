//! Completion in real shells: what is offered at TAB is what fits the command, for the person who types; and asking for
//! it leaves no trace.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::jit::{Install, program, run};
use crate::support::on_postgres;
use crate::support::people::{Person, alice, bob, carol, cron, dave, mallory, root};
use crate::support::process::CURE;
use crate::support::server::Server;
use crate::support::shop::Shop;

/// Writes the words that it is given, as the shell has read them.
const ARGS: &str = "#!/bin/sh\n{ printf '<%s>' \"$@\"; echo; } >>\"$OUT\"\n";
/// To the beginning of the line, a word before it, Enter.
const ENTER: &str = "\u{1}args \r";

/// A place with everything that a shell needs to complete `jit`.
struct Desk<'j> {
    jit: &'j Install,
    person: Person,
    folder: PathBuf,
}

impl<'j> Desk<'j> {
    fn of(jit: &'j Install, person: &Person) -> Self {
        let folder = jit.path(format!("desk-{}", person.name));
        fs::create_dir_all(&folder).expect("a folder under target");
        let desk = Self {
            jit,
            person: person.clone(),
            folder,
        };
        desk.write("args", ARGS);
        desk.write("out", "");
        for shell in ["bash", "zsh", "fish"] {
            let script = run(Command::new(program()).args(["completions", shell]), "").ok();
            desk.write(&format!("jit.{shell}"), &script.out);
        }
        desk.write("bashrc", "PS1='READY>'\nset -o emacs\nsource jit.bash\n");
        desk.write(
            ".zshrc",
            "PS1='READY>'\nbindkey -e\nunsetopt promptcr\nautoload -Uz compinit\ncompinit -u -D\nsource ./jit.zsh\n",
        );
        desk
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
        chown(&path, Some(self.person.uid), Some(self.person.gid)).expect("root may");
    }

    fn command(&self, name: &str) -> Command {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$1\"", "sh", name])
            .output();
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "there is no {name}; {CURE}"
        );
        // For its environment; the program in it is another.
        let model = self.jit.command(&self.person, &[]);
        let mut command = self.person.command(name);
        command.envs(
            model
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let bin = program().parent().expect("a folder").display().to_string();
        command
            .env(
                "PATH",
                format!("{}:{bin}:/usr/bin:/bin", self.folder.display()),
            )
            .env("ZDOTDIR", &self.folder)
            .env("OUT", self.folder.join("out"))
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&self.folder);
        command
    }

    /// The words of each line after it was typed, TABs and all.
    fn typed(&self, shell: &[&str], lines: &[&str]) -> Vec<String> {
        self.write("out", "");
        let keys: Vec<String> = lines.iter().map(|line| format!("{line}{ENTER}")).collect();
        let typist = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/type.py");
        self.write("type.py", &fs::read_to_string(typist).expect("the typist"));
        let mut command = self.command("python3");
        command
            .arg("type.py")
            .arg(self.folder.join("out"))
            .args(shell);
        run(&mut command, &serde_json::json!(keys).to_string()).ok();
        let out = fs::read_to_string(self.folder.join("out")).expect("what args wrote");
        out.lines().map(str::to_owned).collect()
    }

    fn bash(&self, lines: &[&str]) -> Vec<String> {
        self.typed(&["bash", "--noprofile", "--rcfile", "bashrc", "-i"], lines)
    }

    fn zsh(&self, lines: &[&str]) -> Vec<String> {
        self.typed(&["zsh", "-d", "-i"], lines)
    }

    /// What fish offers, a value each.
    fn fish(&self, line: &str) -> Vec<String> {
        let quoted = line.replace('\\', r"\\").replace('\'', r"\'");
        let mut command = self.command("fish");
        let script = format!("source jit.fish; complete -C '{quoted}'");
        command.args(["--no-config", "-c", &script]);
        let output = run(&mut command, "").ok();
        assert_eq!(output.err, "", "{line}");
        values(&output.out)
    }

    /// What the program itself offers behind these words.
    fn offered(&self, words: &[&str]) -> Vec<String> {
        let mut arguments = vec!["complete", "fish", "--", "jit"];
        arguments.extend(words);
        let output = self.jit.run(&self.person, &arguments).ok();
        assert_eq!(output.err, "", "{words:?}");
        values(&output.out)
    }
}

fn values(lines: &str) -> Vec<String> {
    let first = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    lines.lines().map(first).collect()
}

/// A shop where alice has access and an open request, and bob has access.
struct Scene<'s> {
    shop: Shop<'s>,
    held: String,
    open: String,
    bobs: String,
}

impl<'s> Scene<'s> {
    fn on(server: &'s Server) -> Self {
        let shop = Shop::on(server);
        let held = shop.lease(&alice(), "email", "1h");
        let bobs = shop.lease(&bob(), "phone", "1h");
        let open = shop.ask(&alice(), "phone", "4h", &[]);
        shop.sweep().ok();
        assert_eq!(shop.state(&open), "pending");
        Self {
            shop,
            held,
            open,
            bobs,
        }
    }

    fn desk(&self, person: &Person) -> Desk<'_> {
        Desk::of(&self.shop.jit, person)
    }
}

on_postgres!(
    ids_fit_the_command_and_the_person,
    in_bash,
    in_zsh,
    in_fish,
    a_glance_changes_nothing,
);

fn ids_fit_the_command_and_the_person(server: &Server) {
    let scene = Scene::on(server);
    let (held, open, bobs) = (&scene.held, &scene.open, &scene.bobs);
    let none: [&String; 0] = [];
    let alice = scene.desk(&alice());
    for (verb, ids) in [
        ("return", vec![held]),
        ("extend", vec![held]),
        ("cancel", vec![open]),
        ("approve", none.to_vec()),
        ("deny", none.to_vec()),
        ("revoke", vec![held]),
    ] {
        let mut offered = alice.offered(&[verb, ""]);
        offered.retain(|value| !value.starts_with('-'));
        assert_eq!(offered.iter().collect::<Vec<_>>(), ids, "{verb} by alice");
    }
    // One who only has a mailbox, and one who reads the ledger.
    for approver in [dave(), carol()] {
        let desk = scene.desk(&approver);
        let name = &approver.name;
        assert_eq!(desk.offered(&["approve", ""]), [open.as_str()], "{name}");
        assert_eq!(
            desk.offered(&["deny", &open[..3]]),
            [open.as_str()],
            "{name}"
        );
        // The one that stands there already is not offered again.
        let mut again = desk.offered(&["approve", open, ""]);
        again.retain(|value| !value.starts_with('-'));
        assert!(again.is_empty(), "{again:?}");
        let mut live = desk.offered(&["revoke", ""]);
        live.sort();
        let mut all = vec![held.clone(), bobs.clone()];
        all.sort();
        assert_eq!(live, all, "{name}");
        let mut own = desk.offered(&["return", ""]);
        own.retain(|value| !value.starts_with('-'));
        assert!(own.is_empty(), "{own:?}");
    }
    let mallory = scene.desk(&mallory());
    for verb in ["approve", "return", "revoke", "show", "cancel"] {
        let mut offered = mallory.offered(&[verb, ""]);
        offered.retain(|value| !value.starts_with('-'));
        assert!(offered.is_empty(), "{verb}: {offered:?}");
    }
    // Holds, people, events, accounts.
    let carol = scene.desk(&carol());
    let revoke = ["revoke", "--requester", "jitbob", "--reason", "x", "--yes"];
    scene.shop.jit(&self::carol(), &revoke).ok();
    assert_eq!(carol.offered(&["resume", ""]), ["1"]);
    assert_eq!(carol.offered(&["list", "--user", "jita"]), ["jitalice"]);
    assert_eq!(
        carol.offered(&["audit", "search", "--event", "grant"]),
        ["grant_failed", "granted", "granting"]
    );
    let account = scene.shop.login("jitalice");
    assert_eq!(carol.offered(&["revoke", "--grantee", "jita"]), [account]);
    assert_eq!(carol.offered(&["sweep", "--target", "s"]), ["shop"]);
    assert_eq!(
        carol.offered(&["revoke", "--column", "public.customers:s"]),
        ["public.customers:ssn"]
    );
    // As long as the request asks for, and no longer.
    assert_eq!(
        carol.offered(&["approve", open, "--for", ""]),
        ["15m", "30m", "1h", "2h", "4h"]
    );
}

/// Lines as they are typed, and their words afterwards, for shells that take `TAB` alike.
fn lines<'t>(scene: &'t Scene<'_>) -> Vec<(&'t str, String)> {
    let Scene { held, open, .. } = scene;
    vec![
        ("jit ret\t\t", format!("<jit><return><{held}>")),
        ("jit cancel \t", format!("<jit><cancel><{open}>")),
        (
            "jit extend \t --for 1",
            format!("<jit><extend><{held}><--for><1>"),
        ),
        (
            "jit request public.c\te\t,p\t",
            "<jit><request><public.customers:email,phone>".into(),
        ),
        (
            "jit request shop cust\ts\t",
            "<jit><request><shop><customers:ssn>".into(),
        ),
        (
            "jit request customers:email --purp\t\t",
            "<jit><request><customers:email><--purpose><support>".into(),
        ),
        ("jit list --target=\t", "<jit><list><--target=shop>".into()),
        // Nothing awaits alice: what is left are flags.
        ("jit approve \t", "<jit><approve><-->".into()),
    ]
}

fn in_bash(server: &Server) {
    let scene = Scene::on(server);
    let lines = lines(&scene);
    let keys: Vec<&str> = lines.iter().map(|(keys, _)| *keys).collect();
    let typed = scene.desk(&alice()).bash(&keys);
    for ((keys, words), typed) in lines.iter().zip(&typed) {
        assert_eq!(typed, words, "{keys:?}");
    }
    // Bash closes a quote itself.
    let quoted = "jit request 'public.customers:em\t";
    let email = "<jit><request><public.customers:email>";
    assert_eq!(scene.desk(&alice()).bash(&[quoted]), [email]);
    let open = &scene.open;
    assert_eq!(
        scene.desk(&dave()).bash(&["jit approve \t--ye\t"]),
        [format!("<jit><approve><{open}><--yes>")]
    );
}

fn in_zsh(server: &Server) {
    let scene = Scene::on(server);
    let lines = lines(&scene);
    let keys: Vec<&str> = lines.iter().map(|(keys, _)| *keys).collect();
    let typed = scene.desk(&alice()).zsh(&keys);
    for ((keys, words), typed) in lines.iter().zip(&typed) {
        assert_eq!(typed, words, "{keys:?}");
    }
    // Zsh leaves a quote open where a comma may follow.
    let quoted = "jit request 'public.customers:em\t'";
    let email = "<jit><request><public.customers:email>";
    assert_eq!(scene.desk(&alice()).zsh(&[quoted]), [email]);
    let open = &scene.open;
    assert_eq!(
        scene.desk(&carol()).zsh(&["jit approve \t--ye\t"]),
        [format!("<jit><approve><{open}><--yes>")]
    );
}

fn in_fish(server: &Server) {
    let scene = Scene::on(server);
    let (held, open) = (&scene.held, &scene.open);
    let desk = scene.desk(&alice());
    for (line, offers) in [
        ("jit return ", vec![held.as_str()]),
        ("jit cancel ", vec![open.as_str()]),
        ("jit request public.c", vec!["public.customers:"]),
        (
            "jit request public.customers:",
            vec![
                "public.customers:email",
                "public.customers:phone",
                "public.customers:ssn",
            ],
        ),
        (
            "jit request public.customers:email,p",
            vec!["public.customers:email,phone"],
        ),
        (
            "jit request 'public.customers:ss",
            vec!["public.customers:ssn"],
        ),
        ("jit request x:y --purpose ", vec!["support"]),
        ("jit list --target=", vec!["--target=shop"]),
        ("jit completions z", vec!["zsh"]),
    ] {
        assert_eq!(desk.fish(line), offers, "{line}");
    }
    assert_eq!(scene.desk(&dave()).fish("jit approve "), [open.as_str()]);
    assert_eq!(scene.desk(&cron()).fish("jit show ").len(), 3);
}

/// Every path below, with what tells that it was changed.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, u64, u32)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let data = fs::symlink_metadata(&path).expect("a path that is there");
        if data.is_dir() {
            for entry in fs::read_dir(&path).expect("root may").flatten() {
                todo.push(entry.path());
            }
        }
        let marks = (
            data.ino(),
            data.mtime(),
            data.mtime_nsec(),
            data.size(),
            data.mode(),
        );
        found.insert(path, marks);
    }
    found
}

fn a_glance_changes_nothing(server: &Server) {
    let scene = Scene::on(server);
    let people = [alice(), dave(), carol(), cron(), root()];
    let desks: Vec<Desk<'_>> = people.iter().map(|person| scene.desk(person)).collect();
    let state = scene.shop.jit.path("var");
    for desk in &desks {
        let before = tree(&state);
        for words in [
            vec!["show", ""],
            vec!["approve", ""],
            vec!["request", ""],
            vec!["resume", ""],
            vec!["revoke", "--column", ""],
        ] {
            desk.offered(&words);
        }
        assert_eq!(tree(&state), before, "{}", desk.person.name);
    }
    // An operator is at work: a write-ahead log is there, and is read; and nobody waits.
    let ledger = rusqlite::Connection::open(scene.shop.jit.ledger()).expect("root may");
    ledger
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 0; BEGIN IMMEDIATE; UPDATE requests SET state = state;",
        )
        .expect("a write that is under way");
    let before = tree(&state);
    let begun = std::time::Instant::now();
    let offered = desks[2].offered(&["approve", ""]);
    assert_eq!(offered, [scene.open.as_str()]);
    assert!(begun.elapsed().as_secs() < 5, "it waited for a lock");
    assert_eq!(tree(&state), before);
}

#[test]
fn no_database_is_asked_and_no_password_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("its address").port();
    let mark = std::env::temp_dir().join(format!("jit-fetched-{}", std::process::id()));
    let jit = Install::new()
        .settings(&format!(
            "targets:\n  shop:\n    url: postgres://jit_admin@127.0.0.1:{port}/shop\n    \
             password: {{command: [touch, '{}']}}\n  till: {{url: 'mysql://jit_admin@127.0.0.1:{port}/till'}}\n",
            mark.display()
        ))
        .policy(
            "p.yaml",
            "version: 1\npolicies:\n  - name: p\n    target: shop\n    table: public.customers\n    \
             columns: [email, 'p*']\n    allow: [{who: [jitalice, jitcron], max: 1h, approval: auto}]\n",
        );
    jit.init();
    let state = jit.path("var");
    for person in [alice(), cron()] {
        let desk = Desk::of(&jit, &person);
        let before = tree(&state);
        // Nobody has a mailbox yet, and no sweep has looked: what the policies spell out is public.
        assert_eq!(desk.offered(&["request", ""]), ["shop", "till"]);
        assert_eq!(
            desk.offered(&["request", "shop", "public.customers:"]),
            ["public.customers:email"]
        );
        assert_eq!(desk.offered(&["request", "shop", "cust"]), ["customers:"]);
        for verb in ["return", "approve", "doctor", "columns", "setup"] {
            desk.offered(&[verb, ""]);
        }
        assert_eq!(tree(&state), before, "{}: nothing is made", person.name);
    }
    let asked = listener.accept().map(|(_, from)| from);
    assert!(asked.is_err(), "a connection from {asked:?}");
    assert!(!mark.exists(), "a password was fetched");
}

#[test]
fn whatever_is_wrong_is_not_said() {
    let jit = Install::new();
    let desk = Desk::of(&jit, &alice());
    // No ledger at all, then settings and policies that cannot be read, then a ledger that is none.
    for (name, text) in [
        ("etc/policies/p.yaml", "]["),
        ("etc/config.yaml", "version: 7\nnonsense: ["),
    ] {
        for words in [
            vec!["approve", ""],
            vec!["request", ""],
            vec!["list", "--user", ""],
        ] {
            desk.offered(&words);
        }
        fs::write(jit.path(name), text).expect("root may");
    }
    assert!(desk.offered(&["list", "--user", ""]).is_empty());
    let jit = Install::new();
    jit.init();
    fs::write(jit.ledger(), "no ledger").expect("root may");
    let desk = Desk::of(&jit, &cron());
    assert!(
        !desk
            .offered(&["approve", ""])
            .iter()
            .any(|offer| !offer.starts_with('-'))
    );
    // And lines that make no sense.
    for words in [
        vec!["nothing", "--such", ""],
        vec!["--config", "/nowhere", "approve", ""],
        vec!["--", ""],
        vec!["approve", "--for"],
        vec![],
    ] {
        desk.offered(&words);
    }
    for shell in ["bash", "zsh", "elvish", "powershell", "fish"] {
        let output = jit.run(&cron(), &["complete", shell]).ok();
        assert_eq!(
            (output.out.as_str(), output.err.as_str()),
            ("", ""),
            "{shell}"
        );
    }
}

/// Completions and man pages, as they are committed.
#[test]
fn what_is_generated_is_what_is_committed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().expect("a folder");
    run(
        Command::new(program()).arg("generate").arg(fresh.path()),
        "",
    )
    .ok();
    let mut compared = 0;
    for inner in ["completions", "man/man1", "man/man5"] {
        let names = |folder: &Path| -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(folder.join(inner))
                .expect("a folder of generated files")
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .to_string_lossy()
                        .into()
                })
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            names(root),
            names(fresh.path()),
            "{inner}: run make generate"
        );
        for name in names(root) {
            let read = |folder: &Path| fs::read(folder.join(inner).join(&name)).expect("a file");
            let same = read(root) == read(fresh.path());
            assert!(same, "{inner}/{name} is another one: run make generate");
            compared += 1;
        }
    }
    assert!(compared > 35, "{compared}");
}

#[test]
fn man_pages_are_in_order() {
    let man = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut command = Command::new("sh");
    command
        .args(["-c", "mandoc -T lint -W warning man1/* man5/*"])
        .current_dir(man);
    let output = run(&mut command, "");
    assert_eq!(
        (output.code, output.out.as_str()),
        (0, ""),
        "{output}; {CURE}"
    );
}
