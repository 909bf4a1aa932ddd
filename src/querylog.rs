//! The query log, and the lifecycle log beside it: a line each, written by a thread each.
//!
//! Workers hand over fixed-size copies by a bounded queue and never wait: what does not fit is
//! dropped and counted (`dnsgate_log_dropped_total`). So a pipe that nobody reads stops the log
//! and nothing else. Formatting happens in the log's thread.
//!
//! By default both go to standard error, which Cloud Logging's agents take. Queries may have an output of their
//! own (`output`). Lifecycle events stay on standard error always: who starts a process looks there.
//!
//! Not here: what is counted. A line that is dropped or not in the sample is missing from the log
//! alone.

mod collector;
pub mod finished_query;
mod format;
mod lifecycle;
mod message_text;
pub mod observed;
mod output;
mod record;
mod sample;
mod severity;
pub mod start_error;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dnsgate_config::{
    LogFormat, LogOutput, LogQueries,
    limits::{LOG_SAMPLE, Limits},
};
use dnsgate_core::engine::{Ending, Outcome, Reason};

use crate::metrics::{names::Names, shared_counters::SharedCounters};

pub(crate) use lifecycle::LifecycleEvent;
use output::Output;
pub(crate) use output::Sink;
pub(crate) use record::QueryRecord;
use record::is_routine;
use sample::Sampler;
pub use severity::LogSeverity;
use start_error::StartError;
use writer::{Destination, LogThread};

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
            queue: Limits::default().log_queue,
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
    queries: LogThread<QueryRecord>,
}

impl LogQueue {
    /// Whether this query is to be handed over; to be asked once for each.
    pub(crate) fn wants(&mut self, outcome: &Outcome) -> bool {
        wanted(self.selection.queries, outcome) && (!is_routine(outcome) || self.sampler.take())
    }

    /// Hands a query over; `false` when the queue is full.
    pub(crate) fn push(&self, mut record: QueryRecord) -> bool {
        record.sample = self.selection.sample;
        self.queries.push(record)
    }

    /// Another configuration is in force: its selection holds from now on. Not asked for each query,
    /// which would cost all of them something.
    pub(crate) fn refresh(&mut self) {
        let newest = *locked(&self.newest);
        if newest != self.selection {
            self.selection = newest;
            self.sampler = Sampler::new(newest.sample, rand::random());
        }
    }
}

/// It is written in one step, so that a panic elsewhere has left it whole.
fn locked(selection: &Mutex<Selection>) -> MutexGuard<'_, Selection> {
    selection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log as the rest of the program has it.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    selection: Arc<Mutex<Selection>>,
    queries: LogThread<QueryRecord>,
    lifecycle: LogThread<LifecycleEvent>,
    shared: Arc<SharedCounters>,
}

impl Logs {
    /// Starts both logs, each with a thread of its own. `stderr` is where lifecycle events go.
    ///
    /// # Errors
    /// When an output cannot be opened, or the system refuses a thread.
    pub(crate) fn start(
        settings: &LogSettings,
        stderr: Sink,
        names: &Arc<Names>,
        shared: &Arc<SharedCounters>,
    ) -> Result<Self, StartError> {
        let own = Output::open(&settings.output).map_err(|error| StartError::Output {
            output: settings.output.clone(),
            error,
        })?;
        let destination = |output, report| Destination {
            output,
            report,
            shared: Arc::clone(shared),
            failing: false,
        };
        let stderr = Arc::new(Mutex::new(Output::stream(stderr)));
        let text = is_text(settings.format, &LogOutput::Stderr);
        let events = destination(Arc::clone(&stderr), None);
        let write = move |out: &mut Vec<u8>, event: LifecycleEvent| event.write(out, text);
        let lifecycle = LogThread::start(EVENT_QUEUE, events, write)?;
        let queries = match own {
            None => destination(stderr, None),
            Some(own) => {
                let report = (settings.output.to_string(), lifecycle.clone());
                destination(Arc::new(Mutex::new(own)), Some(report))
            }
        };
        let text = is_text(settings.format, &settings.output);
        let queries = LogThread::start(settings.queue.max(1), queries, formatter(names, text))?;
        let selection = Selection::new(settings.queries, settings.sample);
        Ok(Self {
            selection: Arc::new(Mutex::new(selection)),
            queries,
            lifecycle,
            shared: Arc::clone(shared),
        })
    }

    /// The queue for one more worker.
    pub(crate) fn queue(&self) -> LogQueue {
        let selection = *locked(&self.selection);
        LogQueue {
            selection,
            newest: Arc::clone(&self.selection),
            sampler: Sampler::new(selection.sample, rand::random()),
            queries: self.queries.clone(),
        }
    }

    /// Has workers log other queries, from the next generation on that they see.
    pub(crate) fn select(&self, queries: LogQueries, sample: u32) {
        *locked(&self.selection) = Selection::new(queries, sample);
    }

    /// Logs a lifecycle event.
    pub(crate) fn event(&self, event: LifecycleEvent) {
        if !self.lifecycle.push(event) {
            self.shared.log_lost(1);
        }
    }

    /// Opens the file of the queries again, if there is one; what was handed over before goes to
    /// the old one.
    pub(crate) fn reopen(&self) {
        self.queries.reopen();
    }

    /// Waits until everything handed over so far is written, or the time is up: `false`.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let queries = self.queries.flush(patience);
        // If the one has taken all the time, the other has had as much.
        let patience = if queries { patience } else { Duration::ZERO };
        self.lifecycle.flush(patience) && queries
    }
}

/// Formats queries. It keeps the names that it used last.
fn formatter(names: &Arc<Names>, text: bool) -> impl FnMut(&mut Vec<u8>, QueryRecord) + use<> {
    let names = Arc::clone(names);
    let (mut generation, mut labels) = names.newest();
    move |out, record| {
        if record.generation != generation {
            generation = record.generation;
            labels = names.of(generation);
        }
        format::query(out, text, &record, &labels);
    }
}
