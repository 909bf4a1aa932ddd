//! Sizes the thread counts by the number of cores, so that the limits (the unit's `TasksMax=` and
//! `LimitNOFILE=`, a soft limit of 1024) are known to suffice from 1 to 256 cores.
//!
//! `workers` is the number of threads for each UDP address, with one socket each, and the number of
//! threads for all TCP addresses together, with a socket for each address.

use std::num::NonZeroUsize;

use dnsgate_config::{Listen, Startup};

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use dnsgate_config;

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
}
