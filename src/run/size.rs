//! How many threads and descriptors a machine of so many cores is given, so that what limits them
//! (the unit's `TasksMax=` and `LimitNOFILE=`, a soft limit of 1024) is known to suffice, from one core
//! to 256.
//!
//! `workers` is a number of threads for each UDP address, with a socket each, and of threads for all
//! TCP addresses together, with a socket of each address.

use std::num::NonZeroUsize;

use dnsgate_config::{Listen, Startup};

/// The most workers that are made where the configuration says nothing. One answers a hundred
/// thousand queries a second and more, so that these are more than any network asks; and each
/// costs memory whether it is asked or not. Who has the cores and the queries sets `workers`.
const DEFAULT_MOST: usize = 32;
/// The most threads for connections to upstreams and for the admin pages: TLS is their work. A few
/// encrypt what hundreds of thousands of questions a second need.
const RUNTIME_MOST: usize = 16;
/// Threads for what blocks: the probe at the start, and nothing that could hang. tokio's default is
/// 512, which no limit on tasks is made for.
pub(super) const BLOCKING: usize = 4;
/// The threads beside: the first one, two of the log, and those that read the configuration, look
/// for changes and explain, as many as may hang at a time, with some to spare.
const OTHERS: usize = 3 + 8 + 2 + 4 + 3;
/// How large everything is made that depends on the number of cores.
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
    /// For a machine of so many cores.
    pub(super) fn of(startup: &Startup, cores: NonZeroUsize) -> Self {
        let is_udp = |listen: &&Listen| matches!(listen, Listen::Udp(_));
        let udp = startup.listen.iter().filter(is_udp).count();
        let most = NonZeroUsize::new(DEFAULT_MOST).unwrap_or(NonZeroUsize::MIN);
        let workers = startup.workers.unwrap_or_else(|| cores.min(most));
        Self {
            workers,
            // Who asks for few threads in all asks for few of these, too.
            runtime: workers.min(cores).get().min(RUNTIME_MOST),
            udp,
            tcp: startup.listen.len() - udp,
        }
    }

    /// The most threads that there can be.
    pub(super) fn threads(self) -> usize {
        let of_tcp = if self.tcp > 0 { self.workers.get() } else { 0 };
        self.udp * self.workers.get() + of_tcp + self.runtime + BLOCKING + OTHERS
    }

    /// What to do where threads are refused.
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
