//! Whom we talk to, and that nobody listens.

use std::path::{Path, PathBuf};
use std::process::Command;

use jit::engines::address::TlsMode;

use super::*;
use crate::support::on_each_postgres;
use crate::support::process::{must, servers_user};

on_each_postgres!(
    a_server_is_taken_only_with_a_certificate_that_fits_the_mode,
    an_expired_certificate_is_refused,
    a_self_signed_certificate_can_be_pinned,
    a_client_certificate_lets_in,
    a_server_without_tls_is_refused_where_tls_is_asked_for,
    a_unix_socket_needs_no_tls,
);

/// Certificates made by openssl for one test.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::Builder::new()
            .prefix("jit-tls-")
            .tempdir_in("/tmp")
            .expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
            .expect("own folder");
        let made = Self { folder };
        for authority in ["ca", "other-ca"] {
            made.authority(authority);
        }
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        must(
            Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(self.folder.path()),
        );
    }

    fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={name} -keyout {name}.key \
             -out {name}.crt -addext basicConstraints=critical,CA:TRUE"
        ));
    }

    /// A certificate signed by `ca`, valid for so many days.
    fn signed(&self, name: &str, subject: &str, alternative: &str, days: i32) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr"
        ));
        std::fs::write(
            self.path(&format!("{name}.ext")),
            format!("subjectAltName={alternative}\nbasicConstraints=CA:FALSE\n"),
        )
        .expect("a file");
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {days} -extfile {name}.ext \
             -out {name}.crt"
        ));
    }

    fn self_signed(&self, name: &str, authority: bool) {
        let authority = if authority { "TRUE" } else { "FALSE" };
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=db -keyout {name}.key -out \
             {name}.crt -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:{authority}"
        ));
    }

    /// Another server like that one, which shows this certificate; `hba` rules who gets in.
    fn server(&self, like: &Server, name: &str, hba: &str) -> Server {
        let key = self.path(&format!("{name}.key"));
        let rules = self.path("hba");
        std::fs::write(&rules, format!("local all all scram-sha-256\n{hba}\n")).expect("a file");
        only_for_servers(&key);
        like.another(&[
            "ssl=on",
            &format!(
                "ssl_cert_file={}",
                self.path(&format!("{name}.crt")).display()
            ),
            &format!("ssl_key_file={}", key.display()),
            &format!("ssl_ca_file={}", self.path("ca.crt").display()),
            &format!("hba_file={}", rules.display()),
        ])
    }
}

fn only_for_servers(key: &Path) {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).expect("own file");
    if let Some(user) = servers_user() {
        chown(key, Some(user.uid), Some(user.gid)).expect("root may give a file away");
    }
}

const USUAL_RULES: &str = "host all all 127.0.0.1/32 scram-sha-256";

/// Logs in as the superuser in that mode; gives back what `check` says of TLS.
fn entered(server: &Server, mode: TlsMode, root: Option<PathBuf>) -> Result<String, EngineError> {
    let mut address = address(server, &server.superuser_login(), "jit_nobody");
    address.tls = mode;
    address.root_certificate = root;
    let runtime = runtime();
    let mut engine = runtime.block_on(jit::engines::connect(&address))?;
    let needs = Needs {
        login: Grantee("postgres".to_owned()),
        ..Needs::default()
    };
    let findings = runtime.block_on(engine.check(&needs))?;
    Ok(findings[0].saw.clone())
}

fn denied(result: Result<String, EngineError>, words: &str) {
    match result {
        Err(EngineError::Denied { why, .. }) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    }
}

fn a_server_is_taken_only_with_a_certificate_that_fits_the_mode(like: &Server) {
    let certificates = Certificates::new();
    certificates.signed("good", "db", "IP:127.0.0.1", 10);
    certificates.signed("stranger", "stranger", "DNS:db.example.org", 10);
    let ca = || Some(certificates.path("ca.crt"));
    let other = || Some(certificates.path("other-ca.crt"));

    let good = certificates.server(like, "good", USUAL_RULES);
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        assert!(entered(&good, mode, None).expect("in").contains("TLSv1"));
    }
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        assert!(entered(&good, mode, ca()).expect("in").contains("TLSv1"));
        denied(entered(&good, mode, other()), "UnknownIssuer");
        // The system's own roots do not know it either.
        assert!(entered(&good, mode, None).is_err());
        let missing = entered(&good, mode, Some(certificates.path("no.crt")));
        denied(missing, "no.crt");
    }
    assert!(
        entered(&good, TlsMode::Disable, None)
            .expect("in")
            .contains("none")
    );

    let stranger = certificates.server(like, "stranger", USUAL_RULES);
    assert!(entered(&stranger, TlsMode::Require, None).is_ok());
    assert!(entered(&stranger, TlsMode::VerifyCa, ca()).is_ok());
    denied(
        entered(&stranger, TlsMode::VerifyFull, ca()),
        "not valid for name",
    );
}

fn an_expired_certificate_is_refused(like: &Server) {
    let certificates = Certificates::new();
    certificates.signed("expired", "db", "IP:127.0.0.1", -1);
    let server = certificates.server(like, "expired", USUAL_RULES);
    assert!(entered(&server, TlsMode::Require, None).is_ok());
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        for root in ["ca.crt", "expired.crt"] {
            denied(
                entered(&server, mode, Some(certificates.path(root))),
                "Expired",
            );
        }
    }
}

fn a_self_signed_certificate_can_be_pinned(like: &Server) {
    for authority in [true, false] {
        let certificates = Certificates::new();
        certificates.self_signed("own", authority);
        certificates.self_signed("another", authority);
        let server = certificates.server(like, "own", USUAL_RULES);
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
            let pin = |name: &str| entered(&server, mode, Some(certificates.path(name)));
            assert!(pin("own.crt").expect("in").contains("TLSv1"));
            assert!(matches!(
                pin("another.crt"),
                Err(EngineError::Denied { .. })
            ));
            denied(pin("ca.crt"), "certificate");
        }
    }
}

fn a_client_certificate_lets_in(like: &Server) {
    let certificates = Certificates::new();
    certificates.signed("good", "db", "IP:127.0.0.1", 10);
    certificates.signed("client", "carol", "DNS:carol", 10);
    let server = certificates.server(
        like,
        "good",
        "hostssl all carol 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 scram-sha-256",
    );
    server.sql("CREATE ROLE carol LOGIN").expect("made");
    let mut address = address(&server, &Login::new("carol", "", "postgres"), "jit_nobody");
    address.tls = TlsMode::VerifyFull;
    address.root_certificate = Some(certificates.path("ca.crt"));
    let runtime = runtime();
    assert!(matches!(
        runtime.block_on(jit::engines::connect(&address)).err(),
        Some(EngineError::Denied { .. })
    ));
    address.client_certificate = Some((
        certificates.path("client.crt"),
        certificates.path("client.key"),
    ));
    connect(&runtime, &address);
}

fn a_server_without_tls_is_refused_where_tls_is_asked_for(server: &Server) {
    assert!(entered(server, TlsMode::Prefer, None).is_ok());
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let certificates = Certificates::new();
        let refused = entered(server, mode, Some(certificates.path("ca.crt")));
        denied(refused, "TLS");
    }
}

fn a_unix_socket_needs_no_tls(server: &Server) {
    for mode in [TlsMode::Prefer, TlsMode::Require, TlsMode::VerifyFull] {
        let mut address = address(server, &server.superuser_login(), "jit_nobody");
        address.tls = mode;
        address.endpoints = vec![jit::engines::address::Endpoint::Socket {
            path: server.socket(),
            port: server.port(),
        }];
        connect(&runtime(), &address);
    }
}
