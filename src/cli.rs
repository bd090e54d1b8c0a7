//! The command tree.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::ui::Format;

/// Gives people a column of a production database for as long as they need it, and takes it back.
///
/// Engineers ask (jit request), approvers say yes (jit approve), the database itself grants, and cron (jit sweep)
/// takes it back at expiry and proves it. Everything is in an append-only audit file.
#[derive(Debug, Parser)]
#[command(
    name = "jit",
    version,
    disable_help_subcommand = true,
    max_term_width = 80
)]
#[command(after_help = "Begin with: jit init      Read on: the README and docs/")]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The settings file [default: the user's, else /etc/jit/config.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print tables for people or JSON for programs
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    pub output: Format,
    /// Say each SQL statement and its time on standard error
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented settings file and a first policy, and make the ledger
    #[command(after_help = "Examples:\n  jit init\n  sudo jit init --dir /etc/jit --shared dba")]
    Init(Init),
    /// Make and mend the ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Print the SQL that a target needs, grouped by who must run it
    #[command(
        after_help = "Examples:\n  jit setup shop\n  jit setup shop --apply --as-url postgres://postgres@db1/shop\n  jit setup shop --undo"
    )]
    Setup(Setup),
    /// Check settings, policies, targets, clock, ledger, audit trail and file modes
    Doctor,
    /// Check, explain and test policies
    #[command(subcommand)]
    Policy(Policy),
    /// Show which columns I may request, for how long, with whose approval
    #[command(after_help = "Examples:\n  jit columns\n  jit columns shop public.customers")]
    Columns(Columns),
    /// Ask for columns; on a terminal, what is left out is asked for
    #[command(
        after_help = "Examples:\n  jit request\n  jit request customers:email\n  jit request shop public.customers:email,phone --for 2h --reason 'INC-7: wrong mails'\n  jit request customers:email --for 30m --purpose support-ticket --ticket SUP-7 --reason 'caller' --wait"
    )]
    Request(Request),
    /// List requests, one row each; open ones by default
    #[command(
        after_help = "Examples:\n  jit list --awaiting-me\n  jit list --all --user alice -o json"
    )]
    List(List),
    /// Show everything about one request
    #[command(after_help = "Example: jit show k3fq7m2x")]
    Show { id: String },
    /// Approve requests that await me
    #[command(
        after_help = "Examples:\n  jit approve\n  jit approve k3fq7m2x\n  jit approve k3fq7m2x --for 30m --yes"
    )]
    Approve(Approve),
    /// Refuse a request; final
    #[command(after_help = "Example: jit deny k3fq7m2x --reason 'use the replica'")]
    Deny {
        /// An id, or a beginning of it [on a terminal: asked for]
        id: Option<String>,
        /// [on a terminal: asked for]
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Withdraw my own open request
    Cancel {
        /// An id, or a beginning of it [on a terminal: asked for]
        id: Option<String>,
    },
    /// Give access back before its time
    Return {
        /// An id, or a beginning of it [default: the only one; of several, a terminal asks]
        id: Option<String>,
    },
    /// Take access away now
    #[command(
        after_help = "Examples:\n  jit revoke k3fq7m2x --reason 'done'\n  jit revoke --requester alice --reason 'left the company'\n  jit revoke --everything --reason 'incident 12'"
    )]
    Revoke(Revoke),
    /// Allow new requests again after a revoke by selector
    #[command(after_help = "Example: jit resume 3 --reason 'incident is over'")]
    Resume {
        /// Numbers of holds [default: all]
        holds: Vec<u32>,
        /// [on a terminal: asked for]
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Do not ask whether to go on
        #[arg(long, short)]
        yes: bool,
    },
    /// Ask for more time; judged and approved like any request
    #[command(after_help = "Example: jit extend k3fq7m2x --for 1h --reason 'not done yet'")]
    Extend(Extend),
    /// Take back what is due, drain the inbox, grant what is approved: what cron runs
    #[command(
        after_help = "Examples:\n  jit sweep\n  jit sweep --dry-run\n  jit sweep --watch 10s --metrics /var/lib/prometheus/node-exporter/jit.prom"
    )]
    Sweep(Sweep),
    /// Verify and search the audit trail
    #[command(subcommand)]
    Audit(Audit),
    /// Show the settings in force and where each comes from
    Settings {
        /// Name the source of each value
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of what -o json prints
    Schema {
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print a completion script; it completes ids, targets, tables, columns and people, too
    #[command(
        after_help = "Install it for yourself:\n  bash        jit completions bash > ~/.local/share/bash-completion/completions/jit\n  zsh         jit completions zsh > ~/.zfunc/_jit, with fpath+=~/.zfunc before compinit\n  fish        jit completions fish > ~/.config/fish/completions/jit.fish\n  elvish      jit completions elvish >> ~/.config/elvish/rc.elv\n  powershell  jit completions powershell >> $PROFILE"
    )]
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Show a manual page: the program's, a command's, config, policies or audit
    #[command(
        after_help = "Examples:\n  jit man\n  jit man approve\n  jit man policies\n  jit man --dir ~/.local/share/man"
    )]
    Man {
        /// A command, or config, policies, audit for the files [default: the program]
        page: Option<String>,
        /// Write all pages into man1/ and man5/ of this folder
        #[arg(long, value_name = "DIR", conflicts_with = "page")]
        dir: Option<PathBuf>,
    },
    /// What the completion scripts run at TAB
    #[command(hide = true)]
    Complete {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
        /// The words so far, the unfinished one last; for bash the word that it would replace, and the line
        #[arg(last = true, value_name = "WORD")]
        words: Vec<std::ffi::OsString>,
    },
    /// Write completions/ and man/ as this project keeps them
    #[command(hide = true)]
    Generate { dir: PathBuf },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaOf {
    Request,
    Event,
}

#[derive(Debug, Args)]
pub struct Init {
    /// Where to write config.yaml and policies/ [default: the user's configuration folder, or /etc/jit as root]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// For a host whose operators are this Unix group, and where everyone may submit
    #[arg(long, value_name = "GROUP")]
    pub shared: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Make ledger, inbox and audit file as the settings name them
    #[command(after_help = "Examples:\n  jit ledger init\n  sudo jit ledger init --shared dba")]
    Init {
        /// For a host whose operators are this Unix group, and where everyone may submit
        #[arg(long, value_name = "GROUP")]
        shared: Option<String>,
    },
    /// Make the settings file in use the one that this ledger belongs to
    Adopt {
        #[arg(long, short)]
        yes: bool,
    },
    /// Show what the ledger knows of time, or accept a clock that was set back
    Clock {
        /// The clock is right now: forget the later instant
        #[arg(long)]
        accept: bool,
    },
}

#[derive(Debug, Args)]
pub struct Setup {
    /// The target's name in the settings; may be left out if there is one
    pub target: Option<String>,
    /// Run it instead of printing it
    #[arg(long)]
    pub apply: bool,
    /// Connect as somebody who may; the password comes from PGPASSWORD, ~/.pgpass or ~/.my.cnf, or is asked for
    #[arg(long, value_name = "URL")]
    pub as_url: Option<String>,
    /// Take it all away; refused while leases live
    #[arg(long)]
    pub undo: bool,
}

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Lint the policy files
    Check {
        /// Also compare with the catalogs of the targets
        #[arg(long)]
        live: bool,
    },
    /// Explain what the policies say of a request
    #[command(
        after_help = "Example: jit policy explain alice shop public.customers:email --for 2h --purpose incident"
    )]
    Explain(Explain),
    /// Run the tests that stand in the policy files
    Test,
    /// Print the JSON Schema of policy files, for editors
    Schema,
    /// Print a policy or settings text as it was, by its hash
    Show { hash: String },
}

#[derive(Debug, Args)]
pub struct Explain {
    /// A user name
    pub who: String,
    /// [TARGET] TABLE:COLUMN,COLUMN …
    #[arg(required = true, num_args = 1.., value_name = "TARGET|TABLE:COLS")]
    pub what: Vec<String>,
    #[arg(long = "for", value_name = "DURATION", default_value = "1h")]
    pub ttl: String,
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<String>,
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<String>,
}

#[derive(Debug, Args)]
pub struct Columns {
    pub target: Option<String>,
    pub table: Option<String>,
}

#[derive(Debug, Args)]
pub struct Request {
    /// [TARGET] TABLE:COLUMN,COLUMN …; TABLE:* means all that I may request there
    #[arg(num_args = 0.., value_name = "TARGET|TABLE:COLS")]
    pub what: Vec<String>,
    /// How long: 30m, 2h, 1d
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until")]
    pub ttl: Option<String>,
    /// Until when: 18:00 (the next one, local time), or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Why; everybody who approves or audits reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<String>,
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<String>,
    /// Wait until it is granted or refused
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "10m")]
    pub wait: Option<String>,
    /// Say what would happen; nothing is handed in or recorded
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask whether to hand it in; what is missing is asked for all the same
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// My own requests
    #[arg(long, group = "which")]
    pub mine: bool,
    /// What waits for my approval
    #[arg(long, group = "which")]
    pub awaiting_me: bool,
    /// Not decided yet
    #[arg(long, group = "which")]
    pub pending: bool,
    /// Granted now
    #[arg(long, group = "which")]
    pub active: bool,
    /// Should be gone and is not
    #[arg(long, group = "which")]
    pub overdue: bool,
    /// Ended ones too
    #[arg(long, group = "which")]
    pub all: bool,
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Ids only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Approve {
    /// Ids, or unambiguous beginnings of them [default: walk through what awaits me]
    pub ids: Vec<String>,
    /// Give it for a shorter time
    #[arg(long = "for", value_name = "DURATION")]
    pub ttl: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Revoke {
    pub ids: Vec<String>,
    /// Everything that this person requested
    #[arg(long, value_name = "USER")]
    pub requester: Option<String>,
    /// Everything that this account holds
    #[arg(long, value_name = "ACCOUNT")]
    pub grantee: Option<String>,
    /// Everything on this target
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Every request that has this column
    #[arg(long, value_name = "TABLE:COL")]
    pub column: Option<String>,
    /// Everything
    #[arg(long, conflicts_with_all = ["requester", "grantee", "target", "column"])]
    pub everything: bool,
    /// For a disputed lease: leave the privilege standing; it is not ours any more
    #[arg(long, conflicts_with = "take")]
    pub keep_standing: bool,
    /// For a disputed lease: take the privilege away all the same
    #[arg(long)]
    pub take: bool,
    /// [on a terminal: asked for]
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Do not ask whether to go on
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Extend {
    /// An id, or a beginning of it [default: the only one; of several, a terminal asks]
    pub id: Option<String>,
    /// How much longer, from when it is granted [on a terminal: asked for]
    #[arg(long = "for", value_name = "DURATION")]
    pub ttl: Option<String>,
    /// Why; everybody who approves or audits reads it [on a terminal: asked for]
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct Sweep {
    /// Print the plan; change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Go on for ever, with this pause
    #[arg(long, value_name = "DURATION", conflicts_with = "dry_run")]
    pub watch: Option<String>,
    /// Write Prometheus metrics into this file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub metrics: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check the chain of one or more files; `-` is standard input, .gz is read as it is
    #[command(
        after_help = "Examples:\n  jit audit verify\n  jit audit verify audit.jsonl.2.gz audit.jsonl.1 audit.jsonl --head 17:ab12…"
    )]
    Verify {
        /// In the order of their lines [default: the file that the settings name]
        files: Vec<PathBuf>,
        /// A head kept elsewhere: this line must be there with this hash
        #[arg(long, value_name = "SEQ:HASH")]
        head: Vec<String>,
    },
    /// Print number and hash of the newest line, to be kept elsewhere
    Head,
    /// Print the lines that fit
    #[command(
        after_help = "Examples:\n  jit audit search --column public.customers:email --since 2026-11-01\n  jit audit search --requester alice --event granted"
    )]
    Search(Search),
}

#[derive(Debug, Args)]
pub struct Search {
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Requester, actor or approver
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    #[arg(long, value_name = "USER")]
    pub requester: Option<String>,
    #[arg(long, value_name = "ACCOUNT")]
    pub grantee: Option<String>,
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// TABLE or TABLE:COLUMN
    #[arg(long, value_name = "TABLE[:COL]")]
    pub column: Option<String>,
    #[arg(long, value_name = "EVENT")]
    pub event: Vec<String>,
    /// RFC 3339, a date, or a duration ago
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}
