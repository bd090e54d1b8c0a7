//! Leases of one table share a document in the ledger; each must come out as it went in.

use jit::access::{
    ColumnName, Identity, Lease, LeaseId, LeaseState, Named, Privilege, State, TableName,
    privilege::Thing,
};
use jit::stores::{Change, Effect, FindLeases, Ledger, StoreError};

use super::fixture::*;

/// A lease of request 1 at this position, with another privilege than the fixture's.
fn with(position: u32, identity: Identity, named: Named) -> Lease {
    let mut lease = lease(1, position, 1, 100);
    lease.privilege = Privilege {
        identity,
        named,
        stamp: None,
    };
    lease
}

fn postgres(relation: u32, attnum: i16) -> Identity {
    Identity::PostgresColumn {
        database: 5,
        relation,
        attnum,
        role: 7,
        grantor: 8,
    }
}

fn mysql(table: &str, column: &str, host: &str) -> Identity {
    Identity::MysqlColumn {
        database: "shop".into(),
        table: table.into(),
        column: column.into(),
        user: "ann".into(),
        host: host.into(),
    }
}

fn column(grantee: &str, table: &str, column: &str) -> Named {
    Named {
        grantee: grantee.into(),
        thing: Thing::Column {
            table: TableName::new("shop", table),
            column: ColumnName(column.into()),
        },
    }
}

/// All that may differ between two leases of one request, and much that may not be taken for the same.
fn various() -> Vec<Lease> {
    let schema = |namespace, name: &str| {
        let identity = Identity::PostgresSchema {
            database: 5,
            namespace,
            role: 7,
            grantor: 8,
        };
        let thing = Thing::Schema(name.into());
        let grantee = "ann".into();
        (identity, Named { grantee, thing })
    };
    let privileges = [
        (postgres(1, 1), column("ann", "t", "a")),
        (postgres(1, 2), column("ann", "t", "b")),
        (postgres(1, -3), column("ann", "t", "B\u{0}\"'")),
        // Two columns whose names were swapped after the first was read.
        (postgres(1, 4), column("ann", "t", "a")),
        // Another name of the same table, of the same account; another table of the same name.
        (postgres(1, 5), column("ann", "u", "a")),
        (postgres(1, 6), column("ANN", "u", "a")),
        (postgres(2, 6), column("ANN", "u", "a")),
        schema(1, "s"),
        schema(1, "t"),
        schema(2, "t"),
        (mysql("t", "a", "%"), column("ann@%", "t", "a")),
        (mysql("t", "b", "%"), column("ann@%", "t", "b")),
        (mysql("t", "Ünï", "%"), column("ann@%", "t", "Ünï")),
        // Spelled otherwise than the server has it.
        (mysql("t", "C", "%"), column("ann@%", "t", "c")),
        (mysql("t", "d", "%"), column("ann@%", "t", "d")),
        (mysql("t", "d", "Host"), column("ann@Host", "t", "d")),
        (mysql("t", "e", "host"), column("ann@host", "t", "e")),
        (mysql("T", "e", "host"), column("ann@host", "T", "e")),
    ];
    let mut leases: Vec<Lease> = Vec::new();
    for (identity, named) in privileges {
        leases.push(with(position(&leases), identity, named));
    }
    let mut elsewhere = leases[17].clone();
    elsewhere.server.address = "db2".into();
    let mut of_another = elsewhere.clone();
    of_another.grantee = "bob".into();
    let mut sooner = of_another.clone();
    sooner.expires_at = now(50).at;
    sooner.boot_end.millis = 7;
    let mut stamped = sooner.clone();
    stamped.privilege.stamp = Some("s".into());
    let mut rebooted = stamped.clone();
    rebooted.boot_end.boot = "later".into();
    for mut lease in [elsewhere, of_another, sooner, stamped, rebooted] {
        lease.id.position = position(&leases);
        leases.push(lease);
    }
    leases
}

fn position(leases: &[Lease]) -> u32 {
    u32::try_from(leases.len()).unwrap()
}

fn effects(effects: Vec<Effect>) -> Change {
    Change {
        effects,
        events: vec![],
    }
}

fn news(leases: &[Lease]) -> Change {
    let new = |lease: &Lease| Effect::NewLease(Box::new(lease.clone()));
    effects(leases.iter().map(new).collect())
}

fn documents(place: &Place) -> i64 {
    let ledger = rusqlite::Connection::open(place.places().ledger).unwrap();
    let count = "SELECT count(*) FROM lease_docs";
    ledger.query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn every_lease_is_read_as_it_was_written_whatever_shares_its_document() {
    let leases = various();
    // Beside every other one, in either order, and beside itself.
    for step in 1..leases.len() {
        let place = Place::new();
        let ledger = place.alone();
        ledger
            .commit(&now(0), new_request(1, State::Approved))
            .unwrap();
        let mut written: Vec<Lease> = (0..leases.len())
            .flat_map(|n| [n, (n + step) % leases.len(), n])
            .map(|n| leases[n].clone())
            .collect();
        for (position, lease) in written.iter_mut().enumerate() {
            lease.id.position = u32::try_from(position).unwrap();
        }
        ledger.commit(&now(0), news(&written)).unwrap();
        assert_eq!(ledger.leases(&FindLeases::Of(id(1))).unwrap(), written);
        assert!(
            documents(&place) < i64::from(position(&written)),
            "some are shared"
        );
    }
}

#[test]
fn the_columns_of_a_table_share_one_document() {
    for (first, other) in [
        (postgres(1, 1), postgres(1, 2)),
        (mysql("t", "a", "%"), mysql("t", "b", "%")),
    ] {
        let place = Place::new();
        let ledger = place.alone();
        ledger
            .commit(&now(0), new_request(1, State::Approved))
            .unwrap();
        let leases: Vec<Lease> = (0..20)
            .map(|position| match position {
                0 => with(0, first.clone(), column("ann", "t", "a")),
                _ => with(position, other.clone(), column("ann", "t", "b")),
            })
            .collect();
        ledger.commit(&now(0), news(&leases)).unwrap();
        assert_eq!(documents(&place), 1);
        assert_eq!(ledger.leases(&FindLeases::Of(id(1))).unwrap(), leases);
    }
}

#[test]
fn a_lease_that_is_renamed_or_stamped_leaves_those_beside_it_as_they_are() {
    let place = Place::new();
    let ledger = place.alone();
    ledger
        .commit(&now(0), new_request(1, State::Approved))
        .unwrap();
    let mut leases = various();
    ledger.commit(&now(0), news(&leases)).unwrap();
    let read = || ledger.leases(&FindLeases::Of(id(1))).unwrap();
    for place in 0..leases.len() {
        let lease = &mut leases[place];
        lease.privilege.named.grantee = format!("renamed{place}").into();
        if let Thing::Column { column, .. } = &mut lease.privilege.named.thing {
            *column = ColumnName(format!("c{place}").into());
        }
        lease.privilege.stamp = (place % 2 == 0).then(|| format!("stamp {place}").into());
        lease.state = LeaseState::Held;
        let save = Effect::SaveLease(Box::new(lease.clone()));
        ledger.commit(&now(1), effects(vec![save])).unwrap();
        assert_eq!(read(), leases);

        let lease = &mut leases[place];
        lease.privilege.stamp = (place % 3 == 0).then(|| format!("other {place}").into());
        lease.state = LeaseState::Disputed { why: "so".into() };
        let (id, state) = (lease.id.clone(), lease.state.clone());
        let stamp = lease.privilege.stamp.clone();
        let stamp = Effect::StampLease { id, state, stamp };
        ledger.commit(&now(2), effects(vec![stamp])).unwrap();
        assert_eq!(read(), leases);
    }
    // What shares no row with them is no lease of theirs.
    let id = LeaseId {
        request: id(1),
        position: position(&leases),
    };
    let nobody = Effect::StampLease {
        id,
        state: LeaseState::Held,
        stamp: None,
    };
    assert!(ledger.commit(&now(3), effects(vec![nobody])).is_err());
    assert_eq!(read(), leases);
}

/// Twenty leases of request 1 in a ledger, and what is read of them.
fn twenty(ledger: &dyn Ledger) -> Vec<Lease> {
    ledger
        .commit(&now(0), new_request(1, State::Approved))
        .unwrap();
    let leases: Vec<Lease> = (0..20)
        .map(|position| with(position, postgres(1, 1), column("ann", "t", "a")))
        .collect();
    ledger.commit(&now(0), news(&leases)).unwrap();
    leases
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    /// Moves of neighbours are one statement: each lease must get its own, and no other one any.
    #[test]
    fn leases_move_as_they_are_told_however_many_at_once(
        steps in proptest::collection::vec(proptest::collection::vec((0_usize..20, 0_usize..5), 0..40), 1..6)
    ) {
        let place = Place::new();
        let ledger = place.alone();
        let mut leases = twenty(&ledger);
        for step in steps {
            let mut told = Vec::new();
            for (position, to) in step {
                let lease = &mut leases[position];
                if !lease.state.is_live() {
                    continue;
                }
                let ended_at = now(2).at;
                let state = match to {
                    0 | 1 => LeaseState::Held,
                    2 => LeaseState::Disputed { why: "so".into() },
                    3 => LeaseState::Revoked { ended_at },
                    _ => LeaseState::Gone { ended_at, why: "so".into() },
                };
                lease.state = state.clone();
                let id = lease.id.clone();
                told.push(match to {
                    1 | 3 => {
                        let stamp = (position % 7 != 0).then(|| format!("{}", position / 4).into());
                        lease.privilege.stamp = stamp.clone();
                        Effect::StampLease { id, state, stamp }
                    }
                    _ => Effect::MoveLease { id, state },
                });
            }
            ledger.commit(&now(1), effects(told)).unwrap();
            proptest::prop_assert_eq!(&ledger.leases(&FindLeases::Of(id(1))).unwrap(), &leases);
        }
    }
}

#[test]
fn one_that_has_ended_meanwhile_keeps_all_beside_it_from_moving() {
    let place = Place::new();
    let ledger = place.alone();
    let mut leases = twenty(&ledger);
    let ended_at = now(1).at;
    let revoked = LeaseState::Revoked { ended_at };
    let to = |lease: &Lease, state: &LeaseState| Effect::MoveLease {
        id: lease.id.clone(),
        state: state.clone(),
    };
    leases[7].state = revoked.clone();
    let first = effects(vec![to(&leases[7], &revoked)]);
    ledger.commit(&now(1), first).unwrap();
    for state in [&LeaseState::Held, &revoked] {
        for range in [0..20, 7..8, 0..8, 7..20] {
            let all = leases[range].iter().map(|lease| to(lease, state));
            let all = ledger.commit(&now(2), effects(all.collect()));
            assert!(matches!(all, Err(StoreError::Conflict(_))), "{all:?}");
            assert_eq!(ledger.leases(&FindLeases::Of(id(1))).unwrap(), leases);
        }
    }
}

#[test]
fn a_key_of_another_kind_beside_a_document_is_an_error_and_no_guess() {
    let place = Place::new();
    let ledger = place.alone();
    ledger
        .commit(&now(0), new_request(1, State::Approved))
        .unwrap();
    let leases = [
        with(0, postgres(1, 1), column("ann", "t", "a")),
        with(1, postgres(1, 2), column("ann", "t", "b")),
    ];
    ledger.commit(&now(0), news(&leases)).unwrap();
    let raw = rusqlite::Connection::open(place.places().ledger).unwrap();
    raw.execute_batch("DROP TRIGGER leases_stay_themselves")
        .unwrap();
    raw.execute(
        "UPDATE leases SET key = 'pgs:5/1>7<8' WHERE position = 1",
        [],
    )
    .unwrap();
    let error = ledger.leases(&FindLeases::Of(id(1))).unwrap_err();
    assert!(
        error.to_string().contains("#1 and its document differ"),
        "{error}"
    );
}
