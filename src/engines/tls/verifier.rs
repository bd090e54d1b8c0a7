//! The judgement on a server's certificate, and what was seen, for the words about it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use super::certificate::Facts;

/// What a handshake has shown so far.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The server's own certificate.
    pub server: Option<Facts>,
    /// Why we did not take it.
    pub refused: Option<CertificateError>,
    /// The server asked for a certificate of ours.
    pub asked_for_ours: bool,
}

/// A [`Sight`] that is filled during the handshake.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Sight>>);

impl Seen {
    pub fn sight(&self) -> Sight {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, note: impl FnOnce(&mut Sight)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Takes or refuses a server's certificate.
#[derive(Debug)]
pub struct Verifier {
    pub provider: Arc<CryptoProvider>,
    pub rule: Rule,
    pub seen: Seen,
}

/// What is asked of a certificate.
#[derive(Debug)]
pub enum Rule {
    /// Nothing: what `prefer` and `require` mean.
    Anyone,
    /// Who signed it and the dates, and for `verify-full` the name.
    Verified {
        inner: Arc<WebPkiServerVerifier>,
        /// A certificate that is named itself is trusted as it is: webpki refuses a self-signed one as a server's
        /// own, where libpq takes it.
        pinned: Vec<CertificateDer<'static>>,
        any_name: bool,
    },
}

impl Verifier {
    fn judged(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let Rule::Verified {
            inner,
            pinned,
            any_name,
        } = &self.rule
        else {
            return Ok(());
        };
        let refusal = match inner.verify_server_cert(leaf, chain, name, ocsp, now) {
            Ok(_) => return Ok(()),
            // webpki looks at the name last, when the chain is right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if *any_name => return Ok(()),
            Err(refusal) => refusal,
        };
        // webpki looks at the dates before it looks for an issuer, so these two refusals mean that the dates are
        // right.
        let only_for_its_issuer = match &refusal {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
            rustls::Error::InvalidCertificate(CertificateError::Other(_)) => {
                format!("{refusal:?}").contains("CaUsedAsEndEntity")
            }
            _ => false,
        };
        if !only_for_its_issuer || !pinned.iter().any(|one| one == leaf) {
            return Err(refusal);
        }
        match any_name {
            true => Ok(()),
            false => verify_server_name(&ParsedCertificate::try_from(leaf)?, name),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.judged(leaf, chain, name, ocsp, now);
        self.seen.note(|sight| {
            sight.server = Facts::of(leaf);
            sight.refused = match &verdict {
                Ok(()) => None,
                Err(rustls::Error::InvalidCertificate(why)) => Some(why.clone()),
                Err(_) => Some(CertificateError::BadEncoding),
            };
        });
        verdict.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Gives our certificate to whoever asks, or none, and remembers that somebody asked.
#[derive(Debug)]
pub struct Ours {
    pub key: Option<Arc<CertifiedKey>>,
    pub seen: Seen,
}

impl ResolvesClientCert for Ours {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.seen.note(|sight| sight.asked_for_ours = true);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        // Asked in any case, so that it is noticed.
        true
    }
}
