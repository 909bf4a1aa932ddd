//! Defines every metric family once: name, type, labels and help, and builds its message of the
//! `prometheus` crate. The export and the table of the documentation are built from these constants.
//!
//! A family is listed only if it is used.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// One metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, with its unit and, for a counter, `_total`.
    pub name: &'static str,
    /// The type.
    pub kind: FamilyKind,
    /// The label names, in the order of their values.
    pub labels: &'static [&'static str],
    /// The description, one sentence.
    pub help: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only rises until the process ends.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

impl FamilyKind {
    /// The type name in the text format.
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

/// Declares the families and the list of all of them.
macro_rules! families {
    ($($constant:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)+) => {
        $(pub(crate) const $constant: Family = Family {
            name: concat!("dnsgate_", $name),
            kind: FamilyKind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// Every family of dnsgate, in the order of the documentation.
        pub(crate) const OWN: &[Family] = &[$($constant),+];
    };
}

families! {
    QUERIES = "queries_total", Counter, ["transport", "group", "verdict", "rcode", "type"],
        "Queries, by the verdict and the response code; rcode none means that no reply was sent. dnsgate's own queries are counted in self_queries_total instead.";
    SELF_QUERIES = "self_queries_total", Counter, ["result"],
        "Queries that dnsgate itself sent: to watch its own UDP listeners (answered, lost), and probes of upstreams that came back to it (returned).";
    RULE_QUERIES = "rule_queries_total", Counter, ["rule", "group", "verdict"],
        "Queries that a rule, a zone or an entry of the Google preset decided, by the verdict; denied includes queries that the rule allows only to others.";
    RULE_LAST_USED = "rule_last_used_timestamp_seconds", Gauge, ["rule"],
        "When a rule, a zone or an entry of the Google preset last decided a query, in seconds since 1970; 0 if it did not since /usage is counted.";
    DENIED = "denied_total", Counter, ["group", "rule", "reason"],
        "Queries that the policy denied, by the rule and the reason.";
    FILTERED = "filter_rejected_total", Counter, ["rule", "check"],
        "Queries that were denied because of a record in an upstream's answer, by the check of the response filter that failed.";
    DURATION = "query_duration_seconds", Histogram, ["verdict"],
        "Time from reading a query to having written the replies of its whole batch.";
    TRUNCATED = "truncated_total", Counter, ["transport"],
        "Replies with TC set, which tells the client to ask again over TCP.";
    PANICS = "panics_total", Counter, [],
        "Queries whose handling panicked; the panic was caught, and dnsgate went on.";
    LOG_DROPPED = "log_dropped_total", Counter, [],
        "Log lines that were lost because the queue was full or the output could not be written.";
    SHED = "shed_total", Counter, ["why"],
        "TCP connections and queries that were given up because a limit was reached, by the limit; per_client_qps means that a client exceeded its rate.";
    IN_FLIGHT = "in_flight", Gauge, [],
        "Queries that wait for an upstream.";
    UPSTREAM_QUERIES = "upstream_queries_total", Counter, ["upstream", "server", "result"],
        "Queries sent to upstream servers, by how they ended; dnsgate's own probes are not counted.";
    UPSTREAM_RTT = "upstream_rtt_seconds", Histogram, ["upstream", "server"],
        "Time from sending a query to a server to receiving its reply, without the time to connect.";
    UPSTREAM_UP = "upstream_up", Gauge, ["upstream", "server"],
        "1 while the server answers; 0 while it is down and dnsgate only probes it.";
    UPSTREAM_LOOPING = "upstream_looping", Gauge, ["upstream"],
        "1 while queries to the upstream come back to dnsgate, else 0; dnsgate does not use the server that returns them.";
    UPSTREAM_MISMATCHED = "upstream_mismatch_total", Counter, ["upstream", "server"],
        "Messages in the name of a server that do not match the query they arrived for; dnsgate ignores them.";
    UPSTREAM_FORGED = "upstream_forged_total", Counter, ["upstream", "server"],
        "Queries that were sent again over TCP because a message on their socket matched no query: somebody may be forging replies.";
    UPSTREAM_HEDGED = "upstream_hedged_total", Counter, ["upstream"],
        "Queries that were also sent to a second server because the first one was slow.";
    UPSTREAM_COALESCED = "upstream_coalesced_total", Counter, ["upstream"],
        "Queries that waited for the same query already in flight instead of being sent again.";
    UPSTREAM_REFUSED = "upstream_refused_total", Counter, ["upstream", "why"],
        "Queries that were not sent to the upstream and failed at once, or were answered from expired cache entries: every server is down and limits.upstream_probes queries are already testing it (down), or the upstream leads back to dnsgate (looping).";
    BUDGET_EXCEEDED = "budget_exceeded_total", Counter, ["rule", "over"],
        "Questions beyond the budget of the rule that forwards them, by what happened: report means that they were sent, deny that they were not.";
    BUDGET_OVERFLOW = "budget_overflow_total", Counter, [],
        "Questions that were counted together with others because limits.budget_memory has no room for a counter of their own.";
    BUDGET_BYTES = "budget_bytes", Gauge, [],
        "Memory that the counters of budgets take, in bytes.";
    CACHE_HITS = "cache_hits_total", Counter, [],
        "Cache lookups answered from an unexpired entry.";
    CACHE_MISSES = "cache_misses_total", Counter, [],
        "Cache lookups that found no entry.";
    CACHE_STALE = "cache_stale_total", Counter, [],
        "Cache lookups that found only an expired entry.";
    CACHE_EVICTIONS = "cache_evictions_total", Counter, [],
        "Entries that were removed from the cache, or not stored, because the cache was full.";
    CACHE_BYTES = "cache_bytes", Gauge, [],
        "Memory that the entries of the cache take, in bytes.";
    CACHE_ENTRIES = "cache_entries", Gauge, [],
        "Entries in the cache.";
    TCP_CONNECTIONS = "tcp_connections", Gauge, [],
        "Open TCP connections of clients.";
    TCP_OPENED = "tcp_accepted_total", Counter, [],
        "TCP connections of clients that were accepted.";
    TCP_CLOSED = "tcp_closed_total", Counter, [],
        "TCP connections of clients that ended, for whatever reason.";
    TCP_LIMITED = "tcp_limited_total", Counter, ["limit"],
        "TCP connections that reached one of their limits: closed (tcp_idle_timeout, tcp_message_timeout, tcp_unread), not read from for a while (tcp_pipeline), or a query answered SERVFAIL (tcp_unread_per_connection).";
    TCP_UNREAD = "tcp_unread_bytes", Gauge, [],
        "Bytes of replies that dnsgate holds for TCP clients that have not read them yet.";
    REPLIES_LOST = "replies_lost_total", Counter, [],
        "Replies that could not be sent: over UDP the kernel's send buffer was full, over TCP the client does not read.";
    UNANSWERABLE = "unanswerable_total", Counter, [],
        "Datagrams from port 0, which dnsgate drops because no reply can be sent there.";
    GENERATION = "snapshot_generation", Gauge, [],
        "The number of the configuration in force; each reload raises it by one.";
    LOADED = "snapshot_loaded_timestamp_seconds", Gauge, [],
        "When the configuration in force was loaded, in seconds since 1970.";
    POLICY = "policy_info", Gauge, ["digest"],
        "Always 1; the label is the SHA-256 of the policy in force (groups, rules, zones, upstreams): instances with the same digest decide alike.";
    RELOADS = "reload_total", Counter, ["result"],
        "Reloads of the configuration, by result; a rejected one changes nothing, and /readyz gives the reason.";
    REJECTED = "config_rejected", Gauge, [],
        "1 after a reload was refused and until one succeeds, so that the file is not the configuration in force; else 0.";
    EXPIRES = "rule_expires_timestamp_seconds", Gauge, ["rule"],
        "When a rule with `until` ends or ended, in seconds since 1970.";
    READY = "ready", Gauge, [],
        "1 while /readyz answers 200, else 0.";
    BUILD = "build_info", Gauge, ["version", "arch"],
        "Always 1; the labels give the version and the architecture.";
}

/// The process families of the `prometheus` crate, on Linux.
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

/// Every family that `/metrics` exports on Linux: dnsgate's, then the process's.
pub fn families() -> impl Iterator<Item = &'static Family> {
    OWN.iter().chain(PROCESS)
}

/// One metric with its label values. The family has the label names.
pub(crate) struct Series {
    labels: Vec<String>,
    metric: Metric,
}

/// Converts a count to Prometheus's number type.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format has floating-point values; beyond 2^53 the last digits are lost"
)]
pub(crate) const fn float(value: u64) -> f64 {
    value as f64
}

/// A counter.
pub(crate) fn counter<const N: usize>(labels: [&str; N], value: u64) -> Series {
    let mut counter = Counter::default();
    counter.set_value(float(value));
    let mut metric = Metric::default();
    metric.set_counter(counter);
    Series {
        labels: labels.map(str::to_owned).to_vec(),
        metric,
    }
}

/// A gauge.
pub(crate) fn gauge<const N: usize>(labels: [&str; N], value: f64) -> Series {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    Series {
        labels: labels.map(str::to_owned).to_vec(),
        metric: Metric::from_gauge(gauge),
    }
}

/// A histogram from the count of each bucket; the last bucket is above all bounds.
pub(crate) fn histogram<const N: usize>(
    labels: [&str; N],
    bounds: &[Duration],
    counts: &[u64],
    nanos: u64,
) -> Series {
    let mut so_far = 0;
    let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
        so_far += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(so_far);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(float(nanos) / 1e9);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    Series {
        labels: labels.map(str::to_owned).to_vec(),
        metric,
    }
}

/// A family of these series.
pub(crate) fn family(family: &Family, series: impl IntoIterator<Item = Series>) -> MetricFamily {
    let metrics = series.into_iter().map(|Series { labels, mut metric }| {
        let pairs = family.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        });
        metric.set_label(pairs.collect());
        metric
    });
    let mut out = MetricFamily::default();
    out.set_name(family.name.to_owned());
    out.set_help(family.help.to_owned());
    out.set_field_type(family.kind.proto());
    out.set_metric(metrics.collect());
    out
}
