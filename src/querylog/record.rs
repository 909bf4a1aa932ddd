//! What waits in the queue: a query as a copy of fixed size.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use super::finished_query::FinishedQuery;
use dnsgate_core::{
    dns::Transport,
    engine::{Ending, Outcome, Reason},
};

use super::severity::LogSeverity;

/// The bytes of a message that a record keeps: header, the longest question and some answers. Of
/// more answers than fit, the log shows the first.
pub(crate) const KEPT: usize = 512;

/// The bytes that a record keeps of what the response filter did not let pass: two names as they commonly
/// are, and what is between them, several times over.
pub(crate) const REJECTED: usize = 512;

/// One query, copied without an allocation, but for what the response filter did not let pass: that is
/// seldom, and was allocated for the log in the first place.
#[derive(Clone, Debug)]
pub(crate) struct QueryRecord {
    pub(crate) outcome: Outcome,
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) time: SystemTime,
    pub(crate) latency: Duration,
    pub(crate) generation: u64,
    /// How many queries a routine one of these stands for.
    pub(crate) sample: u32,
    /// The record of an upstream's answer that may not pass.
    pub(crate) rejected: Option<Box<str>>,
    len: u16,
    message: [u8; KEPT],
}

impl QueryRecord {
    /// Copies the start of the reply, which repeats the question; of the query when there is no
    /// reply.
    pub(crate) fn of(event: &FinishedQuery<'_>) -> Self {
        let message = if event.reply.is_empty() {
            event.query
        } else {
            event.reply
        };
        let mut record = Self {
            outcome: event.outcome,
            transport: event.transport,
            source: event.source,
            time: event.time,
            latency: event.latency.as_yet(),
            generation: event.generation,
            sample: 1,
            rejected: event.rejected.map(|record| cut(record).into()),
            len: u16::try_from(message.len().min(KEPT)).unwrap_or_default(),
            message: [0; KEPT],
        };
        for (to, from) in record.message.iter_mut().zip(message) {
            *to = *from;
        }
        record
    }

    /// How much the line matters.
    pub(crate) const fn severity(&self) -> LogSeverity {
        severity(&self.outcome)
    }

    /// How many queries the line stands for, where it is one of a sample.
    pub(crate) fn sample_rate(&self) -> Option<u32> {
        (self.sample > 1 && is_routine(&self.outcome)).then_some(self.sample)
    }

    /// The start of the message.
    pub(crate) fn message(&self) -> &[u8] {
        self.message
            .get(..usize::from(self.len))
            .unwrap_or_default()
    }
}

/// As much of a text as is kept.
fn cut(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|&end| end <= REJECTED).last();
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Whether a query that ended so is one of many, of which a sample will do: not what is denied,
/// would be, or failed, for those are looked at one by one.
pub(crate) const fn is_routine(outcome: &Outcome) -> bool {
    matches!(severity(outcome), LogSeverity::Info)
}

/// How much the line of a query that ended so matters.
pub(crate) const fn severity(outcome: &Outcome) -> LogSeverity {
    match (outcome.ending(), outcome.reason) {
        (_, Reason::Observed) => LogSeverity::Notice,
        (Ending::Answered | Ending::Forwarded | Ending::Rejected, _) => LogSeverity::Info,
        (Ending::Denied, _) => LogSeverity::Notice,
        (Ending::Failed, Reason::Panic) => LogSeverity::Error,
        (Ending::Failed, _) => LogSeverity::Warning,
    }
}
