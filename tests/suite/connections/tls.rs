//! Whom we talk to, and that nobody listens.

use super::*;
use crate::support::certificates::{By, Certificates};
use crate::support::{on_every_server, on_mysql};

on_every_server!(
    the_right_authority_is_taken_and_no_other,
    a_wrong_host_is_refused_with_the_hosts_it_is_for,
    a_certificate_out_of_date_is_refused_with_its_dates,
    a_self_signed_certificate_can_be_pinned,
    a_revoked_certificate_is_refused,
    a_server_without_tls_is_refused_where_tls_is_asked_for,
    a_client_certificate_lets_in_and_a_wrong_one_does_not,
    doctor_says_what_is_in_force_and_when_it_ends,
);

on_mysql!(mysqls_own_certificates_are_verified_by_verify_ca);

const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

/// Login and certificates of a server that shows `good`, for loopback.
fn usual(kind: Kind) -> (Certificates, Server, Login) {
    let certificates = Certificates::new();
    certificates.signed("good", &LOOPBACK);
    let server = certificates.server(kind, "good", &[]);
    let login = account(&server, "jit");
    (certificates, server, login)
}

fn roots(certificates: &Certificates, name: &str) -> String {
    format!("&sslrootcert={}", certificates.path(name).display())
}

const VERIFYING: [&str; 2] = ["sslmode=verify-ca", "sslmode=verify-full"];

fn the_right_authority_is_taken_and_no_other(server: &Server) {
    let (certificates, server, login) = usual(server.kind());
    for mode in ["sslmode=disable", "sslmode=prefer", "sslmode=require", ""] {
        enter(&server, &login, mode).expect("nobody looks at the certificate");
    }
    for mode in VERIFYING {
        let with = |name: &str| {
            enter(
                &server,
                &login,
                &(mode.to_owned() + &roots(&certificates, name)),
            )
        };
        with("ca.crt").expect("the right authority");
        untrusted(
            with("other-ca.crt"),
            &["CN=good", "issued by CN=ca", "other-ca.crt", "sslrootcert="],
        );
        untrusted(
            enter(&server, &login, mode),
            &["the system's roots", "CN=ca"],
        );
        untrusted(with("none.crt"), &["sslrootcert", "none.crt"]);
        untrusted(with("good.key"), &["holds no certificate"]);
    }
    // A root without a mode asks for the strictest one.
    let alone = roots(&certificates, "other-ca.crt");
    untrusted(enter(&server, &login, &alone[1..]), &["other-ca.crt"]);
    if server.kind() != Kind::Postgres {
        let words = |name: &str| {
            let ca = certificates.path(name);
            format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={}", ca.display())
        };
        enter(&server, &login, &words("ca.crt")).expect("in MySQL's own words");
        untrusted(enter(&server, &login, &words("other-ca.crt")), &["CN=ca"]);
    }
}

fn a_wrong_host_is_refused_with_the_hosts_it_is_for(server: &Server) {
    let certificates = Certificates::new();
    certificates.signed("stranger", &["db.example.org", "10.0.0.7"]);
    certificates.signed("nameless", &[]);
    certificates.signed("named", &["localhost"]);
    let server = certificates.server(server.kind(), "stranger", &[]);
    let login = account(&server, "jit");
    let ca = roots(&certificates, "ca.crt");
    let full = format!("sslmode=verify-full{ca}");
    let any = format!("sslmode=verify-ca{ca}");
    untrusted(
        enter(&server, &login, &full),
        &[
            "db.example.org, 10.0.0.7",
            "not for 127.0.0.1",
            "sslmode=verify-ca",
        ],
    );
    enter(&server, &login, &any).expect("whatever its name");
    certificates.show(&server, "nameless");
    untrusted(enter(&server, &login, &full), &["no subjectAltName"]);
    enter(&server, &login, &any).expect("whatever its name");
    certificates.show(&server, "named");
    untrusted(
        enter(&server, &login, &full),
        &["localhost", "not for 127.0.0.1"],
    );
    enter_at(&server, &login, "localhost", &full).expect("by its name");
}

fn a_certificate_out_of_date_is_refused_with_its_dates(server: &Server) {
    let certificates = Certificates::new();
    certificates.make("expired", &LOOPBACK, By::Ca, (-30, -2));
    certificates.make("early", &LOOPBACK, By::Ca, (2, 30));
    let server = certificates.server(server.kind(), "expired", &[]);
    let login = account(&server, "jit");
    let day = |days| {
        let day = chrono::Utc::now() + chrono::TimeDelta::days(days);
        day.format("%Y-%m-%d").to_string()
    };
    for (shown, words) in [
        (
            "expired",
            [format!("expired on {}", day(-2)), "renew".to_owned()],
        ),
        (
            "early",
            [format!("only from {}", day(2)), "clocks".to_owned()],
        ),
    ] {
        certificates.show(&server, shown);
        enter(&server, &login, "sslmode=require").expect("nobody looks at it");
        let words = [words[0].as_str(), words[1].as_str(), "CN="];
        for mode in VERIFYING {
            // Pinned, it is out of date all the same.
            for root in ["ca.crt".to_owned(), format!("{shown}.crt")] {
                let query = mode.to_owned() + &roots(&certificates, &root);
                untrusted(enter(&server, &login, &query), &words);
            }
        }
    }
}

fn a_self_signed_certificate_can_be_pinned(server: &Server) {
    let certificates = Certificates::new();
    for name in ["own", "another"] {
        certificates.make(name, &["127.0.0.1"], By::Itself, (-5, 30));
    }
    let server = certificates.server(server.kind(), "own", &[]);
    let login = account(&server, "jit");
    for mode in VERIFYING {
        let with = |name: &str| {
            enter(
                &server,
                &login,
                &(mode.to_owned() + &roots(&certificates, name)),
            )
        };
        with("own.crt").expect("pinned");
        untrusted(
            with("another.crt"),
            &["signed by itself", "copy it", "sslrootcert="],
        );
        untrusted(with("ca.crt"), &["signed by itself"]);
    }
    let full = format!("sslmode=verify-full{}", roots(&certificates, "own.crt"));
    untrusted(
        enter_at(&server, &login, "localhost", &full),
        &["not for localhost"],
    );
}

fn a_revoked_certificate_is_refused(server: &Server) {
    let (certificates, server, login) = usual(server.kind());
    certificates.revoked("none", &["somebody-else"]);
    certificates.revoked("good", &["good"]);
    for mode in VERIFYING {
        let with = |name: &str| {
            let list = certificates.path(&format!("{name}.crl"));
            let ca = roots(&certificates, "ca.crt");
            enter(
                &server,
                &login,
                &format!("{mode}{ca}&sslcrl={}", list.display()),
            )
        };
        with("none").expect("it was not called back");
        untrusted(with("good"), &["CN=good", "revoked", "sslcrl"]);
        untrusted(with("missing"), &["cannot read", "missing.crl"]);
    }
}

fn a_server_without_tls_is_refused_where_tls_is_asked_for(server: &Server) {
    let without = server.another(match server.kind() {
        Kind::Postgres => &[],
        // Since 11.4 it makes a certificate of its own where it is given none.
        Kind::Mariadb => &["--skip-ssl"],
        Kind::Mysql => &["--tls-version="],
    });
    let login = account(&without, "jit");
    for mode in ["sslmode=disable", "sslmode=prefer", ""] {
        enter(&without, &login, mode).unwrap_or_else(|error| panic!("{mode}: {error}"));
    }
    for mode in [
        "sslmode=require",
        "sslmode=verify-ca",
        "sslmode=verify-full",
    ] {
        untrusted(
            enter(&without, &login, mode),
            &["no TLS", mode, "sslmode=disable"],
        );
    }
}

fn a_client_certificate_lets_in_and_a_wrong_one_does_not(server: &Server) {
    let certificates = Certificates::new();
    certificates.signed("good", &LOOPBACK);
    certificates.signed("carol", &[]);
    certificates.make("stranger", &[], By::OtherCa, (-30, 30));
    certificates.make("late", &[], By::Ca, (-30, -2));
    let rules = certificates.path("hba");
    std::fs::write(
        &rules,
        "local all all scram-sha-256\nhostssl all carol 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 scram-sha-256\n",
    )
    .expect("own folder");
    let hba = format!("hba_file={}", rules.display());
    let more = match server.kind() {
        Kind::Postgres => vec![hba.as_str()],
        Kind::Mysql | Kind::Mariadb => Vec::new(),
    };
    let server = certificates.server(server.kind(), "good", &more);
    let login = match server.kind() {
        Kind::Postgres => {
            server.run("postgres", "CREATE ROLE carol LOGIN");
            Login::new("carol", "", "postgres")
        }
        Kind::Mysql | Kind::Mariadb => {
            let login = account(&server, "carol");
            server.run("", &format!("ALTER USER '{}'@'%' REQUIRE X509", login.user));
            login
        }
    };
    let verified = format!("sslmode=verify-full{}", roots(&certificates, "ca.crt"));
    denied(enter(&server, &login, &verified), &["sslcert=", "sslkey="]);
    let with = |name: &str, key: &str| {
        let (crt, key) = (
            certificates.path(&format!("{name}.crt")),
            certificates.path(&format!("{key}.key")),
        );
        let query = format!(
            "{verified}&sslcert={}&sslkey={}",
            crt.display(),
            key.display()
        );
        enter(&server, &login, &query)
    };
    with("carol", "carol").expect("with the right one");
    untrusted(
        with("stranger", "stranger"),
        &[
            "refuses our certificate",
            "CN=stranger of CN=other-ca",
            "sslcert=",
        ],
    );
    untrusted(
        with("late", "late"),
        &["refuses our certificate", "it expired on"],
    );
    untrusted(
        with("carol", "late"),
        &["cannot be used together", "late.key"],
    );
    untrusted(
        with("missing", "carol"),
        &["cannot read sslcert", "missing.crt"],
    );
    use std::os::unix::fs::PermissionsExt as _;
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(certificates.path("carol.key"), readable).expect("own file");
    untrusted(with("carol", "carol"), &["read by everybody", "chmod 600"]);
}

fn doctor_says_what_is_in_force_and_when_it_ends(server: &Server) {
    let (certificates, server, _) = usual(server.kind());
    certificates.make("ending", &LOOPBACK, By::Ca, (-300, 6));
    let root = server.superuser_login();
    let ca = roots(&certificates, "ca.crt");
    let of = |host: &str, query: &str| findings(&address(&server, &root, host, query));
    let says = |findings: &[Finding], ok: bool, words: &[&str]| {
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].ok, ok, "{findings:?}");
        for word in words {
            assert!(findings[0].saw.contains(word), "{word:?}: {findings:?}");
        }
    };
    let full = format!("sslmode=verify-full{ca}");
    says(
        &of("127.0.0.1", &full),
        true,
        &[
            "TLSv1.3",
            "sslmode verify-full",
            "CN=good until 20",
            "is verified",
        ],
    );
    says(
        &of("localhost", &format!("sslmode=verify-ca{ca}")),
        true,
        &["is verified, whatever host"],
    );
    says(
        &of("127.0.0.1", ""),
        true,
        &["TLSv1.3", "sslmode prefer", "not verified"],
    );
    says(
        &of("127.0.0.1", "sslmode=disable"),
        true,
        &["none is needed"],
    );
    certificates.show(&server, "ending");
    let found = of("127.0.0.1", &full);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ok && !found[1].ok, "{found:?}");
    let saw = &found[1].saw;
    assert!(
        saw.contains("the server's certificate CN=ending ends on"),
        "{saw}"
    );
    assert!(
        saw.contains("(in 5 days)") || saw.contains("(in 6 days)"),
        "{saw}"
    );
}

/// They name no host, so `verify-full` refuses them, with the way out.
fn mysqls_own_certificates_are_verified_by_verify_ca(server: &Server) {
    let login = account(server, "jit");
    let ca = format!("&sslrootcert={}", server.data().join("ca.pem").display());
    enter(server, &login, &format!("sslmode=verify-ca{ca}")).expect("its own authority");
    untrusted(
        enter(server, &login, &format!("sslmode=verify-full{ca}")),
        &["no subjectAltName", "sslmode=verify-ca"],
    );
}
