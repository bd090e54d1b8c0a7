//! What the host's operators meet: the ledger, the audit file, the way to the servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::book::{Book, Mask, WIDE};
use crate::support::jit::{Output, program, run};
use crate::support::people::{Person, alice, bob, carol, cron, mallory, root};
use crate::support::server::Server;
use crate::support::shop::Shop;

/// A shop and the page; what is broken is mended by the next entry.
pub struct Desk<'b, 's> {
    pub book: &'b mut Book,
    pub shop: Shop<'s>,
    pub mask: Mask,
}

impl<'b, 's> Desk<'b, 's> {
    pub fn new(book: &'b mut Book, server: &'s Server) -> Self {
        let mut shop = Shop::on(server);
        shop.jit.columns = WIDE;
        let mask = Mask::of_shop(&shop);
        Self { book, shop, mask }
    }

    pub fn fails(&mut self, heading: &str, person: &Person, typed: &[&str]) -> Output {
        let output = self.shop.jit(person, typed);
        self.book.fails(heading, person, typed, &output, &self.mask);
        output
    }

    pub fn says(&mut self, heading: &str, person: &Person, typed: &[&str]) {
        let output = self.shop.jit(person, typed);
        self.book.entry(heading, person, typed, &output, &self.mask);
    }

    fn mode(&self, inner: &str, mode: u32) {
        let path = self.shop.jit.path(inner);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
    }
}

pub fn ledger(book: &mut Book, server: &Server) {
    book.chapter(
        "The ledger",
        "Operators alone open it. While it cannot be written nothing is granted; due revokes are sent all the same. \
         Exit code 5 where it is away, 8 where it is the wrong one.",
    );
    let mut desk = Desk::new(book, server);
    desk.fails("No operator", &alice(), &["sweep"]);
    desk.fails(
        "No operator, and nothing to undo",
        &alice(),
        &["setup", "--undo"],
    );
    desk.fails(
        "No such group",
        &root(),
        &["ledger", "init", "--shared", "nosuch"],
    );
    desk.fails(
        "No such target to sweep",
        &cron(),
        &["sweep", "--target", "shpo"],
    );
    desk.fails(
        "No such text in the ledger",
        &cron(),
        &["policy", "show", "ab12"],
    );
    let moved = desk.shop.jit.path("etc/other.yaml");
    fs::copy(desk.shop.jit.path("etc/config.yaml"), &moved).expect("a copy");
    let shown = moved.display().to_string();
    desk.fails(
        "Other settings than the ledger's",
        &cron(),
        &["sweep", "--config", &shown],
    );

    let ledger = desk.shop.jit.ledger();
    let set = |version: i64| {
        let db = rusqlite::Connection::open(&ledger).expect("root may open it");
        let before: i64 = db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .expect("a version");
        db.execute_batch(&format!("PRAGMA user_version = {version}"))
            .expect("root may write it");
        before
    };
    let version = set(99);
    desk.fails("A ledger of a newer jit", &cron(), &["sweep"]);
    set(1);
    desk.fails(
        "A ledger of a jit from before its first release",
        &cron(),
        &["sweep"],
    );
    set(version);
    let (folder, aside) = (
        ledger.parent().expect("its folder").to_owned(),
        desk.shop.jit.path("var/lib/jit/aside"),
    );
    fs::rename(&folder, &aside).expect("root may");
    desk.fails("No ledger", &cron(), &["sweep"]);
    desk.fails(
        "No ledger, looked for by root",
        &root(),
        &["ledger", "clock"],
    );
    fs::rename(&aside, &folder).expect("root may");
    fs::rename(&ledger, folder.join("aside")).expect("root may");
    fs::write(&ledger, "this is no database").expect("root may");
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o660)).expect("root may");
    std::os::unix::fs::chown(&ledger, None, Some(gid_of(&folder))).expect("root may");
    desk.fails("A file that is no ledger", &cron(), &["sweep"]);
    fs::rename(folder.join("aside"), &ledger).expect("root may");
    desk.mode("var/lib/jit/ledger", 0o2777);
    desk.fails("A folder that everybody may write", &cron(), &["sweep"]);
    desk.mode("var/lib/jit/ledger", 0o2770);
    desk.mode("var/lib/jit/inbox", 0o777);
    desk.fails("An inbox of the wrong mode", &cron(), &["sweep"]);
    desk.mode("var/lib/jit/inbox", 0o3773);
    let busy = rusqlite::Connection::open(&ledger).expect("root may open it");
    busy.execute_batch("BEGIN EXCLUSIVE")
        .expect("root may lock it");
    desk.fails(
        "Kept busy by another process",
        &cron(),
        &["ledger", "clock", "--accept"],
    );
    busy.execute_batch("ROLLBACK").expect("it is ours");
    drop(busy);
    let inbox = desk.shop.jit.path("var/lib/jit/inbox");
    fs::rename(&inbox, desk.shop.jit.path("var/lib/jit/elsewhere")).expect("root may");
    desk.fails(
        "The inbox is away",
        &bob(),
        &[
            "request",
            "public.customers:email",
            "--for",
            "1h",
            "--reason",
            "INC-12",
        ],
    );
    fs::rename(desk.shop.jit.path("var/lib/jit/elsewhere"), &inbox).expect("root may");
    let metrics = ["sweep", "--metrics", "/nowhere/jit.prom"];
    desk.fails("Metrics that cannot be written", &cron(), &metrics);

    let mut sudo = desk.shop.jit.command(
        &root(),
        &[
            "request",
            "public.customers:email",
            "--for",
            "1h",
            "--reason",
            "INC-12",
        ],
    );
    sudo.env("SUDO_UID", "4x");
    let typed = [
        "request",
        "public.customers:email",
        "--for",
        "1h",
        "--reason",
        "INC-12",
    ];
    let output = run(&mut sudo, "");
    desk.book.fails(
        "Behind a sudo that does not say who",
        &root(),
        &typed,
        &output,
        &desk.mask,
    );
    desk.fails("Bare root asks", &root(), &typed);
    let nobody = Person {
        name: "uid65534".into(),
        uid: 65534,
        gid: 65534,
    };
    let nameless = Person {
        name: "uid4242".into(),
        uid: 4242,
        gid: 4242,
    };
    for (heading, person) in [
        ("Somebody who is nobody", &nobody),
        ("A user without a name", &nameless),
    ] {
        let mut command = std::process::Command::new("setpriv");
        command
            .args([
                "--reuid",
                &person.uid.to_string(),
                "--regid",
                &person.gid.to_string(),
                "--clear-groups",
            ])
            .arg(program())
            .arg("list")
            .env("JIT_CONFIG", desk.shop.jit.path("etc/config.yaml"));
        let output = run(&mut command, "");
        desk.book
            .fails(heading, person, &["list"], &output, &desk.mask);
    }
    let closed = crate::support::jit::Install::new();
    fs::create_dir_all(closed.path("var/lib/jit/ledger")).expect("own folder");
    fs::write(closed.path("var/lib/jit/ledger/x"), "x").expect("own file");
    let output = closed.run(&root(), &["ledger", "init", "--shared", "jitops"]);
    let mask = Mask::of(&closed);
    let typed = ["ledger", "init", "--shared", "jitops"];
    desk.book.fails(
        "A folder that is there with another mode",
        &root(),
        &typed,
        &output,
        &mask,
    );
    fs::remove_file(closed.path("var/lib/jit/ledger/x")).expect("own file");
    fs::create_dir_all(closed.path("var/log/jit")).expect("own folder");
    fs::write(closed.audit(), "{}\n").expect("own file");
    let output = closed.run(&root(), &typed);
    desk.book.fails(
        "An audit file that is there, with lines",
        &root(),
        &typed,
        &output,
        &mask,
    );
    let typed = ["init", "--dir", "/proc/jit"];
    let output = closed.run(&root(), &typed);
    desk.book.fails(
        "A folder that cannot be made",
        &root(),
        &typed,
        &output,
        &mask,
    );
}

fn gid_of(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).expect("it").gid()
}

pub fn audit(book: &mut Book, server: &Server) {
    book.chapter(
        "The audit file",
        "Where it cannot take lines nothing is granted, and due revokes go on. Where it is not sound, `jit audit \
         verify` names each line. Exit code 7.",
    );
    let mut desk = Desk::new(book, server);
    let id = desk
        .shop
        .ask(&alice(), "email", "1h", &["--purpose", "support"]);
    let (audit, aside) = (
        desk.shop.jit.audit(),
        desk.shop.jit.path("var/log/jit/aside"),
    );
    fs::rename(&audit, &aside).expect("root may");
    fs::create_dir(&audit).expect("root may");
    desk.fails("A folder in its place", &cron(), &["sweep"]);
    desk.fails(
        "Reading, with a folder in its place",
        &cron(),
        &["audit", "head"],
    );
    fs::remove_dir(&audit).expect("root may");
    desk.fails("It was taken away", &cron(), &["audit", "verify"]);
    fs::rename(&aside, &audit).expect("root may");
    desk.mode("var/log/jit/audit.jsonl", 0o666);
    desk.fails("Everybody may write it", &cron(), &["sweep"]);
    desk.mode("var/log/jit/audit.jsonl", 0o660);
    std::os::unix::fs::chown(&audit, Some(0), Some(0)).expect("root may");
    desk.fails("Operators may not write it", &cron(), &["sweep"]);
    std::os::unix::fs::chown(
        &audit,
        None,
        Some(gid_of(desk.shop.jit.ledger().parent().expect("its folder"))),
    )
    .expect("root may");
    desk.fails("An auditor without access", &mallory(), &["audit", "head"]);
    desk.shop.sweep().ok();
    assert_eq!(desk.shop.state(&id), "active");
    let text = fs::read_to_string(&audit).expect("it");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 5, "{text}");
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let without: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 2)
        .map(|(_, l)| *l)
        .collect();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let mut doubled = lines.clone();
    doubled.insert(3, lines[2]);
    for (heading, forged) in [
        (
            "A line was edited",
            text.replacen("\"reason\":\"a test\"", "\"reason\":\"a jest\"", 1),
        ),
        ("A line was taken out", joined(&without)),
        ("Two lines changed places", joined(&swapped)),
        ("A line is there twice", joined(&doubled)),
        ("The end was cut off", joined(&lines[..lines.len() - 2])),
        ("The last line is half", text[..text.len() - 30].to_owned()),
        (
            "A line has no end",
            text.clone() + &"x".repeat(20 << 20) + "\n",
        ),
        ("A line is empty", text.replacen('\n', "\n\n", 1)),
        (
            "A line lost its end",
            text.replacen(",\"hash\"", ",\"hush\"", 1),
        ),
        (
            "Something else is in it",
            text.replacen("{\"v\":1", "hello {\"v\":1", 1),
        ),
    ] {
        fs::write(&audit, forged).expect("root may");
        desk.fails(heading, &cron(), &["audit", "verify"]);
    }
    fs::write(
        &audit,
        text.replacen("\"reason\":\"a test\"", "\"reason\":\"a jest\"", 1) + "hello\n",
    )
    .expect("root may");
    desk.fails("Its end is not an audit line", &cron(), &["audit", "head"]);
    desk.shop
        .ask(&bob(), "email", "1h", &["--purpose", "support"]);
    desk.fails("It is not as the ledger wrote it", &cron(), &["sweep"]);
    fs::write(&audit, &text).expect("root may");
    let other = format!("1:{}", "0".repeat(64));
    desk.fails(
        "A head that was kept elsewhere is another",
        &cron(),
        &["audit", "verify", "--head", &other],
    );
    let gz = desk.shop.jit.path("old.jsonl.gz");
    fs::write(&gz, "no gzip").expect("root may");
    let gz = gz.display().to_string();
    desk.fails(
        "A packed file that is none",
        &cron(),
        &["audit", "verify", &gz],
    );
    desk.shop.sweep().ok();
}

pub fn targets(book: &mut Book, server: &Server) {
    book.chapter(
        "Targets on Postgres",
        "What is asked stays asked, and what is due is tried again by each sweep. The server's code (SQLSTATE) and \
         words stand in the message. Exit code 5 where a target is away, 6 where something is overdue.",
    );
    let own = server.another(&[]);
    let mut desk = Desk::new(book, &own);
    let url = own.url(own.superuser(), &desk.shop.database);
    let lease = desk.shop.lease(&alice(), "email", "1h");
    desk.mask = desk.mask.clone().id(&lease);
    desk.fails("Undone while leases live", &cron(), &["setup", "--undo"]);
    let other = url.replace("postgres://", "mysql://");
    desk.fails(
        "Set up through another engine",
        &cron(),
        &["setup", "--as-url", &other],
    );
    desk.fails(
        "Set up through a URL that is none",
        &cron(),
        &["setup", "--as-url", "db1"],
    );
    let nobody = own.url("nobody", &desk.shop.database);
    desk.fails(
        "Set up through a URL whose account is not let in",
        &cron(),
        &["setup", "--as-url", &nobody],
    );
    desk.shop.edit(
        "etc/policies/shop.yaml",
        "columns: [ssn]",
        "columns: [ssn, name]",
    );
    desk.fails("Set up by who may not", &cron(), &["setup", "--apply"]);
    desk.shop.edit(
        "etc/policies/shop.yaml",
        "columns: [ssn, name]",
        "columns: [ssn]",
    );
    // The way in.
    let secret = desk.shop.jit.path("secrets/shop");
    let password = fs::read_to_string(&secret).expect("it");
    fs::write(&secret, "wrong").expect("root may");
    desk.fails("A wrong password", &cron(), &["sweep"]);
    desk.fails("A wrong password, setting up", &cron(), &["setup"]);
    fs::write(&secret, &password).expect("root may");
    for (heading, source) in [
        (
            "A password file that is not there",
            "{file: /run/secrets/none}",
        ),
        (
            "A password in a variable that is not set",
            "{env: JIT_NO_SUCH}",
        ),
        (
            "A password from a command that fails",
            "{command: ['false']}",
        ),
        (
            "A password from systemd, outside of a service",
            "{credential: shop}",
        ),
    ] {
        let file = format!("{{file: '{}'}}", secret.display());
        desk.shop.edit("etc/config.yaml", &file, source);
        desk.fails(heading, &cron(), &["sweep", "--target", "shop"]);
        desk.shop.edit("etc/config.yaml", source, &file);
    }
    let database = format!("/{}", desk.shop.database);
    desk.shop.edit("etc/config.yaml", &database, "/nowhere");
    desk.fails("A database that is not there", &cron(), &["doctor"]);
    desk.shop.edit("etc/config.yaml", "/nowhere", &database);
    // The lease is due, and cannot be taken.
    own.stop();
    desk.shop.jit(&alice(), &["return", &lease]).ok();
    desk.fails(
        "The target is down, and something is due",
        &cron(),
        &["sweep"],
    );
    desk.fails(
        "Revoked by hand while the target is down",
        &carol(),
        &["revoke", &lease, "--reason", "found", "--yes"],
    );
    desk.fails("doctor, meanwhile", &cron(), &["doctor"]);
    own.start();
    desk.shop.sweep_until(&lease, "ended");
    // What the database's owner took away.
    let grantor = format!("jit_grantor_{}", desk.shop.suffix);
    desk.shop.dba(&format!(
        "REVOKE {grantor} FROM {}",
        desk.shop.login("jitadmin")
    ));
    let id = desk
        .shop
        .ask(&bob(), "email", "1h", &["--purpose", "support"]);
    desk.mask = desk.mask.clone().id(&id);
    desk.says("jit's own role was taken from it", &cron(), &["sweep"]);
    desk.fails("doctor, on that", &cron(), &["doctor"]);
    desk.shop.set_up();
    desk.shop.sweep();
    // A lease that its grantee could pass on.
    let id = match desk.shop.state(&id).as_str() {
        "active" => id,
        _ => desk.shop.lease(&bob(), "phone", "1h"),
    };
    desk.mask = desk.mask.clone().id(&id);
    desk.shop.dba(&format!(
        "ALTER TABLE public.customers RENAME COLUMN email TO mail; ALTER TABLE public.customers ADD COLUMN email text; \
         ALTER ROLE {} RENAME TO renamed_{}",
        desk.shop.login("jitbob"), desk.shop.suffix
    ));
    desk.says(
        "A lease whose names were changed meanwhile",
        &carol(),
        &["revoke", &id, "--reason", "found", "--yes"],
    );
    desk.says("doctor, after that", &cron(), &["doctor"]);
    desk.book.chapter(
        "One database twice",
        "Two targets that are one database, and a database that another ledger manages, are left alone. Exit code 8; a sweep goes on with the others and ends with 1.",
    );
    let second = crate::support::jit::Install::new()
        .secret("shop", crate::support::shop::PASSWORD)
        .settings(&desk.shop.settings_text())
        .policy(
            "shop.yaml",
            &crate::support::shop::POLICY.replace("{schema}", "public"),
        );
    second.init();
    let mask = desk.mask.clone().and(&Mask::of(&second));
    let output = second.run(&cron(), &["sweep"]);
    desk.book.fails(
        "The database is another ledger's",
        &cron(),
        &["sweep"],
        &output,
        &mask,
    );
    let output = second.run(&cron(), &["setup"]);
    desk.book.fails(
        "Set up, though it is another ledger's",
        &cron(),
        &["setup"],
        &output,
        &mask,
    );
    let text = fs::read_to_string(desk.shop.jit.path("etc/config.yaml")).expect("it");
    let start = text.find("  shop:").expect("the target");
    let end = text.find("groups:").expect("what follows");
    let twin = text[start..end].replace("  shop:", "  twin:");
    desk.shop
        .edit("etc/config.yaml", "groups:", &format!("{twin}groups:"));
    desk.fails("Two targets that are one database", &cron(), &["sweep"]);
    desk.fails(
        "Which target",
        &alice(),
        &[
            "request",
            "public.customers:email",
            "--for",
            "1h",
            "--reason",
            "INC-12",
        ],
    );
    desk.shop.edit("etc/config.yaml", &twin, "");
}

pub fn mysql(book: &mut Book, server: &Server) {
    book.chapter(
        "Targets on MySQL",
        "The same with the server's error number, and what only these servers do.",
    );
    let mut desk = Desk::new(book, server);
    let table = desk.shop.table("customers");
    let account = desk.shop.account("jitalice");
    let lease = desk.shop.lease(&alice(), "email", "1h");
    desk.mask = desk.mask.clone().id(&lease);
    std::thread::sleep(Duration::from_millis(1100)); // the catalog's clock ticks in seconds
    desk.shop
        .dba(&format!("GRANT SELECT (email) ON {table} TO {account}"));
    desk.shop.jit(&alice(), &["return", &lease]).ok();
    desk.fails("Somebody else granted it meanwhile", &cron(), &["sweep"]);
    desk.says("Which is settled by a person", &cron(), &["show", &lease]);
    desk.fails(
        "Settled by who may not",
        &alice(),
        &[
            "revoke",
            &lease,
            "--keep-standing",
            "--reason",
            "it is mine",
        ],
    );
    desk.shop
        .jit(
            &carol(),
            &["revoke", &lease, "--take", "--reason", "a mistake"],
        )
        .ok();
    desk.shop.sweep().ok();
    desk.fails(
        "Nothing is disputed",
        &carol(),
        &["revoke", &lease, "--take", "--reason", "a mistake"],
    );
    let secret = desk.shop.jit.path("secrets/shop");
    let password = fs::read_to_string(&secret).expect("it");
    fs::write(&secret, "wrong").expect("root may");
    desk.fails("A wrong password", &cron(), &["sweep"]);
    fs::write(&secret, &password).expect("root may");
    let jit = desk.shop.account("jitadmin");
    desk.shop
        .dba(&format!("REVOKE CONNECTION_ADMIN ON *.* FROM {jit}"));
    desk.fails("Set up by who may not", &cron(), &["setup", "--apply"]);
    desk.shop
        .dba(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {jit}"));
    let id = desk
        .shop
        .ask(&bob(), "email", "1h", &["--purpose", "support"]);
    desk.mask = desk.mask.clone().id(&id);
    desk.fails("jit's own rights were taken from it", &cron(), &["sweep"]);
    desk.fails("doctor, on that", &cron(), &["doctor"]);
}

pub fn mariadb(book: &mut Book, server: &Server) {
    book.chapter(
        "Targets on MariaDB",
        "What approvers are told of before they approve, and the same refusals by number.",
    );
    let mut desk = Desk::new(book, server);
    let id = desk.shop.ask(&alice(), "email", "1h", &[]);
    desk.mask = desk.mask.clone().id(&id);
    desk.shop.sweep().ok();
    desk.fails("Not approved without a look", &carol(), &["approve", &id]);
    desk.says("What this engine cannot keep", &carol(), &["show", &id]);
    let admin = desk.shop.account("jitadmin");
    desk.shop
        .dba(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {admin}"));
    desk.says(
        "jit's own rights were taken from it",
        &carol(),
        &["approve", &id, "--yes"],
    );
}
