//! PURE. What completes which argument.

/// What may stand at a place of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Ids of requests.
    Awaiting,
    MyOpen,
    MyActive,
    Live,
    AnyRequest,
    Target,
    /// `TABLE:COL,COL`, of columns that I may request.
    Requestable,
    /// `TABLE:COL,COL`, of any protected columns.
    Columns,
    /// `TABLE:COL`
    Column,
    Table,
    Person,
    Account,
    Purpose,
    Duration,
    Event,
    Hold,
    Page,
    File,
    Folder,
    /// Words of one's own.
    Free,
}

/// By the command's path (`audit search`) and the argument's name; `None` where clap knows the values itself, and for
/// flags. A test goes through the whole tree.
pub fn of(path: &str, argument: &str) -> Option<Wanted> {
    use Wanted::*;
    Some(match (path, argument) {
        ("approve", "ids") | ("deny", "id") => Awaiting,
        ("cancel", "id") => MyOpen,
        ("return" | "extend", "id") => MyActive,
        ("revoke", "ids") => Live,
        ("show", "id") | ("audit search", "request") => AnyRequest,
        ("request", "what") => Requestable,
        ("policy explain", "what") => Columns,
        ("revoke" | "audit search", "column") => Column,
        ("columns", "table") => Table,
        (_, "target") => Target,
        ("policy explain", "who") | (_, "user" | "requester") => Person,
        (_, "grantee") => Account,
        (_, "purpose") => Purpose,
        (_, "ttl" | "watch" | "wait") => Duration,
        (_, "event") => Event,
        ("resume", "holds") => Hold,
        ("man", "page") => Page,
        (_, "config" | "metrics" | "files") => File,
        (_, "dir") => Folder,
        (
            _,
            "reason" | "note" | "ticket" | "until" | "since" | "head" | "hash" | "as_url"
            | "shared" | "words",
        ) => Free,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn walk(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let takes = argument
                .get_num_args()
                .is_some_and(|range| range.takes_values());
            let known = !argument.get_possible_values().is_empty();
            if takes && !known && of(path, name).is_none() {
                missing.push(format!("{path}: {name}"));
            }
        }
        for inner in command.get_subcommands() {
            walk(
                inner,
                format!("{path} {}", inner.get_name()).trim(),
                missing,
            );
        }
    }

    #[test]
    fn every_value_of_the_command_line_is_completed_or_is_the_persons_own() {
        let mut command = Cli::command();
        command.build();
        let mut missing = Vec::new();
        walk(&command, "", &mut missing);
        assert!(missing.is_empty(), "say in `of` what completes {missing:?}");
    }
}
