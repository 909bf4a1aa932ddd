//! The result of one part of an answer: the next name of the CNAME chain, or why the answer is
//! incomplete, for example because the response filter rejected it.

use std::{fmt, time::SystemTime};

use crate::{
    dns::{Failure, NameRef, reply::ReplyFull},
    policy::{Permit, Policy, RuleId},
};

/// The reason why an answer is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// An upstream must be asked first.
    Forward {
        /// The permit for the question.
        permit: Permit,
        /// Whether the cache has a stale response in case no upstream answers.
        stale: bool,
        /// The rule that forwards the question.
        rule: Option<RuleId>,
    },
    /// The rule's budget does not allow the question.
    OverBudget {
        /// The rule.
        rule: Option<RuleId>,
        /// When the budget's window ends.
        until: SystemTime,
    },
    /// Asking an upstream failed.
    Failed {
        /// The failure.
        failure: Failure,
        /// Whether the failure is cached from an earlier query.
        cached: bool,
    },
    /// The filter rejected the upstream's answer.
    Filtered(Rejection),
    /// The answer needs an upstream, but the client does not desire recursion.
    NoRecursion,
    /// The answer does not fit into the response.
    Full,
    /// The CNAME chain has a loop or is longer than
    /// [`MAX_ALIASES`](crate::dns::response::MAX_ALIASES).
    Endless,
}

impl From<ReplyFull> for Incomplete {
    fn from(_: ReplyFull) -> Self {
        Self::Full
    }
}

impl From<Rejection> for Incomplete {
    fn from(rejection: Rejection) -> Self {
        Self::Filtered(rejection)
    }
}

/// The next name of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextName<'t> {
    /// None: the chain has ended.
    End,
    /// This name.
    At(NameRef<'t>),
    /// The name stored in the target.
    Target,
}

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
