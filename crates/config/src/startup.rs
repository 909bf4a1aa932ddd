//! The settings that take effect only at a start: their defaults, and checks across them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    ops::RangeInclusive,
};

use super::{
    HostName, Listen, Log, LogQueries, Startup, cache,
    error::Faults,
    file::{File, LogSection},
    given::{At, Given, List},
    limits::{Bounded as _, LOG_SAMPLE, Limits, within},
    value::{Bytes, Count, OneIn},
};

/// The most workers: the number of cores of the largest machines. No official reference.
pub const MAX_WORKERS: usize = 256;

/// Workers: threads for each UDP address, and for all TCP addresses together. The default is one for
/// each core that the process may use, which `run` determines.
const WORKERS: RangeInclusive<usize> = 1..=MAX_WORKERS;

/// The most listening addresses: each has its own threads. No official reference.
const MAX_LISTEN: usize = 64;

/// The most host names of the admin pages: one server has few. No official reference.
const MAX_ADMIN_HOSTS: usize = 64;

/// The default listening address: port 53 on every IPv4 address of the machine, which includes the
/// address of a load balancer.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53);
/// The default address of the admin pages: reachable only from this machine. CoreDNS made port 9153
/// customary for the metrics of a name server.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);

/// The startup settings of a file.
pub(super) fn startup(file: &File, faults: &mut Faults<'_>) -> Startup {
    let admin = file.admin.value();
    Startup {
        listen: listen(&file.listen, faults),
        admin: admin.map_or(Some(DEFAULT_ADMIN), |admin| admin.0),
        admin_hosts: admin_hosts(&file.admin_hosts, faults),
        workers: workers(file.workers, faults),
        cache: file
            .cache
            .value()
            .map_or(cache::DEFAULT, |section| cache::settings(section, faults)),
        limits: limits(file, faults),
        log: file
            .log
            .value()
            .map_or_else(Log::default, |section| log(section, faults)),
    }
}

fn listen(given: &Given<List<Listen>>, faults: &mut Faults<'_>) -> Vec<Listen> {
    let Some(given) = &**given else {
        return vec![Listen::Udp(DEFAULT_LISTEN), Listen::Tcp(DEFAULT_LISTEN)];
    };
    if given.value.is_empty() {
        faults.push_help(
            given.place,
            "`listen` is empty, so nobody could ask",
            "leave the key out for port 53 on every IPv4 address".to_owned(),
        );
    }
    let mut listen = Vec::with_capacity(given.value.len());
    for at in &given.value {
        if listen.contains(&at.value) {
            faults.push(at.place, format!("{} is there twice", at.value));
        } else if listen.len() == MAX_LISTEN {
            faults.push(
                at.place,
                format!("{MAX_LISTEN} listening addresses are the most"),
            );
            break;
        } else {
            listen.push(at.value);
        }
    }
    listen
}

fn admin_hosts(given: &Given<List<HostName>>, faults: &mut Faults<'_>) -> Vec<HostName> {
    let one_more = given.value().and_then(|list| list.get(MAX_ADMIN_HOSTS));
    if let Some(one_more) = one_more {
        let message = format!("{MAX_ADMIN_HOSTS} names of `admin_hosts` are the most");
        faults.push(one_more.place, message);
    }
    given.values().take(MAX_ADMIN_HOSTS).cloned().collect()
}

fn workers(given: Given<Count>, faults: &mut Faults<'_>) -> Option<NonZeroUsize> {
    let given = (*given)?;
    if !WORKERS.contains(&given.value.0) {
        let (least, most) = (WORKERS.start(), WORKERS.end());
        faults.push_help(
            given.place,
            format!("`workers` must be from {least} to {most}"),
            "leave the key out for one a core".to_owned(),
        );
    }
    NonZeroUsize::new(given.value.0)
}

/// The limits; some of them bound each other.
fn limits(file: &File, faults: &mut Faults<'_>) -> Limits {
    let Some(given) = file.limits.value() else {
        return Limits::default();
    };
    let before = faults.count();
    let limits = given.limits(faults);
    // A bad value has been replaced by its default, so comparing the others with it would mislead.
    if !given.span.is_whole || faults.count() > before {
        return limits;
    }
    // A limit, and the limit that it must not exceed.
    let pairs = [
        (
            given.tcp_connections_per_client.place(),
            (
                "tcp_connections_per_client",
                limits.tcp_connections_per_client,
            ),
            ("tcp_connections", limits.tcp_connections),
        ),
        (
            given.coalesced.place(),
            ("coalesced", limits.coalesced),
            ("in_flight", limits.in_flight),
        ),
        (
            given.tcp_unread_per_connection.place(),
            (
                "tcp_unread_per_connection",
                limits.tcp_unread_per_connection,
            ),
            ("tcp_unread", limits.tcp_unread),
        ),
    ];
    for (place, (key, one), (most, all)) in pairs {
        if let Some(place) = place.filter(|_| one > all) {
            let shown = match most {
                "tcp_unread" => Bytes(all).shown(),
                _ => all.to_string(),
            };
            let message = format!("`{key}` must not be above `{most}`, which is {shown}");
            faults.push(place, message);
        }
    }
    limits
}

/// The settings of a `log` section.
fn log(section: &LogSection, faults: &mut Faults<'_>) -> Log {
    let is_known = section.span.has_known_keys && !section.queries.is_bad;
    let queries = section.queries.into_value().unwrap_or_default();
    let given = section.sample.map(
        |At {
             value: OneIn(value),
             place,
         }| At { value, place },
    );
    let sample = within("sample", given, LOG_SAMPLE, faults);
    let place = section.sample.place();
    if let Some(place) = place.filter(|_| is_known && sample > 1 && queries != LogQueries::All) {
        faults.push_help(
            place,
            "`sample` works only with `queries: all`",
            "add `queries: all`, or leave `sample` out".to_owned(),
        );
    }
    Log {
        queries,
        sample,
        format: section.format.into_value().unwrap_or_default(),
        output: section.output.value().cloned().unwrap_or_default(),
    }
}
