//! The inputs of a decision: the client, the configuration, the time and the cache.

use std::{
    net::IpAddr,
    time::{Instant, SystemTime},
};

use crate::{cache::Cache, dns::Transport};

use super::snapshot::Snapshot;

/// The client of a query, and its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The source address of the packet or connection.
    pub source: IpAddr,
    /// The transport of the query.
    pub transport: Transport,
}

/// The inputs of a decision and an answer, all at one moment.
#[derive(Clone, Copy)]
pub struct Context<'t> {
    /// The configuration in force.
    pub snapshot: &'t Snapshot,
    /// The wall-clock time, for the expiry of rules.
    pub now: SystemTime,
    /// The cache; without one, every forwarded question goes to an upstream.
    pub cache_view: Option<CacheView<'t>>,
}

/// A cache and its current time.
#[derive(Clone, Copy)]
pub struct CacheView<'t> {
    /// The cache.
    pub cache: &'t Cache,
    /// The monotonic time.
    pub now: Instant,
}

impl<'t> Context<'t> {
    /// A context without a cache.
    #[must_use]
    pub const fn new(snapshot: &'t Snapshot, now: SystemTime) -> Self {
        Self {
            snapshot,
            now,
            cache_view: None,
        }
    }

    /// Adds a cache.
    #[must_use]
    pub const fn with_cache(self, cache: &'t Cache, now: Instant) -> Self {
        Self {
            cache_view: Some(CacheView { cache, now }),
            ..self
        }
    }
}
