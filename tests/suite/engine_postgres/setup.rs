//! Setting a target up, and taking all of it away again.

use jit::engines::SetupGroup;

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    setup_then_check_is_all_ok_and_setup_has_nothing_left_to_say,
    undo_leaves_nothing,
    undo_takes_live_rows_with_it,
    a_role_with_something_elsewhere_stays_and_is_told,
    setup_after_a_change_of_policies_prints_the_difference,
    each_owner_can_run_its_own_part,
    a_claimed_target_is_no_other_ledgers,
    a_target_without_a_mark_is_claimed_by_who_may,
    without_a_grantor_it_is_not_set_up,
    names_that_the_server_would_cut_are_refused,
);

fn root(shop: &Shop) -> Box<dyn Engine> {
    let login = shop.server.superuser_login().at(&shop.database);
    connect(&shop.runtime, &address(shop.server, &login, &shop.grantor))
}

fn print(shop: &Shop, needs: &Needs, undo: bool) -> Vec<SetupGroup> {
    let mut root = root(shop);
    shop.runtime
        .block_on(root.setup(needs, undo))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn run(shop: &Shop, groups: &[SetupGroup]) {
    let mut root = root(shop);
    for group in groups {
        shop.runtime
            .block_on(root.run(&group.statements))
            .unwrap_or_else(|error| panic!("{}: {error}", group.by));
    }
}

fn setup_then_check_is_all_ok_and_setup_has_nothing_left_to_say(server: &Server) {
    let mut shop = Shop::open(server);
    let needs = shop.needs(usual_needs());
    let findings = shop
        .runtime
        .block_on(shop.engine.check(&needs))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(findings.iter().all(|finding| finding.ok), "{findings:#?}");
    assert_eq!(print(&shop, &needs, false), []);
    // Our own login can say what is missing, too.
    let said = shop.runtime.block_on(shop.engine.setup(&needs, false));
    assert_eq!(said.unwrap_or_else(|error| panic!("{error}")), []);
}

/// Every trace in the catalogs of roles named like these.
fn traces(shop: &Shop) -> Vec<String> {
    let rows = shop.run(&format!(
        "SELECT rolname FROM pg_roles WHERE rolname IN ('{0}', '{1}')
         UNION ALL SELECT attrelid::regclass || '.' || attname || attacl::text FROM pg_attribute
         WHERE attacl::text LIKE '%{0}%' OR attacl::text LIKE '%{1}%'
         UNION ALL SELECT nspname || nspacl::text FROM pg_namespace WHERE nspacl::text LIKE '%{0}%'
         UNION ALL SELECT datname || datacl::text FROM pg_database
         WHERE datacl::text LIKE '%{0}%' OR datacl::text LIKE '%{1}%'
         UNION ALL SELECT description FROM pg_shdescription WHERE description LIKE '%{2}%'",
        shop.grantor, shop.jit.user, shop.ledger
    ));
    rows.into_iter().flatten().flatten().collect()
}

fn undo_leaves_nothing(server: &Server) {
    let shop = Shop::open(server);
    let mut needs = shop.needs(usual_needs());
    needs.usage = vec!["app".into()];
    shop.run(&format!(
        "REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
        shop.database
    ));
    run(&shop, &print(&shop, &needs, false));
    assert_ne!(traces(&shop), [""; 0]);
    let undo = print(&shop, &needs, true);
    run(&shop, &undo);
    assert_eq!(traces(&shop), [""; 0], "{undo:#?}");
    assert_eq!(print(&shop, &needs, true), []);
}

fn undo_takes_live_rows_with_it(server: &Server) {
    let mut shop = Shop::open(server);
    let needs = shop.needs(usual_needs());
    shop.given(&["email"]);
    // Somebody handed the grantor a column on behalf of a role that is not the owner.
    let helper = server.account("helper", &shop.database);
    shop.run(&format!(
        "GRANT SELECT (secret) ON app.customers TO {0} WITH GRANT OPTION; SET ROLE {0};
         GRANT SELECT (secret) ON app.customers TO {1} WITH GRANT OPTION",
        helper.user, shop.grantor
    ));
    run(&shop, &print(&shop, &needs, true));
    assert_eq!(traces(&shop), [""; 0]);
    let alice = shop.alice.clone();
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app.customers"),
        Err("42501".into())
    );
}

fn a_role_with_something_elsewhere_stays_and_is_told(server: &Server) {
    let shop = Shop::open(server);
    let needs = shop.needs(usual_needs());
    let other = server.database("elsewhere");
    server.run(
        &other,
        &format!(
            "CREATE TABLE t (a int); GRANT SELECT (a) ON t TO {0} WITH GRANT OPTION; CREATE TABLE mine (a int);
             ALTER TABLE mine OWNER TO {1}",
            shop.grantor, shop.jit.user
        ),
    );
    let undo = print(&shop, &needs, true);
    run(&shop, &undo);
    let last = undo.last().expect("a last word");
    assert!(last.by.contains(&other), "{undo:#?}");
    assert!(
        last.by.contains(&format!("{} stays", shop.grantor)),
        "{undo:#?}"
    );
    assert!(
        last.by.contains(&format!("{} stays", shop.jit.user)),
        "{undo:#?}"
    );
    server.run(&other, "SELECT a FROM mine");
    // What stays can do nothing any more: the one is no member of the other.
    let members = shop.run(&format!(
        "SELECT 1 FROM pg_auth_members WHERE roleid = '{}'::regrole AND member = '{}'::regrole",
        shop.grantor, shop.jit.user
    ));
    assert_eq!(members.len(), 0);
}

fn setup_after_a_change_of_policies_prints_the_difference(server: &Server) {
    let mut shop = Shop::open(server);
    let needs = shop.needs(vec![(customers(), vec![column("email"), column("secret")])]);
    let groups = print(&shop, &needs, false);
    let all: Vec<&str> = groups
        .iter()
        .flat_map(|group| &group.statements)
        .map(String::as_str)
        .collect();
    let grantor = &shop.grantor;
    assert_eq!(
        all,
        [
            format!(
                r#"GRANT SELECT ("secret") ON "app"."customers" TO "{grantor}" WITH GRANT OPTION"#
            ),
            format!(r#"REVOKE SELECT ("phone") ON "app"."customers" FROM "{grantor}""#),
        ]
    );
    run(&shop, &groups);
    assert_eq!(print(&shop, &needs, false), []);
    shop.given(&["secret"]);
    // What a lease hangs on cannot be taken from the grantor in passing.
    let groups = print(&shop, &shop.needs(usual_needs()), false);
    let mut root = root(&shop);
    let refused = groups
        .iter()
        .map(|group| shop.runtime.block_on(root.run(&group.statements)))
        .find_map(Result::err);
    assert!(
        matches!(&refused, Some(EngineError::Refused { code, .. }) if code == "2BP01"),
        "{refused:?}"
    );
}

fn each_owner_can_run_its_own_part(server: &Server) {
    let mut shop = Shop::open(server);
    let other = server.account("other", &shop.database);
    shop.run(&format!(
        "CREATE SCHEMA other AUTHORIZATION {0}; SET ROLE {0}; CREATE TABLE other.t (a int)",
        other.user
    ));
    let table = TableName::new("other", "t");
    let needs = shop.needs([usual_needs(), vec![(table.clone(), vec![column("a")])]].concat());
    let groups = print(&shop, &needs, false);
    assert!(
        groups.iter().all(|group| group.by.starts_with(&other.user)),
        "{groups:#?}"
    );
    for group in groups {
        for statement in group.statements {
            server
                .login_and_select(&other, &statement)
                .unwrap_or_else(|refused| panic!("{statement}\n{refused}"));
        }
    }
    shop.run("GRANT USAGE ON SCHEMA other TO PUBLIC");
    let alice = shop.alice.clone();
    shop.given_to(&alice, columns(&table, &["a"]));
}

fn a_claimed_target_is_no_other_ledgers(server: &Server) {
    let mut shop = Shop::open(server);
    let ours = shop.ledger.clone();
    let other = LedgerId("f".repeat(32));
    for _ in 0..2 {
        shop.runtime
            .block_on(shop.engine.claim(&ours))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let refused = shop.runtime.block_on(shop.engine.claim(&other));
    assert!(
        matches!(&refused, Err(EngineError::OtherLedger { theirs, .. }) if *theirs == ours.0),
        "{refused:?}"
    );
    let mut needs = shop.needs(usual_needs());
    needs.ledger = Some(other);
    let refused = shop.runtime.block_on(shop.engine.setup(&needs, false));
    assert!(matches!(refused, Err(EngineError::OtherLedger { .. })));
}

fn a_target_without_a_mark_is_claimed_by_who_may(server: &Server) {
    let mut shop = Shop::open(server);
    let ours = shop.ledger.clone();
    for comment in ["NULL", "'the DBA was here'"] {
        shop.run(&format!("COMMENT ON ROLE {} IS {comment}", shop.grantor));
        let refused = shop.runtime.block_on(shop.engine.claim(&ours));
        match refused {
            Err(EngineError::NotSetUp { why, .. }) => {
                assert!(why.contains("COMMENT ON ROLE"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    shop.run(&format!("COMMENT ON ROLE {} IS NULL", shop.grantor));
    let mut root = root(&shop);
    shop.runtime
        .block_on(root.claim(&ours))
        .unwrap_or_else(|error| panic!("{error}"));
    shop.runtime
        .block_on(shop.engine.claim(&ours))
        .unwrap_or_else(|error| panic!("{error}"));
}

fn without_a_grantor_it_is_not_set_up(server: &Server) {
    let database = server.database("bare");
    let login = server.account("jit_bare", &database);
    let runtime = runtime();
    let mut engine = connect(&runtime, &address(server, &login, "jit_nobody"));
    let ask = Ask {
        grantee: Grantee(login.user.clone().into()),
        tables: vec![columns(&customers(), &["email"])],
        along: Vec::new(),
        ours: HashSet::default().into(),
    };
    let survey = runtime.block_on(engine.survey(&[ask]));
    assert!(matches!(survey, Err(EngineError::NotSetUp { .. })));
    let claim = runtime.block_on(engine.claim(&LedgerId("0".repeat(32))));
    assert!(matches!(claim, Err(EngineError::NotSetUp { .. })));
    let strays = runtime.block_on(engine.strays(&HashSet::default(), &[]));
    assert_eq!(strays.unwrap_or_else(|error| panic!("{error}")), []);
}

fn names_that_the_server_would_cut_are_refused(server: &Server) {
    let shop = Shop::open(server);
    let mut needs = shop.needs(usual_needs());
    needs.login = Grantee("é".repeat(32).into());
    let mut root = root(&shop);
    let refused = shop.runtime.block_on(root.setup(&needs, false));
    assert!(
        matches!(&refused, Err(EngineError::NotSetUp { why, .. }) if why.contains("63")),
        "{refused:?}"
    );
}
