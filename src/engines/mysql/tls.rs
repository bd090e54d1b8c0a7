//! TLS, as far as the driver goes. It builds its own rustls configuration, so `engines::tls` cannot serve here.
//!
//! - `disable`, and every Unix socket: no TLS, as libpq and the servers' own clients do.
//! - `prefer`, `require`: encrypted, whoever answers; `prefer` goes without where the server has none, by a second
//!   connection (of the first one MariaDB warns in its log; `disable` spares that).
//! - `verify-full`: chain and name, against `sslrootcert` or the system's roots.
//! - `verify-ca` is refused: the driver's way to skip the name is broken with this rustls (it looks for a word that
//!   the error no longer has), and taking any name with any chain would be no check at all.

use mysql_async::{ClientIdentity, SslOpts};
use rustls::RootCertStore;

use crate::engines::address::{Address, Endpoint, TlsMode};

/// What to do about TLS on one connection attempt.
pub(super) enum Tls {
    None,
    /// Try this; `or_none` says whether a server without TLS is taken too.
    With {
        options: SslOpts,
        or_none: bool,
    },
}

/// # Errors
/// A sentence that says which setting cannot be met.
pub(super) fn of(address: &Address, endpoint: &Endpoint) -> Result<Tls, String> {
    if matches!(endpoint, Endpoint::Socket { .. }) {
        return Ok(Tls::None);
    }
    let options = match address.tls {
        TlsMode::Disable => return Ok(Tls::None),
        TlsMode::Prefer | TlsMode::Require => {
            SslOpts::default().with_danger_accept_invalid_certs(true)
        }
        TlsMode::VerifyCa => {
            return Err(
                "sslmode=verify-ca cannot be had on MySQL and MariaDB; give the server a certificate that names its \
                 host and use verify-full, with sslrootcert= for a root of your own"
                    .to_owned(),
            );
        }
        TlsMode::VerifyFull => {
            let verified = SslOpts::default().with_disable_built_in_roots(true);
            // The driver does not export its type of a certificate, so it is only ever made by `into`.
            match roots(address)? {
                Roots::File(path) => verified.with_root_certs(vec![path.into()]),
                Roots::System(all) => {
                    verified.with_root_certs(all.into_iter().map(Into::into).collect())
                }
            }
        }
    };
    let identity = match &address.client_certificate {
        None => None,
        Some((certificate, key)) => {
            for file in [certificate, key] {
                std::fs::metadata(file)
                    .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            }
            Some(ClientIdentity::new(
                certificate.clone().into(),
                key.clone().into(),
            ))
        }
    };
    Ok(Tls::With {
        options: options.with_client_identity(identity),
        or_none: address.tls == TlsMode::Prefer,
    })
}

/// What to verify the server with.
enum Roots {
    File(std::path::PathBuf),
    /// In DER.
    System(Vec<Vec<u8>>),
}

fn roots(address: &Address) -> Result<Roots, String> {
    if let Some(path) = &address.root_certificate {
        std::fs::metadata(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        return Ok(Roots::File(path.clone()));
    }
    // Roots of the system that rustls cannot read are left out, as every client does: the driver would fail on one.
    let usable: Vec<Vec<u8>> = rustls_native_certs::load_native_certs()
        .certs
        .into_iter()
        .filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok())
        .map(|certificate| certificate.as_ref().to_vec())
        .collect();
    if usable.is_empty() {
        return Err(
            "no root certificate to verify the server with; name one by sslrootcert=".to_owned(),
        );
    }
    Ok(Roots::System(usable))
}
