//! A finished query, as the worker passes it to the counters and the log, and its fixed-size copy in
//! the queue of the log.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use dnsgate_core::{
    dns::Transport,
    engine::{Ending, Outcome, Reason},
};

/// Bytes of a message that a record keeps: header, the longest question and some answers. If there
/// are more answers, the log shows the first ones.
pub(crate) const KEPT: usize = 512;

/// Bytes that a record keeps of the text about a rejected record: several times the usual length of
/// two names and the text between them.
pub(crate) const REJECTED: usize = 512;

/// One query, copied without an allocation. Only the text about a rejected record is allocated;
/// that is rare, and the log needs it anyway.
#[derive(Clone, Debug)]
pub(crate) struct QueryRecord {
    pub(crate) outcome: Outcome,
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) time: SystemTime,
    pub(crate) latency: Duration,
    pub(crate) generation: u64,
    /// The number of queries that a routine record stands for.
    pub(crate) sample: u32,
    /// The record of an upstream's answer that the response filter rejected.
    pub(crate) rejected: Option<Box<str>>,
    len: u16,
    message: [u8; KEPT],
}

impl QueryRecord {
    /// Copies the start of the reply, which repeats the question, or of the query if there is no
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

    /// The severity of the line.
    pub(crate) const fn severity(&self) -> LogSeverity {
        severity(&self.outcome)
    }

    /// The number of queries that the line stands for, if it is sampled.
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

/// Truncates a text to the kept length.
fn cut(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|&end| end <= REJECTED).last();
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Whether queries with this outcome may be sampled. Denied, observed and failed ones are examined
/// individually, so they are not sampled.
pub(crate) const fn is_routine(outcome: &Outcome) -> bool {
    matches!(severity(outcome), LogSeverity::Info)
}

/// The severity of a query with this outcome.
pub(crate) const fn severity(outcome: &Outcome) -> LogSeverity {
    match (outcome.ending(), outcome.reason) {
        (_, Reason::Observed) => LogSeverity::Notice,
        (Ending::Answered | Ending::Forwarded | Ending::Rejected, _) => LogSeverity::Info,
        (Ending::Denied, _) => LogSeverity::Notice,
        (Ending::Failed, Reason::Panic) => LogSeverity::Error,
        (Ending::Failed, _) => LogSeverity::Warning,
    }
}

/// A finished query.
#[derive(Clone, Copy, Debug)]
pub struct FinishedQuery<'a> {
    /// Its outcome.
    pub outcome: Outcome,
    /// The transport it arrived on.
    pub transport: Transport,
    /// The client's address and port.
    pub source: SocketAddr,
    /// The packet.
    pub query: &'a [u8],
    /// The reply; empty if there was none.
    pub reply: &'a [u8],
    /// The record of an upstream's answer that the response filter rejected, for the log.
    pub rejected: Option<&'a str>,
    /// When it was read, for the log.
    pub time: SystemTime,
    /// The time from reading the query to writing its reply.
    pub latency: Latency,
    /// The generation of the snapshot that decided it.
    pub generation: u64,
}

/// The latency of a query.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    /// Already known.
    Known(Duration),
    /// The latency of its batch, which [`Recorder::batch_took`](crate::telemetry::Recorder::batch_took)
    /// reports at the end.
    Batch {
        /// When the batch was read.
        since: Instant,
        /// The clock, for a query that is logged before the end of its batch.
        clock: fn() -> Instant,
    },
}

impl Latency {
    /// The latency so far.
    pub(crate) fn as_yet(self) -> Duration {
        match self {
            Self::Known(latency) => latency,
            Self::Batch { since, clock } => clock().saturating_duration_since(since),
        }
    }
}

/// The severity of a line, in Cloud Logging's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogSeverity {
    /// Routine: an answer, a start, a stop.
    Info,
    /// Normal, but notable: a denial, or an observed query that would be one.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something is wrong.
    Error,
    /// dnsgate cannot continue.
    Critical,
}

impl LogSeverity {
    /// The value of the key `severity`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}
