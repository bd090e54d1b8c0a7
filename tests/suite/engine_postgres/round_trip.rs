//! Given and taken, and nobody else's is touched.

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    a_lease_lets_read_its_column_and_ends,
    what_our_grantor_gave_is_told_from_what_a_dba_gave,
    granting_twice_and_revoking_twice_are_no_errors,
    an_order_is_given_whole_or_not_at_all,
    usage_is_leased_along_and_ends,
    a_column_outside_the_setup_is_refused_by_the_server,
    another_databases_privilege_is_never_touched,
    what_no_lease_owns_is_found,
);

fn a_lease_lets_read_its_column_and_ends(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let read = "SELECT email FROM app.customers";
    assert_eq!(shop.reads(&alice, read), Err("42501".into()));

    let given = shop.given(&["email"]);
    assert_eq!(shop.reads(&alice, read), Ok(2));
    assert_eq!(
        shop.reads(&alice, "SELECT phone FROM app.customers"),
        Err("42501".into())
    );
    assert!(shop.standings(&given).iter().all(is_held));

    shop.taken(&given);
    assert_eq!(shop.reads(&alice, read), Err("42501".into()));
    assert!(matches!(
        shop.standings(&given)[..],
        [Standing::Absent { .. }]
    ));
    assert_eq!(shop.still_reads(&given), Vec::<String>::new());
}

fn what_our_grantor_gave_is_told_from_what_a_dba_gave(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let read = "SELECT email FROM app.customers";
    // Before the lease, and after it: neither is ours, and both stay.
    for before in [true, false] {
        let of = columns(&customers(), &["email"]);
        let privileges = shop.resolve(&alice, of);
        let own = format!("GRANT SELECT (email) ON app.customers TO {}", alice.user);
        if before {
            shop.as_owner(&own);
        }
        assert_eq!(errors(&shop.grant(&[order(&privileges)])), [""; 0]);
        if !before {
            shop.as_owner(&own);
        }
        let still = shop.still_reads(&privileges);
        assert_eq!(still, [format!("column grant by {}", shop.owner.user)]);
        shop.taken(&privileges);
        assert!(matches!(
            shop.standings(&privileges)[..],
            [Standing::Absent { .. }]
        ));
        assert_eq!(shop.reads(&alice, read), Ok(2), "the owner's grant stays");
        shop.as_owner(&format!(
            "REVOKE SELECT (email) ON app.customers FROM {}",
            alice.user
        ));
        assert_eq!(shop.reads(&alice, read), Err("42501".into()));
    }
}

fn granting_twice_and_revoking_twice_are_no_errors(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email", "phone"]);
    assert_eq!(errors(&shop.grant(&[order(&given)])), [""; 0]);
    shop.taken(&given);
    shop.taken(&given);
    assert_eq!(
        shop.attacl("app.customers", "email").matches("=r/").count(),
        0
    );
}

fn an_order_is_given_whole_or_not_at_all(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let bob = server.account("bob", &shop.database);
    let both = shop.resolve(&alice, columns(&customers(), &["email", "phone"]));
    let other = shop.resolve(&bob, columns(&customers(), &["email"]));
    shop.as_owner(&format!(
        "REVOKE SELECT (phone) ON app.customers FROM {}",
        shop.grantor
    ));
    let reports = shop.grant(&[order(&both), order(&other)]);
    assert!(reports[0].error.is_some(), "{reports:?}");
    assert!(reports[1].error.is_none(), "{reports:?}");
    let read = "SELECT email FROM app.customers";
    assert_eq!(shop.reads(&alice, read), Err("42501".into()));
    assert_eq!(shop.reads(&bob, read), Ok(2));
}

fn usage_is_leased_along_and_ends(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    shop.as_owner("REVOKE USAGE ON SCHEMA app FROM PUBLIC");
    let mut needs = shop.needs(usual_needs());
    needs.usage = vec!["app".into()];
    set_up(server, &shop.database, &shop.grantor.clone(), &needs);
    shop.as_owner(
        "CREATE TABLE app.open_to_all (a int); GRANT SELECT ON app.open_to_all TO PUBLIC",
    );

    let ask = shop.ask(&alice, columns(&customers(), &["email"]));
    let survey = shop.survey(&[ask]).remove(0);
    let [prerequisite] = &survey.prerequisites[..] else {
        panic!("{survey:?}");
    };
    assert_eq!(prerequisite.what, "USAGE on schema app");
    assert!(prerequisite.opens[0].contains("open_to_all"), "{survey:?}");
    let usage = prerequisite.lease.clone().expect("it may be leased");

    let mut all = survey.privileges.clone();
    all.push(usage.clone());
    assert_eq!(errors(&shop.grant(&[order(&all)])), [""; 0]);
    let read = "SELECT email FROM app.customers";
    assert_eq!(shop.reads(&alice, read), Ok(2));
    assert!(shop.standings(&all).iter().all(is_held));
    assert_eq!(shop.strays(&survey.privileges), [usage]);

    // What one lease opens is not there for the next: it ends with the first.
    let ask = shop.ask(&alice, columns(&customers(), &["phone"]));
    assert_eq!(shop.survey(&[ask])[0].prerequisites.len(), 1);

    shop.taken(&all);
    assert_eq!(shop.reads(&alice, read), Err("42501".into()));
    assert!(
        shop.standings(&all)
            .iter()
            .all(|standing| matches!(standing, Standing::Absent { .. }))
    );
}

fn a_column_outside_the_setup_is_refused_by_the_server(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let ask = shop.ask(&alice, columns(&customers(), &["secret"]));
    let survey = shop.survey(&[ask]).remove(0);
    assert!(format!("{:?}", survey.problems).contains("NotOurs"));
    let reports = shop.grant(&[order(&survey.privileges)]);
    assert!(
        matches!(error(&reports[0]), EngineError::Refused { code, .. } if code == "42501"),
        "{reports:?}"
    );
    assert_eq!(
        shop.reads(&alice, "SELECT secret FROM app.customers"),
        Err("42501".into())
    );
}

fn another_databases_privilege_is_never_touched(server: &Server) {
    let mut shop = Shop::open(server);
    let mut given = shop.given(&["email"]);
    if let jit::access::Identity::PostgresColumn { database, .. } = &mut given[0].identity {
        *database += 1;
    }
    let result = shop
        .runtime
        .block_on(shop.engine.privileges(&given, &HashSet::default()));
    assert!(matches!(result, Err(EngineError::Changed { .. })));
    let reports = shop.revoke(&given);
    assert!(matches!(error(&reports[0]), EngineError::Changed { .. }));
    let alice = shop.alice.clone();
    assert_eq!(shop.reads(&alice, "SELECT email FROM app.customers"), Ok(2));
}

fn what_no_lease_owns_is_found(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email", "phone"]);
    assert_eq!(shop.strays(&given), []);
    assert_eq!(shop.strays(&given[1..]), given[..1]);
    // Somebody acts as our grantor by hand.
    shop.run(&format!(
        "SET ROLE {}; GRANT SELECT (phone) ON app.customers TO PUBLIC",
        shop.grantor
    ));
    let strays = shop.strays(&given);
    assert_eq!(strays.len(), 1);
    assert_eq!(strays[0].named.grantee.as_str(), "PUBLIC");
    shop.taken(&strays);
    assert_eq!(shop.strays(&given), []);
    shop.taken(&given);
    assert_eq!(shop.strays(&[]), []);
}
