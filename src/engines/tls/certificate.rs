//! What a certificate says of itself, in words for people.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The parts of a certificate that an error or `doctor` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// As in RFC 4514: `CN=db1,O=Shop`.
    pub subject: String,
    pub issuer: String,
    /// The hosts that it is for: DNS names and addresses. A subject's CN is none of them, as in RFC 6125.
    pub names: Vec<String>,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

impl Facts {
    /// `None` where it is no certificate that can be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let read = x509_cert::Certificate::from_der(certificate).ok()?;
        let body = read.tbs_certificate;
        let names = body
            .extensions
            .iter()
            .flatten()
            .filter(|extension| extension.extn_id == SubjectAltName::OID)
            .filter_map(|extension| SubjectAltName::from_der(extension.extn_value.as_bytes()).ok())
            .flat_map(|names| names.0)
            .filter_map(|name| match name {
                GeneralName::DnsName(name) => Some(name.to_string()),
                GeneralName::IpAddress(bytes) => address(bytes.as_bytes()),
                _ => None,
            })
            .collect();
        let time = |time: x509_cert::time::Time| DateTime::<Utc>::from(time.to_system_time());
        Some(Self {
            subject: body.subject.to_string(),
            issuer: body.issuer.to_string(),
            names,
            not_before: time(body.validity.not_before),
            not_after: time(body.validity.not_after),
        })
    }

    /// Of the first certificate in a PEM file, where it can be read.
    pub fn of_file(path: &Path) -> Option<Self> {
        Self::of(&CertificateDer::from_pem_file(path).ok()?)
    }

    /// How it is called in a sentence. Not every certificate has a subject.
    pub fn called(&self) -> String {
        match (self.subject.as_str(), self.names.first()) {
            ("", None) => "without a name".to_owned(),
            ("", Some(name)) => name.clone(),
            (subject, _) => subject.to_owned(),
        }
    }

    /// The hosts that it is for, in words.
    pub fn hosts(&self) -> String {
        match self.names.is_empty() {
            true => "no host (it has no subjectAltName)".to_owned(),
            false => self.names.join(", "),
        }
    }

    pub fn self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether it must be renewed soon: within 14 days, and the last third of its life. Certificates that are made
    /// anew every week are not warned of on their first day.
    pub fn ends_soon(&self, now: DateTime<Utc>) -> bool {
        let left = self.not_after - now;
        left < TimeDelta::days(14) && left * 3 < self.not_after - self.not_before
    }

    /// `2026-12-01 (in 6 days)`
    pub fn end(&self, now: DateTime<Utc>) -> String {
        let days = (self.not_after - now).num_days();
        format!(
            "{} (in {})",
            day(self.not_after),
            match days {
                1 => "1 day".to_owned(),
                days => format!("{days} days"),
            }
        )
    }
}

/// To the minute, for the last day counts.
pub fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lived: i64, left: i64) -> (Facts, DateTime<Utc>) {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let facts = Facts {
            subject: "CN=db".to_owned(),
            issuer: "CN=ca".to_owned(),
            names: Vec::new(),
            not_before: now - TimeDelta::days(lived),
            not_after: now + TimeDelta::days(left),
        };
        (facts, now)
    }

    #[test]
    fn an_end_is_soon_in_the_last_fortnight_and_the_last_third() {
        for (lived, left, soon) in [
            (350, 15, false),
            (351, 13, true),
            (0, 7, false),
            (5, 2, true),
            (10, -1, true),
        ] {
            let (facts, now) = facts(lived, left);
            assert_eq!(facts.ends_soon(now), soon, "{lived} {left}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_facts() {
        assert_eq!(Facts::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
