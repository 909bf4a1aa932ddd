//! Counters and states that are not on a query's way: what they count happens per connection or
//! per fault or per reload, so that one atomic each, shared by all, is good enough.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A closed set of labels.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every one, in the order of their positions (`as usize`).
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
    /// What was given up for want of room: the label `why` of `shed_total`.
    Shed {
        /// The one that had waited longest was closed, so that a new one could be opened.
        Evicted = "connection_evicted",
        /// A new one was closed at once: its client has as many as a client may have.
        Refused = "connection_refused",
        /// A new one could not be accepted, most often for want of file descriptors.
        AcceptFailed = "accept_failed",
        /// A query was answered SERVFAIL: as many wait for upstreams as may.
        InFlight = "in_flight",
        /// A query was answered SERVFAIL: as many wait for its question as may, or as many
        /// questions are in flight to its upstream.
        Coalesced = "coalesced",
        /// A question was not asked: no place was left for its group on the connections to a server.
        Pipeline = "upstream_pipeline",
        /// A query over its client's rate was dropped, or sent to TCP. Workers count these, in
        /// their own blocks: there may be a flood of them.
        ClientRate = "per_client_qps",
    }
}

labels! {
    /// What a TCP connection came up against: the label `limit` of `tcp_limited_total`, which is the
    /// limit's name in the configuration.
    TcpLimit {
        /// It was closed: it had waited too long for the first byte of a query.
        Idle = "tcp_idle_timeout",
        /// It was closed: a query took too long to come, or a reply to be read.
        Message = "tcp_message_timeout",
        /// It was not read from for a while: as many of its queries waited as may.
        Pipeline = "tcp_pipeline",
        /// It was closed: its client had not read for longest when the replies that clients do not
        /// read took all the room that they may.
        Unread = "tcp_unread",
        /// One of its queries was answered SERVFAIL: it holds as many bytes of replies that its
        /// client does not read as it may.
        UnreadPerConnection = "tcp_unread_per_connection",
    }
}

labels! {
    /// How a reload ended: the label `result` of `reload_total`.
    Reload {
        /// The new configuration is in force.
        Success = "success",
        /// It was refused, and the old one stayed in force.
        Rejected = "rejected",
    }
}

labels! {
    /// What became of a query of dnsgate's own: the label `result` of `self_queries_total`.
    SelfQuery {
        /// It asked a listener of ours, and was answered.
        Answered = "answered",
        /// It asked a listener of ours, and no answer came in time.
        Lost = "lost",
        /// It asked an upstream, and came back to a listener of ours.
        Returned = "returned",
    }
}

/// The shared counters. Every method may be called from any thread.
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
    /// Rules that end, by name.
    expiries: Mutex<Vec<(String, SystemTime)>>,
    generation: AtomicU64,
    /// Nanoseconds since 1970.
    loaded: AtomicU64,
}

impl SharedCounters {
    /// A client's TCP connection was accepted and is served.
    pub fn tcp_opened(&self) {
        self.tcp_opened.fetch_add(1, Relaxed);
    }

    /// A connection that was counted by [`Self::tcp_opened`] ended, for whatever reason.
    pub fn tcp_closed(&self) {
        self.tcp_closed.fetch_add(1, Relaxed);
    }

    /// The kernel did not take a reply.
    pub fn reply_lost(&self) {
        self.replies_lost.fetch_add(1, Relaxed);
    }

    /// A datagram came that cannot be answered, from port 0, and was not looked at.
    pub fn unanswerable(&self) {
        self.unanswerable.fetch_add(1, Relaxed);
    }

    /// A connection or a query was given up for want of room.
    pub fn shed(&self, why: Shed) {
        bump(&self.shed, why as usize);
    }

    /// A TCP connection came up against a limit of its own.
    pub fn tcp_limited(&self, limit: TcpLimit) {
        bump(&self.tcp_limited, limit as usize);
    }

    /// A reload ended.
    pub fn reloaded(&self, result: Reload) {
        bump(&self.reloads, result as usize);
    }

    /// A query of our own ended.
    pub fn self_query(&self, result: SelfQuery) {
        bump(&self.self_queries, result as usize);
    }

    /// Says whether the file on disk is another than the one in force, and is not taken.
    pub fn config_rejected(&self, rejected: bool) {
        self.rejected.store(rejected, Relaxed);
    }

    /// Says which rules of the configuration in force end, and when.
    pub fn rules_expire(&self, expiries: Vec<(String, SystemTime)>) {
        // It is replaced whole, so that a panic elsewhere has left nothing half done.
        *self.expiries.lock().unwrap_or_else(PoisonError::into_inner) = expiries;
    }

    /// The generation in force, 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(crate) fn loaded(&self, generation: u64, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded.store(super::duration::nanos(since), Relaxed);
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
