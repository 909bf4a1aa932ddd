//! `/metrics`: the counters of all workers summed at the moment of a scrape, as families of the
//! `prometheus` crate.
//!
//! **Which series exist.** `queries_total` has thousands of possible series, of which a network
//! uses some dozens, so that a cell that was never touched is not exported. A counter that first
//! appears with a value is not seen to rise, though; what one wants to alert on is therefore there
//! from the start, at 0: the histogram of every verdict (its `_count` is the number of queries by
//! verdict), A and AAAA answered per transport and group, `no_rule` per group and unknown clients in
//! `denied_total`, and every label of the small families. A series that is there stays, but for
//! those of an upstream that is left (`upstreams`).

use std::{sync::Arc, time::SystemTime};

use prometheus::{
    Encoder, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use dnsgate_core::{
    dns::{Rcode, RecordType, Transport},
    engine::{Ending, Reason},
};

use crate::{
    admin::readiness::{Health, Phase},
    querylog::observed::Record,
};

use super::{
    block::BOUNDS,
    families, forwarding_families as forwarding,
    labels::{
        DENIAL_REASONS, Labels, NONE, denial_position, rcode_label, rcode_position, type_label,
        type_position,
    },
    ledger::Ledger,
    reading::Watched,
    series::{Series, counter, family, gauge, histogram},
    shared_counters::{Reload, SelfQuery, Shared, Shed, TcpLimit},
    totals::{DeniedKey, QueryKey, Totals},
    upstream_counters::Upstreams,
};

/// The media type of the page.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What `/metrics` is made of: our own registry, nothing global.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// # Errors
    /// When the crate refuses a family: two of one name, or a name that is none.
    pub(crate) fn new(sources: Sources) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(Exporter::new(sources)?))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Self { registry })
    }

    /// The page.
    ///
    /// # Errors
    /// When the crate finds a family without a name or a metric.
    pub(crate) fn page(&self) -> prometheus::Result<Vec<u8>> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

/// Where the numbers come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) health: Arc<Health>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) observed: Arc<Record>,
}

impl Sources {
    /// Whether `/readyz` says yes.
    fn is_ready(&self) -> bool {
        self.health.phase() == Phase::Ready
    }
}

/// The collector of all families of our own.
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
            ledger,
            shared,
            upstreams,
            watched,
            ..
        } = &self.sources;
        let mut totals = ledger.sum();
        touch(&mut totals, &ledger.newest());
        let lost = totals.log_dropped + shared.log_dropped();
        let ready = f64::from(u8::from(self.sources.is_ready()));
        let mut all = vec![
            family(&families::QUERIES, queries(&totals)),
            family(&families::DENIED, denied(&totals)),
            family(&families::FILTERED, forwarding::filtered(&totals)),
            family(&families::DURATION, durations(&totals)),
            family(&families::TRUNCATED, truncated(&totals)),
            family(&families::PANICS, [counter([], totals.panics)]),
            family(&families::LOG_DROPPED, [counter([], lost)]),
            family(&families::READY, [gauge([], ready)]),
            family(&families::BUILD, [gauge(build(), 1.0)]),
        ];
        all.extend(counted(shared, totals.rate_limited));
        all.extend(forwarding::upstreams(&upstreams.read()));
        all.extend(forwarding::reading(&watched.read()));
        all
    }
}

/// What is counted per connection, per fault or per reload, and what workers have shed themselves.
fn counted(shared: &Shared, rate_limited: u64) -> [MetricFamily; 13] {
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
        measured(&families::GENERATION, shared.generation() as f64),
        measured(&families::LOADED, shared.loaded_at().as_secs_f64()),
        family(
            &families::RELOADS,
            reloads.map(|&result| counter([result.as_str()], shared.reload_total(result))),
        ),
        measured(&families::REJECTED, rejected),
        family(&families::EXPIRES, expiries(shared)),
    ]
}

/// When rules end.
fn expiries(shared: &Shared) -> impl Iterator<Item = Series> {
    shared.expiries().into_iter().map(|(rule, until)| {
        // A date before 1970 has ended as well as one of 1970.
        let since = until.duration_since(SystemTime::UNIX_EPOCH);
        gauge([rule.as_str()], since.unwrap_or_default().as_secs_f64())
    })
}

/// The labels of `build_info`.
const fn build() -> [&'static str; 2] {
    [env!("CARGO_PKG_VERSION"), std::env::consts::ARCH]
}

/// Adds the series that are there from the start.
fn touch(totals: &mut Totals, labels: &Labels) {
    let answered = |transport: Transport, group: &String, qtype| QueryKey {
        transport: transport as usize,
        group: group.clone(),
        ending: Ending::Answered as usize,
        rcode: rcode_position(Some(Rcode::NoError)),
        qtype: type_position(Some(qtype)),
    };
    for group in &labels.groups {
        for transport in Transport::ALL {
            for qtype in [RecordType::A, RecordType::AAAA] {
                let key = answered(transport, group, qtype);
                totals.queries.entry(key).or_default();
            }
        }
    }
    let groups = labels
        .groups
        .iter()
        .map(|group| (group.as_str(), Reason::NoRule));
    for (group, reason) in groups.chain([(NONE, Reason::UnknownClient)]) {
        let Some(reason) = denial_position(reason) else {
            continue;
        };
        let key = DeniedKey {
            group: group.to_owned(),
            rule: NONE.to_owned(),
            reason,
        };
        totals.denied.entry(key).or_default();
    }
}

fn queries(totals: &Totals) -> impl Iterator<Item = Series> {
    totals.queries.iter().map(|(key, &count)| {
        let labels = [
            label_of(&Transport::ALL, key.transport, Transport::as_str),
            &key.group,
            label_of(&Ending::ALL, key.ending, Ending::as_str),
            rcode_label(key.rcode),
            type_label(key.qtype),
        ];
        counter(labels, count)
    })
}

fn denied(totals: &Totals) -> impl Iterator<Item = Series> {
    totals.denied.iter().map(|(key, &count)| {
        let reason = label_of(&DENIAL_REASONS, key.reason, Reason::as_str);
        counter([key.group.as_str(), &key.rule, reason], count)
    })
}

fn truncated(totals: &Totals) -> impl Iterator<Item = Series> {
    let counts = Transport::ALL.into_iter().zip(totals.truncated);
    counts.map(|(transport, count)| counter([transport.as_str()], count))
}

fn durations(totals: &Totals) -> impl Iterator<Item = Series> {
    let endings = Ending::ALL.into_iter().zip(&totals.durations);
    endings.map(|(ending, counts)| {
        histogram([ending.as_str()], &BOUNDS, &counts.buckets, counts.nanos)
    })
}

/// Connections that were opened and have not ended. One may end between the two readings, which
/// must not make the number negative.
fn open(shared: &Shared) -> f64 {
    let closed = shared.tcp_closed_total();
    shared.tcp_opened_total().saturating_sub(closed) as f64
}

pub(crate) fn label_of<T: Copy>(
    all: &[T],
    at: usize,
    label: fn(T) -> &'static str,
) -> &'static str {
    all.get(at).map_or(NONE, |&item| label(item))
}
