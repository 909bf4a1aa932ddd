//! The statistics of the servers of one upstream: health, response times, loops and the resulting
//! order.
//!
//! One lock protects all of it. It is held for a few arithmetic operations and never while waiting
//! or reporting.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    choice::{self, ServerCandidate},
    health::{ServerHealth, ServerStatus},
    hedge_budget::HedgeBudget,
    observer::{Observer, UpstreamEvent},
    rtt::Rtt,
};
use dnsgate_config::Strategy;

/// Time of the hedge while there are too few measurements of the first server.
const FIRST_HEDGE: Duration = Duration::from_millis(250);
/// Minimum time of the hedge: a server on the same network answers faster, and its slowest answers
/// are caused by the scheduler.
const LEAST_HEDGE: Duration = Duration::from_millis(5);
/// A server that stayed silent while other servers answered this many hedged queries becomes
/// suspect before its timeout: hedges are few, and other queries would wait for it.
const BEATEN: u32 = 3;

/// The statistics of the servers of one upstream.
pub(super) struct ServerStats {
    strategy: Strategy,
    observer: Arc<dyn Observer>,
    /// Notified when a probe is due sooner than planned.
    pub(super) news: Notify,
    /// The value of [`Self::availability`]. An atomic, because every query reads it.
    availability: AtomicU8,
    table: Mutex<StatsTable>,
}

/// Whether an upstream may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    /// At least one server may answer.
    Open,
    /// Every server that does not loop is down.
    Down,
    /// Every server loops back to us.
    Looping,
}

struct StatsTable {
    servers: Vec<ServerRecord>,
    rotation: usize,
    hedges: HedgeBudget,
}

#[derive(Default)]
struct ServerRecord {
    health: ServerHealth,
    rtt: Rtt,
    score: Duration,
    /// Whether its queries come back to us.
    looping: bool,
    /// Hedged queries that other servers answered since its last reply.
    beaten: u32,
}

/// The servers for one query.
pub(super) struct AttemptPlan {
    /// The servers in order.
    pub(super) order: Vec<usize>,
    /// Delay before the second server is asked while the first may still answer.
    pub(super) hedge_after: Duration,
}

impl ServerStats {
    pub(super) fn new(strategy: Strategy, servers: usize, observer: Arc<dyn Observer>) -> Self {
        Self {
            strategy,
            observer,
            news: Notify::new(),
            availability: AtomicU8::new(Availability::Open as u8),
            table: Mutex::new(StatsTable {
                servers: (0..servers).map(|_| ServerRecord::default()).collect(),
                rotation: 0,
                hedges: HedgeBudget::default(),
            }),
        }
    }

    /// The servers for the next query.
    pub(super) fn plan(&self) -> AttemptPlan {
        let mut table = self.lock();
        let table = &mut *table;
        table.hedges.earn();
        // No other server could be asked first, or as a hedge.
        if let [only] = &*table.servers {
            let order = if only.looping { vec![] } else { vec![0] };
            return AttemptPlan {
                order,
                hedge_after: FIRST_HEDGE,
            };
        }
        let candidates: Vec<_> = table.servers.iter().map(ServerRecord::candidate).collect();
        let order = choice::order(self.strategy, &candidates, table.rotation);
        table.rotation = table.rotation.wrapping_add(1);
        let first = order.first().copied();
        for (server, record) in table.servers.iter_mut().enumerate() {
            if Some(server) != first {
                record.score = choice::fade(record.score);
            }
        }
        let slow = first.and_then(|first| table.servers.get(first)?.rtt.slow());
        AttemptPlan {
            order,
            hedge_after: slow.unwrap_or(FIRST_HEDGE).max(LEAST_HEDGE),
        }
    }

    /// Takes a hedge to `server` from the budget, if it is up.
    pub(super) fn take_hedge(&self, server: usize) -> bool {
        let mut table = self.lock();
        let up = table
            .servers
            .get(server)
            .is_some_and(|record| record.health.status() == ServerStatus::Up);
        up && table.hedges.spend()
    }

    /// The timeout of a query to `server`.
    pub(super) fn patience(&self, server: usize) -> Duration {
        let table = self.lock();
        let record = table.servers.get(server);
        record.map_or(Duration::ZERO, |record| record.rtt.patience())
    }

    /// Records a reply. `rtt` is its time, if representative.
    pub(super) fn answered(&self, server: usize, rtt: Option<Duration>) {
        self.change(server, |record| {
            record.rtt.lives();
            record.beaten = 0;
            if let Some(rtt) = rtt {
                record.rtt.sample(rtt);
                record.score = record.rtt.smoothed().unwrap_or(rtt);
            }
            record.health.answered()
        });
    }

    /// Records that a server did not reply for `waited`.
    pub(super) fn timed_out(&self, server: usize, waited: Duration, now: Instant) {
        self.observer.trouble(server, None, "");
        self.change(server, |record| {
            record.rtt.timed_out();
            record.score = record.score.max(waited);
            record.health.failed(now)
        });
    }

    /// Records that another server answered a hedged query while this one was silent.
    pub(super) fn beaten(&self, server: usize, now: Instant) {
        self.change(server, |record| {
            record.beaten = record.beaten.saturating_add(1);
            // This counts as one failure only; timeouts make up the rest of a streak.
            (record.beaten == BEATEN).then(|| record.health.failed(now))?
        });
    }

    /// Records that a server could not be reached.
    pub(super) fn unreachable(&self, server: usize, now: Instant) {
        self.change(server, |record| record.health.failed(now));
    }

    /// The status of each server.
    #[cfg(test)]
    pub(super) fn statuses(&self) -> Vec<ServerStatus> {
        let table = self.lock();
        let record = table.servers.iter();
        record.map(|record| record.health.status()).collect()
    }

    /// The servers whose probe is due. Schedules the next probe of each.
    pub(super) fn take_probes(&self, now: Instant) -> Vec<usize> {
        let mut table = self.lock();
        let record = table.servers.iter_mut().enumerate();
        record
            .filter_map(|(server, record)| record.health.take_probe(now).then_some(server))
            .collect()
    }

    /// The time of the next probe.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        let table = self.lock();
        let record = table.servers.iter();
        record.filter_map(|record| record.health.next_probe()).min()
    }

    /// Whether the upstream may be asked.
    pub(super) fn availability(&self) -> Availability {
        match self.availability.load(Ordering::Relaxed) {
            availability if availability == Availability::Down as u8 => Availability::Down,
            availability if availability == Availability::Looping as u8 => Availability::Looping,
            _ => Availability::Open,
        }
    }

    /// Whether the queries to a server come back to us.
    pub(super) fn is_looping(&self, server: usize) -> bool {
        self.lock()
            .servers
            .get(server)
            .is_some_and(|record| record.looping)
    }

    /// Sets whether a server loops, and reports a change.
    pub(super) fn set_looping(&self, server: usize, looping: bool) {
        let news = {
            let mut table = self.lock();
            let record = table.servers.get_mut(server);
            let news = record
                .is_some_and(|record| std::mem::replace(&mut record.looping, looping) != looping);
            self.availability
                .store(table.availability() as u8, Ordering::Relaxed);
            news
        };
        if news {
            self.observer
                .observe(UpstreamEvent::Looping { server, looping });
        }
    }

    fn change(
        &self,
        server: usize,
        change: impl FnOnce(&mut ServerRecord) -> Option<ServerStatus>,
    ) {
        let changed = {
            let mut table = self.lock();
            let changed = table.servers.get_mut(server).and_then(change);
            if changed.is_some() {
                self.availability
                    .store(table.availability() as u8, Ordering::Relaxed);
            }
            changed
        };
        if let Some(status) = changed {
            self.observer
                .observe(UpstreamEvent::Changed { server, status });
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, StatsTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StatsTable {
    fn availability(&self) -> Availability {
        let mut asked = self
            .servers
            .iter()
            .filter(|record| !record.looping)
            .peekable();
        if asked.peek().is_none() {
            Availability::Looping
        } else if asked.all(|record| record.health.status() == ServerStatus::Down) {
            Availability::Down
        } else {
            Availability::Open
        }
    }
}

impl ServerRecord {
    fn candidate(&self) -> ServerCandidate {
        ServerCandidate {
            looping: self.looping,
            status: self.health.status(),
            score: self.score,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point to count from")]
mod tests {
    use super::*;
    use dnsgate_core::dns::ServerFault;

    struct Nobody;

    impl Observer for Nobody {
        fn observe(&self, _: UpstreamEvent) {}

        fn trouble(&self, _: usize, _: Option<ServerFault>, _: &str) {}
    }

    #[test]
    fn a_server_beaten_by_hedges_is_asked_last_until_it_answers() {
        use ServerStatus::{Suspect, Up};
        let stats = ServerStats::new(Strategy::Ordered, 2, Arc::new(Nobody));
        let start = Instant::now();
        stats.beaten(0, start);
        stats.beaten(0, start);
        stats.answered(0, None);
        stats.beaten(0, start);
        stats.beaten(0, start);
        assert_eq!(stats.statuses(), [Up, Up], "it answered in between");
        stats.beaten(0, start);
        assert_eq!(stats.statuses(), [Suspect, Up]);
        assert_eq!(stats.plan().order, [1, 0]);
        assert_eq!(stats.take_probes(start), [0], "at once");
        stats.answered(0, None);
        assert_eq!(stats.statuses(), [Up, Up]);
        assert_eq!(stats.plan().order, [0, 1]);
    }

    #[test]
    fn an_upstream_is_available_while_one_server_may_answer() {
        let stats = ServerStats::new(Strategy::Ordered, 2, Arc::new(Nobody));
        let start = Instant::now();
        let fail = |server| {
            for second in 0..3 {
                stats.unreachable(server, start + Duration::from_secs(second));
            }
        };
        assert_eq!(stats.availability(), Availability::Open);
        fail(0);
        assert_eq!(stats.availability(), Availability::Open);
        stats.set_looping(1, true);
        assert_eq!(
            stats.availability(),
            Availability::Down,
            "the one that may be asked is"
        );
        assert_eq!(stats.plan().order, [0]);
        stats.set_looping(0, true);
        assert_eq!(stats.availability(), Availability::Looping);
        assert_eq!(stats.plan().order, [] as [usize; 0]);
        stats.set_looping(1, false);
        assert_eq!(stats.availability(), Availability::Open);
        fail(1);
        assert_eq!(stats.availability(), Availability::Down);
        stats.answered(1, None);
        assert_eq!(stats.availability(), Availability::Open);
        assert_eq!(stats.plan().order, [1]);
    }
}
