//! The result of one part of an answer: the next name of the CNAME chain, or why the answer is
//! incomplete.

use std::time::SystemTime;

use crate::{
    dns::{Failure, NameRef, reply::ReplyFull},
    policy::{Permit, RuleId},
};

use super::rejection::Rejection;

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
