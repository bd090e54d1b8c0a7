//! Law 6: nobody says who they are; they are recognised. Nobody approves their own access.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::json;

use crate::support::jit::run;
use crate::support::people::{Person, alice, bob, carol, cron, dave, mallory, root};
use crate::support::server::Server;
use crate::support::shop::{POLICY, Shop};
use crate::support::{forge, on_every_server, on_postgres};

on_every_server!(
    nobody_approves_their_own,
    who_uses_the_grantees_account_cannot_approve,
);

on_postgres!(
    who_becomes_a_member_of_the_grantee_stops_the_grant,
    only_who_the_policy_names_approves,
    an_approval_of_what_has_changed_since_is_rejected,
    what_is_no_submission_is_rejected_and_the_rest_goes_on,
    whose_mailbox_it_is_is_who_acts,
    a_replayed_submission_has_no_second_effect,
    others_see_neither_ledger_nor_mailboxes_nor_requests,
    a_request_is_seen_by_those_whom_it_concerns_and_nobody_else,
    behind_sudo_the_person_acts,
    bare_root_sweeps_and_revokes_and_is_nobody_else,
    a_uid_with_another_name_voids_what_is_open,
    an_approval_by_somebody_renamed_counts_no_more,
);

/// carol is an approver, an admin and an operator; dave an approver and an admin.
fn nobody_approves_their_own(server: &Server) {
    let shop = Shop::on(server);
    let hers = shop.ask(&carol(), "email", "1h", &[]);
    let his = shop.ask(&dave(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&carol(), &["approve", &hers, "--yes"])
        .exit(3)
        .says("own request");
    shop.jit(&dave(), &["approve", &his, "--yes"]).exit(3);
    // Neither does it help to go around the command.
    for (person, id) in [(carol(), &hers), (dave(), &his)] {
        let digest = shop.show(id)["digest"].clone();
        shop.forge(
            &person,
            json!({"do": "approve", "id": id, "digest": digest}),
        );
    }
    shop.sweep().ok();
    shop.rejected(&carol(), "nobody may approve their own request");
    shop.rejected(&dave(), "nobody may approve their own request");
    for id in [&hers, &his] {
        assert_eq!(shop.state(id), "pending");
        assert!(
            !shop.show(id)["approvers"]
                .as_array()
                .expect("a list")
                .contains(&shop.show(id)["requester"])
        );
    }
    assert!(!shop.reads("jitcarol", "email") && !shop.reads("jitdave", "email"));
    // Each other's they may.
    shop.jit(&carol(), &["approve", &his, "--yes"]).ok();
    shop.sweep().ok();
    assert!(shop.reads("jitdave", "email"));
}

fn who_uses_the_grantees_account_cannot_approve(server: &Server) {
    let shop = Shop::on(server);
    let account = match server.kind() {
        crate::support::Kind::Postgres => shop.login("jitalice"),
        _ => format!("{}@%", shop.login("jitalice")),
    };
    shop.add_settings(&format!("people:\n  jitdave: {{shop: '{account}'}}"));
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    let digest = shop.show(&id)["digest"].clone();
    shop.forge(
        &dave(),
        json!({"do": "approve", "id": id, "digest": digest}),
    );
    shop.sweep().ok();
    shop.rejected(&dave(), "which would receive the access");
    assert_eq!(shop.state(&id), "pending");
    assert!(!shop.reads("jitalice", "email"));
}

fn who_becomes_a_member_of_the_grantee_stops_the_grant(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.dba(&format!(
        "GRANT {} TO {}",
        shop.login("jitalice"),
        shop.login("jitdave")
    ));
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep();
    assert_eq!(shop.state(&id), "failed");
    assert!(!shop.reads("jitdave", "email"));
    let why = shop.show(&id)["outcome"].to_string();
    assert!(why.contains("member"), "{why}");
}

fn only_who_the_policy_names_approves(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    let digest = shop.show(&id)["digest"].clone();
    for person in [bob(), mallory()] {
        // They do not even see it; who knows id and digest gets no further.
        shop.jit(&person, &["approve", &id, "--yes"]).exit(4);
        shop.forge(
            &person,
            json!({"do": "approve", "id": id, "digest": digest}),
        );
        shop.forge(&person, json!({"do": "deny", "id": id, "reason": "no"}));
        shop.forge(&person, json!({"do": "cancel", "id": id}));
        shop.forge(
            &person,
            json!({"do": "revoke", "ids": [id], "reason": "no"}),
        );
    }
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "pending");
    for person in [bob(), mallory()] {
        shop.rejected(&person, "is no approver of request");
        shop.rejected(&person, "is not yours");
        shop.rejected(&person, "requester, its approvers and admins only");
    }
    assert_eq!(shop.rejections().len(), 8);
    shop.audit_is_sound();
}

fn an_approval_of_what_has_changed_since_is_rejected(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    let other = shop.ask(&bob(), "email", "1h", &[]);
    // Killed before the target was looked at: what an approver could see then is not what awaits them later.
    let killed = run(&mut shop.sweep_at("drain-recorded=kill"), "");
    assert_eq!(killed.code, 137, "{killed}");
    let (first, second) = match shop.jit(&cron(), &["list", "-q"]).ok().out.trim() {
        seen if seen == id => (id.clone(), other.clone()),
        seen => {
            assert_eq!(seen, other);
            (other.clone(), id.clone())
        }
    };
    let early = shop.show(&first)["digest"].clone();
    assert_eq!(shop.state(&first), "submitted");
    shop.sweep().ok();
    let late = shop.show(&first)["digest"].clone();
    assert_ne!(early, late, "what is shown has changed");
    for digest in [
        early,
        shop.show(&second)["digest"].clone(),
        json!(""),
        json!("00000000000000000000000000000000"),
    ] {
        shop.forge(
            &dave(),
            json!({"do": "approve", "id": first, "digest": digest}),
        );
    }
    shop.sweep().ok();
    assert_eq!(shop.state(&first), "pending");
    shop.rejected(&dave(), "has changed since it was shown");
    assert_eq!(shop.rejections().len(), 4);
    shop.forge(
        &dave(),
        json!({"do": "approve", "id": first, "digest": late}),
    );
    shop.sweep().ok();
    assert_eq!(shop.state(&first), "active");
}

fn what_is_no_submission_is_rejected_and_the_rest_goes_on(server: &Server) {
    let shop = Shop::on(server);
    let whole = forge::submission(shop.ask_act(&["email"], "1h"));
    let text = String::from_utf8(whole.clone()).expect("JSON");
    let mut large = text.clone();
    large.push_str(&" ".repeat(65 * 1024));
    let alice_uid = alice().uid;
    let forged: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "malformed"),
        (whole[..whole.len() / 2].to_vec(), "malformed"),
        (
            text.replace("\"v\":1", "\"v\":2").into_bytes(),
            "it has version 2; this operator reads version 1",
        ),
        (
            text.replace("\"v\":1", "\"actor\":\"jitalice\",\"v\":1")
                .into_bytes(),
            "unknown field `actor`",
        ),
        (
            text.replace(
                "\"reason\":",
                &format!("\"uid\":{alice_uid},\"requester\":\"jitalice\",\"reason\":"),
            )
            .into_bytes(),
            "unknown field",
        ),
        (
            text.replace("\"reason\":", "\"id\":\"k3fq7m2x\",\"reason\":")
                .into_bytes(),
            "unknown field `id`",
        ),
        (large.into_bytes(), "larger than 65536 bytes"),
        (b"SELECT 1".to_vec(), "malformed"),
        (vec![0xff; 100], "malformed"),
        ("[".repeat(60_000).into_bytes(), "malformed"),
        (
            format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)).into_bytes(),
            "malformed",
        ),
        (
            text.replace("\"a test\"", "\" \"").into_bytes(),
            "the reason is empty",
        ),
        (
            text.replace("\"email\"", "\"email\",\"email\"")
                .into_bytes(),
            "named twice",
        ),
        (
            text.replace("\"1h\"", "\"1 month\"").into_bytes(),
            "not a duration",
        ),
    ];
    let count = forged.len();
    for (at, (bytes, _)) in forged.iter().enumerate() {
        shop.drop_into(&mallory(), &format!("forged{at}.json"), bytes);
    }
    // Files that are not what they seem.
    let mailbox = shop.mailbox(&mallory());
    let secret = shop.jit.path("secrets/shop");
    std::os::unix::fs::symlink(&secret, mailbox.join("link.json")).expect("root may");
    let twice = shop.drop_into(&mallory(), "twice.json", &whole);
    fs::hard_link(&twice, mailbox.join(".hidden")).expect("root may");
    let open = shop.drop_into(&mallory(), "open.json", &whole);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).expect("root may");
    let theirs = shop.drop_into(&mallory(), "theirs.json", &whole);
    chown(&theirs, Some(alice().uid), None).expect("root may");
    let fifo = Command::new("mkfifo")
        .arg(mailbox.join("fifo.json"))
        .status();
    assert!(fifo.expect("mkfifo").success());

    let honest = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    assert_eq!(shop.state(&honest), "active", "the rest goes on");
    for (_, words) in &forged {
        shop.rejected(&mallory(), words);
    }
    shop.rejected(&mallory(), "it has 2 names (hard links)");
    shop.rejected(&mallory(), "others than its owner may write it");
    shop.rejected(&mallory(), "it is not a regular file");
    shop.rejected(
        &mallory(),
        &format!("its owner is {}, not {}", alice().uid, mallory().uid),
    );
    assert_eq!(
        shop.rejections().len(),
        count + 5,
        "{:#?}",
        shop.rejections()
    );
    assert_eq!(shop.events("requested").len(), 1, "the honest one alone");
    assert!(
        fs::read_to_string(shop.jit.audit())
            .expect("the trail")
            .lines()
            .all(|line| line.len() < 4096),
        "what strangers write does not fill the trail"
    );
    // Drained once, and gone.
    shop.sweep().ok();
    assert_eq!(shop.rejections().len(), count + 5);
    shop.audit_is_sound();
}

/// mallory makes a folder that bears alice's number, and a submission that names her: neither makes him alice.
fn whose_mailbox_it_is_is_who_acts(server: &Server) {
    let shop = Shop::on(server);
    let inbox = shop.jit.path("var/lib/jit/inbox");
    let act = shop.ask_act(&["email"], "1h");
    let bytes = String::from_utf8(forge::submission(act.clone())).expect("JSON");
    let script = format!(
        "umask 007; mkdir {0}/{1}.1 && umask 027 && printf %s '{bytes}' > {0}/{1}.1/0000000000001-x.json",
        inbox.display(),
        alice().uid
    );
    let made = run(mallory().command("sh").args(["-c", &script]), "");
    assert_eq!(made.code, 0, "{made}");
    shop.sweep().ok();
    assert!(shop.events("requested").is_empty());
    assert!(shop.rejections().is_empty(), "it is not even looked into");
    shop.jit(&cron(), &["doctor"])
        .exit(1)
        .says(&format!("FAIL inbox              {}.1", alice().uid));
    // In his own mailbox the same bytes are his own request.
    shop.drop_into(&mallory(), "0000000000001-x.json", bytes.as_bytes());
    shop.sweep().ok();
    let requested = shop.events("requested");
    assert_eq!(requested.len(), 1);
    assert_eq!(requested[0]["requester"], "jitmallory");
    assert_eq!(requested[0]["via"], json!(format!("uid:{}", mallory().uid)));
    assert!(shop.reads("jitmallory", "email") && !shop.reads("jitalice", "email"));
    // And he cannot put anything into hers.
    let script = format!(
        "echo x > {0}/{1}/0000000000002-x.json || ls {0}/{1} || ls {0} || mv {0}/{1} {0}/{1}.9",
        inbox.display(),
        alice().uid
    );
    let tried = run(mallory().command("sh").args(["-c", &script]), "");
    assert_ne!(tried.code, 0, "{tried}");
}

fn a_replayed_submission_has_no_second_effect(server: &Server) {
    let shop = Shop::on(server);
    let bytes = forge::submission(shop.ask_act(&["email"], "1h"));
    for name in ["0000000000001-a.json", "0000000000002-b.json"] {
        let path = shop.drop_into(&alice(), name, &bytes);
        shop.sweep().ok();
        assert!(!path.exists(), "it is taken out");
    }
    assert_eq!(shop.events("requested").len(), 1);
    let id = shop.events("requested")[0]["request"].clone();
    let id = id.as_str().expect("an id");
    shop.jit(&alice(), &["return", id]).ok();
    shop.sweep().ok();
    shop.drop_into(&alice(), "0000000000003-c.json", &bytes);
    shop.sweep().ok();
    assert_eq!(shop.state(id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    // Not even a rejection: and so a kill switch that is over does not begin again.
    let lever = forge::submission(json!({"do": "revoke_all", "selector": {}, "reason": "fire"}));
    shop.drop_into(&dave(), "0000000000001-a.json", &lever);
    shop.sweep().ok();
    shop.jit(&carol(), &["resume", "--reason", "out", "--yes"])
        .ok();
    let again = shop.lease(&alice(), "email", "1h");
    shop.drop_into(&dave(), "0000000000002-b.json", &lever);
    shop.sweep().ok();
    assert_eq!(shop.state(&again), "active");
    assert_eq!(shop.events("held").len(), 1);
    assert_eq!(shop.rejections(), []);
}

fn others_see_neither_ledger_nor_mailboxes_nor_requests(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&bob(), "email", "1h", &[]);
    shop.sweep().ok();
    let bobs = shop.mailbox(&bob());
    let view = bobs.join("view.json");
    assert!(view.exists());
    let ledger = shop.jit.ledger();
    let folder = ledger.parent().expect("a folder");
    let inbox = bobs.parent().expect("a folder");
    for person in [alice(), mallory(), dave()] {
        for command in [
            format!("cat {}", ledger.display()),
            format!("ls {}", folder.display()),
            format!("cat {}/*", folder.display()),
            format!("touch {}/x", folder.display()),
            format!("ls {}", inbox.display()),
            format!("ls {}", bobs.display()),
            format!("cat {}", view.display()),
            format!("touch {}/x", bobs.display()),
            format!("mv {0} {0}.old", bobs.display()),
            format!("rm -r {}", bobs.display()),
            format!("cat {}", shop.jit.path("secrets/shop").display()),
            format!("cat {}", shop.jit.audit().display()),
            format!("echo x >> {}", shop.jit.audit().display()),
        ] {
            let tried = run(person.command("sh").args(["-c", &command]), "");
            assert_ne!(tried.code, 0, "{} may: {tried}", person.name);
        }
        shop.jit(&person, &["sweep"]).exit(3);
    }
    // The locks of operators too: whoever could open one could hold it.
    for entry in walk(folder) {
        let mode = fs::metadata(&entry).expect("a file").permissions().mode();
        assert_eq!(mode & 0o007, 0, "{} {mode:o}", entry.display());
    }
    for person in [alice(), mallory()] {
        shop.jit(&person, &["show", &id]).exit(4);
        assert!(
            !shop
                .jit(&person, &["list", "--all", "-o", "json"])
                .ok()
                .out
                .contains(&id)
        );
    }
    // An admin who is no operator sees it, and what is his to decide.
    shop.jit(&dave(), &["show", &id]).ok();
}

/// alice asks, dave decides, mallory is an admin and no approver, bob is a stranger; none of them is an operator.
fn a_request_is_seen_by_those_whom_it_concerns_and_nobody_else(server: &Server) {
    let shop = Shop::on(server);
    shop.edit(
        "etc/config.yaml",
        "admins: [group:dba]",
        "admins: [jitmallory]",
    );
    let to_decide = shop.ask(&alice(), "email", "1h", &[]);
    let automatic = shop.ask(&alice(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    for (person, decides, knows) in [
        (alice(), true, true),
        (dave(), true, false),
        (mallory(), true, true),
        (bob(), false, false),
    ] {
        for (id, seen) in [(&to_decide, decides), (&automatic, knows)] {
            let name = &person.name;
            shop.jit(&person, &["show", id])
                .exit(if seen { 0 } else { 4 });
            let listed = shop.jit(&person, &["list", "--all", "-q"]).ok();
            assert_eq!(listed.out.contains(id.as_str()), seen, "{name}: {listed}");
        }
        let awaiting = shop.jit(&person, &["list", "--awaiting-me", "-q"]).ok();
        assert_eq!(
            awaiting.out.contains(&to_decide),
            person == dave(),
            "{awaiting}"
        );
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// A command as root, with what sudo puts into the environment.
fn sudo(shop: &Shop<'_>, caller: &Person, arguments: &[&str]) -> crate::support::jit::Output {
    let mut command = shop.jit.command(&root(), arguments);
    command
        .env("SUDO_UID", caller.uid.to_string())
        .env("SUDO_USER", &caller.name);
    run(&mut command, "")
}

fn behind_sudo_the_person_acts(server: &Server) {
    let shop = Shop::on(server);
    let column = format!("{}:email", shop.table("customers"));
    let asked = sudo(
        &shop,
        &alice(),
        &["request", &column, "--for", "1h", "--reason", "sudo"],
    )
    .ok();
    let id = asked.out.lines().next().expect("an id").to_owned();
    let view = shop.show(&id);
    assert_eq!(view["requester"], "jitalice");
    assert_eq!(view["grantee"], shop.login("jitalice").as_str());
    // Root's rights do not make it somebody else's yes.
    sudo(&shop, &alice(), &["approve", &id, "--yes"])
        .exit(3)
        .says("own request");
    sudo(&shop, &bob(), &["approve", &id, "--yes"])
        .exit(3)
        .says("no approver");
    assert_eq!(shop.state(&id), "pending");
    sudo(&shop, &dave(), &["approve", &id, "--yes"]).ok();
    assert_eq!(shop.state(&id), "active");
    assert_eq!(shop.events("approved")[0]["actor"], "jitdave");
    // SUDO_UID of somebody who is not root is just a variable.
    let mut command = shop.jit.command(
        &mallory(),
        &["request", &column, "--for", "1h", "--reason", "not sudo"],
    );
    command.env("SUDO_UID", alice().uid.to_string());
    run(&mut command, "").ok();
    shop.sweep().ok();
    let requested = shop.events("requested");
    assert_eq!(requested[1]["requester"], "jitmallory", "{requested:#?}");
}

fn bare_root_sweeps_and_revokes_and_is_nobody_else(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.jit(&root(), &["sweep"]).ok();
    assert_eq!(shop.state(&id), "pending");
    shop.jit(&root(), &["approve", &id, "--yes"])
        .exit(3)
        .says("root is nobody in particular");
    shop.jit(&root(), &["deny", &id, "--reason", "no"]).exit(3);
    let column = format!("{}:email", shop.table("customers"));
    shop.jit(
        &root(),
        &["request", &column, "--for", "1h", "--reason", "mine"],
    )
    .exit(3)
    .says("root is nobody in particular");
    assert_eq!(shop.state(&id), "pending");
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.jit(&root(), &["sweep"]).ok();
    assert!(shop.reads("jitalice", "email"));
    shop.jit(&root(), &["revoke", &id, "--reason", "enough", "--yes"])
        .ok();
    assert!(!shop.reads("jitalice", "email"));
    assert_eq!(shop.events("revoking")[0]["actor"], "root");
}

/// A Unix user of one test alone.
struct Passing(String);

impl Passing {
    fn new() -> Self {
        let name = format!("jt{}x{}", std::process::id(), crate::support::unique());
        let made = Command::new("useradd")
            .args(["--no-create-home", "--shell", "/bin/sh", &name])
            .output()
            .expect("useradd");
        assert!(made.status.success(), "{made:?}");
        Self(name)
    }

    fn rename(&mut self) {
        let new = format!("{}n", self.0);
        let made = Command::new("usermod")
            .args(["--login", &new, &self.0])
            .output()
            .expect("usermod");
        assert!(made.status.success(), "{made:?}");
        self.0 = new;
    }

    fn person(&self) -> Person {
        Person::named(&self.0)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg("-f").arg(&self.0).output();
        let _ = Command::new("groupdel")
            .arg(self.0.trim_end_matches('n'))
            .output();
    }
}

fn a_uid_with_another_name_voids_what_is_open(server: &Server) {
    let mut passing = Passing::new();
    let name = passing.0.clone();
    let policy = POLICY
        .replace("jitmallory", &name)
        .replace("jitbob", &format!("{name}n"));
    let shop = Shop::with_policy(server, &policy);
    for account in [&name, &format!("{name}n")] {
        shop.dba(&format!("CREATE ROLE {} LOGIN", shop.login(account)));
        shop.dba(&format!(
            "ALTER ROLE {} PASSWORD 'open sesame'",
            shop.login(account)
        ));
    }
    let person = passing.person();
    shop.jit(&person, &["list"]).ok();
    let held = shop.lease(&person, "email", "1h");
    let open = shop.ask(&person, "phone", "1h", &[]);
    shop.sweep().ok();
    assert_eq!(shop.state(&open), "pending");
    assert!(shop.reads(&name, "email"));
    // Somebody else has the number now. They do nothing at all.
    passing.rename();
    let renamed = passing.person();
    assert_eq!(renamed.uid, person.uid);
    shop.sweep().ok();
    assert_eq!(shop.state(&held), "ended");
    assert!(!shop.reads(&name, "email"));
    assert_eq!(shop.state(&open), "cancelled");
    let why = shop.show(&open)["outcome"].to_string();
    assert!(why.contains("is") && why.contains(&renamed.name), "{why}");
    // What the one before asked for is not theirs to see.
    shop.sweep().ok();
    shop.jit(&renamed, &["show", &held]).exit(4);
    let own = shop.ask(&renamed, "email", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    assert_eq!(shop.show(&own)["requester"], renamed.name.as_str());
    assert!(shop.reads(&renamed.name, "email") && !shop.reads(&name, "email"));
}

fn an_approval_by_somebody_renamed_counts_no_more(server: &Server) {
    let mut passing = Passing::new();
    let name = passing.0.clone();
    let shop = Shop::bare(server, POLICY);
    shop.edit(
        "etc/config.yaml",
        "dba: [jitcarol, jitdave]",
        &format!("dba: [jitcarol, jitdave, {name}]"),
    );
    shop.jit.init();
    shop.set_up();
    let person = passing.person();
    for one in [alice(), dave(), person.clone()] {
        shop.jit(&one, &["list"]).ok();
    }
    let id = shop.ask(&alice(), "ssn", "30m", &[]);
    shop.sweep().ok();
    shop.jit(&person, &["approve", &id, "--yes"]).ok();
    shop.sweep().ok();
    assert_eq!(
        shop.show(&id)["approvals"].as_array().map(Vec::len),
        Some(1)
    );
    passing.rename();
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep();
    assert_ne!(shop.state(&id), "active");
    assert!(!shop.reads("jitalice", "ssn"));
}
