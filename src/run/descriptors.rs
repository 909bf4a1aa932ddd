//! File descriptors: raises the limit as far as the process may, and shares the descriptors out at the start.
//!
//! ```text
//!  limit ─┬─ listeners, threads, log                       what runs without a client
//!         ├─ reserve: admin pages, accepting, a reload     nobody else takes these
//!         └─ the rest ─┬─ connections of clients: two fifths, or as many as are configured
//!                      ├─ connections to upstreams: a tenth, or as many as there can be
//!                      └─ questions to upstreams over UDP, each with a socket of its own: what remains;
//!                         two thirds of them for who asks first
//! ```
//!
//! So `/readyz` answers and a reload can read its files, however many clients connect and ask. A limit of
//! 20 000 fits all defaults; a limit that has to be lowered is logged at the start.

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    telemetry::{LogSeverity, Telemetry},
    upstream,
};
use dnsgate_config::{Limits, Listen};

/// Descriptors of the process itself: standard streams, log, signals, its runtime, a listener for
/// the admin pages, the self-watch.
const OWN: u64 = 24;
/// Descriptors of a worker thread's runtime.
const RUNTIME: u64 = 4;
/// Kept for the admin pages, for connections that are accepted before another one goes, and for the
/// files of a reload.
const RESERVE: u64 = 96;
/// The most connections to upstreams that there can be by default: 64 upstreams of 16 servers.
const UPSTREAMS: u64 = 64 * 16 * 4;
/// The limit where there is none.
const UNLIMITED: u64 = 1 << 20;

/// How many of each there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    /// Sockets of questions over UDP.
    datagrams: usize,
    /// Connections to upstreams.
    upstreams: usize,
    /// Connections of clients.
    clients: usize,
}

/// Raises the soft limit to the hard one. A failure leaves it as it is.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Bounds the descriptors for clients and upstreams by the limit in force. Returns the limits that fit
/// under it, and logs the ones that were lowered.
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
        // A thread for each address over UDP, one for all over TCP.
        let udp = datagrams * (1 + RUNTIME);
        let tcp = if streams > 0 { streams + RUNTIME } else { 0 };
        let own = OWN + workers * (udp + tcp);
        let reserve = RESERVE.min(limit / 4);
        let rest = limit.saturating_sub(own + reserve);
        let count = |share: u64| usize::try_from(share).unwrap_or(usize::MAX);
        let clients = (rest * 2 / 5).min(limits.tcp_connections as u64);
        let upstreams = (rest / 10).min(UPSTREAMS);
        // Under a very low limit the server still works.
        Self {
            datagrams: count(rest - clients - upstreams).max(3),
            upstreams: count(upstreams).max(1),
            clients: count(clients).max(1),
        }
    }

    /// Lowers the limits so that no number of clients can exceed the shares. A third of the sockets are for
    /// retries.
    fn fit(self, limits: &Limits) -> Limits {
        Limits {
            in_flight: limits.in_flight.min(self.datagrams - self.datagrams / 3),
            // Not those of one client: where it has all that there are, the one that has waited longest
            // goes for a new one, while at its own limit the new one would be refused.
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
