//! Why the response filter rejected an answer.

use std::fmt;

use crate::{
    dns::NameRef,
    policy::{Policy, RuleId},
};

/// The checks of the response filter: the label `check` of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterCheck {
    /// The address of an A or AAAA record must be within the rule's ranges.
    Address,
    /// The address hints of an HTTPS or SVCB record must be within the rule's ranges (RFC 9460
    /// section 7.3).
    Hint,
    /// An alias must lead to a name that the client may query.
    Cname,
}

impl FilterCheck {
    /// Every variant, in the order of their discriminants (`as usize`).
    pub const ALL: [Self; 3] = [Self::Address, Self::Hint, Self::Cname];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Hint => "hint",
            Self::Cname => "cname",
        }
    }
}

/// A record that failed a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) check: FilterCheck,
    /// The rule of the check; `None` for an observed question.
    rule: Option<RuleId>,
    /// The record or its fault, for the log only: it is withheld from the client.
    pub(super) record: String,
}

impl Rejection {
    pub(super) fn new(
        check: FilterCheck,
        rule: Option<RuleId>,
        owner: NameRef<'_>,
        what: impl fmt::Display,
    ) -> Self {
        Self {
            check,
            rule,
            record: format!("{owner} {what}"),
        }
    }

    /// The text for the client: the check and its rule, without the record.
    pub(super) fn text(&self, policy: &Policy) -> String {
        let why = match self.check {
            FilterCheck::Address => "the answer has an address outside of the ranges",
            FilterCheck::Hint => {
                "an address hint of the answer is outside of the ranges, or cannot be read"
            }
            FilterCheck::Cname => "an alias leads to a name that is not allowed",
        };
        match self.rule.and_then(|id| policy.rule(id)) {
            Some(rule) => format!("rule {}: {why}", rule.name),
            None => why.to_owned(),
        }
    }
}
