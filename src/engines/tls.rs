//! One rustls configuration for both drivers.
//!
//! `disable`, `prefer` and `require` never look at the certificate; `verify-ca` checks who signed it,
//! `verify-full` also whose it is. The system's roots are read only when a verifying connection is made.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::address::{Address, TlsMode};

/// The configuration that an address asks for.
///
/// # Errors
/// A sentence that names the file that cannot be read, or that there are no roots.
pub fn configuration(address: &Address) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let verifier: Arc<dyn ServerCertVerifier> = match address.tls {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Arc::new(Anyone { provider }),
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            let pinned = named(address)?;
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&pinned)?), provider)
                    .build()
                    .map_err(|error| format!("the root certificates cannot be used: {error}"))?;
            Arc::new(Verified {
                inner,
                pinned,
                any_name: address.tls == TlsMode::VerifyCa,
            })
        }
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match &address.client_certificate {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| format!("cannot read {}: {error}", certificate.display()))?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("cannot read {}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate cannot be used: {error}"))
        }
    }
}

/// The certificates of `sslrootcert`, if it is set.
fn named(address: &Address) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = &address.root_certificate else {
        return Ok(Vec::new());
    };
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match read.is_empty() {
        true => Err(format!("{} holds no certificate", path.display())),
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
            "no root certificate to verify the server with; name one by sslrootcert=".to_owned(),
        );
    }
    Ok(store)
}

/// Takes any certificate: what `prefer` and `require` mean.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

/// Checks who signed it and the dates, and for `verify-full` the name.
#[derive(Debug)]
struct Verified {
    inner: Arc<WebPkiServerVerifier>,
    /// A certificate that is named itself is trusted as it is: webpki refuses a self-signed one as a server's own,
    /// where libpq takes it.
    pinned: Vec<CertificateDer<'static>>,
    any_name: bool,
}

impl Verified {
    /// The verdict on a certificate that is itself named by `sslrootcert`. webpki looks at the dates before it looks
    /// for an issuer, so these two refusals mean that the dates are right.
    fn pinned(
        &self,
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        refusal: rustls::Error,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let only_for_its_issuer = match &refusal {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
            rustls::Error::InvalidCertificate(CertificateError::Other(_)) => {
                format!("{refusal:?}").contains("CaUsedAsEndEntity")
            }
            _ => false,
        };
        if !only_for_its_issuer || !self.pinned.iter().any(|one| one == end_entity) {
            return Err(refusal);
        }
        if !self.any_name {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self
            .inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            Err(refusal) => self.pinned(end_entity, server_name, refusal),
            Ok(verified) => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
