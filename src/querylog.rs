//! The query log and the lifecycle log, each written by its own thread, one line per entry.
//!
//! Workers pass fixed-size copies through a bounded queue and never wait: what does not fit is
//! dropped and counted (`dnsgate_log_dropped_total`). A pipe that nobody reads therefore stops only
//! the log. The log's thread does the formatting.
//!
//! By default both logs go to standard error, which Cloud Logging's agents collect. Queries can
//! have a separate output (`output`). Lifecycle events always stay on standard error, where the
//! operator who starts a process looks first.
//!
//! Not here: the counters. A line that is dropped or not sampled is missing only from the log.

mod collector;
mod format;
mod lifecycle;
mod message_text;
pub mod observed;
mod output;
pub mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io::{self, IsTerminal},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::metrics::{labels::Names, shared_counters::SharedCounters};
use dnsgate_config::{
    LogFormat, LogOutput, LogQueries,
    limits::{LOG_SAMPLE, Limits},
};
use dnsgate_core::engine::{Ending, Outcome, Reason};

use output::Output;
use record::is_routine;
use writer::{Destination, LogThread};

pub use record::LogSeverity;

pub(crate) use lifecycle::LifecycleEvent;
pub(crate) use output::Sink;
pub(crate) use record::QueryRecord;

/// Capacity for lifecycle events. They have their own queue, so that a flood of queries cannot
/// displace them.
const EVENT_QUEUE: usize = 256;

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Which queries are logged.
    pub queries: LogQueries,
    /// If all are logged: one in this many of the queries that were neither denied nor failed. At
    /// least 1.
    pub sample: u32,
    /// The line format.
    pub format: LogFormat,
    /// The output of queries.
    pub output: LogOutput,
    /// Capacity of the queue of queries, at least 1.
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

/// Whether a query with this outcome is logged. An observed query counts as a denial, because it
/// would be one. A panic is a bug and is always logged.
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

/// Whether the lines to this output are text for people.
fn is_text(format: LogFormat, output: &LogOutput) -> bool {
    match (format, output) {
        (LogFormat::Text, _) => true,
        (LogFormat::Json, _) => false,
        (LogFormat::Auto, LogOutput::Stderr) => io::stderr().is_terminal(),
        (LogFormat::Auto, LogOutput::Stdout) => io::stdout().is_terminal(),
        (LogFormat::Auto, LogOutput::File(_) | LogOutput::Unix(_)) => false,
    }
}

/// Which queries are logged, and the sampling rate of successful ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Selection {
    queries: LogQueries,
    sample: u32,
}

impl Selection {
    /// Sampling applies only if all queries are logged.
    fn new(queries: LogQueries, sample: u32) -> Self {
        let sample = match queries {
            LogQueries::All => sample.max(1),
            LogQueries::None | LogQueries::Denied => 1,
        };
        Self { queries, sample }
    }
}

/// A worker's handle to the queue of queries.
#[derive(Debug)]
pub(crate) struct LogQueue {
    selection: Selection,
    /// The selection of the newest configuration.
    newest: Arc<Mutex<Selection>>,
    sampler: Sampler,
    queries: LogThread<QueryRecord>,
}

impl LogQueue {
    /// Whether this query is to be logged. Call it once per query.
    pub(crate) fn wants(&mut self, outcome: &Outcome) -> bool {
        wanted(self.selection.queries, outcome) && (!is_routine(outcome) || self.sampler.take())
    }

    /// Queues a query; `false` if the queue is full.
    pub(crate) fn push(&self, mut record: QueryRecord) -> bool {
        record.sample = self.selection.sample;
        self.queries.push(record)
    }

    /// Adopts the selection of a new configuration. Not done per query, because that would cost
    /// time for every query.
    pub(crate) fn refresh(&mut self) {
        let newest = *locked(&self.newest);
        if newest != self.selection {
            self.selection = newest;
            self.sampler = Sampler::new(newest.sample, rand::random());
        }
    }
}

/// A poisoned value is still complete, because it is written in one step.
fn locked(selection: &Mutex<Selection>) -> MutexGuard<'_, Selection> {
    selection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The logs, as used by the rest of the program.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    selection: Arc<Mutex<Selection>>,
    queries: LogThread<QueryRecord>,
    lifecycle: LogThread<LifecycleEvent>,
    shared: Arc<SharedCounters>,
}

impl Logs {
    /// Starts both logs, each with its own thread. Lifecycle events go to `stderr`.
    ///
    /// # Errors
    /// An output cannot be opened, or the system refuses a thread.
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

    /// The queue handle for one more worker.
    pub(crate) fn queue(&self) -> LogQueue {
        let selection = *locked(&self.selection);
        LogQueue {
            selection,
            newest: Arc::clone(&self.selection),
            sampler: Sampler::new(selection.sample, rand::random()),
            queries: self.queries.clone(),
        }
    }

    /// Changes the selection. Workers adopt it with the next generation that they see.
    pub(crate) fn select(&self, queries: LogQueries, sample: u32) {
        *locked(&self.selection) = Selection::new(queries, sample);
    }

    /// Logs a lifecycle event.
    pub(crate) fn event(&self, event: LifecycleEvent) {
        if !self.lifecycle.push(event) {
            self.shared.log_lost(1);
        }
    }

    /// Reopens the file of the query log, if there is one. Earlier lines go to the old file.
    pub(crate) fn reopen(&self) {
        self.queries.reopen();
    }

    /// Waits until everything queued so far is written; `false` if `patience` expires first.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let queries = self.queries.flush(patience);
        // If the first flush used all the time, the second thread had the same time to write.
        let patience = if queries { patience } else { Duration::ZERO };
        self.lifecycle.flush(patience) && queries
    }
}

/// Formats queries. It keeps the names of the last configuration that it used.
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

/// Why telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refuses a thread.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// The output of queries cannot be opened.
    #[error(
        "queries cannot be logged to {output}: {error}; its directory must exist, and the user that \
         dnsgate runs as must be allowed to write there"
    )]
    Output {
        /// The configured output.
        output: LogOutput,
        /// The system's error.
        error: io::Error,
    },
    /// The metric families are inconsistent; a test verifies that they are not.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// One worker's sampler.
///
/// It selects one query of each run of N, at a position drawn anew for each run. A count can
/// therefore be restored to within one run, and alternating queries (A, AAAA, A, AAAA) are sampled
/// evenly. Each worker has its own sampler, so there is no contention. Only statistics depend on it
/// and no secret, so a cheap generator suffices.
#[derive(Debug)]
pub(crate) struct Sampler {
    rate: u32,
    /// The number of queries left in this run.
    left: u32,
    /// The query is selected when this many are left after it.
    taken: u32,
    /// State of the generator; never 0.
    state: u64,
}

impl Sampler {
    /// Selects one in `rate`, with `seed` as the start of the generator.
    pub(crate) const fn new(rate: u32, seed: u64) -> Self {
        Self {
            rate,
            left: 0,
            taken: 0,
            state: seed | 1,
        }
    }

    /// Whether the next query is selected.
    pub(crate) fn take(&mut self) -> bool {
        if self.left == 0 {
            self.left = self.rate.max(1);
            self.taken = self.below(self.left);
        }
        self.left -= 1;
        self.left == self.taken
    }

    /// A number below `bound`, by xorshift (Marsaglia 2003).
    const fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (((self.state >> 32) * bound as u64) >> 32) as u32
    }
}
