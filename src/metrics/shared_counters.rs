//! Counters and states outside the query path. They change per connection, fault or reload, so one
//! shared atomic each is fast enough.

use std::{
    fmt,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dnsgate_config::PolicyDigest;

/// A closed set of labels.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All variants, in the order of their positions (`as usize`).
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }
    };
}
pub(crate) use labels;

labels! {
    /// Connections and queries that were shed because of a limit: the label `why` of `shed_total`.
    Shed {
        /// The connection that had been idle for longest was closed to admit a new one.
        Evicted = "connection_evicted",
        /// A new connection was closed at once because its client had reached its limit.
        Refused = "connection_refused",
        /// A new connection could not be accepted, usually because no file descriptor was left.
        AcceptFailed = "accept_failed",
        /// A query was answered SERVFAIL or with a stale response because the limit of in-flight
        /// queries was reached.
        InFlight = "in_flight",
        /// A query was answered SERVFAIL because too many waited for the same question, or too many
        /// queries were in flight to its upstream.
        Coalesced = "coalesced",
        /// A query was not sent because its group had no slot left on the connections to a server.
        Pipeline = "upstream_pipeline",
        /// A query beyond its client's rate was dropped or sent to TCP. Workers count these in
        /// their own counters, because there may be a flood of them.
        ClientRate = "per_client_qps",
    }
}

labels! {
    /// The limit that a TCP connection reached: the label `limit` of `tcp_limited_total`, which is
    /// the limit's name in the configuration.
    TcpLimit {
        /// Closed: no query arrived in time.
        Idle = "tcp_idle_timeout",
        /// Closed: a query took too long to arrive, or a reply took too long to be read.
        Message = "tcp_message_timeout",
        /// Not read for a while: the limit of its awaited replies was reached.
        Pipeline = "tcp_pipeline",
        /// Closed: the unread replies of all connections exceeded their limit, and its client had
        /// not read for longest.
        Unread = "tcp_unread",
        /// A query was answered SERVFAIL because the connection's unread replies had reached their
        /// limit.
        UnreadPerConnection = "tcp_unread_per_connection",
    }
}

labels! {
    /// The result of a reload: the label `result` of `reload_total`.
    Reload {
        /// The new configuration is in force.
        Success = "success",
        /// The new configuration was refused, and the old one stayed in force.
        Rejected = "rejected",
    }
}

labels! {
    /// The result of dnsgate's own query: the label `result` of `self_queries_total`.
    SelfQuery {
        /// A query to our own listener was answered.
        Answered = "answered",
        /// A query to our own listener timed out.
        Lost = "lost",
        /// A query to an upstream came back to our own listener.
        Returned = "returned",
    }
}

/// The shared counters. All methods are thread-safe.
#[derive(Debug, Default)]
pub struct SharedCounters {
    tcp_opened: AtomicU64,
    tcp_closed: AtomicU64,
    replies_lost: AtomicU64,
    unanswerable: AtomicU64,
    shed: [AtomicU64; Shed::ALL.len()],
    tcp_limited: [AtomicU64; TcpLimit::ALL.len()],
    reloads: [AtomicU64; Reload::ALL.len()],
    self_queries: [AtomicU64; SelfQuery::ALL.len()],
    rejected: AtomicBool,
    log_dropped: AtomicU64,
    /// The expiry dates of rules, by name.
    expiries: Mutex<Vec<(String, SystemTime)>>,
    digest: Mutex<Option<PolicyDigest>>,
    generation: AtomicU64,
    /// Nanoseconds since 1970.
    loaded: AtomicU64,
}

impl SharedCounters {
    /// Counts an accepted and admitted TCP connection.
    pub fn tcp_opened(&self) {
        self.tcp_opened.fetch_add(1, Relaxed);
    }

    /// Counts the end of a connection that [`Self::tcp_opened`] counted.
    pub fn tcp_closed(&self) {
        self.tcp_closed.fetch_add(1, Relaxed);
    }

    /// Counts a reply that the kernel did not take.
    pub fn reply_lost(&self) {
        self.replies_lost.fetch_add(1, Relaxed);
    }

    /// Counts a datagram from port 0, which is dropped because it cannot be answered.
    pub fn unanswerable(&self) {
        self.unanswerable.fetch_add(1, Relaxed);
    }

    /// Counts a connection or a query that was shed.
    pub fn shed(&self, why: Shed) {
        bump(&self.shed, why as usize);
    }

    /// Counts a TCP connection that reached one of its limits.
    pub fn tcp_limited(&self, limit: TcpLimit) {
        bump(&self.tcp_limited, limit as usize);
    }

    /// Counts a reload.
    pub fn reloaded(&self, result: Reload) {
        bump(&self.reloads, result as usize);
    }

    /// Counts one of dnsgate's own queries.
    pub fn self_query(&self, result: SelfQuery) {
        bump(&self.self_queries, result as usize);
    }

    /// Sets whether the file on disk was refused and therefore differs from the configuration in
    /// force.
    pub fn config_rejected(&self, rejected: bool) {
        self.rejected.store(rejected, Relaxed);
    }

    /// Sets the expiry dates of the current configuration's rules.
    pub fn rules_expire(&self, expiries: Vec<(String, SystemTime)>) {
        // The value is replaced as a whole, so a panic elsewhere cannot leave it half written.
        *self.expiries.lock().unwrap_or_else(PoisonError::into_inner) = expiries;
    }

    /// Sets the digest of the current policy.
    pub fn policy_digest_is(&self, digest: PolicyDigest) {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }

    /// The digest of the current policy; `None` before the first.
    #[must_use]
    pub fn policy_digest(&self) -> Option<PolicyDigest> {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current generation, 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(crate) fn loaded(&self, generation: u64, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded.store(super::labels::nanos(since), Relaxed);
        self.generation.store(generation, Relaxed);
    }

    pub(crate) fn loaded_at(&self) -> Duration {
        Duration::from_nanos(self.loaded.load(Relaxed))
    }

    pub(crate) fn is_config_rejected(&self) -> bool {
        self.rejected.load(Relaxed)
    }

    pub(crate) fn expiries(&self) -> Vec<(String, SystemTime)> {
        let expiries = self.expiries.lock();
        expiries.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn log_lost(&self, lines: u64) {
        self.log_dropped.fetch_add(lines, Relaxed);
    }

    pub(crate) fn log_dropped(&self) -> u64 {
        self.log_dropped.load(Relaxed)
    }

    pub(crate) fn tcp_opened_total(&self) -> u64 {
        self.tcp_opened.load(Relaxed)
    }

    pub(crate) fn tcp_closed_total(&self) -> u64 {
        self.tcp_closed.load(Relaxed)
    }

    pub(crate) fn replies_lost_total(&self) -> u64 {
        self.replies_lost.load(Relaxed)
    }

    pub(crate) fn unanswerable_total(&self) -> u64 {
        self.unanswerable.load(Relaxed)
    }

    pub(crate) fn shed_total(&self, why: Shed) -> u64 {
        read(&self.shed, why as usize)
    }

    pub(crate) fn tcp_limited_total(&self, limit: TcpLimit) -> u64 {
        read(&self.tcp_limited, limit as usize)
    }

    pub(crate) fn self_query_total(&self, result: SelfQuery) -> u64 {
        read(&self.self_queries, result as usize)
    }

    pub(crate) fn reload_total(&self, result: Reload) -> u64 {
        read(&self.reloads, result as usize)
    }
}

fn bump(counters: &[AtomicU64], at: usize) {
    if let Some(counter) = counters.get(at) {
        counter.fetch_add(1, Relaxed);
    }
}

fn read(counters: &[AtomicU64], at: usize) -> u64 {
    counters.get(at).map_or(0, |counter| counter.load(Relaxed))
}

/// The values at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Cache lookups answered from an unexpired entry.
    pub cache_hits: u64,
    /// Cache lookups that found no entry.
    pub cache_misses: u64,
    /// Cache lookups that found only an expired entry.
    pub cache_stale: u64,
    /// Entries that were removed, or not stored, because the cache was full.
    pub cache_evictions: u64,
    /// Entries in the cache.
    pub cache_entries: u64,
    /// Memory of the entries, in bytes.
    pub cache_bytes: u64,
    /// Queries that wait for an upstream.
    pub in_flight: u64,
    /// Bytes of replies that TCP clients have not read.
    pub tcp_unread_bytes: u64,
}

/// The function that reads the values.
pub(crate) type ReadingSource = Box<dyn Fn() -> Reading + Send + Sync>;

/// Holds the source. Without a source all values are 0.
#[derive(Default)]
pub(crate) struct Watched(OnceLock<ReadingSource>);

impl Watched {
    /// Sets the source. Further calls have no effect.
    pub(crate) fn set(&self, source: ReadingSource) {
        let _ = self.0.set(source);
    }

    pub(crate) fn read(&self) -> Reading {
        self.0
            .get()
            .map_or_else(Reading::default, |source| source())
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.read()).finish()
    }
}
