//! One query's path, pure: a packet and its source in, a reply and an outcome out.

pub mod outcome;

pub use crate::policy::{GroupId, RuleId};
pub use outcome::{Ending, Outcome, Reason};
