//! What a person on a terminal left out is asked for; anywhere else it is an error that names the flags.

use std::rc::Rc;

use anyhow::Result;

use crate::access::{At, Ttl};
use crate::failure::{Exit, Failure};
use crate::ui;
use crate::ui::prompt::{self, Check};
use crate::workflow::submission::LONGEST_TEXT;

use super::words;

/// The failure of a command that lacks these flags where nobody can be asked.
pub fn flags(missing: &[&str]) -> Failure {
    Failure::new(Exit::Usage, format!("missing: {}", missing.join(", ")))
        .hint("on a terminal jit asks for what is missing")
}

/// The reason as given, or asked for.
///
/// # Errors
/// [`Exit::Usage`] where nobody can be asked.
pub fn reason(given: Option<&str>, question: &str) -> Result<String> {
    match given {
        Some(reason) => Ok(reason.to_owned()),
        None if ui::can_ask() => ask_reason(question, "it is written into the audit trail"),
        None => Err(flags(&["--reason TEXT"]).into()),
    }
}

/// Fails before anything is looked up where a reason is missing and nobody can be asked for it.
pub fn reason_can_be_had(given: Option<&str>) -> Result<()> {
    match given {
        None if !ui::can_ask() => Err(flags(&["--reason TEXT"]).into()),
        _ => Ok(()),
    }
}

/// Asks for a text that operators will accept.
pub fn ask_reason(question: &str, hint: &str) -> Result<String> {
    let check: Check<str> = Rc::new(|typed: &str| {
        if typed.is_empty() {
            return Err("say why, in a few words".into());
        }
        if typed.chars().count() > LONGEST_TEXT {
            return Err(format!("that is more than {LONGEST_TEXT} characters"));
        }
        Ok(())
    });
    prompt::text(question, hint, &check)
}

/// Asks for a duration; a time of day will do as well.
pub fn duration_until(
    question: &str,
    hint: &str,
    now: At,
    fits: impl Fn(Ttl) -> Result<(), String> + 'static,
) -> Result<Ttl> {
    let check: Check<str> = Rc::new(move |typed: &str| read_duration(typed, now).and_then(&fits));
    let typed = prompt::text(question, hint, &check)?;
    read_duration(&typed, now).map_err(|why| Failure::new(Exit::Usage, why).into())
}

/// `2h`, or `18:00`.
fn read_duration(typed: &str, now: At) -> Result<Ttl, String> {
    if typed.is_empty() {
        return Err("say how long, like 30m or 2h".into());
    }
    if typed.contains(':') {
        return words::until(typed, now)
            .map(|(ttl, _)| ttl)
            .map_err(|error| error.to_string().replace("--until: ", ""));
    }
    Ttl::parse(typed).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_of_day_are_read() {
        let now = "2026-11-23T09:00:00Z".parse::<At>().unwrap();
        assert_eq!(read_duration("90m", now), Ok(Ttl::from_secs(5400)));
        assert_eq!(
            read_duration("2026-11-23T10:00:00Z", now),
            Ok(Ttl::from_secs(3600))
        );
        for wrong in ["", "2", "soon", "25:00", "2020-01-01T00:00:00Z"] {
            let why = read_duration(wrong, now).unwrap_err();
            assert!(!why.contains("--"), "{why}");
        }
    }
}
