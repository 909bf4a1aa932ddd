//! The handle that the rest of the program counts, logs and tells its state by.
//!
//! ```text
//!  worker ─▶ Recorder::record(FinishedQuery) ─┬─▶ its thread's counters ──(summed by a scrape)─▶ /metrics
//!                                             └─▶ bounded queue ─▶ the log's thread ─▶ its output
//! ```
//!
//! Telemetry never delays a query: counters have one writer each, the log drops what it cannot
//! take. It reads no clock for a query either; times come with the query.
//!
//! What is forwarded has its numbers elsewhere, and they are brought here: an upstream counts into
//! the [`UpstreamCounters`] that it is given, the cache is read at a scrape ([`Telemetry::read_at_scrape`]).

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
    clock::calendar,
    metrics::exporter::{Metrics, Sources},
    querylog::{
        LifecycleEvent, Logs, Sink,
        observed::{ObservedListing, ObservedNames},
    },
};

/// The whole of it; clones share it.
#[derive(Clone, Debug)]
pub struct Telemetry {
    pub(crate) sources: Sources,
    metrics: Arc<Metrics>,
    log: Logs,
    observed: Arc<ObservedNames>,
}

impl Telemetry {
    /// Starts telemetry, its lifecycle events on standard error. Events can be logged from now on; the
    /// labels come with [`Self::loaded`].
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

    /// Makes the names of a configuration known. To be called before a query can be decided by it, so that
    /// none is counted as other.
    pub fn loaded(&self, generation: u64, labels: Labels, at: SystemTime) {
        self.sources.names.load(generation, labels);
        self.sources.shared.loaded(generation, at);
    }

    /// Has other queries logged, and of those that went well one in so many; from the next
    /// generation on. To be called before a query can see the snapshot of that generation.
    pub fn log_queries(&self, queries: LogQueries, sample: u32) {
        self.log.select(queries, sample);
    }

    /// A recorder for one thread. It counts until it is dropped, and what it counted stays.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(&self.sources, self.log.queue(), &self.observed)
    }

    /// Counts and logs a query by a recorder of this thread, which is made when it is first needed: for
    /// what ends on any thread.
    pub fn record(&self, query: &FinishedQuery<'_>) {
        recorder::of_this_thread(
            &self.sources.queries,
            || self.recorder(),
            |own| own.record(query),
        );
    }

    /// The counters that are not on a query's way.
    #[must_use]
    pub fn shared(&self) -> &Arc<SharedCounters> {
        &self.sources.shared
    }

    /// Counters for an upstream that begins to be asked, its servers by their labels. They are
    /// shown as long as they are held; `upstreams` says what becomes of a name that is reloaded.
    #[must_use]
    pub fn upstream(&self, name: &str, servers: &[String]) -> Arc<UpstreamCounters> {
        self.sources.upstreams.hold(name, servers)
    }

    /// Sets whom a scrape asks for the numbers of the cache and of what waits. It is asked within
    /// the scrape, so that it must not wait. To be called once, at the start; a second source is
    /// not taken.
    pub fn read_at_scrape(&self, source: impl Fn() -> Reading + Send + Sync + 'static) {
        self.sources.watched.set(Box::new(source));
    }

    /// What would have been denied, in a policy that is observed only.
    pub(crate) fn observed(&self) -> ObservedListing {
        let generation = self.sources.shared.generation();
        self.observed.read(generation)
    }

    /// Whether dnsgate may be asked.
    #[must_use]
    pub fn health(&self) -> &Arc<ProcessHealth> {
        &self.sources.health
    }

    /// The page of `/metrics`, in the text format 0.0.4.
    ///
    /// # Errors
    /// When the `prometheus` crate cannot write a family; a test holds that it can.
    pub fn metrics(&self) -> prometheus::Result<Vec<u8>> {
        self.metrics.page()
    }

    /// Logs a lifecycle event. It does not wait: an event that finds its queue full is dropped and
    /// counted. A field named as a key of every line (`severity`, `message`, `time`) is left out.
    pub fn event(&self, severity: LogSeverity, message: &str, fields: &[(&str, Value)]) {
        let event = LifecycleEvent::new(calendar(), severity, message, fields);
        self.log.event(event);
    }

    /// Opens the file of the log again by its name, if it goes to one: whoever rotates it has
    /// renamed it. No line is lost, and those of before are in the old one.
    pub fn reopen(&self) {
        self.log.reopen();
    }

    /// Waits until everything logged so far is written, `patience` at the longest; `false` when
    /// the time was up. For the end of the process: its threads end with it, lines or not.
    pub fn flush(&self, patience: Duration) -> bool {
        self.log.flush(patience)
    }
}
