//! What happens toward the servers of upstreams, counted: one set of atomics a server, shared by
//! all that ask it. A query that has waited for another server does not notice.
//!
//! The series of an upstream are there while the newest configuration has it. One with other
//! servers under the same name begins at zero, as a process that was started again does; Prometheus
//! knows what to make of that.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::block::{BOUNDS, BUCKETS, bucket, nanos};

/// The counters of one upstream.
#[derive(Debug)]
pub struct UpstreamCounters {
    pub(super) name: String,
    /// The labels of the ways in which a question ends, by position.
    pub(super) results: Vec<&'static str>,
    pub(super) servers: Vec<ServerCounters>,
    merged: AtomicU64,
}

/// The counters of one server.
#[derive(Debug)]
pub(super) struct ServerCounters {
    pub(super) label: String,
    results: Vec<AtomicU64>,
    rtt: [AtomicU64; BUCKETS],
    rtt_nanos: AtomicU64,
    mismatched: AtomicU64,
    hedged: AtomicU64,
    up: AtomicBool,
    looping: AtomicBool,
}

impl UpstreamCounters {
    /// Counters at zero for an upstream and its servers; `results` are the ways in which a question
    /// to one of them ends.
    #[must_use]
    pub fn new(name: &str, servers: &[String], results: &[&'static str]) -> Self {
        let server = |label: &String| ServerCounters {
            label: label.clone(),
            results: results.iter().map(|_| AtomicU64::default()).collect(),
            rtt: Default::default(),
            rtt_nanos: AtomicU64::default(),
            mismatched: AtomicU64::default(),
            hedged: AtomicU64::default(),
            up: AtomicBool::new(true),
            looping: AtomicBool::default(),
        };
        Self {
            name: name.to_owned(),
            results: results.to_vec(),
            servers: servers.iter().map(server).collect(),
            merged: AtomicU64::default(),
        }
    }

    /// The operator's name for the upstream.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server at this place, as the file has it.
    #[must_use]
    pub fn server(&self, server: usize) -> &str {
        self.servers.get(server).map_or("", |it| &it.label)
    }

    /// A question to a server has ended in this way, with a reply after `rtt` if there was one.
    pub fn asked(&self, server: usize, result: usize, rtt: Option<Duration>) {
        let Some(server) = self.servers.get(server) else {
            return;
        };
        if let Some(count) = server.results.get(result) {
            count.fetch_add(1, Relaxed);
        }
        if let Some(rtt) = rtt {
            if let Some(count) = server.rtt.get(bucket(rtt)) {
                count.fetch_add(1, Relaxed);
            }
            server.rtt_nanos.fetch_add(nanos(rtt), Relaxed);
        }
    }

    /// A message came that is no reply to what was asked.
    pub fn mismatched(&self, server: usize) {
        if let Some(server) = self.servers.get(server) {
            server.mismatched.fetch_add(1, Relaxed);
        }
    }

    /// A server was asked early because another one took long.
    pub fn hedged(&self, server: usize) {
        if let Some(server) = self.servers.get(server) {
            server.hedged.fetch_add(1, Relaxed);
        }
    }

    /// A query waits for a question that was in flight already.
    pub fn merged(&self) {
        self.merged.fetch_add(1, Relaxed);
    }

    /// Whether a server is asked, now.
    pub fn set_up(&self, server: usize, up: bool) {
        if let Some(server) = self.servers.get(server) {
            server.up.store(up, Relaxed);
        }
    }

    /// Whether what a server is asked comes back here.
    pub fn set_looping(&self, server: usize, looping: bool) {
        if let Some(server) = self.servers.get(server) {
            server.looping.store(looping, Relaxed);
        }
    }

    /// Whether what any of the servers is asked comes back here.
    #[must_use]
    pub fn is_looping(&self) -> bool {
        self.servers.iter().any(ServerCounters::is_looping)
    }

    pub(super) fn merged_total(&self) -> u64 {
        self.merged.load(Relaxed)
    }
}

impl ServerCounters {
    pub(super) fn results(&self) -> impl Iterator<Item = u64> {
        self.results.iter().map(|count| count.load(Relaxed))
    }

    /// The buckets of the round-trip times, and their sum in nanoseconds.
    pub(super) fn rtt(&self) -> ([u64; BUCKETS], u64) {
        let counts = self.rtt.each_ref().map(|count| count.load(Relaxed));
        (counts, self.rtt_nanos.load(Relaxed))
    }

    pub(super) fn mismatched(&self) -> u64 {
        self.mismatched.load(Relaxed)
    }

    pub(super) fn hedged(&self) -> u64 {
        self.hedged.load(Relaxed)
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    pub(super) fn is_looping(&self) -> bool {
        self.looping.load(Relaxed)
    }
}

/// The bounds of the round-trip times: those of the queries, which hold them.
pub(super) const RTT_BOUNDS: &[Duration] = &BOUNDS;

/// The counters of the upstreams of the newest configuration, in its order.
#[derive(Debug, Default)]
pub struct Upstreams(Mutex<Vec<Arc<UpstreamCounters>>>);

impl Upstreams {
    /// A configuration with these upstreams is about to be in force.
    pub fn set(&self, upstreams: Vec<Arc<UpstreamCounters>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = upstreams;
    }

    /// The counters at this moment.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<UpstreamCounters>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The first upstream whose questions come back here.
    #[must_use]
    pub fn looping(&self) -> Option<String> {
        let all = self.all();
        let looping = all.iter().find(|upstream| upstream.is_looping());
        looping.map(|upstream| upstream.name.clone())
    }
}

/// Numbers that others keep and a scrape asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Look-ups that the cache had something true for.
    pub cache_hits: u64,
    /// Look-ups that it had nothing for.
    pub cache_misses: u64,
    /// Look-ups that it had something past its time for.
    pub cache_stale: u64,
    /// Entries that made room for others.
    pub cache_evictions: u64,
    /// Entries in it.
    pub cache_entries: u64,
    /// Bytes in it.
    pub cache_bytes: u64,
    /// Queries that wait for an upstream.
    pub in_flight: u64,
}
