//! The handle that the rest of the program uses to count, to log and to report its state.
//!
//! ```text
//!  worker ─▶ Recorder::record(FinishedQuery) ─┬─▶ its thread's counters ──(summed by a scrape)─▶ /metrics
//!                                             └─▶ bounded queue ─▶ the log's thread ─▶ its output
//! ```
//!
//! Telemetry never delays a query: each counter has one writer, and the log drops what exceeds its
//! queue. It does not read a clock for a query either; times are part of the query.
//!
//! Other numbers of forwarded queries are collected here: an upstream counts into its
//! [`UpstreamCounters`], and the cache is read at a scrape ([`Telemetry::read_at_scrape`]).

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    io, mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    budgets::Budgets,
    clock::calendar,
    metrics::{
        exporter::{Metrics, Sources},
        labels::{self, LabelSet, Names},
        thread_counters::{Key, QueryCounters, ThreadCounters},
    },
    querylog::{
        LifecycleEvent, LogQueue, Logs, QueryRecord, Sink,
        observed::{ObservedListing, ObservedNames},
    },
    usage::thread_usage::ThreadUsage,
};
use dnsgate_config::LogQueries;
use dnsgate_core::engine::{Ending, Outcome, Reason, Snapshot};
use dnsgate_whatif::usage::UsagePage;

pub use crate::{
    health::{Phase, ProcessHealth},
    metrics::{
        exporter::CONTENT_TYPE,
        families::{Family, FamilyKind, families},
        labels::Labels,
        shared_counters::{Reading, Reload, SelfQuery, SharedCounters, Shed, TcpLimit},
        upstream_counters::{UpstreamCounters, UpstreamQueryResult, UpstreamRefusal},
    },
    querylog::{
        LogSettings, LogSeverity, StartError,
        record::{FinishedQuery, Latency},
    },
};

/// The telemetry of the process; clones share it.
#[derive(Clone, Debug)]
pub struct Telemetry {
    pub(crate) sources: Sources,
    metrics: Arc<Metrics>,
    log: Logs,
    observed: Arc<ObservedNames>,
}

impl Telemetry {
    /// Starts telemetry, with lifecycle events on standard error. Events can be logged from now on;
    /// [`Self::loaded`] sets the labels.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(settings: &LogSettings) -> Result<Self, StartError> {
        Self::start_into(settings, Box::new(io::stderr()))
    }

    pub(crate) fn start_into(settings: &LogSettings, sink: Sink) -> Result<Self, StartError> {
        let sources = Sources::default();
        let metrics = Arc::new(Metrics::new(sources.clone())?);
        let log = Logs::start(settings, sink, &sources.names, &sources.shared)?;
        Ok(Self {
            sources,
            metrics,
            log,
            observed: Arc::default(),
        })
    }

    /// Registers the names of a configuration. Call it before a query is decided by that
    /// configuration, so that no query counts as other.
    pub fn loaded(&self, generation: u64, labels: Labels, at: SystemTime) {
        self.sources.names.load(generation, labels);
        self.sources.shared.loaded(generation, at);
    }

    /// Changes which queries are logged and the sampling rate of successful ones, from the next
    /// generation on. Call it before a query can see the snapshot of that generation.
    pub fn log_queries(&self, queries: LogQueries, sample: u32) {
        self.log.select(queries, sample);
    }

    /// A recorder for one thread. When it is dropped, its counts are kept.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(&self.sources, self.log.queue(), &self.observed)
    }

    /// Counts and logs a query with this thread's recorder, which is created on first use. For
    /// queries that may end on any thread.
    pub fn record(&self, query: &FinishedQuery<'_>) {
        of_this_thread(
            &self.sources.queries,
            || self.recorder(),
            |own| own.record(query),
        );
    }

    /// The counters outside the query path.
    #[must_use]
    pub fn shared(&self) -> &Arc<SharedCounters> {
        &self.sources.shared
    }

    /// Creates the counters of a new upstream, with its servers by label. They are exported as long
    /// as they are held; `upstream_counters` describes what happens to a name across a reload.
    #[must_use]
    pub fn upstream(&self, name: &str, servers: &[String]) -> Arc<UpstreamCounters> {
        self.sources.upstreams.hold(name, servers)
    }

    /// Sets the source of the cache and in-flight numbers. A scrape calls it, so it must not block.
    /// Call this once, at the start; further calls have no effect.
    pub fn read_at_scrape(&self, source: impl Fn() -> Reading + Send + Sync + 'static) {
        self.sources.watched.set(Box::new(source));
    }

    /// The names that a policy in observe mode would have denied.
    pub(crate) fn observed(&self) -> ObservedListing {
        let generation = self.sources.shared.generation();
        self.observed.read(generation)
    }

    /// What left through forwarding rules.
    pub(crate) fn budgets(&self) -> &Arc<Budgets> {
        &self.sources.budgets
    }

    /// Notes from now on which rules and names of a configuration are used. Call it after
    /// [`Self::loaded`], and before a query is decided by that configuration.
    pub fn note_usage(&self, snapshot: &Arc<Snapshot>, at: SystemTime) {
        let labels = self.sources.names.of(snapshot.generation());
        self.sources.usage.load(snapshot, &labels, at);
    }

    /// Takes over the usage that an earlier process has left, and names its file on the page.
    pub(crate) fn restore_usage(&self, page: Option<UsagePage>, kept_in: String) {
        self.sources.usage.restore(page, kept_in);
    }

    /// The page `/usage`.
    pub(crate) fn usage(&self) -> UsagePage {
        self.sources.usage_page()
    }

    /// The state of the process.
    #[must_use]
    pub fn health(&self) -> &Arc<ProcessHealth> {
        &self.sources.health
    }

    /// The page of `/metrics`, in the text format 0.0.4.
    ///
    /// # Errors
    /// The `prometheus` crate cannot write a family; a test verifies that it can.
    pub fn metrics(&self) -> prometheus::Result<Vec<u8>> {
        self.metrics.page()
    }

    /// Logs a lifecycle event without waiting: if the queue is full, the event is dropped and
    /// counted. A field with the name of a standard key (`severity`, `message`, `time`) is omitted.
    pub fn event(&self, severity: LogSeverity, message: &str, fields: &[(&str, Value)]) {
        let event = LifecycleEvent::new(calendar(), severity, message, fields);
        self.log.event(event);
    }

    /// Reopens the log file by its name, if the log goes to a file, because log rotation has
    /// renamed it. No line is lost; earlier lines are in the old file.
    pub fn reopen(&self) {
        self.log.reopen();
    }

    /// Waits up to `patience` until everything logged so far is written; `false` on timeout. Used
    /// at the end of the process, which also ends the log threads.
    pub fn flush(&self, patience: Duration) -> bool {
        self.log.flush(patience)
    }
}

/// Records the queries of one thread; created by [`Telemetry::recorder`]. It counts each in the
/// thread's own counters, and queues a copy for the log if it is to be logged.
///
/// Recording a query takes no lock, no allocation and, unless it is logged, no clock reading:
/// queries are counted individually, and the latency of a batch at its end. After a reload a thread
/// takes one lock to get the new names. An observed query takes a lock too: see
/// [`crate::querylog::observed`].
#[derive(Debug)]
pub struct Recorder {
    counters: ThreadCounters,
    names: Arc<Names>,
    /// The generation that decided the last query, and its names.
    generation: u64,
    labels: Arc<LabelSet>,
    log: LogQueue,
    observed: Arc<ObservedNames>,
    usage: ThreadUsage,
    /// Queries that have their batch's latency, by verdict.
    batch: [u64; Ending::ALL.len()],
}

impl Recorder {
    pub(crate) fn new(sources: &Sources, log: LogQueue, observed: &Arc<ObservedNames>) -> Self {
        let (generation, labels) = sources.names.newest();
        Self {
            counters: sources.queries.of_thread(),
            names: Arc::clone(&sources.names),
            generation,
            labels,
            log,
            observed: Arc::clone(observed),
            usage: ThreadUsage::new(&sources.usage, generation),
            batch: [0; Ending::ALL.len()],
        }
    }

    /// Counts a query, and logs it if its kind is selected. Every query counts in `queries_total`
    /// and `query_duration_seconds`; the other families are decided here.
    pub fn record(&mut self, query: &FinishedQuery<'_>) {
        if query.generation != self.generation {
            self.change_labels(query.generation);
        }
        let Outcome {
            reason,
            group,
            rule,
            qtype,
            rcode,
            upstream: _,
            check,
            truncated,
            name_len: _,
            used: _,
        } = query.outcome;
        let (transport, ending) = (query.transport, reason.ending());
        let names @ (group, rule) = (self.labels.group_id(group), self.labels.rule_id(rule));
        self.add(Key::queries(transport, names, ending, rcode, qtype));
        if let (Ending::Denied, Some(denied)) = (ending, Key::denied(group, rule, reason)) {
            self.add(denied);
        }
        if let Some(check) = check {
            self.add(Key::filtered(rule, check));
        }
        self.usage.note(query);
        if truncated {
            self.add(Key::truncated(transport));
        }
        match reason {
            Reason::Panic => self.add(Key::PANICS),
            Reason::RateLimited => self.add(Key::RATE_LIMITED),
            Reason::Observed => self.observed.add(query, &self.labels),
            _ => {}
        }
        match query.latency {
            Latency::Known(latency) => self.took(ending, latency, 1),
            Latency::Batch { .. } => {
                if let Some(count) = self.batch.get_mut(ending as usize) {
                    *count += 1;
                }
            }
        }
        if self.log.wants(&query.outcome) && !self.log.push(QueryRecord::of(query)) {
            self.add(Key::LOG_DROPPED);
        }
    }

    /// Ends a batch: assigns its latency to the queries that had none.
    pub fn batch_took(&mut self, latency: Duration) {
        for ending in Ending::ALL {
            let count = self.batch.get_mut(ending as usize).map_or(0, mem::take);
            if count > 0 {
                self.took(ending, latency, count);
            }
        }
    }

    fn took(&mut self, ending: Ending, latency: Duration, queries: u64) {
        self.counters.add(Key::bucket_of(ending, latency), queries);
        let nanos = labels::nanos(latency).wrapping_mul(queries);
        self.counters.add(Key::nanos(ending), nanos);
    }

    fn add(&mut self, key: Key) {
        self.counters.add(key, 1);
    }

    /// The query was decided by another configuration than the last one: a newer one, or the
    /// previous one if the query has waited.
    #[cold]
    fn change_labels(&mut self, generation: u64) {
        self.labels = self.names.of(generation);
        self.usage.change(generation);
        self.generation = generation;
        self.log.refresh();
    }
}

thread_local! {
    /// The recorders of this thread: one, except in tests with several telemetries.
    static RECORDERS: RefCell<Vec<Recorder>> = const { RefCell::new(Vec::new()) };
}

/// Uses this thread's recorder for these counters, and creates it if necessary.
pub(crate) fn of_this_thread(
    counters: &Arc<QueryCounters>,
    new: impl FnOnce() -> Recorder,
    use_it: impl FnOnce(&mut Recorder),
) {
    RECORDERS.with_borrow_mut(|recorders| {
        let known = |own: &Recorder| own.counters.are_among(counters);
        let at = recorders.iter().position(known).unwrap_or_else(|| {
            recorders.push(new());
            recorders.len() - 1
        });
        if let Some(own) = recorders.get_mut(at) {
            use_it(own);
        }
    });
}
