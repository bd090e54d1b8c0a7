//! Questions on a terminal: the program in a real pseudo-terminal, with real people and real servers behind it.

use std::process::Command;

use crate::support::jit::run;
use crate::support::people::{Person, alice, bob, carol, cron, dave, root};
use crate::support::server::{Kind, SUPERUSER_PASSWORD, Server};
use crate::support::shop::{POLICY, Shop};
use crate::support::terminal::{Ended, Terminal};
use crate::support::{on_every_server, on_postgres};

on_every_server!(
    a_request_by_questions_ends_in_a_lease,
    a_wait_shows_how_it_stands_and_then_a_select_that_works,
    the_password_of_somebody_who_may_set_up_is_asked_for_and_not_shown,
);

on_postgres!(
    only_what_is_missing_is_asked,
    what_is_wrong_is_asked_again_with_the_reason,
    a_no_at_the_end_hands_nothing_in,
    the_walk_approves_shortens_denies_skips_and_quits,
    a_decision_shows_all_that_it_is_about,
    what_is_shown_cannot_change_under_an_approver,
    each_question_can_be_left_with_nothing_handed_in,
    a_wait_that_is_left_leaves_the_request_standing,
    a_dumb_terminal_is_asked_in_plain_lines,
    every_screen_fits_narrow_terminals,
    nothing_that_others_wrote_reaches_the_terminal_as_it_is,
    a_revoke_says_what_ends_and_what_is_held,
    mine_are_picked_where_no_id_is_given,
    without_a_terminal_the_missing_flags_are_named,
    the_dashboard_fits_one_screen,
    an_overdue_lease_is_red_where_there_are_colours,
);

/// First use: whoever types the bare name is told how they begin.
#[test]
fn without_settings_everybody_is_told_how_to_begin() {
    let jit = crate::support::jit::Install::new();
    let mut command = jit.command(&alice(), &[]);
    command.env_remove("JIT_CONFIG");
    // a machine of somebody who uses jit may have /etc/jit
    if std::path::Path::new("/etc/jit/config.yaml").exists() {
        return;
    }
    run(&mut command, "")
        .exit(8)
        .says("log in there, and type: jit request")
        .says("sudo jit init --dir /etc/jit --shared GROUP")
        .says("make some: jit init");
}

const ENTER: &str = "\r";
const DOWN: &str = "\u{1b}[B";
const ESC: &str = "\u{1b}";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

fn terminal(shop: &Shop<'_>, person: &Person, arguments: &[&str]) -> Terminal {
    Terminal::open(&shop.jit.command(person, arguments))
}

/// All ids there are, whoever asked.
fn ids(shop: &Shop<'_>) -> Vec<String> {
    let listed = shop.jit(&cron(), &["list", "--all", "-q"]).ok().out;
    listed.lines().map(str::to_owned).collect()
}

fn pending(shop: &Shop<'_>, columns: &str, ttl: &str) -> String {
    let id = shop.ask(&alice(), columns, ttl, &[]);
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "pending");
    id
}

fn a_request_by_questions_ends_in_a_lease(server: &Server) {
    let shop = Shop::on(server);
    let mut asked = terminal(&shop, &alice(), &["request"]);
    asked
        .sees(&format!("the table is {}", shop.table("customers")))
        .sees("Which columns?")
        .sees("email  pii     8h  1 of group:dba; up to 2h, no approval")
        .sees("ssn    secret  1h  2 of group:dba")
        // narrowed, marked, and narrowed again
        .keys("pho")
        .sees("Which columns? pho")
        .keys(" ")
        .sees("[x] phone")
        .keys("mail")
        .sees("Which columns? mail")
        .keys(" ")
        .sees("[x] email")
        .keys(ENTER)
        .sees("> Which columns? email, phone")
        .sees("For which purpose?")
        .sees("support  up to 8h, 1 of group:dba; up to 2h, no approval")
        .keys(ENTER)
        .sees("> For which purpose? support")
        .sees("at most 8h")
        .keys("1h")
        .keys(ENTER)
        .sees("Why?")
        .keys("SUP-7: they call back")
        .keys(ENTER)
        .sees("approval   nobody's: the next sweep gives it")
        .sees(&format!(
            "columns    {}:email,phone",
            shop.table("customers")
        ))
        .sees("purpose    support")
        .sees("why        SUP-7: they call back")
        .sees("Hand it in?");
    assert!(ids(&shop).is_empty() && shop.sweep().ok().out.is_empty());
    asked.keys(ENTER);
    let ended = asked.ends().exit(0).says("Next: jit show");
    shop.sweep().ok();
    let all = ids(&shop);
    assert_eq!(all.len(), 1);
    assert!(ended.screen.contains(&all[0]));
    let view = shop.show(&all[0]);
    assert_eq!(view["state"], "active", "{view:#}");
    assert_eq!(view["requester"], "jitalice");
    assert_eq!(view["purpose"], "support");
    assert_eq!(view["reason"], "SUP-7: they call back");
    assert_eq!(view["ttl"], "1h");
    assert!(shop.reads("jitalice", "email") && shop.reads("jitalice", "phone"));
    assert!(!shop.reads("jitalice", "ssn"));
}

fn the_password_of_somebody_who_may_set_up_is_asked_for_and_not_shown(server: &Server) {
    let shop = Shop::bare(server, POLICY);
    shop.jit.init();
    let url = server.url(server.superuser(), &shop.database);
    let setup = ["setup", "shop", "--as-url", &url];
    // SQL is for copying: a statement a line, however long.
    let open = || Terminal::sized(&shop.jit.command(&root(), &setup), 200, 40);
    let mut typed = open();
    typed
        .sees(&format!("Password of {} at ", server.superuser()))
        .keys(SUPERUSER_PASSWORD)
        .keys(ENTER);
    let ended = typed.ends().exit(0).says("to be run by");
    assert!(!ended.screen.contains(SUPERUSER_PASSWORD));
    let mut mistyped = open();
    mistyped.sees("Password of").keys("guess").keys(ENTER);
    let ended = mistyped.ends().exit(5).says("check the URL of --as-url");
    assert!(!ended.screen.contains("guess"));
    let mut left = open();
    left.sees("Password of").keys(CTRL_C);
    left.ends().exit(130);
    // Where nobody can be asked it is said where it is looked for.
    let unasked = shop.jit(&root(), &setup);
    unasked.exit(5).says("~/.pgpass");
}

fn only_what_is_missing_is_asked(server: &Server) {
    let shop = Shop::on(server);
    // --yes leaves out the last question and no value.
    let mut asked = terminal(
        &shop,
        &alice(),
        &[
            "request",
            "customers:email",
            "--purpose",
            "support",
            "--yes",
        ],
    );
    asked
        .sees("For how long?")
        .keys("30m\r")
        .sees("Why?")
        .keys("a test\r");
    let ended = asked.ends().exit(0);
    for not_asked in ["Which", "purpose?", "Hand it in?"] {
        assert!(!ended.screen.contains(not_asked), "{}", ended.screen);
    }
    // Nothing is missing: nothing is asked, as in a script.
    let whole = ["request", "customers:email", "--for", "1h", "--reason", "r"];
    let ended = terminal(&shop, &alice(), &whole).ends().exit(0);
    assert!(!ended.screen.contains('?'), "{}", ended.screen);
    // A purpose that the rules need is missing, too.
    shop.sweep().ok();
    assert_eq!(ids(&shop).len(), 2);
}

fn what_is_wrong_is_asked_again_with_the_reason(server: &Server) {
    let policy = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email]
    with: [id]
    allow:
      - {who: [jitalice], purposes: [support], ticket: 'SUP-\d+', max: 2h, approval: auto}
      - {who: [jitalice], purposes: [audit], max: 4h, approval: auto}
";
    let shop = Shop::with_policy(server, policy);
    let mut asked = terminal(
        &shop,
        &alice(),
        &["request", "--for", "9h", "--purpose", "fun"],
    );
    asked
        .sees("its only column: email")
        .sees("these may be had for support, audit, not for \"fun\"")
        .sees("these may be had for 4h at most, not 9h")
        .sees("For which purpose?")
        .keys(ENTER)
        .sees("at most 2h")
        .keys("3h\r")
        .sees("# these may be had for 2h at most, not 3h")
        .keys("\u{7f}\u{7f}2 weeks ago\r")
        .sees("is not a duration")
        .keys("\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}45m\r")
        .sees("> For how long? 45m")
        .sees("it must match SUP-\\d+")
        .keys("INC-1\r")
        .sees("# it must match SUP-\\d+")
        .keys("\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}SUP-12\r")
        .sees("Why?")
        .keys("   \r")
        .sees("# say why, in a few words")
        .keys("a test\r")
        .sees(&format!("with       {}:id", shop.table("customers")))
        .sees("then reads ")
        .sees("Hand it in?")
        .keys("y\r");
    asked.ends().exit(0);
    shop.sweep().ok();
    let view = shop.show(&ids(&shop)[0]);
    assert_eq!(view["ticket"], "SUP-12");
    assert_eq!(
        (&view["ttl"], &view["state"]),
        (&"45m".into(), &"active".into())
    );
    assert_eq!(view["with"][0]["columns"], serde_json::json!(["id"]));
}

fn a_no_at_the_end_hands_nothing_in(server: &Server) {
    let shop = Shop::on(server);
    let mut asked = terminal(
        &shop,
        &alice(),
        &[
            "request",
            "customers:email",
            "--purpose",
            "support",
            "--for",
            "1h",
        ],
    );
    asked
        .sees("Why?")
        .keys("a test\r")
        .sees("Hand it in?")
        .keys("n\r");
    asked.ends().exit(0).says("Nothing was handed in.");
    shop.sweep().ok();
    assert!(ids(&shop).is_empty());
}

fn the_walk_approves_shortens_denies_skips_and_quits(server: &Server) {
    let shop = Shop::on(server);
    let mut waiting: Vec<String> = Vec::new();
    for ttl in ["31m", "32m", "33m", "34m", "35m"] {
        waiting.push(pending(&shop, "email", ttl));
    }
    // carol is an operator: each answer takes effect at once.
    let mut walk = terminal(&shop, &carol(), &["approve"]);
    walk.sees(&format!("── 1 of 5 ── {} ", waiting[0]))
        .sees("Approve for 31m?")
        .keys("yes\r")
        .sees("# type a, s, d or q, or Enter alone")
        .keys("\u{7f}\u{7f}\u{7f}a\r")
        .sees(&format!("{}  active, ", waiting[0]))
        .sees("── 2 of 5 ──")
        .sees("Approve for 32m?")
        .keys("s\r")
        .sees("at most 32m")
        .keys("2h\r")
        .sees("# you may shorten, never lengthen: at most 32m")
        .keys("\u{7f}\u{7f}10m\r")
        .sees(&format!("{}  active, ", waiting[1]))
        .sees("── 3 of 5 ──")
        .sees("Approve for 33m?")
        .keys("d\r")
        .sees("Why not?")
        .keys("use the replica\r")
        .sees(&format!("{}  denied", waiting[2]))
        .sees("── 4 of 5 ──")
        .sees("Approve for 34m?")
        .keys(ENTER)
        .sees("── 5 of 5 ──")
        .sees("Approve for 35m?")
        // back from a second question to the first
        .keys("d\r")
        .sees("the requester is told")
        .keys(ESC)
        .sees("Why not? -");
    walk.keys("q\r");
    walk.ends()
        .exit(0)
        .says("2 requests still await you: jit approve");
    let states: Vec<String> = waiting.iter().map(|id| shop.state(id)).collect();
    assert_eq!(states, ["active", "active", "denied", "pending", "pending"]);
    assert_eq!(shop.show(&waiting[0])["lease_ttl"], "31m");
    assert_eq!(shop.show(&waiting[1])["lease_ttl"], "10m");
    let denied = shop.show(&waiting[2])["outcome"].to_string();
    assert!(denied.contains("use the replica"), "{denied}");
    assert!(shop.reads("jitalice", "email"));
    // dave is none: what he decides is taken up by the next sweep.
    let mut walk = terminal(&shop, &dave(), &["approve"]);
    walk.sees("1 of 2").keys("a\r").sees("2 of 2").keys("q\r");
    walk.ends().exit(0).says("handed in");
    shop.sweep().ok();
    assert_eq!(shop.state(&waiting[3]), "active");
    assert_eq!(shop.state(&waiting[4]), "pending");
}

fn a_decision_shows_all_that_it_is_about(server: &Server) {
    let shop = Shop::on(server);
    let held = shop.lease(&alice(), "phone", "1h");
    let id = pending(&shop, "email", "45m");
    for arguments in [&["approve"][..], &["approve", &id], &["deny", &id]] {
        let mut shown = terminal(&shop, &carol(), arguments);
        let question = if arguments[0] == "approve" {
            "Approve for 45m?"
        } else {
            "Why not?"
        };
        shown.sees(question);
        let visible = shown.visible();
        for text in [
            &format!("who        jitalice as {} on shop", shop.login("jitalice")),
            "why        a test",
            "columns    public.customers:email",
            "class      pii",
            "for        45m",
            "rule       contact, entry 2",
            "needs      approval by 1 of group:dba (jitcarol, jitdave)",
            "lapses     ",
            "also holds public.customers:phone until ",
            &held,
            "then reads public.customers:",
            "SQL        GRANT SELECT (\"email\") ON ",
        ] {
            assert!(visible.contains(text), "{text:?} is not on\n{visible}");
        }
        shown.keys(CTRL_C);
        shown.ends().exit(130);
    }
    assert_eq!(shop.state(&id), "pending");
}

/// The request that is approved is the one that was on the screen, or none.
fn what_is_shown_cannot_change_under_an_approver(server: &Server) {
    let shop = Shop::on(server);
    let id = pending(&shop, "email", "45m");
    let other = pending(&shop, "phone", "50m");
    let mut walk = terminal(&shop, &carol(), &["approve"]);
    walk.sees("Approve for 45m?");
    shop.jit(&alice(), &["cancel", &id]).ok();
    shop.sweep().ok();
    walk.keys("a\r")
        .sees(&format!("rejected: request {id} is cancelled"))
        // and it goes on
        .sees("Approve for 50m?")
        .keys("a\r");
    walk.ends().exit(4);
    assert_eq!(shop.state(&id), "cancelled");
    assert_eq!(shop.state(&other), "active");
}

/// Ctrl-C, Esc and Ctrl-D at every question: exit code 130, a visible cursor (see [`Ended`]), no submission.
fn each_question_can_be_left_with_nothing_handed_in(server: &Server) {
    let shop = Shop::on(server);
    let id = pending(&shop, "ssn", "30m");
    let lease = shop.lease(&bob(), "email", "1h");
    let second = shop.lease(&bob(), "phone", "1h");
    let before = shop.jit.events().len();
    // What is typed, and at which question it stops then.
    type Way<'w> = (Person, Vec<&'w str>, Vec<(&'w str, &'w str)>, &'w str);
    let ask = vec!["request"];
    let purposes = ("Which columns?", " \r");
    let duration = ("For which purpose?", "\r");
    let reason = ("For how long?", "30m\r");
    let ways: Vec<Way<'_>> = vec![
        (alice(), ask.clone(), vec![], "Which columns?"),
        (alice(), ask.clone(), vec![purposes], "For which purpose?"),
        (
            alice(),
            ask.clone(),
            vec![purposes, duration],
            "For how long?",
        ),
        (
            alice(),
            ask.clone(),
            vec![purposes, duration, reason],
            "Why?",
        ),
        (
            alice(),
            ask,
            vec![purposes, duration, reason, ("Why?", "a test\r")],
            "Hand it in?",
        ),
        (alice(), vec!["cancel"], vec![], "Which one to withdraw?"),
        (bob(), vec!["return"], vec![], "Which one to return?"),
        (bob(), vec!["extend"], vec![], "Which one to extend?"),
        (bob(), vec!["extend", &lease], vec![], "How much longer?"),
        (
            bob(),
            vec!["extend", &lease],
            vec![("How much longer?", "1h\r")],
            "Why still?",
        ),
        (dave(), vec!["approve"], vec![], "Approve for 30m?"),
        (
            dave(),
            vec!["approve"],
            vec![("Approve for 30m?", "s\r")],
            "Approve for how long?",
        ),
        (
            dave(),
            vec!["approve", &id],
            vec![("Approve for 30m?", "d\r")],
            "Why not?",
        ),
        (dave(), vec!["deny"], vec![], "Which one to deny?"),
        (dave(), vec!["deny", &id], vec![], "Why not?"),
        (carol(), vec!["revoke", &second], vec![], "Why?"),
        (
            carol(),
            vec!["revoke", "--everything"],
            vec![("Why?", "a test\r")],
            "Take it away now?",
        ),
        (carol(), vec!["resume"], vec![], "Why?"),
    ];
    for (person, arguments, typed, last) in &ways {
        for key in [CTRL_C, ESC, CTRL_D] {
            let mut asked = terminal(&shop, person, arguments);
            for (question, keys) in typed {
                asked.sees(question).keys(keys);
            }
            // Ready to be answered: its help stands below it.
            asked.sees(last).keys(key);
            let second_of_the_walk = arguments[0] == "approve" && !typed.is_empty();
            if second_of_the_walk && key != CTRL_C {
                // Esc leads back to the first; leaving that ends the walk.
                asked.sees(&format!("{last} -")).keys(CTRL_C);
            }
            let ended: Ended = asked.ends();
            let is_quit = arguments[0] == "approve" && typed.is_empty() && key != CTRL_C;
            assert_eq!(
                ended.code,
                if is_quit { 0 } else { 130 },
                "{arguments:?} at {last} with {key:?}\n{}",
                ended.screen
            );
        }
        shop.sweep().ok();
        assert_eq!(
            shop.jit.events().len(),
            before,
            "{arguments:?} at {last} handed something in"
        );
    }
}

/// The line that says how it stands, and what can be copied then.
fn a_wait_shows_how_it_stands_and_then_a_select_that_works(server: &Server) {
    let shop = Shop::on(server);
    let columns = format!("{}:email", shop.table("customers"));
    let wait = [
        "request",
        "shop",
        &columns,
        "--for",
        "1h",
        "--reason",
        "a test",
        "--wait=2m",
    ];
    let mut asked = terminal(&shop, &alice(), &wait);
    asked
        .sees("is handed in. Ctrl-C leaves it standing.")
        .sees("handed in, waiting for the next sweep")
        .sees("left)");
    shop.sweep().ok();
    asked.sees("pending: approval by 1 of group:dba (jitcarol, jit");
    let id = ids(&shop)[0].clone();
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep().ok();
    asked.sees("active until ");
    let ended = asked.ends().exit(0).says(&id).says("jit return");
    // The line that was written over is gone.
    assert!(!ended.screen.contains("pending"), "{}", ended.screen);
    let select = ended
        .screen
        .lines()
        .find_map(|line| line.trim().strip_suffix(';'))
        .expect("a SELECT");
    let quote = match server.kind() {
        Kind::Postgres => '"',
        Kind::Mysql | Kind::Mariadb => '`',
    };
    assert!(select.starts_with(&format!("SELECT {quote}email{quote} FROM ")));
    assert!(shop.selects("jitalice", select));
    // Piped: plain lines, one a change, and no code.
    let mut piped = shop.jit.command(
        &bob(),
        &[
            "request",
            "shop",
            &columns,
            "--for",
            "1h",
            "--reason",
            "r",
            "--wait=1s",
        ],
    );
    let output = run(&mut piped, "").exit(9);
    assert!(
        !output.err.contains('\u{1b}') && !output.err.contains('\r'),
        "{output}"
    );
    assert_eq!(
        output.err.matches("waiting for the next sweep").count(),
        1,
        "{output}"
    );
}

fn a_wait_that_is_left_leaves_the_request_standing(server: &Server) {
    let shop = Shop::on(server);
    let wait = [
        "request",
        "customers:email",
        "--for",
        "1h",
        "--reason",
        "r",
        "--wait",
    ];
    let mut asked = terminal(&shop, &alice(), &wait);
    asked.sees("left)").keys(CTRL_C);
    let ended = asked.ends().exit(130).says("stands as it is");
    shop.sweep().ok();
    let id = ids(&shop)[0].clone();
    assert!(
        ended.screen.contains(&format!("next: jit show {id}")),
        "{}",
        ended.screen
    );
    assert_eq!(shop.state(&id), "pending");
}

fn a_dumb_terminal_is_asked_in_plain_lines(server: &Server) {
    let shop = Shop::on(server);
    let mut command = shop.jit.command(&alice(), &["request"]);
    command.env("TERM", "dumb");
    let mut asked = Terminal::open(&command);
    asked
        .sees("Which columns? (numbers, or a part of a name to narrow)")
        .keys("9\n")
        .sees("there is no 9 in this list")
        .keys("nothing like it\n")
        .sees("nothing here has \"nothing like it\" in it")
        .keys("1,2\n")
        .sees("For which purpose?")
        .keys("supp\n")
        .sees("For which purpose?")
        .keys("1\n")
        .sees("For how long?")
        .keys("9h\n")
        .sees("these may be had for 8h at most")
        .keys("1h\n")
        .sees("Why?")
        .keys("a test\n")
        .sees("Hand it in? (Y/n)")
        .keys("\n");
    let ended = asked.ends().exit(0);
    assert!(
        !ended.bytes.contains(&0x1b),
        "{}",
        String::from_utf8_lossy(&ended.bytes)
    );
    shop.sweep().ok();
    let id = ids(&shop)[0].clone();
    assert_eq!(shop.state(&id), "active");
    assert!(shop.reads("jitalice", "email") && shop.reads("jitalice", "phone"));
    // The end of the input, and Ctrl-C, hand nothing in.
    for (key, code) in [(CTRL_D, 130), (CTRL_C, 130)] {
        let mut asked = Terminal::open(&command);
        asked.sees("Which columns?").keys(key);
        asked.ends().exit(code);
    }
    shop.sweep().ok();
    assert_eq!(ids(&shop).len(), 1);
}

/// Every screen at 80 columns and at 50; that no line is wider is looked at where each ends.
fn every_screen_fits_narrow_terminals(server: &Server) {
    let shop = Shop::on(server);
    let reason = "a reason that goes on and on ".repeat(12);
    let id = pending(&shop, "ssn", "30m");
    shop.jit(
        &alice(),
        &[
            "request",
            "customers:email",
            "--for",
            "1h",
            "--reason",
            &reason,
        ],
    )
    .ok();
    shop.lease(&bob(), "email,phone", "1h");
    for (columns, rows) in [(80, 24), (50, 15)] {
        let open = |person: &Person, arguments: &[&str]| {
            Terminal::sized(&shop.jit.command(person, arguments), columns, rows)
        };
        let mut asked = open(&alice(), &["request"]);
        asked
            .sees("Which columns?")
            .keys(" \r")
            .sees("For which purpose?")
            .keys("\r")
            .sees("For how long?")
            .keys("99h\r")
            .sees("8h at most, not 4d")
            .keys("\u{7f}\u{7f}\u{7f}1h\r")
            .sees("Why?")
            .keys(&reason)
            .keys(ENTER)
            .sees("Hand it in?")
            .keys("n\r");
        asked.ends().exit(0);
        let mut walk = open(&dave(), &["approve"]);
        walk.sees("1 of 2")
            .keys(ENTER)
            .sees("2 of 2")
            .keys("d\r")
            .sees("Why not?")
            .keys(CTRL_C);
        walk.ends().exit(130);
        let mut revoke = open(&carol(), &["revoke", "--everything"]);
        revoke
            .sees("Why?")
            .keys("r\r")
            .sees("Take it away now?")
            .keys("n\r");
        revoke.ends().exit(0).says("Nothing was changed.");
        for person in [alice(), bob(), carol(), dave()] {
            for arguments in [
                &[][..],
                &["list"],
                &["list", "--all"],
                &["columns"],
                &["show", &id],
                &["approve", "zzzz"],
            ] {
                let ended = open(&person, arguments).ends();
                assert!(!ended.screen.is_empty());
            }
        }
    }
}

fn nothing_that_others_wrote_reaches_the_terminal_as_it_is(server: &Server) {
    let shop = Shop::on(server);
    let evil = "x\u{1b}]0;owned\u{7}\u{1b}[31mred\nSQL        GRANT ALL\u{202e}\r";
    let ask = [
        "request",
        "customers:email",
        "--for",
        "1h",
        "--reason",
        evil,
    ];
    shop.jit(&alice(), &ask).ok();
    shop.sweep().ok();
    let mut walk = terminal(&shop, &carol(), &["approve"]);
    walk.sees("Approve for 1h?")
        .keys("d\r")
        .sees("Why not?")
        .keys(CTRL_C);
    let walked = walk.ends();
    let mut denied = terminal(&shop, &carol(), &["deny"]);
    denied
        .sees("Which one to deny?")
        .keys(ENTER)
        .sees("Why not?")
        .keys(CTRL_C);
    let denied = denied.ends();
    let dashboard = terminal(&shop, &carol(), &[]).ends();
    for ended in [walked, denied, dashboard] {
        let text = String::from_utf8_lossy(&ended.bytes).into_owned();
        for bad in ["\u{1b}]0", "\u{1b}[31mred", "\u{7}", "\u{202e}"] {
            assert!(!text.contains(bad), "{bad:?} in {text:?}");
        }
        assert!(
            !ended
                .screen
                .lines()
                .any(|line| line.starts_with("SQL        GRANT ALL")),
            "{}",
            ended.screen
        );
    }
}

fn a_revoke_says_what_ends_and_what_is_held(server: &Server) {
    let shop = Shop::on(server);
    shop.lease(&alice(), "email,phone", "1h");
    shop.lease(&bob(), "email", "1h");
    let open = pending(&shop, "ssn", "30m");
    let mut revoke = terminal(&shop, &carol(), &["revoke", "--requester", "jitalice"]);
    revoke
        .sees("This ends 1 active request with 2 leases and 1 open request, of 1 person on 1")
        .sees("It leaves a hold on requester jitalice")
        .keys("laptop stolen\r")
        .sees("Take it away now?")
        // Enter alone is a no
        .keys(ENTER);
    revoke.ends().exit(0).says("Nothing was changed.");
    assert!(shop.reads("jitalice", "email"));
    let mut revoke = terminal(&shop, &carol(), &["revoke", "--requester", "jitalice"]);
    revoke
        .sees("Why?")
        .keys("laptop stolen\r")
        .sees("Take it away now?")
        .keys("y\r");
    revoke.ends().exit(0).says("hold 1 on requester jitalice");
    assert!(!shop.reads("jitalice", "email") && shop.reads("jitbob", "email"));
    assert_eq!(shop.state(&open), "denied");
    assert_eq!(shop.events("held")[0]["reason"], "laptop stolen");
    // resume shows what ends, for an operator as for one who is none
    shop.sweep().ok();
    for person in [dave(), carol()] {
        let mut resume = terminal(&shop, &person, &["resume"]);
        resume
            .sees("hold 1    requester jitalice (laptop stolen, by jitcarol")
            // broken at 80 columns
            .sees("was revoked comes back.")
            .keys("it was found\r")
            .sees("End 1 hold?")
            .keys(if person == carol() { "y\r" } else { "n\r" });
        resume.ends().exit(0);
    }
    assert_eq!(shop.events("resumed")[0]["reason"], "it was found");
    assert!(!shop.reads("jitalice", "email"), "nothing comes back");
}

fn mine_are_picked_where_no_id_is_given(server: &Server) {
    let shop = Shop::on(server);
    let first = shop.lease(&alice(), "email", "1h");
    let second = shop.lease(&alice(), "phone", "1h");
    let open = pending(&shop, "ssn", "30m");
    // newest first: the second one is picked by moving, and by typing
    let mut back = terminal(&shop, &alice(), &["return"]);
    back.sees("Which one to return?").keys(DOWN).keys(ENTER);
    back.ends().exit(0).says(&first);
    let mut more = terminal(&shop, &alice(), &["extend"]);
    more.sees("Which one to extend?")
        .keys("phone")
        .sees("extend? phone")
        .keys(ENTER)
        .sees("How much longer?")
        .keys("1h\r")
        .sees("Why still?")
        .keys("not done\r");
    more.ends().exit(0);
    let mut cancel = terminal(&shop, &alice(), &["cancel"]);
    cancel.sees("Which one to withdraw?").keys(ENTER);
    cancel.ends().exit(0).says(&open);
    shop.sweep().ok();
    assert_eq!(shop.state(&first), "ended");
    assert_eq!(shop.state(&open), "cancelled");
    assert!(!shop.reads("jitalice", "email") && shop.reads("jitalice", "phone"));
    let extension = shop
        .jit(&cron(), &["list", "--user", "jitalice", "-o", "json"])
        .ok()
        .json();
    assert_eq!(extension[0]["extends"], second.as_str(), "{extension:#}");
}

fn without_a_terminal_the_missing_flags_are_named(server: &Server) {
    let shop = Shop::on(server);
    let alice = alice();
    shop.jit(&alice, &["request"])
        .exit(2)
        .says("TABLE:COLUMN,COLUMN, --for DURATION (or --until TIME), --reason TEXT");
    let partly = shop
        .jit(
            &alice,
            &["request", "customers:email", "--yes", "--for", "1h"],
        )
        .exit(2);
    assert!(partly.err.contains("missing: --reason TEXT"), "{partly}");
    shop.jit(
        &alice,
        &["request", "customers", "--for", "1h", "--reason", "r"],
    )
    .exit(2);
    shop.jit(&alice, &["extend", "--for", "1h"])
        .exit(2)
        .says("--reason TEXT");
    shop.jit(&alice, &["cancel"]).exit(2).says("ID");
    shop.jit(&alice, &["deny"])
        .exit(2)
        .says("ID, --reason TEXT");
    shop.jit(&carol(), &["revoke", "--everything", "--yes"])
        .exit(2)
        .says("--reason TEXT");
    shop.jit(&carol(), &["resume", "--yes"])
        .exit(2)
        .says("--reason TEXT");
    // Answers that come by a pipe are no answers.
    let mut piped = shop.jit.command(&alice, &["request"]);
    run(&mut piped, "1\n1\n1h\na test\ny\n").exit(2);
    shop.sweep().ok();
    assert!(ids(&shop).is_empty());
}

fn the_dashboard_fits_one_screen(server: &Server) {
    let shop = Shop::on(server);
    for number in 0..30 {
        let ttl = format!("{}m", 20 + number);
        shop.ask(&alice(), "email", &ttl, &[]);
    }
    for number in 0..6 {
        let ttl = format!("{}m", 20 + number);
        shop.ask(&alice(), "phone", &ttl, &["--purpose", "support"]);
    }
    shop.sweep().ok();
    let lines = |person: &Person| {
        let mut shown = terminal(&shop, person, &[]);
        shown.sees("Next: ");
        let ended = shown.ends().exit(0);
        assert!(ended.screen.lines().count() <= 23, "{}", ended.screen);
        ended.screen
    };
    let hers = lines(&alice());
    assert!(
        hers.contains("Your access") && hers.contains("m left"),
        "{hers}"
    );
    assert!(hers.contains("more: jit list --mine"), "{hers}");
    let theirs = lines(&dave());
    assert!(theirs.contains("Awaiting you"), "{theirs}");
    assert!(theirs.contains("more: jit list --awaiting-me"), "{theirs}");
    assert!(theirs.contains("Next: jit approve"), "{theirs}");
    let piped = shop.jit(&dave(), &[]).ok();
    assert!(piped.out.lines().count() <= 24, "{piped}");
}

fn an_overdue_lease_is_red_where_there_are_colours(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "2s");
    std::thread::sleep(std::time::Duration::from_millis(2200));
    let dashboard = |colours: bool| -> String {
        let mut command: Command = shop.jit.command(&alice(), &[]);
        if colours {
            command.env_remove("NO_COLOR");
        }
        let ended = Terminal::open(&command).ends().exit(0);
        String::from_utf8_lossy(&ended.bytes).into_owned()
    };
    let red = dashboard(true);
    let line = red
        .lines()
        .find(|line| line.contains(&id))
        .expect("its line");
    assert!(
        line.contains("\u{1b}[31m") && line.contains("overdue"),
        "{line:?}"
    );
    assert!(!dashboard(false).contains('\u{1b}'));
}
