//! The log: one line per event on standard error, written by one thread.
//!
//! Workers hand it fixed-size copies over a bounded queue and never wait: what does not fit is
//! dropped and counted (`dnsgate_log_dropped_total`). So a pipe that nobody reads stops the log
//! and nothing else. Formatting happens in the log's thread.
//!
//! Everything goes to standard error, queries and lifecycle alike: Cloud Logging's agents take
//! both streams, one stream keeps the order, and standard output stays free for what a verb prints.
//!
//! Not here: what is counted. A line that is dropped is missing from the log alone.

mod line;
mod rdata;
mod record;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    config::{LogFormat, LogQueries, limits::LOG_QUEUE},
    engine::{Ending, Outcome, Reason},
};

use super::{ledger::Ledger, shared::Shared};

pub(super) use record::QueryRecord;
pub(super) use writer::Sink;
use writer::{Entry, Signal, Writer};

/// The lifecycle events that can wait; they have a queue of their own, so that no flood of queries
/// pushes one out.
const EVENT_QUEUE: usize = 256;

/// How and what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Which queries.
    pub queries: LogQueries,
    /// In which form.
    pub format: LogFormat,
    /// How many queries can wait to be written, at least 1.
    pub queue: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            queries: LogQueries::default(),
            format: LogFormat::default(),
            queue: LOG_QUEUE.default,
        }
    }
}

/// Whether a query that ended so is logged. What is observed would be a denial and is logged as
/// one is; a panic is an error of ours and is logged in any case.
const fn wanted(queries: LogQueries, outcome: &Outcome) -> bool {
    match queries {
        LogQueries::All => true,
        LogQueries::Denied => {
            matches!(outcome.ending(), Ending::Denied | Ending::Failed)
                || matches!(outcome.reason, Reason::Observed)
        }
        LogQueries::None => matches!(outcome.reason, Reason::Panic),
    }
}

/// The form of a line on standard error: [`LogFormat::Auto`] becomes one of the other two.
fn on_stderr(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto if std::io::stderr().is_terminal() => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        chosen => chosen,
    }
}

/// How much a line matters, in Cloud Logging's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Routine: an answer, a start, a stop.
    Info,
    /// Normal, but worth a look: a denial, or what would be one.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something is wrong.
    Error,
    /// dnsgate cannot go on.
    Critical,
}

impl Severity {
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

    const fn of(outcome: &Outcome) -> Self {
        match (outcome.ending(), outcome.reason) {
            (_, Reason::Observed) => Self::Notice,
            (Ending::Answered | Ending::Forwarded | Ending::Rejected, _) => Self::Info,
            (Ending::Denied, _) => Self::Notice,
            (Ending::Failed, Reason::Panic) => Self::Error,
            (Ending::Failed, _) => Self::Warning,
        }
    }
}

/// A worker's end of the queue of queries.
#[derive(Clone, Debug)]
pub(super) struct LogQueue {
    queries: LogQueries,
    queue: SyncSender<Signal>,
}

impl LogQueue {
    pub(super) const fn wants(&self, outcome: &Outcome) -> bool {
        wanted(self.queries, outcome)
    }

    /// Hands a query over; `false` when the queue is full.
    pub(super) fn push(&self, record: QueryRecord) -> bool {
        self.queue.try_send(Signal::Query(record)).is_ok()
    }
}

/// The log's front: where lifecycle events go in. The thread ends when all fronts and queues do.
#[derive(Clone, Debug)]
pub(super) struct Log {
    queue: LogQueue,
    events: SyncSender<Entry>,
    shared: Arc<Shared>,
}

impl Log {
    /// Starts the log's thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(
        settings: &LogSettings,
        sink: Sink,
        ledger: Arc<Ledger>,
        shared: Arc<Shared>,
    ) -> std::io::Result<Self> {
        let settings = LogSettings {
            queue: settings.queue.max(1),
            ..*settings
        };
        let (queue, queries) = sync_channel(settings.queue);
        let (events, waiting) = sync_channel(EVENT_QUEUE);
        let writer = Writer::new(sink, &settings, ledger, Arc::clone(&shared));
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(&queries, &waiting))?;
        Ok(Self {
            queue: LogQueue {
                queries: settings.queries,
                queue,
            },
            events,
            shared,
        })
    }

    pub(super) fn queue(&self) -> LogQueue {
        self.queue.clone()
    }

    /// Logs a lifecycle event.
    pub(super) fn event(
        &self,
        time: SystemTime,
        severity: Severity,
        message: &str,
        fields: &[(&str, Value)],
    ) {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        let entry = Entry::Event(record::EventRecord {
            time,
            severity,
            message: message.to_owned(),
            fields: fields.collect(),
        });
        if self.events.try_send(entry).is_err() {
            self.shared.log_lost(1);
        }
        self.wake();
    }

    /// Waits until everything handed over so far is written, or the time is up: `false`.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = sync_channel(1);
        if self.events.try_send(Entry::Flush(done)).is_err() {
            return false;
        }
        self.wake();
        flushed.recv_timeout(patience).is_ok()
    }

    fn wake(&self) {
        // A full queue means that the thread is awake already.
        let _ = self.queue.queue.try_send(Signal::Wake);
    }
}
