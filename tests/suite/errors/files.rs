//! What is wrong with files: settings, policies, and who may write them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::book::{Book, Mask, WIDE};
use crate::support::jit::{Install, run};
use crate::support::people::{alice, cron, root};

const HEAD: &str = "version: 1\nledger: sqlite:{dir}/var/lib/jit/ledger/ledger.db\ninbox: {dir}/var/lib/jit/inbox\n\
                    audit: {dir}/var/log/jit/audit.jsonl\npolicies: [policies/]\n";
const TARGETS: &str = "targets:\n  shop:\n    url: postgres://jit_admin@db1/shop\n";

pub fn settings(book: &mut Book) {
    book.chapter(
        "Settings",
        "Every mistake is named with file, line and column; nothing is done until it is mended. Exit code 8.",
    );
    let mut jit = Install::new();
    jit.columns = WIDE;
    let mask = Mask::of(&jit).known("/nowhere/", "/etc/jit/");
    let mut missing = jit.command(&alice(), &["list"]);
    missing
        .env_remove("JIT_CONFIG")
        .env("XDG_CONFIG_HOME", "/nowhere");
    // /etc/jit/config.yaml may be there on a machine that uses jit: then this cannot be shown.
    let output = run(&mut missing, "");
    book.fails("There are no settings", &alice(), &["list"], &output, &mask);
    let named = ["list", "--config", "/nowhere/config.yaml"];
    let output = jit.run(&alice(), &named);
    book.fails(
        "The named settings are not there",
        &alice(),
        &named,
        &output,
        &mask,
    );

    let cases: &[(&str, String)] = &[
        (
            "A key is misspelt",
            format!("{HEAD}{TARGETS}admin: [carol]\n"),
        ),
        (
            "A key is there twice",
            format!("{HEAD}{TARGETS}targets: {{}}\n"),
        ),
        ("It is not YAML", format!("{HEAD}targets:\n  shop: [\n")),
        ("A tab indents", format!("{HEAD}targets:\n\tshop: x\n")),
        (
            "A text where a list belongs",
            format!("{HEAD}{TARGETS}admins: carol\n"),
        ),
        (
            "A version that this jit does not know",
            HEAD.replace("version: 1", "version: 7"),
        ),
        (
            "A ledger that this version does not know",
            HEAD.replace(
                "sqlite:{dir}/var/lib/jit/ledger/ledger.db",
                "postgres://db1/jit",
            ),
        ),
        (
            "A path from a variable",
            HEAD.replace("{dir}/var/log", "~/log"),
        ),
        (
            "Two things at one place",
            HEAD.replace(
                "{dir}/var/log/jit/audit.jsonl",
                "{dir}/var/lib/jit/ledger/ledger.db",
            ),
        ),
        (
            "Policies that are not there",
            HEAD.replace("policies/", "rules/"),
        ),
        (
            "sweep_within is no duration",
            format!("{HEAD}{TARGETS}sweep_within: 5\n"),
        ),
        (
            "A password in a URL",
            format!(
                "{HEAD}{}",
                TARGETS.replace("jit_admin@", "jit_admin:sesame@")
            ),
        ),
        (
            "An engine that is not known",
            format!("{HEAD}{}", TARGETS.replace("postgres:", "oracle:")),
        ),
        (
            "A URL without a user",
            format!("{HEAD}{}", TARGETS.replace("jit_admin@", "")),
        ),
        (
            "A URL without a database",
            format!("{HEAD}{}", TARGETS.replace("db1/shop", "db1")),
        ),
        (
            "An sslmode that does not exist",
            format!(
                "{HEAD}{}",
                TARGETS.replace("/shop\n", "/shop?sslmode=full\n")
            ),
        ),
        (
            "A key of the URL that does not exist",
            format!("{HEAD}{}", TARGETS.replace("/shop\n", "/shop?ssl=on\n")),
        ),
        (
            "A certificate without its key",
            format!(
                "{HEAD}{}",
                TARGETS.replace("/shop\n", "/shop?sslcert=/c.pem\n")
            ),
        ),
        (
            "One account for everybody",
            format!("{HEAD}{TARGETS}    grantee: reader\n"),
        ),
        (
            "A grantor on MySQL",
            format!("{HEAD}targets:\n  shop: {{url: 'mysql://jit_admin@db2/shop', grantor: g}}\n"),
        ),
        (
            "A target's name with a space",
            format!("{HEAD}targets:\n  'my shop': {{url: 'mysql://jit_admin@db2/shop'}}\n"),
        ),
        (
            "A group that is not defined",
            format!("{HEAD}{TARGETS}groups: {{dba: [carol]}}\nadmins: ['group:dbas']\n"),
        ),
        (
            "Groups in a circle",
            format!("{HEAD}{TARGETS}groups: {{dba: ['group:ops'], ops: ['group:dba']}}\n"),
        ),
        (
            "An account on a target that is not there",
            format!("{HEAD}{TARGETS}people: {{erin: {{shpo: erin_ro}}}}\n"),
        ),
    ];
    for (heading, text) in cases {
        jit = jit.settings(text);
        let output = jit.run(&alice(), &["settings"]).exit(8);
        book.fails(heading, &alice(), &["settings"], &output, &mask);
    }
    jit = jit.settings(TARGETS);
    let path = jit.path("etc/config.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("own file");
    let output = jit.run(&alice(), &["list"]).exit(8);
    book.fails(
        "Settings that I may not read",
        &alice(),
        &["list"],
        &output,
        &mask,
    );
    fs::remove_file(&path).expect("own file");
    fs::create_dir(&path).expect("own folder");
    let output = jit.run(&alice(), &["list"]).exit(8);
    book.fails(
        "Settings that are a folder",
        &alice(),
        &["list"],
        &output,
        &mask,
    );
    fs::remove_dir(&path).expect("own folder");
    let big = fs::File::create(&path).expect("own file");
    big.set_len(200 << 20).expect("a sparse file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own file");
    let output = jit.run(&alice(), &["list"]).exit(8);
    book.fails(
        "Settings that are far too large",
        &alice(),
        &["list"],
        &output,
        &mask,
    );
    jit = jit.settings(TARGETS);
    jit.init();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("own file");
    let output = jit.run(&cron(), &["sweep"]).exit(8);
    book.fails(
        "Settings that anybody can change",
        &cron(),
        &["sweep"],
        &output,
        &mask,
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own file");
    jit = jit.settings("");
    for (heading, arguments) in [
        ("Settings without a target", &["setup"][..]),
        ("A hash that no text has", &["policy", "show", "ab12"]),
    ] {
        let output = jit.run(&root(), arguments);
        book.fails(heading, &root(), arguments, &output, &mask);
    }
}

const RULES: &str = "version: 1\npolicies:\n  - name: contact\n    target: shop\n    table: public.customers\n    \
                     columns: [email]\n    allow:\n      - {who: [alice], max: 1h, approval: auto}\n";

pub fn policies(book: &mut Book) {
    book.chapter(
        "Policies",
        "`jit policy check` finds them where the files are written, without a ledger or a database. While policies \
         are in error nothing is granted; what is due is taken back all the same.",
    );
    let mut jit = Install::new();
    jit.columns = WIDE;
    let mask = Mask::of(&jit);
    let entry = "      - {who: [alice], max: 1h, approval: auto}\n";
    let cases: &[(&str, String)] = &[
        ("A key of a policy is misspelt", RULES.replace("columns:", "colums:")),
        ("A key of a policy is missing", RULES.replace("    columns: [email]\n", "")),
        ("A table without its schema", RULES.replace("public.customers", "customers")),
        ("A column that is two names", RULES.replace("[email]", "[e.mail]")),
        ("A policy for a target that is not there", RULES.replace("target: shop", "target: shpo")),
        ("A policy for a group that is not there", RULES.replace("[alice]", "['group:suport']")),
        ("A duration without a unit", RULES.replace("max: 1h", "max: 60")),
        ("A ticket pattern that is none", RULES.replace("max: 1h", "ticket: 'SUP-(', max: 1h")),
        ("Two policies for one column", format!("{RULES}{}", RULES.split_once("policies:\n").expect("text").1.replace("name: contact", "name: other"))),
        ("An entry that is never reached", RULES.replace(entry, &format!("{entry}{entry}"))),
        ("More time for less approval", RULES.replace(entry, "      - {who: [alice], max: 1h, approval: {all: [{by: [carol]}]}}\n      - {who: [alice], max: 8h, approval: auto}\n")),
        ("An approval that nobody can give", RULES.replace("approval: auto", "approval: {all: [{by: [alice]}]}")),
        ("An approval that too few can give", RULES.replace("approval: auto", "approval: {all: [{by: [carol], count: 2}]}")),
        ("Aliases that grow", format!("{RULES}x: &a [1,1,1,1,1,1,1,1,1]\n")),
    ];
    jit = jit.settings(&format!("{TARGETS}groups: {{support: [alice]}}\n"));
    for (heading, text) in cases {
        jit = jit.policy("contact.yaml", text);
        let typed = ["policy", "check"];
        let output = jit.run(&alice(), &typed);
        book.entry(heading, &alice(), &typed, &output, &mask);
    }
    jit = jit.policy("contact.yaml", &cases[0].1);
    jit.init();
    let typed = ["columns"];
    let output = jit.run(&alice(), &typed).exit(8);
    book.fails(
        "Anything that needs the policies, meanwhile",
        &alice(),
        &typed,
        &output,
        &mask,
    );
    jit = jit.policy(
        "contact.yaml",
        &format!("{RULES}    tests:\n      - {{who: alice, for: 2h, expect: auto}}\n"),
    );
    let typed = ["policy", "test"];
    let output = jit.run(&alice(), &typed).exit(1);
    book.fails(
        "A policy's own test fails",
        &alice(),
        &typed,
        &output,
        &mask,
    );
    jit = jit.policy("contact.yaml", RULES);
    let typed = [
        "policy",
        "explain",
        "bob",
        "public.customers:email",
        "--for",
        "1h",
    ];
    let output = jit.run(&alice(), &typed).exit(3);
    book.fails(
        "Explained: why bob may not",
        &alice(),
        &typed,
        &output,
        &mask,
    );
}
