//! Every metric family: its name, type, labels and help, written once. What is exported is built
//! from these constants, and so is the table of the documentation.
//!
//! A family stands here only when something feeds it.

use prometheus::proto::MetricType;

/// One metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, with its unit, and `_total` for a counter.
    pub name: &'static str,
    /// The type.
    pub kind: FamilyKind,
    /// The label names, in the order of their values.
    pub labels: &'static [&'static str],
    /// What it counts, in a sentence.
    pub help: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only rises, until the process ends.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations by size.
    Histogram,
}

impl FamilyKind {
    /// The word of the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    pub(crate) const fn proto(self) -> MetricType {
        match self {
            Self::Counter => MetricType::COUNTER,
            Self::Gauge => MetricType::GAUGE,
            Self::Histogram => MetricType::HISTOGRAM,
        }
    }
}

/// Declares the families and the list of them all.
macro_rules! families {
    ($($constant:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)+) => {
        $(pub(crate) const $constant: Family = Family {
            name: concat!("dnsgate_", $name),
            kind: FamilyKind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// Every family of our own, in the order of the documentation.
        pub(crate) const OWN: &[Family] = &[$($constant),+];
    };
}

families! {
    QUERIES = "queries_total", Counter, ["transport", "group", "verdict", "rcode", "type"],
        "Queries by what became of them; rcode none is a query that got no reply. dnsgate's own are in self_queries_total instead.";
    SELF_QUERIES = "self_queries_total", Counter, ["result"],
        "Queries of dnsgate itself: those by which it watches its own UDP listeners (answered, lost), and probes of upstreams that came back to it (returned).";
    DENIED = "denied_total", Counter, ["group", "rule", "reason"],
        "Queries that policy denied, by the rule and the reason.";
    FILTERED = "filter_rejected_total", Counter, ["rule", "check"],
        "Queries that were denied because of what an upstream's answer holds, by the check that it failed.";
    DURATION = "query_duration_seconds", Histogram, ["verdict"],
        "Time from reading a query to having its reply written, and those of its batch.";
    TRUNCATED = "truncated_total", Counter, ["transport"],
        "Replies that asked the client to come back over TCP.";
    PANICS = "panics_total", Counter, [],
        "Queries during which dnsgate panicked, was caught and went on.";
    LOG_DROPPED = "log_dropped_total", Counter, [],
        "Logs lines lost because the queue was full or its output could not be written.";
    SHED = "shed_total", Counter, ["why"],
        "TCP connections and queries given up for want of room, by how; per_client_qps is a query over its client's rate.";
    IN_FLIGHT = "in_flight", Gauge, [],
        "Queries that wait for an upstream.";
    UPSTREAM_QUERIES = "upstream_queries_total", Counter, ["upstream", "server", "result"],
        "Questions to the servers of upstreams by how they ended; dnsgate's own probes are not among them.";
    UPSTREAM_RTT = "upstream_rtt_seconds", Histogram, ["upstream", "server"],
        "Time from a question to a server to its reply, without what it took to connect.";
    UPSTREAM_UP = "upstream_up", Gauge, ["upstream", "server"],
        "1 while the server answers, 0 while it is down and is only probed.";
    UPSTREAM_LOOPING = "upstream_looping", Gauge, ["upstream"],
        "1 while what the upstream is asked comes back to dnsgate, else 0; the server that sends it back is not asked then.";
    UPSTREAM_MISMATCHED = "upstream_mismatch_total", Counter, ["upstream", "server"],
        "Messages from a server, or in its name, that are no reply to the question they came for; they are ignored.";
    UPSTREAM_FORGED = "upstream_forged_total", Counter, ["upstream", "server"],
        "Questions that were asked again over TCP, because several messages came that are no reply to them: somebody may be forging replies.";
    UPSTREAM_HEDGED = "upstream_hedged_total", Counter, ["upstream"],
        "Questions for which a second server was asked early, because the first took long.";
    UPSTREAM_MERGED = "upstream_merged_total", Counter, ["upstream"],
        "Queries that waited for a question already in flight instead of asking it again.";
    UPSTREAM_REFUSED = "upstream_refused_total", Counter, ["upstream", "why"],
        "Questions that failed at once, or were answered from the cache past their time: every server of the upstream is down and limits.upstream_probes find out whether one is back (down), or leads back to dnsgate (looping).";
    CACHE_HITS = "cache_hits_total", Counter, [],
        "Look-ups in the cache that found what is true.";
    CACHE_MISSES = "cache_misses_total", Counter, [],
        "Look-ups in the cache that found nothing.";
    CACHE_STALE = "cache_stale_total", Counter, [],
        "Look-ups in the cache that found what is past its time.";
    CACHE_EVICTIONS = "cache_evictions_total", Counter, [],
        "Entries that were thrown out of the cache, or not let in, for want of room.";
    CACHE_BYTES = "cache_bytes", Gauge, [],
        "What the entries of the cache take.";
    CACHE_ENTRIES = "cache_entries", Gauge, [],
        "Entries in the cache.";
    TCP_CONNECTIONS = "tcp_connections", Gauge, [],
        "TCP connections of clients that are open.";
    TCP_OPENED = "tcp_accepted_total", Counter, [],
        "TCP connections of clients that were accepted.";
    TCP_CLOSED = "tcp_closed_total", Counter, [],
        "TCP connections of clients that ended, for whatever reason.";
    TCP_LIMITED = "tcp_limited_total", Counter, ["limit"],
        "TCP connections that came up against a limit of their own: closed (tcp_idle, tcp_message, tcp_unread), not read from for a while (tcp_pipeline), or a query of it answered SERVFAIL (tcp_unread_per_connection).";
    TCP_UNREAD = "tcp_unread_bytes", Gauge, [],
        "Bytes of replies that are held for TCP clients that have not read them yet.";
    REPLIES_LOST = "replies_lost_total", Counter, [],
        "Replies that could not be sent: over UDP the kernel had no room for them at once, over TCP the client does not read.";
    UNANSWERABLE = "unanswerable_total", Counter, [],
        "Datagrams from port 0, which are no queries: no reply can be sent there.";
    GENERATION = "snapshot_generation", Gauge, [],
        "The generation of the configuration in force; it rises by one with each reload.";
    LOADED = "snapshot_loaded_timestamp_seconds", Gauge, [],
        "When the configuration in force was loaded, in seconds since 1970.";
    RELOADS = "reload_total", Counter, ["result"],
        "Reloads of the configuration by result; a rejected one changes nothing, and /readyz tells why.";
    REJECTED = "config_rejected", Gauge, [],
        "1 while the configuration file is not the one in force: from a reload that was refused until one that is not, else 0.";
    EXPIRES = "rule_expires_timestamp_seconds", Gauge, ["rule"],
        "When a rule with `until` ends or has ended, in seconds since 1970.";
    READY = "ready", Gauge, [],
        "1 while /readyz says yes, else 0.";
    BUILD = "build_info", Gauge, ["version", "arch"],
        "Always 1; the labels tell what was built.";
}

/// What the `prometheus` crate tells of the process, on Linux.
const PROCESS: &[Family] = &[
    process(
        "process_cpu_seconds_total",
        FamilyKind::Counter,
        "Total user and system CPU time spent in seconds.",
    ),
    process(
        "process_max_fds",
        FamilyKind::Gauge,
        "Maximum number of open file descriptors.",
    ),
    process(
        "process_open_fds",
        FamilyKind::Gauge,
        "Number of open file descriptors.",
    ),
    process(
        "process_resident_memory_bytes",
        FamilyKind::Gauge,
        "Resident memory size in bytes.",
    ),
    process(
        "process_start_time_seconds",
        FamilyKind::Gauge,
        "Start time of the process since unix epoch in seconds.",
    ),
    process(
        "process_threads",
        FamilyKind::Gauge,
        "Number of OS threads in the process.",
    ),
    process(
        "process_virtual_memory_bytes",
        FamilyKind::Gauge,
        "Virtual memory size in bytes.",
    ),
];

const fn process(name: &'static str, kind: FamilyKind, help: &'static str) -> Family {
    Family {
        name,
        kind,
        labels: &[],
        help,
    }
}

/// Every family that `/metrics` shows on Linux: our own, then the process's.
pub fn families() -> impl Iterator<Item = &'static Family> {
    OWN.iter().chain(PROCESS)
}
