//! What `jit doctor` says of a connection.

use chrono::Utc;

use super::{Facts, Secured};
use crate::engines::Finding;
use crate::engines::address::{Address, ChannelBinding, TlsMode};

const WHAT: &str = "TLS";

/// Which mode and version is in force towards that host, whether the certificate was verified, and when it ends.
pub fn findings(address: &Address, local: bool, secured: Option<&Secured>) -> Vec<Finding> {
    let mode = address.tls.word();
    let Some(secured) = secured else {
        return vec![match local {
            true => fine(format!(
                "none, and none is needed: the connection stays on this host (sslmode {mode})"
            )),
            false => wrong(
                WHAT,
                format!("none: the connection crosses the network in the clear (sslmode {mode})"),
                "set sslmode=verify-full in the target's url",
            ),
        }];
    };
    let how = format!("{} ({}), sslmode {mode}", secured.version, secured.cipher);
    let server = secured.sight.server.as_ref();
    if !address.tls.verifies() {
        let bound = address.channel_binding == ChannelBinding::Require;
        return vec![match (local, bound) {
            (_, true) => fine(format!(
                "{how}: the certificate is not verified, but the password is bound to it (channel_binding=require)"
            )),
            (true, false) => fine(format!(
                "{how}: the certificate is not verified; the connection stays on this host"
            )),
            (false, false) => wrong(
                WHAT,
                format!("{how}: the certificate is not verified, so anybody could be there"),
                "set sslmode=verify-full in the target's url",
            ),
        }];
    }
    let now = Utc::now();
    let of = server.map_or_else(String::new, |facts| {
        format!(" {} until {}", facts.called(), facts.end(now))
    });
    let whose = match address.tls {
        TlsMode::VerifyCa => ", whatever host it is for",
        _ => "",
    };
    let mut findings = vec![fine(format!(
        "{how}: the certificate{of} is verified{whose}"
    ))];
    let ours = address
        .client_certificate
        .as_ref()
        .and_then(|(path, _)| Facts::of_file(path));
    for (whose, facts) in [("the server's", server), ("our own", ours.as_ref())] {
        if let Some(facts) = facts
            && facts.ends_soon(now)
        {
            findings.push(wrong(
                "certificate",
                format!(
                    "{whose} certificate {} ends on {}; then nothing can be granted or revoked",
                    facts.called(),
                    facts.end(now)
                ),
                "renew it before that day",
            ));
        }
    }
    findings
}

fn fine(saw: String) -> Finding {
    Finding {
        ok: true,
        what: WHAT.to_owned(),
        saw,
        cure: None,
    }
}

fn wrong(what: &str, saw: String, cure: &str) -> Finding {
    Finding {
        ok: false,
        what: what.to_owned(),
        saw,
        cure: Some(cure.to_owned()),
    }
}
