//! What a query comes to: a reply, silence, or a question to an upstream first.

use super::{Outcome, Permit};

/// What to do about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the first `len` bytes of the buffer back.
    Reply {
        /// The reply's length in bytes.
        len: usize,
        /// What happened.
        outcome: Outcome,
        /// What there is to it that is rare.
        more: Option<Box<FollowUp>>,
    },
    /// Send nothing. What was not sent may have more to it for the log.
    Drop(Outcome, Option<Box<FollowUp>>),
    /// Forward an upstream, then [`resume`](super::resume).
    Forward(Box<Forward>),
}

/// What some replies have with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// A question to ask anew, as the responses of this reply are near their end and often asked for.
    pub refresh: Option<Permit>,
    /// The record that failed the response filter, for the log.
    pub rejected: Option<String>,
}

/// What must be known before there is a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Leave to ask.
    pub permit: Permit,
    /// Whether there are responses past their time to fall back on ([`UpstreamResult::unknown`](super::UpstreamResult::unknown)).
    pub stale: bool,
    /// What is known of the query so far: its reason is the one that it has when all goes well.
    pub outcome: Outcome,
}

impl Step {
    /// The reply's length in bytes; 0 when there is none.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Reply { len, .. } => *len,
            Self::Drop(..) | Self::Forward(_) => 0,
        }
    }

    /// Whether there is no reply.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record of an upstream that may not pass.
    #[must_use]
    pub fn rejected(&self) -> Option<&str> {
        match self {
            Self::Reply { more, .. } | Self::Drop(_, more) => more.as_ref()?.rejected.as_deref(),
            Self::Forward(_) => None,
        }
    }

    /// What happened; of a query that waits, what would.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        match self {
            Self::Reply { outcome, .. } | Self::Drop(outcome, _) => outcome,
            Self::Forward(ask) => &ask.outcome,
        }
    }
}
