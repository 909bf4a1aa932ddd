//! The families about upstreams and the cache.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::Sources;
use crate::telemetry::{
    families,
    series::{Series, counter, family, gauge, histogram},
    upstreams::{Outside, RTT_BOUNDS, ServerCounters, UpstreamCounters},
};

/// All of them, in the order of the documentation.
pub(super) fn all(sources: &Sources) -> Vec<MetricFamily> {
    let upstreams = sources.upstreams.all();
    let Outside {
        cache_hits,
        cache_misses,
        cache_stale,
        cache_evictions,
        cache_entries,
        cache_bytes,
        in_flight,
    } = sources.outside.numbers();
    let count = |of, number| family(of, [counter([], number)]);
    let level = |of, number: u64| family(of, [gauge([], number as f64)]);
    vec![
        level(&families::IN_FLIGHT, in_flight),
        family(&families::UPSTREAM_QUERIES, results(&upstreams)),
        each(&upstreams, &families::UPSTREAM_RTT, |labels, server| {
            let (counts, nanos) = server.rtt();
            histogram(labels, RTT_BOUNDS, &counts, nanos)
        }),
        each(&upstreams, &families::UPSTREAM_UP, |labels, server| {
            gauge(labels, f64::from(u8::from(server.is_up())))
        }),
        each(&upstreams, &families::UPSTREAM_LOOPING, |labels, server| {
            gauge(labels, f64::from(u8::from(server.is_looping())))
        }),
        each(
            &upstreams,
            &families::UPSTREAM_MISMATCH,
            |labels, server| counter(labels, server.mismatched()),
        ),
        each(&upstreams, &families::UPSTREAM_HEDGED, |labels, server| {
            counter(labels, server.hedged())
        }),
        family(
            &families::UPSTREAM_MERGED,
            upstreams
                .iter()
                .map(|upstream| counter([upstream.name()], upstream.merged_total())),
        ),
        count(&families::CACHE_HITS, cache_hits),
        count(&families::CACHE_MISSES, cache_misses),
        count(&families::CACHE_STALE, cache_stale),
        count(&families::CACHE_EVICTIONS, cache_evictions),
        level(&families::CACHE_ENTRIES, cache_entries),
        level(&families::CACHE_BYTES, cache_bytes),
    ]
}

/// A family with one series for each server.
fn each(
    upstreams: &[Arc<UpstreamCounters>],
    of: &families::Family,
    series: impl Fn([&str; 2], &ServerCounters) -> Series,
) -> MetricFamily {
    let all = upstreams.iter().flat_map(|upstream| {
        let servers = upstream.servers.iter();
        servers.map(|server| series([&upstream.name, &server.label], server))
    });
    family(of, all.collect::<Vec<_>>())
}

fn results(upstreams: &[Arc<UpstreamCounters>]) -> Vec<Series> {
    let mut all = Vec::new();
    for upstream in upstreams {
        for server in &upstream.servers {
            for (result, count) in upstream.results.iter().zip(server.results()) {
                all.push(counter([&upstream.name, &server.label, result], count));
            }
        }
    }
    all
}
