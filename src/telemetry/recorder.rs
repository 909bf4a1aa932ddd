//! The pen of one worker: it counts each query in the worker's own block and hands the log a copy
//! of what it has to say.
//!
//! On the way of a query there is no lock, no allocation and no clock. A new generation of labels
//! costs a worker one block and one lock, once. A query that is observed only costs a lock: see
//! [`super::observed`].

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    dns::Transport,
    engine::{Outcome, Reason},
};

use super::{
    Tally,
    block::Block,
    ledger::Ledger,
    log::{LogQueue, QueryRecord},
    metrics::Sources,
    observed::Record,
};

/// One query at its end, as its worker saw it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened to it.
    pub outcome: Outcome,
    /// How it came.
    pub transport: Transport,
    /// Where it came from.
    pub source: SocketAddr,
    /// The packet.
    pub query: &'a [u8],
    /// The reply; empty when there was none.
    pub reply: &'a [u8],
    /// The record of an upstream's answer that may not pass, for the log.
    pub rejected: Option<&'a str>,
    /// When it was read, for the log.
    pub time: SystemTime,
    /// How long it took from there to its reply being written.
    pub latency: Duration,
    /// The generation of the snapshot that decided it.
    pub generation: u64,
}

/// What records the queries of one worker; made by [`super::Telemetry::recorder`].
#[derive(Debug)]
pub struct Recorder {
    block: Arc<Block>,
    ledger: Arc<Ledger>,
    log: LogQueue,
    observed: Arc<Record>,
}

impl Recorder {
    pub(super) fn new(sources: &Sources, log: LogQueue) -> Self {
        let ledger = Arc::clone(&sources.ledger);
        Self {
            block: ledger.open(),
            ledger,
            log,
            observed: Arc::clone(&sources.observed),
        }
    }

    /// Counts a query and logs it if queries of its kind are logged. `&mut` because the counters
    /// have one writer: share a recorder among tasks behind a lock, or take several.
    pub fn record(&mut self, event: &Event<'_>) {
        let tally = Tally::of(&event.outcome, event.transport);
        if event.generation > self.block.generation() {
            self.block = self.ledger.turn(&self.block, event.generation);
        }
        if event.generation == self.block.generation() {
            self.block.count(&tally, event.latency);
        } else {
            self.ledger
                .count_late(event.generation, &tally, event.latency);
        }
        if event.outcome.reason == Reason::Observed {
            self.observe(event);
        }
        if self.log.wants(&event.outcome) && !self.log.push(QueryRecord::of(event)) {
            self.block.count_log_drop();
        }
    }

    fn observe(&self, event: &Event<'_>) {
        if event.generation == self.block.generation() {
            self.observed.add(event, self.block.labels());
        } else {
            self.observed
                .add(event, &self.ledger.labels(event.generation));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.ledger.close(&self.block);
    }
}
