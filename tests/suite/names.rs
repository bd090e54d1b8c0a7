//! Law 5: names are not identities. Whatever is renamed, swapped, dropped or made again between grant and sweep, the
//! right thing is taken and nothing else.

use crate::support::people::{alice, bob};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_every_server_and_postgres_18, on_postgres};

on_every_server!(
    a_table_made_again_cannot_be_read,
    a_column_made_again_cannot_be_read,
    a_dropped_account_is_gone_and_no_error,
    a_replaced_table_is_not_granted_after_its_approval,
);

on_every_server_and_postgres_18!(
    a_renamed_column_is_taken_and_its_old_name_is_not,
    a_swapped_table_does_not_lead_to_the_wrong_one,
    a_renamed_account_loses_it,
);

fn returned(shop: &Shop<'_>, id: &str) {
    shop.jit(&alice(), &["return", id]).ok();
    shop.sweep();
}

fn rename_column(shop: &Shop<'_>, table: &str, from: &str, to: &str) {
    shop.dba(&format!(
        "ALTER TABLE {} RENAME COLUMN {from} TO {to}",
        shop.table(table)
    ));
}

/// `email` is renamed and another column takes its name. On Postgres the privilege follows the column; on MySQL and
/// MariaDB it stays with the name. Either way nothing can be read after the sweep.
fn a_renamed_column_is_taken_and_its_old_name_is_not(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    rename_column(&shop, "customers", "email", "old_email");
    shop.dba(&format!(
        "ALTER TABLE {} ADD COLUMN email varchar(80)",
        shop.table("customers")
    ));
    // A standing grant on what has the name now: it must survive.
    if server.kind() == Kind::Postgres {
        shop.dba(&format!(
            "GRANT SELECT (email) ON {} TO {}",
            shop.table("customers"),
            shop.account("jitbob")
        ));
    }
    returned(&shop, &id);
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "old_email"));
    assert!(!shop.reads("jitalice", "email"));
    if server.kind() == Kind::Postgres {
        assert!(
            shop.reads("jitbob", "email"),
            "bob's standing grant is not ours"
        );
    }
}

fn swap(shop: &Shop<'_>) {
    let (a, b) = (shop.table("customers"), shop.table("customers_new"));
    match shop.server.kind() {
        Kind::Postgres => {
            shop.dba("ALTER TABLE customers RENAME TO customers_old");
            shop.dba("ALTER TABLE customers_new RENAME TO customers");
        }
        Kind::Mysql | Kind::Mariadb => {
            shop.dba(&format!(
                "RENAME TABLE {a} TO {}, {b} TO {a}",
                shop.table("customers_old")
            ));
        }
    }
}

fn a_swapped_table_does_not_lead_to_the_wrong_one(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba(&format!(
        "CREATE TABLE {} (id int, email varchar(80))",
        shop.table("customers_new")
    ));
    swap(&shop);
    returned(&shop, &id);
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"), "what has the name now");
    let old = format!("SELECT email FROM {}", shop.table("customers_old"));
    assert!(!shop.selects("jitalice", &old), "what had the name then");
}

fn a_table_made_again_cannot_be_read(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba(&format!("DROP TABLE {}", shop.table("customers")));
    shop.dba(&format!(
        "CREATE TABLE {} (id int, email varchar(80))",
        shop.table("customers")
    ));
    returned(&shop, &id);
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    assert!(!shop.has_row("jitalice", "customers", "email"));
}

fn a_column_made_again_cannot_be_read(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba(&format!(
        "ALTER TABLE {} DROP COLUMN email",
        shop.table("customers")
    ));
    shop.dba(&format!(
        "ALTER TABLE {} ADD COLUMN email varchar(80)",
        shop.table("customers")
    ));
    returned(&shop, &id);
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
}

fn a_dropped_account_is_gone_and_no_error(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    match server.kind() {
        Kind::Postgres => {
            // DROP OWNED takes only what the owner gave: our rows must go as our grantor before the role can.
            shop.dba(&format!(
                "BEGIN; SET LOCAL ROLE jit_grantor_{}; REVOKE SELECT (email) ON customers FROM {}; COMMIT",
                shop.suffix,
                shop.login("jitalice")
            ));
            shop.dba(&format!("DROP OWNED BY {0}", shop.login("jitalice")));
            shop.dba(&format!("DROP ROLE {}", shop.login("jitalice")));
        }
        Kind::Mysql | Kind::Mariadb => {
            shop.dba(&format!("DROP USER {}", shop.account("jitalice")));
        }
    }
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    let gone = &shop.events("gone")[0];
    assert!(gone["why"].is_string(), "{gone:#}");
    shop.audit_is_sound();
}

fn a_renamed_account_loses_it(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let new = shop.login("renamed");
    match server.kind() {
        Kind::Postgres => {
            shop.dba(&format!(
                "ALTER ROLE {} RENAME TO {new}",
                shop.login("jitalice")
            ));
            shop.dba(&format!("ALTER ROLE {new} PASSWORD 'open sesame'"));
        }
        Kind::Mysql | Kind::Mariadb => {
            shop.dba(&format!(
                "RENAME USER {} TO '{new}'@'%'",
                shop.account("jitalice")
            ));
        }
    }
    assert!(shop.reads("renamed", "email"), "the account took it along");
    shop.jit(&alice(), &["return", &id]).ok();
    let swept = shop.sweep();
    let still = shop.reads("renamed", "email");
    // On MySQL and MariaDB an account has no identity but its name: where the row cannot be followed, jit must not
    // claim that it is revoked.
    assert!(
        !still || swept.code == 6,
        "{} can read, and the sweep ended with {swept}",
        shop.login("renamed")
    );
    if server.kind() == Kind::Postgres {
        assert!(!still);
    }
}

/// Approved for one table, and another has its name when the grant comes.
fn a_replaced_table_is_not_granted_after_its_approval(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.dba(&format!(
        "CREATE TABLE {} (id int, email varchar(80))",
        shop.table("customers_new")
    ));
    swap(&shop);
    shop.jit(&crate::support::people::dave(), &["approve", &id, "--yes"])
        .ok();
    shop.sweep();
    if server.kind() == Kind::Postgres {
        assert_eq!(shop.state(&id), "failed");
        assert!(!shop.reads("jitalice", "email"));
    }
    let _ = bob();
}

on_postgres!(a_column_of_a_renamed_table_and_schema_is_found);

fn a_column_of_a_renamed_table_and_schema_is_found(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba("ALTER TABLE public.customers RENAME TO \"Kunden \"\"alt\"\"\"");
    shop.dba("ALTER SCHEMA public RENAME TO \"Öffentlich.\"");
    shop.dba(&format!(
        "GRANT USAGE ON SCHEMA \"Öffentlich.\" TO {}",
        shop.account("jitalice")
    ));
    let sql = "SELECT email FROM \"Öffentlich.\".\"Kunden \"\"alt\"\"\"";
    assert!(shop.selects("jitalice", sql));
    returned(&shop, &id);
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.selects("jitalice", sql));
}
