//! The log: one line per event, written by a thread of its own.
//!
//! Workers hand it fixed-size copies over a bounded queue and never wait: what does not fit is
//! dropped and counted (`dnsgate_log_dropped_total`). So a pipe that nobody reads stops the log
//! and nothing else. Formatting happens in the log's thread.
//!
//! By default everything goes to standard error, queries and lifecycle alike: Cloud Logging's
//! agents take both streams, and one stream keeps the order. Queries may have an output of their
//! own (`output`), and then a second thread, so that neither stream is stopped by the other's
//! reader. Lifecycle events stay on standard error always: who starts a process looks there.
//!
//! Not here: what is counted. A line that is dropped or not in the sample is missing from the log
//! alone.

mod collector;
mod format;
mod message_text;
pub mod observed;
mod output;
mod record;
mod sample;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, SystemTime},
};

use serde_json::Value;

use dnsgate_config::{
    LogFormat, LogOutput, LogQueries,
    limits::{LOG_QUEUE, LOG_SAMPLE},
};
use dnsgate_core::engine::{Ending, Outcome, Reason};

use crate::{
    metrics::{names::Names, shared_counters::Shared},
    telemetry::StartError,
};

use output::Output;
pub(crate) use output::Sink;
pub(crate) use record::QueryRecord;
use sample::Sampler;
use writer::{Entry, Form, Signal, Writer};

/// The lifecycle events that can wait; they have a queue of their own, so that no flood of queries
/// pushes one out.
const EVENT_QUEUE: usize = 256;

/// How and what is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Which queries.
    pub queries: LogQueries,
    /// Where all are: one in so many of those that were neither denied nor failed, at least 1.
    pub sample: u32,
    /// In which form.
    pub format: LogFormat,
    /// Where queries go.
    pub output: LogOutput,
    /// How many queries can wait to be written, at least 1.
    pub queue: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            queries: LogQueries::default(),
            sample: LOG_SAMPLE.default,
            format: LogFormat::default(),
            output: LogOutput::default(),
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

/// Whether a query that ended so is one of many, of which a sample will do: not what is denied,
/// would be, or failed, for those are looked at one by one.
const fn routine(outcome: &Outcome) -> bool {
    matches!(Severity::of(outcome), Severity::Info)
}

/// Whether lines to this output are text for people.
fn is_text(format: LogFormat, output: &LogOutput) -> bool {
    match (format, output) {
        (LogFormat::Text, _) => true,
        (LogFormat::Json, _) => false,
        (LogFormat::Auto, LogOutput::Stderr) => std::io::stderr().is_terminal(),
        (LogFormat::Auto, LogOutput::Stdout) => std::io::stdout().is_terminal(),
        (LogFormat::Auto, LogOutput::File(_) | LogOutput::Unix(_)) => false,
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

/// Which queries are logged, and of those that went well one in how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Selection {
    queries: LogQueries,
    sample: u32,
}

impl Selection {
    /// Only where all are logged is there something to be counted again.
    fn new(queries: LogQueries, sample: u32) -> Self {
        let sample = match queries {
            LogQueries::All => sample.max(1),
            LogQueries::None | LogQueries::Denied => 1,
        };
        Self { queries, sample }
    }
}

/// A worker's end of the queue of queries.
#[derive(Debug)]
pub(crate) struct LogQueue {
    selection: Selection,
    /// What another configuration may have changed.
    newest: Arc<Mutex<Selection>>,
    sampler: Sampler,
    queue: SyncSender<Signal>,
}

impl LogQueue {
    /// Whether this query is to be handed over; to be asked once for each.
    pub(crate) fn wants(&mut self, outcome: &Outcome) -> bool {
        wanted(self.selection.queries, outcome) && (!routine(outcome) || self.sampler.take())
    }

    /// Hands a query over; `false` when the queue is full.
    pub(crate) fn push(&self, mut record: QueryRecord) -> bool {
        record.sample = self.selection.sample;
        self.queue.try_send(Signal::Query(record)).is_ok()
    }

    /// Another configuration is in force: its selection holds from now on. Not asked for each query,
    /// which would cost all of them something.
    pub(crate) fn refresh(&mut self) {
        let newest = locked(&self.newest);
        if newest != self.selection {
            self.selection = newest;
            self.sampler = Sampler::new(newest.sample, rand::random());
        }
    }
}

/// It is written in one step, so that a panic elsewhere has left it whole.
fn locked(selection: &Mutex<Selection>) -> Selection {
    *selection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to one of the log's threads.
#[derive(Clone, Debug)]
struct Front {
    queue: SyncSender<Signal>,
    entries: SyncSender<Entry>,
}

impl Front {
    /// Starts a thread, which ends when every front of it and every queue does. `queue` is how many
    /// queries can wait.
    fn start(queue: usize, writer: Writer) -> std::io::Result<Self> {
        let (signals, queries) = sync_channel(queue);
        let (entries, waiting) = sync_channel(EVENT_QUEUE);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(&queries, &waiting))?;
        Ok(Self {
            queue: signals,
            entries,
        })
    }

    /// Hands an entry over; `false` when there is no room.
    fn enter(&self, entry: Entry) -> bool {
        let entered = self.entries.try_send(entry).is_ok();
        // A full queue means that the thread is awake already.
        let _ = self.queue.try_send(Signal::Wake);
        entered
    }

    /// Waits until everything handed over so far is written, or the time is up: `false`.
    fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = sync_channel(1);
        self.enter(Entry::Flush(done)) && flushed.recv_timeout(patience).is_ok()
    }
}

/// The log as the rest of the program has it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    selection: Arc<Mutex<Selection>>,
    /// Takes the queries: of the same thread as `events` where they go to standard error, too.
    queries: Front,
    events: Front,
    shared: Arc<Shared>,
}

impl Log {
    /// Starts the log: one thread, or two. `stderr` is where lifecycle events go.
    ///
    /// # Errors
    /// When an output cannot be opened, or the system refuses a thread.
    pub(crate) fn start(
        settings: &LogSettings,
        stderr: Sink,
        names: &Arc<Names>,
        shared: &Arc<Shared>,
    ) -> Result<Self, StartError> {
        let queue = settings.queue.max(1);
        let form = |output: &LogOutput| Form {
            text: is_text(settings.format, output),
            queue,
        };
        let own = Output::open(&settings.output).map_err(|error| StartError::Output {
            output: settings.output.clone(),
            error,
        })?;
        let stderr = Output::stream(stderr);
        let writer =
            |output, form| Writer::new(output, form, Arc::clone(names), Arc::clone(shared));
        let form_of_events = form(&LogOutput::Stderr);
        let (queries, events) = match own {
            None => {
                let both = Front::start(queue, writer(stderr, form_of_events))?;
                (both.clone(), both)
            }
            Some(own) => {
                // No query comes here, so there is one place for a wake.
                let form_of_events = Form {
                    queue: 1,
                    ..form_of_events
                };
                let events = Front::start(1, writer(stderr, form_of_events))?;
                let own = writer(own, form(&settings.output));
                let own = own.telling(settings.output.to_string(), events.clone());
                (Front::start(queue, own)?, events)
            }
        };
        let selection = Selection::new(settings.queries, settings.sample);
        Ok(Self {
            selection: Arc::new(Mutex::new(selection)),
            queries,
            events,
            shared: Arc::clone(shared),
        })
    }

    /// The queue for one more worker.
    pub(crate) fn queue(&self) -> LogQueue {
        let selection = locked(&self.selection);
        LogQueue {
            selection,
            newest: Arc::clone(&self.selection),
            sampler: Sampler::new(selection.sample, rand::random()),
            queue: self.queries.queue.clone(),
        }
    }

    /// Has workers log other queries, from the next generation on that they see.
    pub(crate) fn select(&self, queries: LogQueries, sample: u32) {
        let selection = Selection::new(queries, sample);
        *self
            .selection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = selection;
    }

    /// Logs a lifecycle event.
    pub(crate) fn event(
        &self,
        time: SystemTime,
        severity: Severity,
        message: &str,
        fields: &[(&str, Value)],
    ) {
        let entry = Entry::event(time, severity, message, fields);
        if !self.events.enter(entry) {
            self.shared.log_lost(1);
        }
    }

    /// Opens the file of the queries again, if there is one; what was handed over before goes to
    /// the old one.
    pub(crate) fn reopen(&self) {
        // Without room 256 of these wait.
        let _ = self.queries.enter(Entry::Reopen);
    }

    /// Waits until everything handed over so far is written, or the time is up: `false`.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let queries = self.queries.flush(patience);
        // Has the one taken all the time, then the other has had as much.
        let events = self
            .events
            .flush(if queries { patience } else { Duration::ZERO });
        queries && events
    }
}
