//! Certificates for one law, and servers that show them.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{Datelike, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::process::servers_user;
use super::server::{Kind, Server};

/// A folder of PEM files: the authorities `ca` and `other-ca`, and what the law has them sign.
pub struct Certificates {
    folder: tempfile::TempDir,
    ca: Authority,
    other: Authority,
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str, folder: &Path) -> Self {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("an authority");
        std::fs::write(folder.join(format!("{name}.crt")), made.pem()).expect("own folder");
        Self { params, key }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// Valid from a month ago until a month ahead.
fn named(subject: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name.push(DnType::CommonName, subject);
    lasting(params, -30, 30)
}

/// In days from today.
fn lasting(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    let date = |days| {
        let day = Utc::now() + TimeDelta::days(days);
        date_time_ymd(day.year(), day.month() as u8, day.day() as u8)
    };
    params.not_before = date(from);
    params.not_after = date(until);
    params
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Ca,
    OtherCa,
    Itself,
}

impl Certificates {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("jit-tls-")
            .tempdir_in("/tmp")
            .expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
            .expect("own folder");
        Self {
            ca: Authority::new("ca", folder.path()),
            other: Authority::new("other-ca", folder.path()),
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes `NAME.crt` and `NAME.key`, for these hosts, signed by `ca`.
    pub fn signed(&self, name: &str, hosts: &[&str]) {
        self.make(name, hosts, By::Ca, (-30, 30));
    }

    /// The same by anybody, valid between these days, counted from today.
    pub fn make(&self, name: &str, hosts: &[&str], by: By, (from, until): (i64, i64)) {
        let mut params = lasting(named(name, hosts), from, until);
        params.serial_number = Some(SerialNumber::from_slice(name.as_bytes()));
        params.use_authority_key_identifier_extension = by != By::Itself;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let made = match by {
            By::Ca => params.signed_by(&key, &self.ca.issuer()),
            By::OtherCa => params.signed_by(&key, &self.other.issuer()),
            By::Itself => params.self_signed(&key),
        }
        .expect("a certificate");
        std::fs::write(self.path(&format!("{name}.crt")), made.pem()).expect("own folder");
        let path = self.path(&format!("{name}.key"));
        std::fs::write(&path, key.serialize_pem()).expect("own folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("own file");
    }

    /// Makes `NAME.crl`, in which `ca` calls those certificates back.
    pub fn revoked(&self, name: &str, certificates: &[&str]) {
        let params = |days| lasting(CertificateParams::default(), -1, days);
        let list = CertificateRevocationListParams {
            this_update: params(1).not_before,
            next_update: params(10).not_after,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: certificates
                .iter()
                .map(|one| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(one.as_bytes()),
                    revocation_time: params(1).not_before,
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let made = list.signed_by(&self.ca.issuer()).expect("a list");
        std::fs::write(self.path(&format!("{name}.crl")), made.pem().expect("PEM"))
            .expect("own folder");
    }

    /// A server of this kind that shows `shown.crt`, and takes clients' certificates of `ca`. What it shows is
    /// changed by [`Self::show`]. `more` are further options.
    pub fn server(&self, kind: Kind, shown: &str, more: &[&str]) -> Server {
        self.place(shown);
        let at = |name: &str| self.path(name).display().to_string();
        let (crt, key, ca) = (at("shown.crt"), at("shown.key"), at("ca.crt"));
        let mut options = match kind {
            Kind::Postgres => vec![
                "ssl=on".to_owned(),
                format!("ssl_cert_file={crt}"),
                format!("ssl_key_file={key}"),
                format!("ssl_ca_file={ca}"),
            ],
            Kind::Mysql | Kind::Mariadb => vec![
                format!("--ssl-cert={crt}"),
                format!("--ssl-key={key}"),
                format!("--ssl-ca={ca}"),
            ],
        };
        options.extend(more.iter().map(|&option| option.to_owned()));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        match kind {
            Kind::Postgres => super::postgres::fresh(&options),
            Kind::Mysql => super::mysql::fresh(&options),
            Kind::Mariadb => super::mariadb::fresh(&options),
        }
    }

    /// Has a server of [`Self::server`] show another certificate, without a restart.
    pub fn show(&self, server: &Server, name: &str) {
        self.place(name);
        match server.kind() {
            Kind::Postgres => {
                let loaded = || server.run("postgres", "SELECT pg_conf_load_time()");
                let before = loaded();
                server.run("postgres", "SELECT pg_reload_conf()");
                // New sessions are made by the first process, which may be late to hear of it.
                while loaded() == before {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            Kind::Mysql => {
                // It starts with a certificate that is out of date, and does not reload one.
                if server.sql("ALTER INSTANCE RELOAD TLS").is_err() {
                    server.restart();
                }
            }
            Kind::Mariadb => drop(server.run("", "FLUSH SSL")),
        }
    }

    fn place(&self, name: &str) {
        for end in ["crt", "key"] {
            let shown = self.path(&format!("shown.{end}"));
            std::fs::copy(self.path(&format!("{name}.{end}")), &shown).expect("it was made");
            std::fs::set_permissions(&shown, std::fs::Permissions::from_mode(0o600))
                .expect("own file");
            if let Some(user) = servers_user() {
                chown(&shown, Some(user.uid), Some(user.gid)).expect("root may give it away");
            }
        }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
