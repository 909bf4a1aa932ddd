//! The shape of `limits` and `cache`: numbers, each within its bounds.

use super::super::{
    cache,
    error::{Faults, Place},
    limits::{self, Bound, Bounded, Limits},
    read::{At, Choice, Fields},
    value::{Bytes, Count, Interval, Seconds},
};
use dnsgate_core::cache::CacheSettings;

/// The `limits` section.
#[derive(Debug, Default)]
pub(crate) struct LimitsSection {
    pub(crate) limits: Limits,
    /// Where the limit of one client is set.
    pub(crate) per_client: Option<Place>,
    /// Where the limit of one question is set.
    pub(crate) coalesced: Option<Place>,
    /// Where the room of one connection's replies is set.
    pub(crate) unread_per_connection: Option<Place>,
}

pub(super) fn read_limits(fields: &Fields<'_>, faults: &mut Faults<'_>) -> LimitsSection {
    let before = faults.count();
    let mut count = |key, bound| {
        let given = fields.scalar::<Count>(key, faults);
        within(key, given.map(|at| at.map(|given| given.0)), bound, faults)
    };
    let tcp_connections = count("tcp_connections", limits::TCP_CONNECTIONS);
    let tcp_connections_per_client = count(
        "tcp_connections_per_client",
        limits::TCP_CONNECTIONS_PER_CLIENT,
    );
    let tcp_pipeline = count("tcp_pipeline", limits::TCP_PIPELINE);
    let log_queue = count("log_queue", limits::LOG_QUEUE);
    let in_flight = count("in_flight", limits::IN_FLIGHT);
    let coalesced = count("coalesced", limits::COALESCED);
    let upstream_connections = count("upstream_connections", limits::UPSTREAM_CONNECTIONS);
    let upstream_pipeline = count("upstream_pipeline", limits::UPSTREAM_PIPELINE);
    let upstream_probes = count("upstream_probes", limits::UPSTREAM_PROBES);
    let upstream_near_misses = count("upstream_near_misses", limits::UPSTREAM_NEAR_MISSES);
    let per_client_qps = count("per_client_qps", limits::PER_CLIENT_QPS);
    let per_client_slip = count("per_client_slip", limits::PER_CLIENT_SLIP);
    let ipv4 = count("per_client_ipv4_prefix", limits::PER_CLIENT_IPV4_PREFIX);
    let ipv6 = count("per_client_ipv6_prefix", limits::PER_CLIENT_IPV6_PREFIX);
    let mut bytes = |key, bound| {
        let given = fields.scalar::<Bytes>(key, faults);
        within(key, given, bound, faults).0
    };
    let tcp_unread = bytes("tcp_unread", limits::TCP_UNREAD);
    let tcp_unread_per_connection = bytes(
        "tcp_unread_per_connection",
        limits::TCP_UNREAD_PER_CONNECTION,
    );
    let tcp_socket_buffer = bytes("tcp_socket_buffer", limits::TCP_SOCKET_BUFFER);
    let mut time = |key, bound| {
        let given = fields.scalar::<Interval>(key, faults);
        within(key, given.map(|at| at.map(|given| given.0)), bound, faults)
    };
    let limits = Limits {
        tcp_connections,
        tcp_connections_per_client,
        tcp_idle_timeout: time("tcp_idle_timeout", limits::TCP_IDLE_TIMEOUT),
        tcp_message_timeout: time("tcp_message_timeout", limits::TCP_MESSAGE_TIMEOUT),
        tcp_pipeline,
        tcp_unread,
        tcp_unread_per_connection,
        tcp_socket_buffer,
        log_queue,
        in_flight,
        coalesced,
        upstream_connections,
        upstream_pipeline,
        upstream_probes,
        upstream_timeout: time("upstream_timeout", limits::UPSTREAM_TIMEOUT),
        upstream_near_misses,
        drain: time("drain", limits::DRAIN),
        reload_timeout: time("reload_timeout", limits::RELOAD_TIMEOUT),
        per_client_qps,
        per_client_slip,
        per_client_ipv4_prefix: ipv4,
        per_client_ipv6_prefix: ipv6,
    };
    // What is bad has its default here, with which nothing else is compared.
    let whole = fields.whole && faults.count() == before;
    let place = |key| fields.get(key).filter(|_| whole).map(|node| node.place);
    LimitsSection {
        limits,
        per_client: place("tcp_connections_per_client"),
        coalesced: place("coalesced"),
        unread_per_connection: place("tcp_unread_per_connection"),
    }
}

/// The `cache` section.
#[derive(Debug)]
pub(crate) struct CacheSection {
    pub(crate) settings: CacheSettings,
    /// Where the shortest time is set.
    pub(crate) min_ttl: Option<Place>,
}

/// What answers past their time stand in for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StaleOn {
    /// No answer at all.
    Failure,
    /// That, and a denial of what there was.
    Denial,
}

impl Choice for StaleOn {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("failure", Self::Failure), ("denial", Self::Denial)];
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            settings: cache::DEFAULT,
            min_ttl: None,
        }
    }
}

pub(super) fn read_cache(fields: &Fields<'_>, faults: &mut Faults<'_>) -> CacheSection {
    let before = faults.count();
    let (min_ttl, max_ttl) = (
        seconds(fields, "min_ttl", cache::MIN_TTL, faults),
        seconds(fields, "max_ttl", cache::MAX_TTL, faults),
    );
    // What is bad has its default here, with which the other one is not compared.
    let whole = fields.whole && faults.count() == before;
    let serve_stale = seconds(fields, "serve_stale", cache::SERVE_STALE, faults);
    let on: Option<At<StaleOn>> = fields.choice("serve_stale_on", faults);
    let bridge_denials = on.is_some_and(|on| on.value == StaleOn::Denial);
    if let Some(on) = on.filter(|_| bridge_denials && serve_stale == 0) {
        let message = "`serve_stale_on: denial` bridges nothing: `serve_stale` is 0s".to_owned();
        let help = "give `serve_stale` a time, or leave `serve_stale_on` out".to_owned();
        faults.push_help(on.place, message, help);
    }
    CacheSection {
        settings: CacheSettings {
            size: size(fields, faults),
            min_ttl,
            max_ttl,
            serve_stale,
            bridge_denials,
        },
        min_ttl: fields
            .get("min_ttl")
            .filter(|_| whole)
            .map(|node| node.place),
    }
}

fn seconds(fields: &Fields<'_>, key: &str, bound: Bound<Seconds>, faults: &mut Faults<'_>) -> u32 {
    let given = fields.scalar::<Seconds>(key, faults);
    within(key, given, bound, faults).0
}

/// The size of the cache. Nothing is less than the least, and means something: no cache.
fn size(fields: &Fields<'_>, faults: &mut Faults<'_>) -> usize {
    let (default, bound) = (cache::SIZE.default, cache::SIZE);
    let Some(given) = fields.scalar::<Bytes>("size", faults) else {
        return default.0;
    };
    if given.value == Bytes(0) {
        return 0;
    }
    let size = bound.check(given.value).unwrap_or_else(|error| {
        let message = format!("`size` {error}");
        faults.push_help(given.place, message, "0 is for no cache".to_owned());
        default
    });
    size.0
}

/// The value given, if there is one and it is within bounds.
pub(super) fn within<T: Bounded + PartialOrd>(
    key: &str,
    given: Option<At<T>>,
    bound: Bound<T>,
    faults: &mut Faults<'_>,
) -> T {
    let Some(given) = given else {
        return bound.default;
    };
    bound.check(given.value).unwrap_or_else(|error| {
        faults.push(given.place, format!("`{key}` {error}"));
        bound.default
    })
}
