//! The families of upstreams and of the cache. Every configured upstream has its series from the
//! start; without upstreams they do not exist.

use prometheus::proto::MetricFamily;

use crate::budgets::Budgets;

use super::{
    families,
    reading::Reading,
    series::{counter, family, float, gauge, histogram},
    upstream_counters::{RTT_BOUNDS, UpstreamQueryResult, UpstreamReadings, UpstreamRefusal},
};

/// The families of upstreams.
pub(crate) fn upstreams(read: &UpstreamReadings) -> [MetricFamily; 9] {
    let servers = || {
        let servers = read.servers.iter();
        servers.map(|((upstream, server), cells)| ([upstream.as_str(), server], cells))
    };
    let wholes = || read.wholes.iter();
    let truth = |truth: bool| f64::from(u8::from(truth));
    let asked = servers().flat_map(|([upstream, server], cells)| {
        let results = UpstreamQueryResult::ALL.iter();
        results
            .map(move |&result| counter([upstream, server, result.as_str()], cells.asked(result)))
    });
    let refused = wholes().flat_map(|(upstream, cells)| {
        let why = UpstreamRefusal::ALL.iter();
        why.map(move |&why| counter([upstream.as_str(), why.as_str()], cells.refused(why)))
    });
    [
        family(&families::UPSTREAM_QUERIES, asked),
        family(
            &families::UPSTREAM_RTT,
            servers().map(|(labels, cells)| {
                histogram(labels, &RTT_BOUNDS, &cells.buckets(), cells.nanos())
            }),
        ),
        family(
            &families::UPSTREAM_UP,
            read.up
                .iter()
                .map(|((upstream, server), &up)| gauge([upstream, server], truth(up))),
        ),
        family(
            &families::UPSTREAM_LOOPING,
            read.looping
                .iter()
                .map(|(upstream, &looping)| gauge([upstream], truth(looping))),
        ),
        family(
            &families::UPSTREAM_MISMATCHED,
            servers().map(|(labels, cells)| counter(labels, cells.mismatched())),
        ),
        family(
            &families::UPSTREAM_FORGED,
            servers().map(|(labels, cells)| counter(labels, cells.forged())),
        ),
        family(
            &families::UPSTREAM_HEDGED,
            wholes().map(|(upstream, cells)| counter([upstream], cells.hedged())),
        ),
        family(
            &families::UPSTREAM_MERGED,
            wholes().map(|(upstream, cells)| counter([upstream], cells.merged())),
        ),
        family(&families::UPSTREAM_REFUSED, refused),
    ]
}

/// The families of budgets.
pub(crate) fn budgets(budgets: &Budgets) -> [MetricFamily; 3] {
    let (bytes, overflowed) = budgets.load();
    let exceeded = budgets.exceeded();
    let exceeded = exceeded
        .iter()
        .map(|(rule, over, count)| counter([rule, *over], *count));
    [
        family(&families::BUDGET_EXCEEDED, exceeded),
        family(&families::BUDGET_OVERFLOW, [counter([], overflowed)]),
        family(&families::BUDGET_BYTES, [gauge([], float(bytes))]),
    ]
}

/// The families of the cache, the in-flight queries and the unread TCP replies.
pub(crate) fn reading(reading: &Reading) -> [MetricFamily; 8] {
    let counted = |of, count| family(of, [counter([], count)]);
    let measured = |of, value: u64| family(of, [gauge([], float(value))]);
    [
        counted(&families::CACHE_HITS, reading.cache_hits),
        counted(&families::CACHE_MISSES, reading.cache_misses),
        counted(&families::CACHE_STALE, reading.cache_stale),
        counted(&families::CACHE_EVICTIONS, reading.cache_evictions),
        measured(&families::CACHE_BYTES, reading.cache_bytes),
        measured(&families::CACHE_ENTRIES, reading.cache_entries),
        measured(&families::IN_FLIGHT, reading.in_flight),
        measured(&families::TCP_UNREAD, reading.tcp_unread_bytes),
    ]
}
