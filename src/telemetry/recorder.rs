//! Records queries: counts each in the thread's own counters, and queues a copy for the log if it
//! is to be logged.
//!
//! Recording a query takes no lock, no allocation and, unless it is logged, no clock reading:
//! queries are counted individually, and the latency of a batch at its end. After a reload a thread
//! takes one lock to get the new names. An observed query takes a lock too: see
//! [`crate::querylog::observed`].

use std::{cell::RefCell, mem, sync::Arc, time::Duration};

use dnsgate_core::engine::{Ending, Outcome, Reason};

use crate::querylog::finished_query::{FinishedQuery, Latency};
use crate::{
    metrics::{
        duration,
        exporter::Sources,
        key::Key,
        names::{LabelSet, Names},
        thread_counters::{QueryCounters, ThreadCounters},
    },
    querylog::{LogQueue, QueryRecord, observed::ObservedNames},
    usage::thread_usage::ThreadUsage,
};

/// Records the queries of one thread; created by [`super::Telemetry::recorder`].
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
        let nanos = duration::nanos(latency).wrapping_mul(queries);
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
