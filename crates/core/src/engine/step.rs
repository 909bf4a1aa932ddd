//! The result of one call of the engine: a response, no response, or a question to an upstream
//! first.

use crate::dns::{Ede, Rcode, ReplyWriter};
use crate::policy::{Permit, RuleId};

use super::outcome::{Outcome, Reason};

/// The caller's next action for a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the first `len` bytes of the buffer.
    Reply {
        /// The length of the response in bytes.
        len: usize,
        /// The outcome.
        outcome: Outcome,
        /// Additional data that few responses have.
        more: Option<Box<FollowUp>>,
    },
    /// Send nothing. The log may need the follow-up.
    Drop(Outcome, Option<Box<FollowUp>>),
    /// Ask an upstream, then call [`resume`](super::resume).
    Forward(Box<Forward>),
}

/// Additional data that few responses have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// The permit to renew the cached response: it is popular and near its expiry.
    pub refresh: Option<Permit>,
    /// The record that failed the response filter, for the log.
    pub rejected: Option<String>,
}

/// The question that an upstream must answer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The permit for the question.
    pub permit: Permit,
    /// Whether the cache has a stale response to fall back on
    /// ([`UpstreamResult::unknown`](super::UpstreamResult::unknown)).
    pub stale: bool,
    /// The rule that forwards it, whose budget it counts toward; in observe mode the rule that would
    /// deny it.
    pub rule: Option<RuleId>,
    /// The outcome so far; its reason is that of a successful answer.
    pub outcome: Outcome,
}

impl Step {
    /// Finishes the response and records its code.
    pub(super) fn reply(
        writer: &mut ReplyWriter<'_>,
        ede: Option<(Ede, &str)>,
        mut outcome: Outcome,
    ) -> Self {
        outcome.rcode = Some(writer.rcode());
        Self::Reply {
            len: writer.finish(ede),
            outcome,
            more: None,
        }
    }

    /// Refuses the query for `reason`.
    pub(super) fn refuse(
        reason: Reason,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Self {
        outcome.reason = reason;
        writer.set_rcode(Rcode::Refused);
        Self::reply(writer, None, outcome)
    }

    /// The length of the response in bytes; 0 without a response.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Reply { len, .. } => *len,
            Self::Drop(..) | Self::Forward(_) => 0,
        }
    }

    /// Whether there is no response.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The upstream's record that failed the response filter.
    #[must_use]
    pub fn rejected(&self) -> Option<&str> {
        match self {
            Self::Reply { more, .. } | Self::Drop(_, more) => more.as_ref()?.rejected.as_deref(),
            Self::Forward(_) => None,
        }
    }

    /// The outcome; for a waiting query, the expected one.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        match self {
            Self::Reply { outcome, .. } | Self::Drop(outcome, _) => outcome,
            Self::Forward(ask) => &ask.outcome,
        }
    }
}
