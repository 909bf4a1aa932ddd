//! A finished query, as the worker passes it to the counters and the log.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use dnsgate_core::{dns::Transport, engine::Outcome};

/// A finished query.
#[derive(Clone, Copy, Debug)]
pub struct FinishedQuery<'a> {
    /// Its outcome.
    pub outcome: Outcome,
    /// The transport it arrived on.
    pub transport: Transport,
    /// The client's address and port.
    pub source: SocketAddr,
    /// The packet.
    pub query: &'a [u8],
    /// The reply; empty if there was none.
    pub reply: &'a [u8],
    /// The record of an upstream's answer that the response filter rejected, for the log.
    pub rejected: Option<&'a str>,
    /// When it was read, for the log.
    pub time: SystemTime,
    /// The time from reading the query to writing its reply.
    pub latency: Latency,
    /// The generation of the snapshot that decided it.
    pub generation: u64,
}

/// The latency of a query.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    /// Already known.
    Known(Duration),
    /// The latency of its batch, which [`Recorder::batch_took`](crate::telemetry::Recorder::batch_took)
    /// reports at the end.
    Batch {
        /// When the batch was read.
        since: Instant,
        /// The clock, for a query that is logged before the end of its batch.
        clock: fn() -> Instant,
    },
}

impl Latency {
    /// The latency so far.
    pub(crate) fn as_yet(self) -> Duration {
        match self {
            Self::Known(latency) => latency,
            Self::Batch { since, clock } => clock().saturating_duration_since(since),
        }
    }
}
