//! The settings file: found, read, explained, trusted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use jit::access::Ttl;
use jit::engines::password::PasswordSource;
use jit::engines::{Dialect, address::TlsMode};
use jit::policy::{Directory, SourceFile};
use jit::settings::{self, FoundBy, Home, Places, Settings, SettingsError};
use tempfile::TempDir;

/// A world of its own: /etc, a user's directories, and anything beside them.
struct World {
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // Whatever umask and TMPDIR are, our own part of the way is closed to others.
        chmod(root.path(), 0o755);
        let world = Self { root };
        for folder in ["etc", "etc/jit", "etc/jit/policies"] {
            fs::create_dir(world.path(folder)).unwrap();
            chmod(&world.path(folder), 0o755);
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        chmod(&path, 0o644);
        let mut folder = path.parent().unwrap();
        while folder.starts_with(self.path("")) && folder != self.path("") {
            chmod(folder, 0o755);
            folder = folder.parent().unwrap();
        }
        path
    }

    fn places(&self) -> Places {
        Places {
            flag: None,
            env: None,
            user_config: Some(self.path("home/.config/jit")),
            user_state: Some(self.path("home/.local/state/jit")),
            etc: self.path("etc"),
            var_lib: self.path("var/lib/jit"),
            var_log: self.path("var/log/jit"),
        }
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        settings::load(&self.places())
    }

    /// Settings of a text under /etc.
    fn of(&self, text: &str) -> Result<Settings, SettingsError> {
        self.write("etc/jit/config.yaml", text);
        self.load()
    }

    /// The problems of a text, without the file's name.
    fn wrong(&self, text: &str) -> Vec<String> {
        match self.of(text) {
            Err(SettingsError::Wrong(problems)) => {
                let name = self.path("etc/jit/config.yaml").display().to_string() + ":";
                problems
                    .iter()
                    .map(|problem| problem.to_string().replace(&name, ""))
                    .collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const CONTRACT: &str = r#"
version: 1
policies: [policies/]
sweep_within: 5m
targets:
  shop:
    url: postgres://jit_admin@db1/shop?sslmode=verify-full
    password: {file: /run/secrets/shop}
    grantee: "{user}"
  billing:
    url: mysql://jit_admin@db2/billing
    password: {command: [vault, read, -field=password, jit]}
groups:
  dba: [carol, dave]
  support: [alice, bob]
people:
  erin: {shop: erin_ro, billing: "erin@10.%"}
admins: [group:dba]
"#;

#[test]
fn the_contracts_file_is_read() {
    let world = World::new();
    let settings = world.of(CONTRACT).unwrap();
    assert_eq!(settings.found_by, FoundBy::System);
    assert_eq!(settings.home, Home::System);
    assert_eq!(
        settings.ledger.to_string(),
        format!(
            "sqlite:{}",
            world.path("var/lib/jit/ledger/ledger.db").display()
        )
    );
    assert_eq!(settings.inbox, world.path("var/lib/jit/inbox"));
    assert_eq!(settings.audit, world.path("var/log/jit/audit.jsonl"));
    assert_eq!(settings.sweep_within, Ttl::from_secs(300));
    assert!(settings.warnings().is_empty());

    let shop = &settings.targets[&"shop".into()];
    assert_eq!(shop.address.tls, TlsMode::VerifyFull);
    assert_eq!(shop.address.grantor, "jit_grantor");
    assert_eq!(
        shop.address.password,
        PasswordSource::File("/run/secrets/shop".into())
    );
    let billing = &settings.targets[&"billing".into()];
    assert_eq!(billing.address.dialect, Dialect::Mysql);

    let house = settings.house();
    for (target, user, account) in [
        ("shop", "alice", "alice"),
        ("billing", "alice", "alice@%"),
        ("shop", "erin", "erin_ro"),
        ("billing", "erin", "erin@10.%"),
        ("billing", "a@corp.example", "a@corp.example@%"),
    ] {
        assert_eq!(house.grantee(&target.into(), user).unwrap().0, account);
    }
    assert_eq!(
        house.grantee(&"shopp".into(), "alice").unwrap_err(),
        "the settings know no target \"shopp\"; did you mean \"shop\"?"
    );
    assert!(house.is_admin("carol") && !house.is_admin("alice"));
    assert!(house.covers("group:support", "bob") && !house.covers("group:nobody", "bob"));
    assert!(house.knows("erin") && !house.knows("mallory") && !house.knows("group:nobody"));
    let known = settings.target_kinds();
    assert!(
        known[&"billing".into()].ignore_column_case && !known[&"shop".into()].ignore_column_case
    );
}

#[test]
fn the_flag_comes_before_the_variable_before_the_user_before_etc() {
    let world = World::new();
    assert!(matches!(world.load(), Err(SettingsError::Missing { looked }) if looked.len() == 2));
    let text = "version: 1\n";
    let etc = world.write("etc/jit/config.yaml", text);
    assert_eq!(world.load().unwrap().given, etc);

    let user = world.write("home/.config/jit/config.yaml", text);
    let settings = world.load().unwrap();
    assert_eq!(
        (settings.given.clone(), settings.home),
        (user.clone(), Home::User)
    );
    assert_eq!(settings.inbox, world.path("home/.local/state/jit/inbox"));
    assert_eq!(
        settings.warnings(),
        [format!(
            "two settings files: {} is taken, {} is not",
            user.display(),
            etc.display()
        )]
    );

    let mut places = world.places();
    let mine = world.write("project/jit.yaml", text);
    places.env = Some(mine.clone());
    let settings = settings::load(&places).unwrap();
    assert_eq!(
        (settings.found_by, settings.home),
        (FoundBy::Variable, Home::Beside)
    );
    assert_eq!(settings.audit, world.path("project/state/audit.jsonl"));
    assert!(settings.warnings().is_empty());

    places.flag = Some(etc);
    let settings = settings::load(&places).unwrap();
    assert_eq!(settings.found_by, FoundBy::Flag);
    assert_eq!(settings.warnings().len(), 1);

    places.flag = Some(world.path("nowhere.yaml"));
    let said = settings::load(&places).unwrap_err().to_string();
    assert!(
        said.ends_with("nowhere.yaml: there is no such file (--config)"),
        "{said}"
    );
}

#[test]
fn problems_have_places_and_cures() {
    let world = World::new();
    for (from, to, said) in [
        (
            "targets:",
            "tragets:",
            r#"5:1: unknown key "tragets"; did you mean "targets"?"#,
        ),
        (
            "grantee:",
            "grante:",
            r#"9:5: unknown key "grante"; did you mean "grantee"?"#,
        ),
        (
            "version: 1",
            "version: 3",
            "2:10: version 3 is not known; this jit reads version 1",
        ),
        (
            "sweep_within: 5m",
            "sweep_within: 5",
            r#"4:15: "5" is not a duration: the unit is missing; write it like 30m, 2h, 1d or 1h30m"#,
        ),
        (
            "postgres://jit_admin@db1",
            "oracle://jit_admin@db1",
            r#"7:10: the url's scheme "oracle" is neither postgres nor mysql"#,
        ),
        (
            r#""{user}""#,
            "readonly",
            "9:14: the grantee must hold {user}, or everybody would share one account; write single people under `people:`",
        ),
        (
            r#""{user}""#,
            r#""{user}_{role}""#,
            "9:14: the grantee knows only {user}",
        ),
        (
            "[carol, dave]",
            "[carol, group:suport]",
            r#"14:16: there is no group "suport"; did you mean "support"?"#,
        ),
        (
            "[carol, dave]",
            "[carol, 'x y']",
            "14:16: a user's name or group:NAME was expected here",
        ),
        (
            "shop: erin_ro",
            "shpo: erin_ro",
            r#"17:16: there is no target "shpo"; did you mean "shop"?"#,
        ),
        (
            "[group:dba]",
            "[group:dab]",
            "18:10: there is no group:dab; did you mean group:dba?",
        ),
        (
            "  billing:",
            "  'the shop':\n    url: mysql://j@db/x\n  billing:",
            r#"11:5: "the shop" cannot be a target's name; use 1 to 63 letters, digits, "-", "_" or ".""#,
        ),
        (
            "version: 1",
            "version: 1\nledger: postgres://j@db/ledger",
            "3:9: a Postgres ledger is not known to this version; write sqlite:/var/lib/jit/ledger/ledger.db",
        ),
        (
            "version: 1",
            "version: 1\nledger: /var/lib/x.db",
            "3:9: the ledger is not written as a SQLite file; write sqlite:/var/lib/jit/ledger/ledger.db",
        ),
        (
            "version: 1",
            "version: 1\ninbox: ~/inbox",
            "3:8: neither ~ nor variables are known here; write the whole path",
        ),
        (
            "version: 1",
            "version: 1\ninbox: /x/ledger/inbox\nledger: sqlite:/x/ledger/l.db",
            "3:1: inbox (/x/ledger/inbox) and ledger (/x/ledger/l.db) must lie in folders of their own",
        ),
        (
            "version: 1",
            "version: 1\naudit: /x/l.db\nledger: sqlite:/x/l.db",
            "3:1: ledger and audit file are the same",
        ),
        (
            "grantee: \"{user}\"",
            "grantor: public",
            "9:14: this name is reserved by Postgres",
        ),
        (
            "grantee: \"{user}\"",
            "grantor: jit_admin",
            "9:14: the grantor is a role of its own, not the login of the url",
        ),
        (
            "[policies/]",
            "[policies/, policies/]",
            "3:23: this path is there twice",
        ),
        (
            "sweep_within: 5m",
            "reasons: private",
            r#"4:1: unknown key "reasons"; known here: version, ledger, inbox, audit, policies, sweep_within, targets, groups, people, admins"#,
        ),
    ] {
        assert!(CONTRACT.contains(from), "{from}");
        assert_eq!(world.wrong(&CONTRACT.replacen(from, to, 1)), [said], "{to}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let world = World::new();
    let text = CONTRACT
        .replace("postgres://", "x://")
        .replace("[group:dba]", "[group:x]")
        .replace("5m", "5m\ninbox: ''");
    assert_eq!(world.wrong(&text).len(), 3);
}

#[test]
fn a_password_is_never_taken_and_never_repeated() {
    let world = World::new();
    for password in [
        "hunter2",
        "{hunter2: x}",
        "{file: [hunter2]}",
        "{file: /x, hunter2: y}",
        "[hunter2]",
        "{hunter2}",
        "{command: hunter2}",
        "{command: []}",
        "{env: ''}",
        "{credential: ../hunter2}",
        "{}",
    ] {
        let said = world.wrong(&CONTRACT.replace("{file: /run/secrets/shop}", password));
        assert_eq!(said.len(), 1);
        assert!(!said[0].contains("hunter2"), "{password}: {said:?}");
        assert!(said[0].starts_with("8:"), "{password}: {said:?}");
    }
    for url in [
        "postgres://j:hunter2@db/shop",
        "postgres://j@db/shop?password=hunter2",
    ] {
        let said = world
            .wrong(&CONTRACT.replace("postgres://jit_admin@db1/shop?sslmode=verify-full", url));
        assert!(
            said[0].contains("holds a password") && !said[0].contains("hunter2"),
            "{said:?}"
        );
    }
    let listed = world.of(CONTRACT).unwrap().values();
    assert!(
        !format!("{listed:?}").contains("-field"),
        "arguments may be secret"
    );
}

#[test]
fn groups_nest_and_circles_are_errors() {
    let world = World::new();
    let settings = world
        .of("version: 1\ngroups:\n  all: [group:dba, group:support, zoe]\n  dba: [carol, group:leads]\n  leads: [dave]\n  support: [alice]\n  empty: []\n")
        .unwrap();
    assert_eq!(
        settings.house().members("group:all"),
        ["alice", "carol", "dave", "zoe"]
    );
    assert!(
        settings.house().knows("group:empty") && settings.house().members("group:empty").is_empty()
    );
    assert_eq!(settings.house().members("alice"), ["alice"]);

    let said = world
        .wrong("version: 1\ngroups:\n  a: [group:b]\n  b: [x, group:c]\n  c: [group:b, group:c]\n");
    assert_eq!(
        said,
        [
            "5:7: groups go in a circle: b → c → b; take one of them out",
            "5:16: groups go in a circle: c → c; take one of them out",
        ]
    );
    // A chain as long as the file ends too.
    let mut chain = String::from("version: 1\ngroups:\n  g0: [zoe]\n");
    for n in 1..5_000 {
        chain.push_str(&format!("  g{n}: [group:g{}]\n", n - 1));
    }
    assert_eq!(
        world.of(&chain).unwrap().house().members("group:g4999"),
        ["zoe"]
    );
    let long = chain.replace("[group:g", "[p, q, r, s, t, group:g");
    let mut wide = String::from("version: 1\ngroups:\n  g0: [zoe]\n");
    for n in 1..3_000 {
        wide.push_str(&format!("  g{n}: [p{n}, group:g{}]\n", n - 1));
    }
    let said = world.wrong(&wide);
    assert!(
        said[0].contains("more than 2000000 members in all"),
        "{said:?}"
    );
    assert_eq!(
        world
            .of(&long)
            .unwrap()
            .house()
            .members("group:g4999")
            .len(),
        6
    );
}

#[test]
fn accounts_that_people_share_are_found() {
    let world = World::new();
    let text = CONTRACT
        .replace("erin_ro", "alice")
        .replace("erin@10.%", "BOB@LocalHost");
    let text = text.replace("admins:", "  bob: {billing: BOB@localhost}\nadmins:");
    let shared = world.of(&text).unwrap().house().shared_accounts();
    let said: Vec<String> = shared
        .iter()
        .map(|s| format!("{} {} {:?}", s.target, s.grantee, s.people))
        .collect();
    assert_eq!(
        said,
        [
            r#"billing BOB@localhost ["bob", "erin"]"#,
            r#"shop alice ["alice", "erin"]"#
        ]
    );
}

#[test]
fn each_value_has_its_origin() {
    let world = World::new();
    let settings = world.of(CONTRACT).unwrap();
    let listing = settings.values();
    let of = |key: &str| {
        let setting = listing
            .iter()
            .find(|s| s.key == key)
            .unwrap_or_else(|| panic!("{key}"));
        (setting.value.as_str(), setting.origin.clone())
    };
    let file = settings.given.display().to_string();
    assert_eq!(of("settings"), (file.as_str(), "found by /etc".into()));
    assert_eq!(of("inbox").1, "default for a file under /etc");
    assert_eq!(of("sweep_within"), ("5m", format!("{file}:4")));
    assert_eq!(of("targets.shop.grantee"), ("{user}", format!("{file}:9")));
    assert_eq!(
        of("targets.billing.grantee"),
        ("{user}@%", "default".into())
    );
    assert_eq!(of("targets.shop.password").0, "file /run/secrets/shop");
    assert_eq!(of("groups.dba"), ("carol, dave", format!("{file}:14")));
    assert_eq!(
        of("people.erin.billing"),
        ("erin@10.%", format!("{file}:17"))
    );
    assert_eq!(of("admins"), ("group:dba", format!("{file}:18")));
    assert!(listing.iter().all(|s| !s.origin.ends_with(":0")));
}

#[test]
fn policies_are_found_in_order_and_the_settings_are_none_of_them() {
    let world = World::new();
    world.write("etc/jit/policies/b.yaml", "b");
    world.write("etc/jit/policies/a.yml", "a");
    world.write("etc/jit/policies/.hidden.yaml", "x");
    world.write("etc/jit/policies/notes.txt", "x");
    world.write("etc/jit/policies/deeper/c.yaml", "x");
    let settings = world.of("version: 1\n").unwrap();
    let names = |settings: &Settings| -> Vec<String> {
        settings
            .policy_files
            .iter()
            .map(|f| {
                f.strip_prefix(world.path("etc/jit"))
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect()
    };
    assert_eq!(names(&settings), ["policies/a.yml", "policies/b.yaml"]);
    assert_eq!(
        settings::read_policy(&settings.policy_files[0]).unwrap(),
        b"a"
    );

    let settings = world
        .of("version: 1\npolicies: [., policies/b.yaml, policies/]\n")
        .unwrap();
    assert_eq!(names(&settings), ["policies/b.yaml", "policies/a.yml"]);

    let said = world.wrong("version: 1\npolicies: [policies/, more/]\n");
    assert!(
        said[0].starts_with("2:23: cannot read the policies"),
        "{said:?}"
    );
    assert!(
        said[0].ends_with("more/: there is no such file or folder"),
        "{said:?}"
    );
    fs::remove_dir_all(world.path("etc/jit/policies")).unwrap();
    assert!(world.of("version: 1\n").unwrap().policy_files.is_empty());
}

#[test]
fn odd_files_are_refused_quickly() {
    let world = World::new();
    fs::create_dir_all(world.path("etc/jit/config.yaml")).unwrap();
    assert!(
        world
            .load()
            .unwrap_err()
            .to_string()
            .ends_with("it is not a regular file")
    );
    fs::remove_dir(world.path("etc/jit/config.yaml")).unwrap();
    let fifo = world.path("etc/jit/config.yaml");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert!(
        world
            .load()
            .unwrap_err()
            .to_string()
            .ends_with("it is not a regular file")
    );
    fs::remove_file(&fifo).unwrap();
    symlink("/dev/zero", &fifo).unwrap();
    assert!(
        world
            .load()
            .unwrap_err()
            .to_string()
            .ends_with("it is not a regular file")
    );
    fs::remove_file(&fifo).unwrap();
    fs::File::create(&fifo)
        .unwrap()
        .set_len(100 * 1024 * 1024)
        .unwrap();
    assert!(
        world
            .load()
            .unwrap_err()
            .to_string()
            .ends_with("it is larger than 32 MiB")
    );
    fs::write(&fifo, b"version: 1\n\xff").unwrap();
    assert!(
        world
            .load()
            .unwrap_err()
            .to_string()
            .contains(":2:1: this is not UTF-8 text")
    );

    let fifo = world.path("etc/jit/policies/p.yaml");
    fs::create_dir_all(fifo.parent().unwrap()).unwrap();
    fs::File::create(&fifo)
        .unwrap()
        .set_len(100 * 1024 * 1024)
        .unwrap();
    let said = settings::read_policy(&fifo).unwrap_err().to_string();
    assert!(
        said.ends_with("the file has 100 MiB; at most 32 are read; split it into several files"),
        "{said}"
    );
}

#[test]
fn any_change_of_settings_or_policies_changes_the_hash() {
    let world = World::new();
    let policy = world.write("etc/jit/policies/a.yaml", "version: 1\npolicies: []\n");
    let hash = |text: &str| {
        let settings = world.of(text).unwrap();
        let mut texts = vec![settings.text_and_hash()];
        for file in &settings.policy_files {
            let text = settings::read_policy(file).unwrap();
            let name = file.display().to_string();
            let source = SourceFile { name, text };
            texts.push((source.hash(), String::new()));
        }
        settings::hash_of(&texts)
    };
    let first = hash("version: 1\n");
    assert_eq!(first.len(), 64);
    assert_eq!(first, hash("version: 1\n"));
    assert_ne!(first, hash("version: 1 \n"));
    fs::write(&policy, "version: 1\npolicies: [] \n").unwrap();
    assert_ne!(first, hash("version: 1\n"));
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn files_that_others_could_change_are_not_trusted() {
    let world = World::new();
    let policy = world.write("etc/jit/policies/a.yaml", "version: 1\npolicies: []\n");
    let settings = world.of("version: 1\n").unwrap();
    let said = |settings: &Settings| -> Vec<String> {
        let found = settings::untrusted(settings, &[0, me()]);
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(said(&settings), [] as [&str; 0]);

    for (path, mode, by) in [
        (policy.clone(), 0o646, "everybody"),
        (policy.clone(), 0o664, "the group"),
        (world.path("etc/jit/policies"), 0o777, "everybody"),
        // With the sticky bit others could still add a policy.
        (world.path("etc/jit/policies"), 0o1777, "everybody"),
        (world.path("etc/jit"), 0o775, "the group"),
        (world.path("etc"), 0o777, "everybody"),
        (world.path("etc/jit/config.yaml"), 0o602, "everybody"),
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        chmod(&path, mode);
        let found = said(&settings);
        assert_eq!(found.len(), 1, "{mode:o} {found:?}");
        assert!(found[0].contains(by), "{found:?}");
        assert!(
            found[0].ends_with(&format!("run: chmod go-w {}", path.display())),
            "{found:?}"
        );
        fs::set_permissions(&path, before).unwrap();
    }
    // On the way, a sticky folder is safe: others cannot replace what is ours.
    chmod(&world.path("etc"), 0o1777);
    assert_eq!(said(&settings), [] as [&str; 0]);

    // Whose files they are.
    let found = settings::untrusted(&settings, &[me() + 1]);
    assert!(
        found
            .iter()
            .any(|d| d.path == policy && d.why.contains(&format!("uid {}", me()))),
        "{found:?}"
    );
}

#[test]
fn trust_follows_links_to_their_end() {
    let world = World::new();
    let real = world.write("open/real.yaml", "version: 1\n");
    symlink("../../open/real.yaml", world.path("etc/jit/config.yaml")).unwrap();
    let settings = world.load().unwrap();
    assert_eq!(settings.path, real);
    assert_eq!(settings.given, world.path("etc/jit/config.yaml"));
    assert_eq!(settings::untrusted(&settings, &[0, me()]), []);
    chmod(&world.path("open"), 0o777);
    let found = settings::untrusted(&settings, &[0, me()]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, world.path("open"));
    // A circle of links ends, and is the reader's problem.
    fs::remove_file(world.path("etc/jit/config.yaml")).unwrap();
    symlink("other.yaml", world.path("etc/jit/config.yaml")).unwrap();
    symlink("config.yaml", world.path("etc/jit/other.yaml")).unwrap();
    assert_eq!(settings::untrusted(&settings, &[0, me()]), []);
    assert!(world.load().is_err());
}

#[test]
fn the_schema_knows_every_key() {
    let schema = settings::schema().to_string();
    for key in [
        "version",
        "ledger",
        "sweep_within",
        "grantor",
        "credential",
        "admins",
    ] {
        assert!(schema.contains(&format!("\"{key}\"")), "{key}");
    }
}
