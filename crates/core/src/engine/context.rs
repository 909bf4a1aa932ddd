//! What a query is decided by: who asks, the configuration, the time, and what upstreams said.

use std::{
    net::IpAddr,
    time::{Instant, SystemTime},
};

use crate::{cache::Cache, dns::Transport};

use super::Snapshot;

/// Who asks, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The source address of the packet or connection.
    pub source: IpAddr,
    /// What it came by.
    pub transport: Transport,
}

/// What a query is decided by and answered from, all of it for one moment.
#[derive(Clone, Copy)]
pub struct Context<'t> {
    /// The configuration in force.
    pub snapshot: &'t Snapshot,
    /// The time of the calendar, for what expires.
    pub now: SystemTime,
    /// What upstreams said; `None` for nothing, and then every forward must be asked for.
    pub cache_view: Option<CacheView<'t>>,
}

/// A cache, and the time by which it counts.
#[derive(Clone, Copy)]
pub struct CacheView<'t> {
    /// The cache.
    pub cache: &'t Cache,
    /// The time by a clock that nobody sets.
    pub now: Instant,
}

impl<'t> Context<'t> {
    /// A context without a cache_view.
    #[must_use]
    pub const fn new(snapshot: &'t Snapshot, now: SystemTime) -> Self {
        Self {
            snapshot,
            now,
            cache_view: None,
        }
    }

    /// The same with a cache_view.
    #[must_use]
    pub const fn with_cache(self, cache: &'t Cache, now: Instant) -> Self {
        Self {
            cache_view: Some(CacheView { cache, now }),
            ..self
        }
    }
}
