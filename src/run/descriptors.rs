//! File descriptors: raises the soft limit to the hard limit, and divides the descriptors at the
//! start.
//!
//! ```text
//!  limit ─┬─ listeners, threads, log                       in use without any client
//!         ├─ reserve: admin pages, accepting, a reload     nothing else uses these
//!         └─ the rest ─┬─ client connections: two fifths, or as many as configured
//!                      ├─ upstream connections: a tenth, or as many as can exist
//!                      └─ upstream queries over UDP: the remainder; a third of it for further
//!                         sockets to a server, so that every server gets a first one
//! ```
//!
//! `/readyz` therefore answers and a reload can read its files, however many clients connect and
//! query. A limit of 20 000 fits all defaults; a configured limit that must be lowered is logged at
//! the start.

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    telemetry::{LogSeverity, Telemetry},
    upstream,
};
use dnsgate_config::{Limits, Listen};

/// Descriptors of the process itself: standard streams, log, signals, its runtime, the admin
/// listener, the self-watch.
const OWN: u64 = 24;
/// Descriptors of a worker thread's runtime.
const RUNTIME: u64 = 4;
/// Reserved for the admin pages, for connections that are accepted before another one is evicted,
/// and for the files of a reload.
const RESERVE: u64 = 96;
/// Maximum number of upstream connections by default: 64 upstreams with 16 servers with 4
/// connections.
const UPSTREAMS: u64 = 64 * 16 * 4;
/// Used if there is no limit.
const UNLIMITED: u64 = 1 << 20;

/// The number of descriptors for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    /// Sockets of upstream queries over UDP.
    datagrams: usize,
    /// Upstream connections.
    upstreams: usize,
    /// Client connections.
    clients: usize,
}

/// Raises the soft limit to the hard limit. On failure it stays as it is.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Limits the descriptors for clients and upstreams to fit the current limit. Returns the adjusted
/// limits, and logs the lowered ones.
pub(super) fn share_out(
    limits: &Limits,
    listen: &[Listen],
    workers: usize,
    telemetry: &Telemetry,
) -> Limits {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED);
    let shares = Shares::of(limit, limits, listen, workers);
    upstream::bound_sockets(shares.datagrams, shares.upstreams);
    let fit = shares.fit(limits);
    if fit != *limits {
        let fields = [
            ("descriptors", json!(limit)),
            ("in_flight", json!(fit.in_flight)),
            ("tcp_connections", json!(fit.tcp_connections)),
        ];
        let message = "the file descriptor limit is too low for the configuration, so these limits were \
                       lowered; raise it (LimitNOFILE of systemd, --ulimit nofile of docker)";
        telemetry.event(LogSeverity::Warning, message, &fields);
    }
    fit
}

impl Shares {
    fn of(limit: u64, limits: &Limits, listen: &[Listen], workers: usize) -> Self {
        let workers = workers as u64;
        let (mut datagrams, mut streams) = (0, 0);
        for listen in listen {
            match listen {
                Listen::Udp(_) => datagrams += 1,
                Listen::Tcp(_) => streams += 1,
            }
        }
        // UDP: one thread per address. TCP: one thread for all addresses.
        let udp = datagrams * (1 + RUNTIME);
        let tcp = if streams > 0 { streams + RUNTIME } else { 0 };
        let own = OWN + workers * (udp + tcp);
        let reserve = RESERVE.min(limit / 4);
        let rest = limit.saturating_sub(own + reserve);
        let count = |share: u64| usize::try_from(share).unwrap_or(usize::MAX);
        let clients = (rest * 2 / 5).min(limits.tcp_connections as u64);
        let upstreams = (rest / 10).min(UPSTREAMS);
        // The minimums keep the server working under a very low limit.
        Self {
            datagrams: count(rest - clients - upstreams).max(3),
            upstreams: count(upstreams).max(1),
            clients: count(clients).max(1),
        }
    }

    /// Lowers the limits so that clients cannot exceed the shares. A third of the sockets is for
    /// retries.
    fn fit(self, limits: &Limits) -> Limits {
        Limits {
            in_flight: limits.in_flight.min(self.datagrams - self.datagrams / 3),
            // The limit per client stays: a client at the total limit evicts the oldest idle
            // connection, but at its own limit its new connection would be refused.
            tcp_connections: limits.tcp_connections.min(self.clients),
            ..*limits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen() -> Vec<Listen> {
        let listen = ["udp://127.0.0.1:53", "tcp://127.0.0.1:53"];
        listen.map(|it| it.parse().expect("an address")).to_vec()
    }

    #[test]
    fn shares_never_exceed_the_descriptor_limit() {
        for limit in [64, 256, 1024, 4096, 65_536, 1 << 20] {
            for workers in [1, 2, 8, 64] {
                let shares = Shares::of(limit, &Limits::default(), &listen(), workers);
                let sum = (shares.datagrams + shares.upstreams + shares.clients) as u64;
                // A thread for each transport.
                let own = OWN + workers as u64 * (2 + 2 * RUNTIME);
                // One or two of each there are in any case.
                let rest = limit.saturating_sub(own + RESERVE.min(limit / 4));
                assert!(
                    sum <= rest.max(8),
                    "{limit} descriptors, {workers} workers: {shares:?}"
                );
            }
        }
    }

    #[test]
    fn defaults_fit_under_a_common_limit_and_some_of_them_under_1024() {
        let limits = Limits::default();
        for limit in [20_000, 65_536, 524_288, 1 << 20] {
            let fit = Shares::of(limit, &limits, &listen(), 8).fit(&limits);
            assert_eq!(fit, limits, "{limit}");
        }
        let fit = Shares::of(1024, &limits, &listen(), 2).fit(&limits);
        assert!(fit.in_flight >= 200, "{fit:?}");
        assert!(fit.tcp_connections >= 300, "{fit:?}");
        assert_eq!(fit.coalesced, limits.coalesced);
        // With next to none a client still gets a connection for a new one.
        let fit = Shares::of(64, &limits, &listen(), 2).fit(&limits);
        assert!(fit.tcp_connections < fit.tcp_connections_per_client);
    }
}
