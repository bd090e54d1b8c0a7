//! Why a connection is not trusted, and which setting to change.

use std::error::Error;

use chrono::{DateTime, Utc};
use rustls::{AlertDescription, CertificateError};

use super::certificate::{Facts, day};
use super::verifier::Sight;
use crate::engines::address::{Address, TlsMode};

/// The words about an error that TLS has raised; `None` where it is about something else.
pub fn explained(
    address: &Address,
    host: &str,
    sight: &Sight,
    error: &(dyn Error + 'static),
) -> Option<String> {
    if let Some(why) = &sight.refused {
        return Some(of_certificate(address, host, sight.server.as_ref(), why));
    }
    match of_tls(error)? {
        rustls::Error::AlertReceived(alert) => Some(of_alert(address, sight, *alert)),
        other => Some(format!("TLS failed: {other}")),
    }
}

/// A server that offers no TLS where TLS is asked for.
pub fn no_tls_there(mode: TlsMode) -> String {
    format!(
        "it offers no TLS, and sslmode={} asks for it; turn TLS on there (Postgres: ssl = on; MySQL and MariaDB: \
         ssl_cert and ssl_key), or set sslmode=disable if nobody can listen in between",
        mode.word()
    )
}

/// A server that wants the password itself where it has not proven who it is.
pub fn unproven(encrypted: bool) -> String {
    let how = match encrypted {
        true => "and its certificate is not verified",
        false => "and the connection is not encrypted",
    };
    format!(
        "it asks for the password itself, {how}: whoever stands between would get it; set sslmode=verify-full (or \
         verify-ca) with sslrootcert= in the target's url"
    )
}

/// The TLS error inside another one.
fn of_tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            if let Some(found) = inner.downcast_ref::<rustls::Error>() {
                return Some(found);
            }
            next = Some(inner);
            continue;
        }
        next = cause.source();
    }
    None
}

fn of_certificate(
    address: &Address,
    host: &str,
    server: Option<&Facts>,
    why: &CertificateError,
) -> String {
    let called = server.map_or_else(|| "that cannot be read".to_owned(), Facts::called);
    let roots = match &address.root_certificate {
        Some(path) => format!("sslrootcert={}", path.display()),
        None => "the system's roots".to_owned(),
    };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "its certificate {called} expired on {}; renew it on the server",
                ended(server, why)
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
            "its certificate {called} is valid only from {}; set the clocks right, or wait",
            server.map_or_else(|| "later on".to_owned(), |facts| day(facts.not_before))
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate {called} is for {}, not for {host}; write one of its names as the url's host, or \
                 give the server a certificate for {host}, or set sslmode=verify-ca to take any host's",
                server.map_or_else(|| "another host".to_owned(), Facts::hosts)
            )
        }
        CertificateError::UnknownIssuer if server.is_some_and(Facts::self_signed) => format!(
            "its certificate {called} is signed by itself and not in {roots}; copy it from the server and name the \
             copy by sslrootcert="
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "its certificate {called} was issued by {}, which is not in {roots}; name that CA's PEM file by \
             sslrootcert=",
            server.map_or("somebody", |facts| facts.issuer.as_str())
        ),
        CertificateError::Revoked => {
            format!("its certificate {called} was revoked, by sslcrl; renew it on the server")
        }
        CertificateError::UnknownRevocationStatus => format!(
            "sslcrl has no list of {}; put the lists of all the CAs of the chain into one file",
            server.map_or("its issuer", |facts| facts.issuer.as_str())
        ),
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            "the list of sslcrl is out of date; fetch the CA's new one".to_owned()
        }
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => format!(
            "its certificate {called} is a CA's own and not in {roots}; copy it from the server and name the copy by \
             sslrootcert="
        ),
        other => format!(
            "its certificate {called} cannot be taken: {}; renew it on the server",
            rustls::Error::InvalidCertificate(other.clone())
        ),
    }
}

/// When a chain ended: of the server's own certificate, or of one above it.
fn ended(server: Option<&Facts>, why: &CertificateError) -> String {
    let of_chain = match why {
        CertificateError::ExpiredContext { not_after, .. } => {
            i64::try_from(not_after.as_secs()).ok()
        }
        _ => None,
    };
    match (
        of_chain.and_then(|at| DateTime::<Utc>::from_timestamp(at, 0)),
        server,
    ) {
        (Some(end), Some(facts)) if end < facts.not_after => {
            format!("{}, or rather a CA's above it", day(end))
        }
        (Some(end), _) => day(end),
        (None, Some(facts)) => day(facts.not_after),
        (None, None) => "a day that is past".to_owned(),
    }
}

fn of_alert(address: &Address, sight: &Sight, alert: AlertDescription) -> String {
    const GIVE: &str = "set sslcert= and sslkey= in the target's url";
    match &address.client_certificate {
        Some((path, _)) if sight.asked_for_ours => {
            let (ours, end) = match Facts::of_file(path) {
                Some(facts) => {
                    let end = match facts.not_after < Utc::now() {
                        true => format!("; it expired on {}", day(facts.not_after)),
                        false => String::new(),
                    };
                    (format!("{} of {}", facts.called(), facts.issuer), end)
                }
                None => ("ours".to_owned(), String::new()),
            };
            format!(
                "it refuses our certificate {} ({ours}) with the alert {alert:?}{end}; use one that the server's CA \
                 has signed and that is in date, by sslcert= and sslkey=",
                path.display()
            )
        }
        None if sight.asked_for_ours => {
            format!("it wants a client certificate (alert {alert:?}); {GIVE}")
        }
        _ => format!("it ends the TLS handshake with the alert {alert:?}"),
    }
}
