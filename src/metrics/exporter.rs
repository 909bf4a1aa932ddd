//! `/metrics`: sums the counters of all workers at a scrape, and exports them as families of the
//! `prometheus` crate.
//!
//! **Which series exist.** `queries_total` has thousands of possible series, of which a network
//! uses some dozens, so a counter that was never incremented is not exported. Prometheus does not
//! see the rise of a counter that first appears with a value, so the series that alerts need exist
//! from the start with value 0: the histogram of every verdict (its `_count` is the number of
//! queries by verdict), A and AAAA answered per transport and group, `no_rule` per group and
//! unknown clients in `denied_total`, and every label of the small families. An exported series
//! stays, except those of a removed upstream (`upstream_counters`).

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use prometheus::{
    Encoder, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use dnsgate_core::{
    dns::{Rcode, RecordType, Transport},
    engine::{Ending, Reason},
};

use dnsgate_whatif::usage::UsagePage;

use super::{
    families::{self, Series, counter, family, float, gauge, histogram},
    labels::{BOUNDS, BUCKETS, NONE_ID, NameId, Names, OTHER},
    shared_counters::{Reading, Reload, SelfQuery, SharedCounters, Shed, TcpLimit, Watched},
    thread_counters::{Key, KeyLabels, QueryCounters},
    upstream_counters::{
        AllUpstreamCounters, RTT_BOUNDS, UpstreamQueryResult, UpstreamReadings, UpstreamRefusal,
    },
};
use crate::{
    budgets::Budgets,
    clock::calendar,
    health::{Phase, ProcessHealth},
    usage::{Counted, Usage},
};

/// The media type of the page.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The source of `/metrics`: dnsgate's own registry, not the global one.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Creates the registry.
    ///
    /// # Errors
    /// The crate rejects a family: a duplicate or invalid name.
    pub(crate) fn new(sources: Sources) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(Exporter::new(sources)?))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Self { registry })
    }

    /// Renders the page.
    ///
    /// # Errors
    /// The crate finds a family without a name or a metric.
    pub(crate) fn page(&self) -> prometheus::Result<Vec<u8>> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

/// The sources of the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) queries: Arc<QueryCounters>,
    pub(crate) names: Arc<Names>,
    pub(crate) shared: Arc<SharedCounters>,
    pub(crate) health: Arc<ProcessHealth>,
    pub(crate) upstreams: Arc<AllUpstreamCounters>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) usage: Arc<Usage>,
}

impl Sources {
    /// The page `/usage`.
    pub(crate) fn usage_page(&self) -> UsagePage {
        let mut counted = Counted {
            texts: self.names.texts(),
            ..Counted::default()
        };
        for (key, count) in self.queries.sum() {
            if let Some(KeyLabels::Queries {
                group,
                rule,
                verdict,
                ..
            }) = key.labels()
            {
                *counted.groups.entry(group).or_default() += count;
                if rule != NONE_ID {
                    *counted.rules.entry((rule, group, verdict)).or_default() += count;
                }
            }
        }
        self.usage.page(&counted, calendar())
    }
}

/// The collector of all families of dnsgate.
struct Exporter {
    sources: Sources,
    descs: Vec<Desc>,
}

impl Exporter {
    fn new(sources: Sources) -> prometheus::Result<Self> {
        let descs = families::OWN.iter().map(|family| {
            let labels = family.labels.iter().map(ToString::to_string).collect();
            let none = std::collections::HashMap::new();
            Desc::new(family.name.to_owned(), family.help.to_owned(), labels, none)
        });
        Ok(Self {
            descs: descs.collect::<prometheus::Result<_>>()?,
            sources,
        })
    }
}

impl Collector for Exporter {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Sources {
            queries,
            names,
            shared,
            health,
            upstreams,
            watched,
            budgets,
            usage,
        } = &self.sources;
        let mut sum = queries.sum();
        let (_, newest) = names.newest();
        touch(&mut sum, newest.group_ids());
        let total = |key| sum.get(&key).copied().unwrap_or_default();
        let lost = total(Key::LOG_DROPPED) + shared.log_dropped();
        let ready = f64::from(u8::from(health.phase() == Phase::Ready));
        let mut all = by_name(&sum, &names.texts()).to_vec();
        all.extend([
            family(&families::DURATION, durations(&total)),
            family(&families::TRUNCATED, truncated(&total)),
            family(&families::PANICS, [counter([], total(Key::PANICS))]),
            family(&families::LOG_DROPPED, [counter([], lost)]),
            family(&families::READY, [gauge([], ready)]),
            family(&families::BUILD, [gauge(build(), 1.0)]),
            family(&families::RULE_LAST_USED, last_used(usage)),
        ]);
        all.extend(counted(shared, total(Key::RATE_LIMITED)));
        all.extend(of_upstreams(&upstreams.read()));
        all.extend(of_reading(&watched.read()));
        all.extend(of_budgets(budgets));
        all
    }
}

/// The families with names of groups and rules as labels.
fn by_name(sum: &BTreeMap<Key, u64>, names: &[Arc<str>]) -> [MetricFamily; 4] {
    let name = |id: NameId| names.get(usize::from(id)).map_or(OTHER, |name| name);
    let (mut queries, mut rules) = (BTreeMap::new(), BTreeMap::new());
    let (mut denied, mut filtered) = (Vec::new(), Vec::new());
    for (key, &count) in sum {
        match key.labels() {
            Some(KeyLabels::Queries {
                transport,
                group,
                rule,
                verdict,
                rcode,
                qtype,
            }) => {
                *queries
                    .entry((transport, group, verdict, rcode, qtype))
                    .or_insert(0) += count;
                if rule != NONE_ID {
                    *rules.entry((rule, group, verdict)).or_insert(0) += count;
                }
            }
            Some(KeyLabels::Denied {
                group,
                rule,
                reason,
            }) => denied.push(counter([name(group), name(rule), reason], count)),
            Some(KeyLabels::Filtered { rule, check }) => {
                filtered.push(counter([name(rule), check], count));
            }
            None => {}
        }
    }
    let queries = queries.into_iter();
    let queries = queries.map(|((transport, group, verdict, rcode, qtype), count)| {
        counter([transport, name(group), verdict, rcode, qtype], count)
    });
    let rules = rules
        .into_iter()
        .map(|((rule, group, verdict), count)| counter([name(rule), name(group), verdict], count));
    [
        family(&families::QUERIES, queries),
        family(&families::RULE_QUERIES, rules),
        family(&families::DENIED, denied),
        family(&families::FILTERED, filtered),
    ]
}

/// The counters per connection, fault and reload, and the load that workers have shed themselves.
fn counted(shared: &SharedCounters, rate_limited: u64) -> [MetricFamily; 14] {
    let counted = |of, count| family(of, [counter([], count)]);
    let measured = |of, value| family(of, [gauge([], value)]);
    let shed = Shed::ALL.iter();
    let limits = TcpLimit::ALL.iter();
    let shed_total = |why| {
        let own = if why == Shed::ClientRate {
            rate_limited
        } else {
            0
        };
        shared.shed_total(why) + own
    };
    let reloads = Reload::ALL.iter();
    let own = SelfQuery::ALL.iter();
    let rejected = f64::from(u8::from(shared.is_config_rejected()));
    [
        family(
            &families::SELF_QUERIES,
            own.map(|&result| counter([result.as_str()], shared.self_query_total(result))),
        ),
        family(
            &families::SHED,
            shed.map(|&why| counter([why.as_str()], shed_total(why))),
        ),
        measured(&families::TCP_CONNECTIONS, open(shared)),
        counted(&families::TCP_OPENED, shared.tcp_opened_total()),
        counted(&families::TCP_CLOSED, shared.tcp_closed_total()),
        family(
            &families::TCP_LIMITED,
            limits.map(|&limit| counter([limit.as_str()], shared.tcp_limited_total(limit))),
        ),
        counted(&families::REPLIES_LOST, shared.replies_lost_total()),
        counted(&families::UNANSWERABLE, shared.unanswerable_total()),
        measured(&families::GENERATION, float(shared.generation())),
        measured(&families::LOADED, shared.loaded_at().as_secs_f64()),
        family(&families::POLICY, policy(shared)),
        family(
            &families::RELOADS,
            reloads.map(|&result| counter([result.as_str()], shared.reload_total(result))),
        ),
        measured(&families::REJECTED, rejected),
        family(&families::EXPIRES, expiries(shared)),
    ]
}

/// The digest of the policy; none before the first policy.
fn policy(shared: &SharedCounters) -> Option<Series> {
    let digest = shared.policy_digest()?.to_string();
    Some(gauge([digest.as_str()], 1.0))
}

/// The expiry dates of rules.
fn expiries(shared: &SharedCounters) -> impl Iterator<Item = Series> {
    shared.expiries().into_iter().map(|(rule, until)| {
        // A date before 1970 is exported as 1970; both have expired.
        let since = until.duration_since(SystemTime::UNIX_EPOCH);
        gauge([rule.as_str()], since.unwrap_or_default().as_secs_f64())
    })
}

/// The last use of each rule.
fn last_used(usage: &Usage) -> impl Iterator<Item = Series> {
    let last = usage.last_used(calendar()).into_iter();
    last.map(|(rule, last)| gauge([rule.as_str()], float(last)))
}

/// The labels of `build_info`.
const fn build() -> [&'static str; 2] {
    [env!("CARGO_PKG_VERSION"), std::env::consts::ARCH]
}

/// Adds the series that exist from the start.
fn touch(sum: &mut BTreeMap<Key, u64>, groups: &[NameId]) {
    let (answered, rcode) = (Ending::Answered, Some(Rcode::NoError));
    for &group in groups {
        for transport in Transport::ALL {
            for qtype in [RecordType::A, RecordType::AAAA] {
                let key = Key::queries(transport, (group, NONE_ID), answered, rcode, Some(qtype));
                sum.entry(key).or_default();
            }
        }
    }
    let groups = groups.iter().map(|&group| (group, Reason::NoRule));
    for (group, reason) in groups.chain([(NONE_ID, Reason::UnknownClient)]) {
        if let Some(key) = Key::denied(group, NONE_ID, reason) {
            sum.entry(key).or_default();
        }
    }
}

fn truncated(total: &impl Fn(Key) -> u64) -> impl Iterator<Item = Series> {
    let counts = Transport::ALL.map(|transport| (transport, total(Key::truncated(transport))));
    let counts = counts.into_iter();
    counts.map(|(transport, count)| counter([transport.as_str()], count))
}

fn durations(total: &impl Fn(Key) -> u64) -> impl Iterator<Item = Series> {
    Ending::ALL.into_iter().map(|ending| {
        let buckets: [_; BUCKETS] = std::array::from_fn(|at| total(Key::bucket(ending, at)));
        histogram(
            [ending.as_str()],
            &BOUNDS,
            &buckets,
            total(Key::nanos(ending)),
        )
    })
}

/// The number of open connections. One may end between the two reads, which must not make the
/// number negative.
fn open(shared: &SharedCounters) -> f64 {
    let closed = shared.tcp_closed_total();
    float(shared.tcp_opened_total().saturating_sub(closed))
}

/// The families of upstreams.
fn of_upstreams(read: &UpstreamReadings) -> [MetricFamily; 9] {
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
            &families::UPSTREAM_COALESCED,
            wholes().map(|(upstream, cells)| counter([upstream], cells.coalesced())),
        ),
        family(&families::UPSTREAM_REFUSED, refused),
    ]
}

/// The families of budgets.
fn of_budgets(budgets: &Budgets) -> [MetricFamily; 3] {
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
fn of_reading(reading: &Reading) -> [MetricFamily; 8] {
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
