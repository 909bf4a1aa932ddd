//! The result of one call of the engine: a reply, silence, or a question to an upstream first.

use crate::dns::{Ede, Rcode, ReplyWriter};
use crate::policy::Permit;

use super::outcome::{Outcome, Reason};

/// What the caller must do about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the first `len` bytes of the buffer back.
    Reply {
        /// The reply's length in bytes.
        len: usize,
        /// What happened.
        outcome: Outcome,
        /// What few replies have with them.
        more: Option<Box<FollowUp>>,
    },
    /// Send nothing. The log may need the follow-up.
    Drop(Outcome, Option<Box<FollowUp>>),
    /// Forward an upstream, then [`resume`](super::resume).
    Forward(Box<Forward>),
}

/// What few replies have with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// The permit to renew the cached response of this reply, which is near its end and asked for often.
    pub refresh: Option<Permit>,
    /// The record that failed the response filter, for the log.
    pub rejected: Option<String>,
}

/// The question that an upstream must answer before there is a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The permit to ask it.
    pub permit: Permit,
    /// Whether there are responses past their time to fall back on ([`UpstreamResult::unknown`](super::UpstreamResult::unknown)).
    pub stale: bool,
    /// The outcome so far; its reason is the one that the query has when all goes well.
    pub outcome: Outcome,
}

impl Step {
    /// Ends the reply and notes its code.
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

    /// Refuses the query, for `reason`.
    pub(super) fn refuse(
        reason: Reason,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Self {
        outcome.reason = reason;
        writer.set_rcode(Rcode::Refused);
        Self::reply(writer, None, outcome)
    }

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
