//! Sizes the thread counts by the number of cores, and the shares of file descriptors, so that the limits (the unit's `TasksMax=` and
//! `LimitNOFILE=`, a soft limit of 1024) are known to suffice from 1 to 256 cores.
//!
//! `workers` is the number of threads for each UDP address, with one socket each, and the number of
//! threads for all TCP addresses together, with a socket for each address.
//!
//! The soft limit of file descriptors is raised to the hard limit, and divided at the start:
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

use std::num::NonZeroUsize;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    telemetry::{LogSeverity, Telemetry},
    upstream,
};
use dnsgate_config::{Limits, Listen, Startup};

/// Maximum number of workers if the configuration sets none. A worker answers a hundred thousand
/// queries per second or more, so these suffice for any network, and each costs memory even when
/// idle. Operators who need more set `workers`.
const DEFAULT_MOST: usize = 32;
/// Maximum number of threads for upstream connections and admin pages, which mostly do TLS. A few
/// threads encrypt hundreds of thousands of queries per second.
const RUNTIME_MOST: usize = 16;
/// Threads for blocking work: only the probe at the start, which cannot hang. tokio's default of
/// 512 exceeds usual task limits.
pub(super) const BLOCKING: usize = 4;
/// Other threads: the main thread, two for the log, the maximum numbers that may hang while they
/// read the configuration, check for changes and explain, and a few spare ones.
const OTHERS: usize = 3 + 8 + 2 + 4 + 3;
/// The sizes that depend on the number of cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Threads for each UDP address, and for all TCP addresses together.
    pub(super) workers: NonZeroUsize,
    /// Threads of the program's runtime.
    pub(super) runtime: usize,
    udp: usize,
    tcp: usize,
}

impl Size {
    /// The sizes for this number of cores.
    pub(super) fn of(startup: &Startup, cores: NonZeroUsize) -> Self {
        let is_udp = |listen: &&Listen| matches!(listen, Listen::Udp(_));
        let udp = startup.listen.iter().filter(is_udp).count();
        let most = NonZeroUsize::new(DEFAULT_MOST).unwrap_or(NonZeroUsize::MIN);
        let workers = startup.workers.unwrap_or_else(|| cores.min(most));
        Self {
            workers,
            // If the operator asks for few workers, this runtime is small too.
            runtime: workers.min(cores).get().min(RUNTIME_MOST),
            udp,
            tcp: startup.listen.len() - udp,
        }
    }

    /// The maximum number of threads.
    pub(super) fn threads(self) -> usize {
        let of_tcp = if self.tcp > 0 { self.workers.get() } else { 0 };
        self.udp * self.workers.get() + of_tcp + self.runtime + BLOCKING + OTHERS
    }

    /// Advice for the operator if the system refuses threads.
    pub(super) fn advice(self) -> String {
        format!(
            "up to {} threads are wanted; set `workers` lower, or allow more (TasksMax= of the unit, \
             pids of the container, ulimit -u)",
            self.threads()
        )
    }
}

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
    use std::path::Path;

    use dnsgate_config;

    use super::*;

    const UNIT: &str = include_str!("../../deploy/systemd/dnsgate.service");
    const REFERENCE: &str = include_str!("../../config/reference.yaml");
    /// The descriptors of a runtime: as counted in /proc: epoll twice, what wakes it, and the
    /// pipe of signals.
    const DESCRIPTORS_OF_RUNTIME: usize = 4;
    /// The descriptors beside those of listeners: standard streams, the log's output, the admin
    /// listener, the runtime of the program, a socket to watch each UDP listener by, files being read.
    const OTHER_DESCRIPTORS: usize = 24;

    impl Size {
        /// The descriptors that are taken before anybody has asked anything.
        fn descriptors(self) -> usize {
            let of_tcp = if self.tcp > 0 {
                self.tcp + DESCRIPTORS_OF_RUNTIME
            } else {
                0
            };
            let of_udp = self.udp * (1 + DESCRIPTORS_OF_RUNTIME);
            self.workers.get() * (of_udp + of_tcp) + OTHER_DESCRIPTORS + self.udp
        }
    }

    /// The soft limit of descriptors where nobody has set another.
    const SOFT: usize = 1024;

    fn setting(name: &str) -> usize {
        let line = UNIT.lines().find_map(|line| line.strip_prefix(name));
        line.expect(name).parse().expect("a number")
    }

    /// The reference's listeners, which are every address in both families and transports.
    fn startup(workers: &str) -> Startup {
        let text = REFERENCE.replace("\nworkers: 2\n", workers);
        assert_ne!(text, REFERENCE);
        let config = dnsgate_config::parse(&text, "reference.yaml", Path::new(""));
        config.expect("valid").startup
    }

    fn size(startup: &Startup, cores: usize) -> Size {
        Size::of(startup, NonZeroUsize::new(cores).expect("a core"))
    }

    #[test]
    fn every_machine_fits_the_unit_and_a_soft_limit_of_descriptors() {
        let by_default = startup("\n");
        let mut before = 0;
        for cores in [1, 2, 4, 16, 32, 64, 128, 256] {
            let size = size(&by_default, cores);
            assert_eq!(size.workers.get(), cores.min(DEFAULT_MOST));
            let (threads, descriptors) = (size.threads(), size.descriptors());
            println!("{cores} cores: {threads} threads, {descriptors} descriptors");
            assert!(threads >= before, "{size:?}");
            assert!(threads <= setting("TasksMax="), "{size:?}");
            // The rest is for clients and upstreams.
            assert!(descriptors <= SOFT / 8 * 5, "{size:?}: {descriptors}");
            assert!(descriptors * 10 <= setting("LimitNOFILE="), "{size:?}");
            before = threads;
        }
    }

    #[test]
    fn the_most_workers_fit_the_unit_as_well() {
        let most = startup(&format!("\nworkers: {}\n", dnsgate_config::MAX_WORKERS));
        for cores in [1, 256] {
            let size = size(&most, cores);
            assert_eq!(size.workers.get(), dnsgate_config::MAX_WORKERS);
            assert!(size.threads() <= setting("TasksMax="), "{size:?}");
            assert!(size.descriptors() <= setting("LimitNOFILE="), "{size:?}");
        }
        let more = format!("workers: {}", dnsgate_config::MAX_WORKERS + 1);
        assert!(dnsgate_config::parse(&more, "t.yaml", Path::new("")).is_err());
    }

    #[test]
    fn few_workers_are_few_threads() {
        let one = startup("\nworkers: 1\n");
        assert_eq!(size(&one, 256).runtime, 1);
        assert_eq!(size(&one, 1), size(&one, 256));
    }

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
