//! What an engineer and an approver meet: asking, deciding, giving back, the kill switch.

use super::book::{Book, Mask, WIDE};
use crate::support::people::{Person, alice, bob, carol, dave, mallory};
use crate::support::server::Server;
use crate::support::shop::Shop;

const RULES: &str = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, phone]
    allow:
      - {who: [jitalice], purposes: [support], ticket: 'SUP-\d+', max: 1h, approval: auto}
      - {who: [jitalice, jitbob], purposes: [incident], max: 2h, max_total: 3h, approval: {all: [{by: [group:dba]}]}}
  - name: notes
    target: shop
    table: '{schema}.orders'
    columns: [note, nte]
    allow: [{who: [jitalice, jitbob], max: 8h, approval: auto}]
  - name: secrets
    target: shop
    table: '{schema}.customers'
    columns: [ssn]
    allow:
      - {who: [jitbob], max: 1h, approval: {all: [{by: [group:dba]}]}}
      - {who: [jitcarol], max: 1h, approval: {all: [{by: [group:dba], count: 2}]}}
  - name: lost
    target: shop
    table: '{schema}.custommers'
    columns: [email]
    allow: [{who: [jitalice], max: 1h, approval: auto}]
  - name: archive
    target: shop
    table: archive.orders
    columns: [note]
    allow: [{who: [jitalice], max: 1h, approval: auto}]
";

pub struct Asked<'b, 's> {
    book: &'b mut Book,
    shop: Shop<'s>,
    mask: Mask,
}

impl<'b, 's> Asked<'b, 's> {
    fn fails(&mut self, heading: &str, person: &Person, typed: &[&str]) {
        let output = self.shop.jit(person, typed);
        self.book.fails(heading, person, typed, &output, &self.mask);
    }

    fn request(&mut self, heading: &str, person: &Person, words: &[&str]) {
        let mut typed = vec!["request"];
        typed.extend(words);
        typed.extend(["--reason", "INC-12"]);
        self.fails(heading, person, &typed);
    }

    /// A request that is handed in; its id, which the page calls by the next of its own.
    fn asked(&mut self, person: &Person, words: &[&str]) -> String {
        let mut typed = vec!["request"];
        typed.extend(words);
        typed.extend(["--reason", "INC-12"]);
        let output = self.shop.jit(person, &typed).ok();
        let id = output.out.lines().next().expect("an id").to_owned();
        self.mask = self.mask.clone().id(&id);
        id
    }

    /// What came of it, as the person is told who asks.
    fn came(&mut self, heading: &str, person: &Person, typed: &[&str]) {
        let output = self.shop.jit(person, typed);
        self.book.entry(heading, person, typed, &output, &self.mask);
    }
}

const SUPPORT: [&str; 4] = ["--purpose", "support", "--ticket", "SUP-7"];
const INCIDENT: [&str; 2] = ["--purpose", "incident"];

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

pub fn all(book: &mut Book, server: &Server) {
    let mut shop = Shop::with_policy(server, RULES);
    shop.jit.columns = WIDE;
    let mask = Mask::of_shop(&shop);
    let mut it = Asked { book, shop, mask };
    typing(&mut it);
    refused(&mut it);
    arriving(&mut it);
    deciding(&mut it);
    revoking(&mut it);
}

fn typing(it: &mut Asked<'_, '_>) {
    it.book.chapter(
        "Typing",
        "What was typed cannot be read. Nothing was handed in, nothing is recorded. Exit code 2; 4 where the thing \
         that was named does not exist.",
    );
    let a = alice();
    it.fails("A command that does not exist", &a, &["aprove"]);
    it.fails("An argument is missing", &a, &["show"]);
    it.request("No columns", &a, &["--for", "1h"]);
    it.request("A target and no columns", &a, &["shop", "--for", "1h"]);
    it.request("No duration", &a, &["customers:email"]);
    for (heading, what) in [
        ("A table without columns", "public.customers"),
        ("Nothing behind the comma", "customers:email,"),
        ("A name is never closed", "\"customers:email"),
        ("Too many parts", "a.b.c:d"),
        ("A column twice", "customers:email,email"),
        ("A character too much", "customers:e mail"),
    ] {
        it.request(heading, &a, &["shop", what, "--for", "1h"]);
    }
    it.request(
        "A column twice, in two words",
        &a,
        &["customers:email", "customers:email", "--for", "1h"],
    );
    for (heading, flag) in [
        ("A duration without a unit", "--for=90"),
        ("A duration in months", "--for=1M"),
        ("A duration of nothing", "--for=0m"),
        ("A duration beyond a year", "--for=400d"),
        ("A word for a duration", "--for=long"),
        ("A time that is none", "--until=25:00"),
        ("A time that is over", "--until=2020-01-01T00:00:00Z"),
    ] {
        it.request(heading, &a, &["customers:email", flag]);
    }
    it.fails(
        "An empty reason",
        &a,
        &["request", "customers:email", "--for", "1h", "--reason", " "],
    );
    it.request(
        "A target that is not there",
        &a,
        &["shpo", "customers:email", "--for", "1h"],
    );
    it.request(
        "A table that no policy names",
        &a,
        &["custmers:email", "--for", "1h"],
    );
    it.request(
        "A star where nothing may be had",
        &mallory(),
        &["customers:*", "--for", "1h"],
    );
    it.request(
        "A table's name that two tables have",
        &a,
        &["orders:note", "--for", "1h"],
    );
    it.fails("A page that is not there", &a, &["man", "aprove"]);
    it.fails("No id, and nobody to ask", &a, &["cancel"]);
    it.fails("An id that is none", &a, &["show", "../etc"]);
    it.fails("An id that nobody has", &a, &["show", "zzzzzzzz"]);
    it.fails(
        "A date that is none",
        &carol(),
        &["audit", "search", "--since", "monday"],
    );
    it.fails(
        "An event that does not exist",
        &carol(),
        &["audit", "search", "--event", "grnted"],
    );
    it.fails(
        "A head that is none",
        &carol(),
        &["audit", "verify", "--head", "17"],
    );
}

fn refused(it: &mut Asked<'_, '_>) {
    it.book.chapter(
        "Refused by policy",
        "The rule, what would be accepted, and what to type. It is handed in all the same, so that it is on record \
         (not with `--dry-run`). Exit code 3.",
    );
    let a = alice();
    let email = ["customers:email", "--for"];
    it.request("Too long", &a, &with(&email, &with(&["2h"], &SUPPORT)));
    it.request("No purpose", &a, &with(&email, &["1h"]));
    it.request(
        "Another purpose",
        &a,
        &with(&email, &["1h", "--purpose", "fun"]),
    );
    it.request(
        "No ticket",
        &a,
        &with(&email, &["1h", "--purpose", "support"]),
    );
    it.request(
        "A ticket of another kind",
        &a,
        &with(&email, &["1h", "--purpose", "support", "--ticket", "T-1"]),
    );
    it.request("For other people", &a, &["customers:ssn", "--for", "1h"]);
    it.request(
        "A column that no policy names",
        &a,
        &with(&["customers:emial", "--for", "1h"], &SUPPORT),
    );
    it.request(
        "Too few others to approve",
        &carol(),
        &["customers:ssn", "--for", "1h"],
    );
    it.request(
        "Tried without a trace",
        &a,
        &with(&email, &["9h", "--purpose", "incident", "--dry-run"]),
    );
}

fn arriving(it: &mut Asked<'_, '_>) {
    it.book.chapter(
        "Refused by the database",
        "A sweep looks at the target before anybody is asked. `jit show` and bare `jit` say what came of it.",
    );
    let a = alice();
    it.shop.dba("CREATE ROLE alice_is_a_member; CREATE SCHEMA archive; CREATE TABLE archive.orders (note text)");
    it.shop.dba(&format!(
        "GRANT SELECT (note) ON public.orders TO {}",
        it.shop.login("jitbob")
    ));
    let lost = it.asked(&a, &["public.custommers:email", "--for", "1h"]);
    let column = it.asked(&a, &["public.orders:nte", "--for", "1h"]);
    let known = it.asked(&bob(), &["public.orders:note", "--for", "1h"]);
    let closed = it.asked(&a, &["archive.orders:note", "--for", "1h"]);
    it.shop.sweep();
    it.came("The table is not there", &a, &["show", &lost]);
    it.came("The column is not there", &a, &["show", &column]);
    it.came("It can be read already", &bob(), &["show", &known]);
    it.came("The schema is closed", &a, &["show", &closed]);
    it.shop
        .add_settings("people:\n  jitmallory: {shop: nobody_there}");
    it.shop.edit(
        "etc/policies/shop.yaml",
        "who: [jitalice, jitbob], max: 8h",
        "who: [jitalice, jitmallory], max: 8h",
    );
    let nobody = it.asked(&mallory(), &["public.orders:note", "--for", "1h"]);
    it.shop.sweep();
    it.came("The account is not there", &mallory(), &["show", &nobody]);
}

fn deciding(it: &mut Asked<'_, '_>) {
    it.book.chapter(
        "Deciding and giving back",
        "Not yours to decide, or not in a state for that. What operators will reject is said at once where it can be \
         known, and is on record.",
    );
    let a = alice();
    let mask = Mask::of_shop(&it.shop);
    it.mask = mask;
    let id = it.asked(&a, &with(&["customers:email", "--for", "1h"], &INCIDENT));
    it.shop.sweep().ok();
    it.fails("Nobody to ask on", &dave(), &["approve", &id]);
    it.fails("Which of them", &dave(), &["approve"]);
    it.fails(
        "Longer than was asked for",
        &dave(),
        &["approve", &id, "--for", "4h", "--yes"],
    );
    it.fails("One's own request", &a, &["approve", &id, "--yes"]);
    it.fails(
        "One's own request, denied",
        &a,
        &["deny", &id, "--reason", "no"],
    );
    it.fails("Somebody else's request", &dave(), &["cancel", &id]);
    it.fails("Not given yet", &a, &["return", &id]);
    it.fails(
        "A request of somebody else's that I may not see",
        &bob(),
        &["show", &id],
    );
    let waited = [
        "request",
        "customers:phone",
        "--for",
        "1h",
        "--purpose",
        "incident",
        "--reason",
        "INC-12",
        "--wait=1s",
    ];
    let output = it.shop.jit(&a, &waited);
    let id_of_it = output
        .err
        .lines()
        .find_map(|line| line.split_once(" is handed in"))
        .expect("an id")
        .0;
    it.mask = it.mask.clone().id(id_of_it);
    it.book
        .fails("Not decided in time", &a, &waited, &output, &it.mask);
    it.fails("Nothing to give back", &bob(), &["return"]);
    it.shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    it.shop.sweep().ok();
    it.fails("Approved twice", &carol(), &["approve", &id, "--yes"]);
    it.fails("Withdrawn too late", &a, &["cancel", &id]);
    it.fails(
        "Denied too late",
        &carol(),
        &["deny", &id, "--reason", "no"],
    );
    let extend = ["extend", &id, "--for", "2h30m", "--reason", "more"];
    it.fails("Too long with what there was before", &a, &extend);
    let act = serde_json::json!({"do": "approve", "id": id, "digest": "0".repeat(64)});
    it.shop.forge(&mallory(), act);
    it.shop
        .drop_into(&mallory(), "0000000000002-broken.json", b"{\"v\":1,");
    let second = it.asked(
        &a,
        &with(
            &["customers:email", "--for", "30m", "--purpose", "incident"],
            &[],
        ),
    );
    it.shop.sweep();
    let act = serde_json::json!({"do": "approve", "id": second, "digest": "0".repeat(64)});
    it.shop.forge(&dave(), act);
    it.shop.sweep();
    it.came("What was rejected shows in jit", &mallory(), &[]);
    it.came("Approved, but not what was shown", &dave(), &[]);
    it.shop.jit(&dave(), &["approve", &second, "--yes"]).ok();
    it.shop.sweep().ok();
    it.fails("Several, and none was named", &a, &["return"]);
    it.shop.jit(&a, &["return", &id]).ok();
    it.shop.sweep().ok();
    it.fails(
        "Ended already",
        &carol(),
        &["revoke", &id, "--reason", "found", "--yes"],
    );
}

fn revoking(it: &mut Asked<'_, '_>) {
    it.book.chapter(
        "The kill switch",
        "Selectors are for admins. A hold refuses new requests until somebody ends it.",
    );
    let c = carol();
    it.fails(
        "Nothing was named",
        &c,
        &["revoke", "--reason", "found", "--yes"],
    );
    it.fails(
        "Ids and selectors",
        &c,
        &[
            "revoke",
            "k3fq",
            "--everything",
            "--reason",
            "found",
            "--yes",
        ],
    );
    it.fails(
        "A selector's target that is not there",
        &c,
        &["revoke", "--target", "shpo", "--reason", "found", "--yes"],
    );
    it.fails(
        "A selector's column without a name",
        &c,
        &[
            "revoke",
            "--column",
            "customers:*",
            "--reason",
            "found",
            "--yes",
        ],
    );
    it.fails(
        "A selector's table that nobody knows",
        &c,
        &[
            "revoke",
            "--column",
            "cust:email",
            "--reason",
            "found",
            "--yes",
        ],
    );
    it.fails(
        "For admins only",
        &alice(),
        &["revoke", "--everything", "--reason", "found", "--yes"],
    );
    it.fails(
        "Resumed by nobody's leave",
        &alice(),
        &["resume", "--reason", "found", "--yes"],
    );
    it.shop
        .jit(
            &c,
            &[
                "revoke",
                "--requester",
                "jitbob",
                "--reason",
                "laptop stolen",
                "--yes",
            ],
        )
        .ok();
    let held = it.asked(
        &bob(),
        &with(&["customers:email", "--for", "1h"], &INCIDENT),
    );
    it.shop.sweep();
    it.came("A hold is in the way", &bob(), &["show", &held]);
    it.fails(
        "A hold that is not there",
        &c,
        &["resume", "9", "--reason", "found", "--yes"],
    );
    it.shop
        .jit(&c, &["resume", "--reason", "found", "--yes"])
        .ok();
    it.fails(
        "Nothing is held",
        &c,
        &["resume", "--reason", "found", "--yes"],
    );
}
