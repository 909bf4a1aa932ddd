//! The pen of one worker: it counts each query in the worker's own block and hands the log a copy
//! of what it has to say.
//!
//! On the way of a query there is no lock, no allocation and, unless it is logged, no clock: queries
//! are counted one by one, and the time that a batch of them took, at its end. A new generation of labels
//! costs a worker one block and one lock, once. A query that is observed only costs a lock: see
//! [`crate::querylog::observed`].

use std::{
    mem,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dnsgate_core::{
    dns::Transport,
    engine::{Ending, Outcome, Reason},
};

use super::Tally;
use crate::{
    metrics::{
        block::{Block, ENDINGS},
        exporter::Sources,
        ledger::Ledger,
    },
    querylog::{LogQueue, QueryRecord, observed::Record},
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
    pub latency: Latency,
    /// The generation of the snapshot that decided it.
    pub generation: u64,
}

/// How long a query took.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    /// So long.
    Known(Duration),
    /// As long as its batch takes, which is told at the end of it ([`Recorder::batch_took`]).
    Batch {
        /// When the batch was read.
        since: Instant,
        /// Tells the time, for a query that is logged before the end.
        clock: fn() -> Instant,
    },
}

impl Latency {
    /// So long as yet.
    pub(crate) fn as_yet(self) -> Duration {
        match self {
            Self::Known(latency) => latency,
            Self::Batch { since, clock } => clock().saturating_duration_since(since),
        }
    }
}

/// What records the queries of one worker; made by [`super::Telemetry::recorder`].
#[derive(Debug)]
pub struct Recorder {
    block: Arc<Block>,
    ledger: Arc<Ledger>,
    log: LogQueue,
    observed: Arc<Record>,
    /// Queries whose latency is their batch's, by ending.
    batch: [u64; ENDINGS],
}

impl Recorder {
    pub(crate) fn new(sources: &Sources, log: LogQueue) -> Self {
        let ledger = Arc::clone(&sources.ledger);
        Self {
            block: ledger.open(),
            ledger,
            log,
            observed: Arc::clone(&sources.observed),
            batch: [0; ENDINGS],
        }
    }

    /// Counts a query and logs it if queries of its kind are logged. `&mut` because the counters
    /// have one writer: share a recorder among tasks behind a lock, or take several.
    pub fn record(&mut self, event: &Event<'_>) {
        let tally = Tally::of(&event.outcome, event.transport);
        if event.generation > self.block.generation() {
            self.block = self.ledger.turn(&self.block, event.generation);
            self.log.refresh();
        }
        if event.generation == self.block.generation() {
            self.block.count(&tally);
        } else {
            self.ledger.count_late(event.generation, &tally);
        }
        match event.latency {
            Latency::Known(latency) => self.block.took(tally.ending, latency, 1),
            Latency::Batch { .. } => {
                if let Some(count) = self.batch.get_mut(tally.ending as usize) {
                    *count += 1;
                }
            }
        }
        if event.outcome.reason == Reason::Observed {
            self.observe(event);
        }
        if self.log.wants(&event.outcome) && !self.log.push(QueryRecord::of(event)) {
            self.block.count_log_drop();
        }
    }

    /// The batch is done: so long did each query of it take whose latency was left open.
    pub fn batch_took(&mut self, latency: Duration) {
        for (ending, count) in Ending::ALL.into_iter().zip(&mut self.batch) {
            if *count > 0 {
                self.block.took(ending, latency, mem::take(count));
            }
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
