//! What takes effect at a start only: its defaults, and what of it belongs together.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    ops::RangeInclusive,
};

use super::{
    HostName, Listen, Startup,
    error::Faults,
    file::File,
    limits::{self, Bounded as _},
    read::At,
    value::{Bytes, Count},
};

/// The most workers: the cores of the largest machines. No official reference.
pub const MAX_WORKERS: usize = 256;

/// Workers: threads for each UDP address, and for all TCP addresses. The default is one for each core
/// that the process may use, within what `app` finds sensible.
const WORKERS: RangeInclusive<usize> = 1..=MAX_WORKERS;

/// The most listening addresses: each has its threads. No official reference.
const MAX_LISTEN: usize = 64;

/// The most names of the admin pages: one server has few. No official reference.
const MAX_ADMIN_HOSTS: usize = 64;

/// The port and the addresses that are listened on where the file says nothing: every IPv4 address
/// of the machine, so that a load balancer's is among them.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53);
/// Where the admin pages are where the file says nothing: on this machine only. 9153 is the port
/// that CoreDNS made customary for the metrics of a name server.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);

/// The startup part of a file.
pub(super) fn startup(file: &File, faults: &mut Faults<'_>) -> Startup {
    let listen = listen(file.listen.as_ref(), faults);
    let workers = workers(file.workers, faults);
    check_limits(file, faults);
    Startup {
        listen,
        admin: file.admin.map_or(Some(DEFAULT_ADMIN), |at| at.value.0),
        admin_hosts: admin_hosts(file.admin_hosts.as_ref(), faults),
        workers,
        cache: file.cache.settings,
        limits: file.limits.limits,
        log: file.log.clone(),
    }
}

fn listen(given: Option<&At<Vec<At<Listen>>>>, faults: &mut Faults<'_>) -> Vec<Listen> {
    let Some(given) = given else {
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

fn admin_hosts(given: Option<&At<Vec<At<HostName>>>>, faults: &mut Faults<'_>) -> Vec<HostName> {
    let given = given.map_or(&[][..], |at| &at.value);
    if let Some(one_more) = given.get(MAX_ADMIN_HOSTS) {
        let message = format!("{MAX_ADMIN_HOSTS} names of `admin_hosts` are the most");
        faults.push(one_more.place, message);
    }
    let names = given.iter().take(MAX_ADMIN_HOSTS);
    names.map(|at| at.value.clone()).collect()
}

fn workers(given: Option<At<Count>>, faults: &mut Faults<'_>) -> Option<NonZeroUsize> {
    let given = given?;
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

/// Limits that bound each other.
fn check_limits(file: &File, faults: &mut Faults<'_>) {
    let limits = &file.limits.limits;
    let (all, one) = (limits.tcp_connections, limits.tcp_connections_per_client);
    if let Some(place) = file.limits.per_client.filter(|_| one > all) {
        faults.push(
            place,
            format!(
                "`tcp_connections_per_client` must not be above `tcp_connections`, which is {all}"
            ),
        );
    }
    let (all, one) = (limits.in_flight, limits.coalesced);
    if let Some(place) = file.limits.coalesced.filter(|_| one > all) {
        let message = format!("`coalesced` must not be above `in_flight`, which is {all}");
        faults.push(place, message);
    }
    let (all, one) = (limits.tcp_unread, limits.tcp_unread_per_connection);
    if let Some(place) = file.limits.unread_per_connection.filter(|_| one > all) {
        let all = Bytes(all).shown();
        faults.push(
            place,
            format!("`tcp_unread_per_connection` must not be above `tcp_unread`, which is {all}"),
        );
    }
    let cache = &file.cache.settings;
    let (longest, shortest) = (cache.max_ttl, cache.min_ttl);
    if let Some(place) = file.cache.min_ttl.filter(|_| shortest > longest) {
        let longest = limits::seconds(longest.into());
        let message = format!("`min_ttl` must not be above `max_ttl`, which is {longest}");
        faults.push(place, message);
    }
}
