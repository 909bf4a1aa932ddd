//! One query at its end, as its worker hands it to the counters and the log.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use dnsgate_core::{dns::Transport, engine::Outcome};

/// One query at its end, as its worker saw it.
#[derive(Clone, Copy, Debug)]
pub struct FinishedQuery<'a> {
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
    /// As long as its batch takes, which is told at the end of it ([`Recorder::batch_took`](crate::telemetry::Recorder::batch_took)).
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
