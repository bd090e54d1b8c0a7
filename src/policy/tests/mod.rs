//! The laws of the policy language, over invented people.

mod judging;
mod linting;
mod loading;
mod properties;
mod ruling;
