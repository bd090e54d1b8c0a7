//! One TLS for both drivers: the same modes, the same judgement, the same words about a refusal.
//!
//! `disable`, `prefer` and `require` never look at the certificate; `verify-ca` checks who signed it,
//! `verify-full` also whose it is. The system's roots are read only when a verifying connection is made.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use super::address::{Address, TlsMode};
use super::password::private;

mod certificate;
mod finding;
mod verifier;
mod words;

pub use certificate::Facts;
pub use finding::findings;
pub use verifier::{Seen, Sight};
pub use words::{explained, no_tls_there, unproven};

/// What one handshake with one host needs.
pub struct Client {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
    pub seen: Seen,
}

/// How a connection that stands is protected.
#[derive(Clone, Debug)]
pub struct Secured {
    /// `TLSv1.3`
    pub version: String,
    pub cipher: String,
    pub sight: Sight,
}

impl Client {
    /// What an address asks for towards one of its hosts.
    ///
    /// # Errors
    /// A sentence that names the file that cannot be used, or that there are no roots.
    pub fn new(address: &Address, host: &str) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host:?} is no host name that a certificate could be for"))?;
        let seen = Seen::default();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let verifier = verifier::Verifier {
            provider: provider.clone(),
            rule: rule(address, &provider)?,
            seen: seen.clone(),
        };
        let ours = verifier::Ours {
            key: own_key(address, &provider)?.map(Arc::new),
            seen: seen.clone(),
        };
        let config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(ours));
        Ok(Self {
            config: Arc::new(config),
            name,
            seen,
        })
    }
}

fn rule(address: &Address, provider: &Arc<CryptoProvider>) -> Result<verifier::Rule, String> {
    if !address.tls.verifies() {
        return Ok(verifier::Rule::Anyone);
    }
    let pinned = named(address)?;
    let mut builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&pinned)?), provider.clone());
    if let Some(path) = &address.revocation_list {
        let lists = CertificateRevocationListDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        if lists.is_empty() {
            return Err(format!("{} holds no revocation list", path.display()));
        }
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let inner = builder
        .build()
        .map_err(|error| format!("the root certificates cannot be used: {error}"))?;
    Ok(verifier::Rule::Verified {
        inner,
        pinned,
        any_name: address.tls == TlsMode::VerifyCa,
    })
}

/// Our own certificate with its key.
fn own_key(address: &Address, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, String> {
    let Some((certificate, key)) = &address.client_certificate else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("cannot read sslcert {}: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!(
            "sslcert {} holds no certificate",
            certificate.display()
        ));
    }
    private::refuse_if_others_read(key)?;
    let text = std::fs::read(key)
        .map_err(|error| format!("cannot read sslkey {}: {error}", key.display()))?;
    if text.windows(9).any(|part| part == b"ENCRYPTED") {
        return Err(format!(
            "sslkey {} is encrypted, and jit asks nobody for its password; store it in the clear, mode 0600",
            key.display()
        ));
    }
    let der = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| format!("cannot read sslkey {}: {error}", key.display()))?;
    CertifiedKey::from_der(chain, der, provider)
        .map(Some)
        .map_err(|error| {
            format!(
                "sslcert {} and sslkey {} cannot be used together: {error}",
                certificate.display(),
                key.display()
            )
        })
}

/// The certificates of `sslrootcert`, if it is set.
fn named(address: &Address) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = &address.root_certificate else {
        return Ok(Vec::new());
    };
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("cannot read sslrootcert {}: {error}", path.display()))?;
    match read.is_empty() {
        true => Err(format!(
            "sslrootcert {} holds no certificate",
            path.display()
        )),
        false => Ok(read),
    }
}

/// The named certificates, or the system's where none is named.
fn roots(named: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in named {
        store
            .add(certificate.clone())
            .map_err(|error| format!("a root certificate cannot be used: {error}"))?;
    }
    if named.is_empty() {
        // Roots of the system that rustls cannot read are left out, as every client does.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if store.is_empty() {
        return Err(
            "this host has no root certificates to verify the server with; name the CA's file by sslrootcert="
                .to_owned(),
        );
    }
    Ok(store)
}
