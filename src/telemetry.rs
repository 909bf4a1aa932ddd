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

pub(crate) mod recorder;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

pub use crate::querylog::{
    finished_query::{FinishedQuery, Latency},
    start_error::StartError,
};
pub use crate::{
    health::{Phase, ProcessHealth},
    metrics::{
        exporter::CONTENT_TYPE,
        families::{Family, FamilyKind, families},
        names::Labels,
        reading::Reading,
        shared_counters::{Reload, SelfQuery, SharedCounters, Shed, TcpLimit},
        upstream_counters::{UpstreamCounters, UpstreamQueryResult, UpstreamRefusal},
    },
    querylog::{LogSettings, LogSeverity},
};
use dnsgate_config::LogQueries;
pub use recorder::Recorder;

use crate::{
    budgets::Budgets,
    clock::calendar,
    metrics::exporter::{Metrics, Sources},
    querylog::{
        LifecycleEvent, Logs, Sink,
        observed::{ObservedListing, ObservedNames},
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
        recorder::of_this_thread(
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
