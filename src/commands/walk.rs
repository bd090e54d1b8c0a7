//! The walk of `jit approve` through requests: one screen each, and what to do with it.

use std::rc::Rc;

use anyhow::Result;

use crate::access::{State, Ttl};
use crate::failure::{Exit, classify};
use crate::ui::prompt::{self, Check, Stopped};
use crate::ui::{self, Format};
use crate::workflow::submission::Act;
use crate::workflow::view::RequestView;

use super::context::Context;
use super::{decide, lookup, missing, show, submit};

/// What an approver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Approve,
    Shorten,
    Deny,
    Skip,
    Quit,
}

impl Answer {
    /// A letter or the whole word; Enter alone skips, which harms nothing.
    fn read(typed: &str) -> Option<Self> {
        match typed.to_lowercase().as_str() {
            "a" | "approve" => Some(Self::Approve),
            "s" | "shorten" => Some(Self::Shorten),
            "d" | "deny" => Some(Self::Deny),
            "" | "skip" => Some(Self::Skip),
            "q" | "quit" => Some(Self::Quit),
            _ => None,
        }
    }
}

/// Shows each request and does what is answered. `ttl` and `note` go along with every approval.
///
/// # Errors
/// [`Stopped::Interrupted`] where nothing has been decided yet; what has been stays decided.
pub async fn run(
    context: &Context,
    views: Vec<RequestView>,
    ttl: Option<Ttl>,
    note: Option<&str>,
) -> Result<Exit> {
    let number = views.len();
    let mut decided = Vec::new();
    let mut worst = Exit::Done;
    let mut stopped = None;
    for (place, listed) in views.into_iter().enumerate() {
        // Somebody else may have decided meanwhile.
        let view = lookup::by_id(context, &listed.id, false)?.unwrap_or(listed);
        if view.state != State::Pending {
            ui::note(&format!("{} is {} meanwhile", view.id, view.state))?;
            continue;
        }
        if place > 0 {
            ui::note("")?;
        }
        ui::note(&heading(place + 1, number, &view))?;
        ui::note(&show::to_decide(&view, context.now().at))?;
        let act = match decide_about(&view, ttl, note) {
            Ok(Decision::Act(act)) => act,
            Ok(Decision::Skip) => continue,
            Ok(Decision::Quit) => break,
            Err(error) => match error.downcast_ref::<Stopped>() {
                Some(why) => {
                    stopped = Some(*why);
                    break;
                }
                None => return Err(error),
            },
        };
        // One that operators do not accept is no reason to leave the others.
        match submit::hand_in(context, act).await {
            Ok(_) => {
                decided.push(view.id.clone());
                if view.requester == context.me.name {
                    ui::note(&ui::paragraph(
                        "will be rejected: nobody decides about their own request",
                        0,
                    ))?;
                    worst = Exit::Refused;
                } else if context.format == Format::Table {
                    worst = told(decide::tell(context, &[view.id]))?.max_with(worst);
                }
            }
            Err(error) => worst = told(Err(error))?.max_with(worst),
        }
    }
    if stopped == Some(Stopped::Interrupted) && decided.is_empty() {
        return Err(Stopped::Interrupted.into());
    }
    if context.format == Format::Json {
        worst = decide::tell(context, &decided)?.max_with(worst);
    }
    let left = lookup::list(
        context,
        &lookup::Filter {
            which: lookup::Which::AwaitingMe,
            ..lookup::Filter::default()
        },
    )?;
    let left = left.iter().filter(|view| !decided.contains(&view.id));
    match left.count() {
        0 => {}
        1 => ui::note("1 request still awaits you: jit approve")?,
        left => ui::note(&format!("{left} requests still await you: jit approve"))?,
    }
    Ok(match stopped {
        Some(Stopped::Interrupted) => Exit::Interrupted,
        _ => worst,
    })
}

/// The first thing that went wrong is what the command ends with.
trait Worst {
    fn max_with(self, before: Exit) -> Exit;
}

impl Worst for Exit {
    fn max_with(self, before: Exit) -> Exit {
        if before == Exit::Done { self } else { before }
    }
}

/// Says a failure on the way, and goes on.
fn told(outcome: Result<Exit>) -> Result<Exit> {
    match outcome {
        Ok(exit) => Ok(exit),
        Err(error) => {
            let failure = classify(&error);
            ui::note(&ui::paragraph(&failure.what, 0))?;
            for hint in &failure.hints {
                ui::note(&ui::paragraph(hint, 2))?;
            }
            Ok(failure.exit)
        }
    }
}

/// `── 1 of 3 ── k3fq7m2x ─────`
fn heading(place: usize, number: usize, view: &RequestView) -> String {
    let title = if number > 1 {
        format!("── {place} of {number} ── {} ", view.id)
    } else {
        format!("── {} ", view.id)
    };
    let room = usize::from(ui::width()).min(80);
    let line = room.saturating_sub(title.chars().count());
    format!("{title}{}", "─".repeat(line))
}

enum Decision {
    Act(Act),
    Skip,
    Quit,
}

/// Asks until there is something to do. Esc at a second question leads back to the first.
fn decide_about(view: &RequestView, ttl: Option<Ttl>, note: Option<&str>) -> Result<Decision> {
    let check: Check<str> = Rc::new(|typed: &str| {
        let known = Answer::read(typed).map(|_| ());
        known.ok_or_else(|| "type a, s, d or q, or Enter alone".to_owned())
    });
    let most = ttl.map_or(view.lease_ttl, |ttl| ttl.min(view.lease_ttl));
    loop {
        let question = format!("Approve for {most}?");
        let typed = match prompt::text(
            &question,
            "a approve, s shorten, d deny, Enter skip, q quit",
            &check,
        ) {
            Ok(typed) => typed,
            Err(error) if is_left(&error) => return Ok(Decision::Quit),
            Err(error) => return Err(error),
        };
        let approve = |ttl: Option<Ttl>| {
            Decision::Act(Act::Approve {
                id: view.id.clone(),
                digest: view.digest.clone(),
                ttl,
                note: note.map(str::to_owned),
            })
        };
        let second = match Answer::read(&typed) {
            Some(Answer::Approve) => Ok(approve(ttl)),
            Some(Answer::Shorten) => shorter(most).map(|ttl| approve(Some(ttl))),
            Some(Answer::Deny) => why_not().map(|reason| {
                Decision::Act(Act::Deny {
                    id: view.id.clone(),
                    reason,
                })
            }),
            Some(Answer::Skip) => Ok(Decision::Skip),
            Some(Answer::Quit) => Ok(Decision::Quit),
            None => continue,
        };
        match second {
            Err(error) if is_left(&error) => {}
            other => return other,
        }
    }
}

fn is_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Stopped>() == Some(&Stopped::Left)
}

fn shorter(most: Ttl) -> Result<Ttl> {
    missing::duration_until(
        "Approve for how long?",
        &format!("at most {most}; like 30m or 2h; Esc goes back"),
        crate::workflow::clock::now().at,
        move |ttl| {
            if ttl <= most {
                Ok(())
            } else {
                Err(format!("you may shorten, never lengthen: at most {most}"))
            }
        },
    )
}

fn why_not() -> Result<String> {
    missing::ask_reason("Why not?", "the requester is told; Esc goes back")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_words_are_answers_and_nothing_else_is() {
        assert_eq!(Answer::read("A"), Some(Answer::Approve));
        assert_eq!(Answer::read("shorten"), Some(Answer::Shorten));
        assert_eq!(Answer::read(""), Some(Answer::Skip), "Enter harms nothing");
        for typed in ["y", "yes", "ap", "1", "approve it"] {
            assert_eq!(Answer::read(typed), None, "{typed}");
        }
    }

    #[test]
    fn the_first_failure_is_kept() {
        assert_eq!(Exit::Refused.max_with(Exit::Done), Exit::Refused);
        assert_eq!(Exit::Done.max_with(Exit::Refused), Exit::Refused);
        assert_eq!(Exit::NoSuch.max_with(Exit::Refused), Exit::Refused);
    }
}
