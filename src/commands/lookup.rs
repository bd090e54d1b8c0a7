//! Finding requests, as an operator in the ledger or as anybody else in one's own mailbox.

use anyhow::Result;

use crate::access::ids::is_prefix;
use crate::access::{Now, Request, RequestId, State};
use crate::failure::{Exit, Failure};
use crate::stores::FindRequests;
use crate::ui;
use crate::workflow::mailbox::{self, PersonView};
use crate::workflow::view::{self, RequestView};

use super::context::{Context, Reach};

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub which: Which,
    pub target: Option<String>,
    pub user: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    #[default]
    Open,
    Mine,
    AwaitingMe,
    Pending,
    Active,
    Overdue,
    All,
}

/// The requests that fit and that I may see, newest first.
pub fn list(context: &Context, filter: &Filter) -> Result<Vec<RequestView>> {
    let now = context.now();
    let views = match &context.reach {
        Reach::Operator(op) => {
            let find = FindRequests {
                states: match filter.which {
                    Which::All | Which::Mine => None,
                    Which::Pending => Some(vec![State::Submitted, State::Pending]),
                    Which::AwaitingMe => Some(vec![State::Pending]),
                    Which::Active | Which::Overdue => {
                        Some(vec![State::Granting, State::Active, State::Revoking])
                    }
                    Which::Open => Some(open_states()),
                },
                requester: (filter.which == Which::Mine).then_some(context.me.uid),
                target: filter.target.as_deref().map(Into::into),
                ..FindRequests::default()
            };
            let mut views = Vec::new();
            for request in op.ledger.requests(&find)? {
                if filter.which == Which::AwaitingMe && !mailbox::awaits(op, &request, &context.me)
                {
                    continue;
                }
                if fits(&request_row(&request), filter, &now) {
                    views.push(view::of_request(op, &request, false)?);
                }
            }
            views
        }
        Reach::Mailbox(_) => {
            let Some(seen) = context.mailbox_view()? else {
                return Ok(Vec::new());
            };
            let all: Vec<RequestView> = match filter.which {
                Which::AwaitingMe => seen.awaiting,
                Which::Mine => seen.requests,
                _ => seen
                    .requests
                    .into_iter()
                    .chain(seen.awaiting)
                    .chain(seen.others)
                    .collect(),
            };
            all.into_iter()
                .filter(|view| {
                    fits(&view_row(view), filter, &now) && in_states(view.state, filter.which)
                })
                .collect()
        }
    };
    Ok(views)
}

fn open_states() -> Vec<State> {
    State::ALL
        .into_iter()
        .filter(|state| !state.is_final())
        .collect()
}

fn in_states(state: State, which: Which) -> bool {
    match which {
        Which::All | Which::Mine => true,
        Which::Open => !state.is_final(),
        Which::Pending => matches!(state, State::Submitted | State::Pending),
        Which::AwaitingMe => state == State::Pending,
        Which::Active | Which::Overdue => state.may_hold(),
    }
}

struct Row<'a> {
    target: &'a str,
    requester: &'a str,
    expires_at: Option<crate::access::At>,
    state: State,
    complaint: bool,
}

fn request_row(request: &Request) -> Row<'_> {
    Row {
        target: request.target.as_str(),
        requester: &request.requester.name,
        expires_at: request.expires_at,
        state: request.state,
        complaint: request.outcome.is_some(),
    }
}

fn view_row(view: &RequestView) -> Row<'_> {
    Row {
        target: view.target.as_str(),
        requester: &view.requester,
        expires_at: view.expires_at,
        state: view.state,
        complaint: view.outcome.is_some(),
    }
}

fn fits(row: &Row<'_>, filter: &Filter, now: &Now) -> bool {
    let overdue = row.expires_at.is_some_and(|at| at <= now.at)
        || (row.state == State::Revoking && row.complaint);
    filter
        .target
        .as_deref()
        .is_none_or(|target| target == row.target)
        && filter
            .user
            .as_deref()
            .is_none_or(|user| user == row.requester)
        && (filter.which != Which::Overdue || overdue)
}

/// The one request whose id begins so.
///
/// # Errors
/// [`Exit::NoSuch`] where none does or several do, naming them.
pub fn find(context: &Context, prefix: &str, with_events: bool) -> Result<RequestView> {
    let prefix = prefix.trim();
    if !is_prefix(prefix) {
        return Err(Failure::new(
            Exit::NoSuch,
            format!("{prefix:?} is not the beginning of a request id"),
        )
        .hint("jit list")
        .into());
    }
    let mut found: Vec<RequestView> = match &context.reach {
        Reach::Operator(op) => {
            let mut views = Vec::new();
            for request in op.ledger.requests(&FindRequests {
                id_prefix: Some(prefix.to_owned()),
                limit: Some(20),
                ..FindRequests::default()
            })? {
                views.push(view::of_request(op, &request, with_events)?);
            }
            views
        }
        Reach::Mailbox(_) => context
            .mailbox_view()?
            .map(everything)
            .unwrap_or_default()
            .into_iter()
            .filter(|view| view.id.as_str().starts_with(prefix))
            .collect(),
    };
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let mut failure = Failure::new(
                Exit::NoSuch,
                format!("there is no request {prefix} that you may see"),
            )
            .hint("jit list --all");
            if matches!(context.reach, Reach::Mailbox(_)) {
                failure = failure
                    .hint("what was handed in since the last sweep shows after the next one");
            } else if context.waiting()? > 0 {
                failure = failure.hint("something waits in the inbox: jit sweep");
            }
            Err(failure.into())
        }
        _ => {
            let ids: Vec<&str> = found.iter().map(|view| view.id.as_str()).collect();
            Err(Failure::new(
                Exit::NoSuch,
                format!("{prefix} is the beginning of several ids"),
            )
            .hint(format!("one of: {}", ids.join(" ")))
            .into())
        }
    }
}

fn everything(view: PersonView) -> Vec<RequestView> {
    view.requests
        .into_iter()
        .chain(view.awaiting)
        .chain(view.others)
        .collect()
}

/// My active request, for commands that leave the id out: the only one, or the one that is picked.
pub fn my_active(context: &Context, verb: &str) -> Result<RequestView> {
    let mut active = mine_in(context, &[State::Active])?;
    match active.len() {
        1 => Ok(active.remove(0)),
        0 => Err(
            Failure::new(Exit::NoSuch, format!("you have no access to {verb}"))
                .hint("jit list --mine")
                .into(),
        ),
        _ if ui::can_ask() => pick(context, &format!("Which one to {verb}?"), active),
        _ => Err(Failure::new(
            Exit::Usage,
            format!(
                "you have several, name one: {}",
                active
                    .iter()
                    .map(|view| view.id.as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        )
        .hint(format!("jit {verb} ID"))
        .into()),
    }
}

/// My requests in these states, newest first.
pub fn mine_in(context: &Context, states: &[State]) -> Result<Vec<RequestView>> {
    let mine = list(
        context,
        &Filter {
            which: Which::Mine,
            ..Filter::default()
        },
    )?;
    Ok(mine
        .into_iter()
        .filter(|view| states.contains(&view.state))
        .collect())
}

/// One of these, picked by a person on a terminal.
pub fn pick(context: &Context, question: &str, views: Vec<RequestView>) -> Result<RequestView> {
    let now = context.now().at;
    let rows: Vec<String> = views
        .iter()
        .map(|view| {
            let tables: Vec<String> = view.tables.iter().map(ToString::to_string).collect();
            format!(
                "{}  {:<8}  {:>7}  {}  {}  {}",
                view.id,
                view.state.to_string(),
                super::list::left(view, now),
                view.requester,
                view.target,
                tables.join(" ")
            )
        })
        .collect();
    let place = ui::prompt::pick(question, &rows)?;
    views
        .into_iter()
        .nth(place)
        .ok_or_else(|| Failure::new(Exit::NoSuch, "nothing was picked").into())
}

/// The request by its full id, as it is now; `None` where the mailbox does not show it yet.
pub fn by_id(context: &Context, id: &RequestId, with_events: bool) -> Result<Option<RequestView>> {
    match &context.reach {
        Reach::Operator(op) => match op.ledger.request(id)? {
            Some(request) => Ok(Some(view::of_request(op, &request, with_events)?)),
            None => Ok(None),
        },
        Reach::Mailbox(_) => Ok(context
            .mailbox_as_it_is()?
            .map(everything)
            .unwrap_or_default()
            .into_iter()
            .find(|view| view.id == *id)),
    }
}
