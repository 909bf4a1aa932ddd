//! What one part of an answer comes to: where the chain of aliases goes on, or why the answer was not completed.

use crate::{
    dns::{Failure, NameRef, reply::ReplyFull},
    policy::Permit,
};

use super::rejection::Rejection;

/// Why the answer was not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// An upstream must be asked first.
    Forward {
        /// The question to it.
        permit: Permit,
        /// Whether the cache has responses past their time, should nobody answer.
        stale: bool,
    },
    /// An upstream was asked in vain.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether that is remembered from an earlier query.
        cached: bool,
    },
    /// What the upstream said may not pass.
    Filtered(Rejection),
    /// An upstream would have to be asked, and the client does not want that.
    NoRecursion,
    /// It does not fit into the reply.
    Full,
    /// The chain of aliases is a circle, or longer than [`MAX_ALIASES`](crate::dns::response::MAX_ALIASES).
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

/// Where the chain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextName<'t> {
    /// Nowhere: this was its end.
    End,
    /// At this name.
    At(NameRef<'t>),
    /// At the name that was put into the target.
    Target,
}
