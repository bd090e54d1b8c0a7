//! PURE. The words of the trade: names, identities, requests and how they move, leases, plans.
//!
//! Nothing in this room reads a clock, a file or a socket; whatever it needs to know is handed to it.

pub mod arrival;
pub mod hold;
pub mod ids;
pub mod key;
pub mod lease;
pub mod names;
pub mod pattern;
pub mod person;
pub mod plan;
pub mod privilege;
pub mod request;
pub mod syntax;
pub mod terms;
mod text;
pub mod time;
pub mod waves;

pub use arrival::{Prerequisite, Reading, Survey, SurveyProblem};
pub use hold::{Hold, Selector};
pub use ids::{LedgerId, RequestId};
pub use key::PrivilegeKey;
pub use lease::{Lease, LeaseId, LeaseState};
pub use names::{ColumnName, Grantee, SharedText, ShortText, TableColumns, TableName, TargetName};
pub use pattern::{NamePattern, TablePattern};
pub use person::{Actor, Person};
pub use privilege::{Identity, Named, Privilege, ServerIdentity, Standing};
pub use request::{Approval, Course, Ended, Request, State};
pub use terms::{ApprovalLine, Grouping, RuleRef, Sessions, Terms, Usage};
pub use time::{At, BootInstant, Now, Ttl};
