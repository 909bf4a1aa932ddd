//! What is known of the servers of one upstream, kept by all who ask them.
//!
//! One lock for all of it: it is held for a few arithmetic operations on a handful of servers, and
//! never while anything is waited for or told.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    Event, Observer, Standing,
    budget::Budget,
    choice::{self, Candidate},
    health::Health,
    rtt::Rtt,
};
use dnsgate_config::Strategy;

/// When a second server is asked early while there is too little experience with the first.
const FIRST_HEDGE: Duration = Duration::from_millis(250);
/// The least time before it: a server on the same network answers in less, and its slowest answers
/// are the scheduler's doing.
const LEAST_HEDGE: Duration = Duration::from_millis(5);
/// A server that has said nothing while others answered so many early questions is suspect before
/// its time is up: hedges are few, and all that are asked meanwhile would wait for it.
const BEATEN: u32 = 3;

/// The servers of one upstream.
pub(super) struct Book {
    strategy: Strategy,
    observer: Arc<dyn Observer>,
    /// Told when a server is to be probed sooner than was known.
    pub(super) news: Notify,
    /// What [`Self::door`] says: read for each question, and so without the lock.
    door: AtomicU8,
    pages: Mutex<Pages>,
}

/// Whether an upstream as a whole may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A server is there that may answer.
    Open,
    /// Every server that may be asked is down.
    Down,
    /// Every server leads back to us.
    Looping,
}

struct Pages {
    servers: Vec<Known>,
    turn: usize,
    hedges: Budget,
}

#[derive(Default)]
struct Known {
    health: Health,
    rtt: Rtt,
    score: Duration,
    /// Whether what it is asked comes back to us.
    looping: bool,
    /// Early questions that others answered since its last reply.
    beaten: u32,
}

/// How one question is to be asked.
pub(super) struct Plan {
    /// The servers, the first one first.
    pub(super) order: Vec<usize>,
    /// After how long the second may be asked although the first may still answer.
    pub(super) hedge_after: Duration,
}

impl Book {
    pub(super) fn new(strategy: Strategy, servers: usize, observer: Arc<dyn Observer>) -> Self {
        Self {
            strategy,
            observer,
            news: Notify::new(),
            door: AtomicU8::new(Door::Open as u8),
            pages: Mutex::new(Pages {
                servers: (0..servers).map(|_| Known::default()).collect(),
                turn: 0,
                hedges: Budget::default(),
            }),
        }
    }

    /// Whom to ask the next question.
    pub(super) fn plan(&self) -> Plan {
        let mut pages = self.lock();
        let pages = &mut *pages;
        pages.hedges.earn();
        let candidates: Vec<_> = pages.servers.iter().map(Known::candidate).collect();
        let order = choice::order(self.strategy, &candidates, pages.turn);
        pages.turn = pages.turn.wrapping_add(1);
        let first = order.first().copied();
        for (server, known) in pages.servers.iter_mut().enumerate() {
            if Some(server) != first {
                known.score = choice::fade(known.score);
            }
        }
        let slow = first.and_then(|first| pages.servers.get(first)?.rtt.slow());
        Plan {
            order,
            hedge_after: slow.unwrap_or(FIRST_HEDGE).max(LEAST_HEDGE),
        }
    }

    /// Whether `server` may be asked early; if so, that is paid for.
    pub(super) fn take_hedge(&self, server: usize) -> bool {
        let mut pages = self.lock();
        let up = pages
            .servers
            .get(server)
            .is_some_and(|known| known.health.standing() == Standing::Up);
        up && pages.hedges.spend()
    }

    /// How long a question to `server` waits before another one is asked.
    pub(super) fn patience(&self, server: usize) -> Duration {
        let pages = self.lock();
        let known = pages.servers.get(server);
        known.map_or(Duration::ZERO, |known| known.rtt.patience())
    }

    /// A server replied, after `rtt` if that tells how fast it is.
    pub(super) fn answered(&self, server: usize, rtt: Option<Duration>) {
        self.change(server, |known| {
            known.rtt.lives();
            known.beaten = 0;
            if let Some(rtt) = rtt {
                known.rtt.sample(rtt);
                known.score = known.rtt.smoothed().unwrap_or(rtt);
            }
            known.health.answered()
        });
    }

    /// A server did not reply for `waited`.
    pub(super) fn timed_out(&self, server: usize, waited: Duration, now: Instant) {
        self.observer.trouble(server, None, "");
        self.change(server, |known| {
            known.rtt.timed_out();
            known.score = known.score.max(waited);
            known.health.failed(now)
        });
    }

    /// Another server answered a question that was asked of it because this one took long.
    pub(super) fn beaten(&self, server: usize, now: Instant) {
        self.change(server, |known| {
            known.beaten = known.beaten.saturating_add(1);
            // One is enough to say so: a row of failures is made of time-outs.
            (known.beaten == BEATEN).then(|| known.health.failed(now))?
        });
    }

    /// A server could not be reached.
    pub(super) fn unreachable(&self, server: usize, now: Instant) {
        self.change(server, |known| known.health.failed(now));
    }

    /// What is thought of each server.
    #[cfg(test)]
    pub(super) fn standings(&self) -> Vec<Standing> {
        let pages = self.lock();
        let known = pages.servers.iter();
        known.map(|known| known.health.standing()).collect()
    }

    /// The servers that are to be probed now; for each, the next probe is set.
    pub(super) fn take_probes(&self, now: Instant) -> Vec<usize> {
        let mut pages = self.lock();
        let known = pages.servers.iter_mut().enumerate();
        known
            .filter_map(|(server, known)| known.health.take_probe(now).then_some(server))
            .collect()
    }

    /// When a server is to be probed next.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        let pages = self.lock();
        let known = pages.servers.iter();
        known.filter_map(|known| known.health.next_probe()).min()
    }

    /// Whether the upstream may be asked.
    pub(super) fn door(&self) -> Door {
        match self.door.load(Ordering::Relaxed) {
            door if door == Door::Down as u8 => Door::Down,
            door if door == Door::Looping as u8 => Door::Looping,
            _ => Door::Open,
        }
    }

    /// Whether what a server is asked comes back to us.
    pub(super) fn is_looping(&self, server: usize) -> bool {
        self.lock()
            .servers
            .get(server)
            .is_some_and(|known| known.looping)
    }

    /// Sets that, and tells of it where it is news.
    pub(super) fn set_looping(&self, server: usize, looping: bool) {
        let news = {
            let mut pages = self.lock();
            let known = pages.servers.get_mut(server);
            let news = known
                .is_some_and(|known| std::mem::replace(&mut known.looping, looping) != looping);
            self.door.store(pages.door() as u8, Ordering::Relaxed);
            news
        };
        if news {
            self.observer.observe(Event::Looping { server, looping });
        }
    }

    fn change(&self, server: usize, change: impl FnOnce(&mut Known) -> Option<Standing>) {
        let changed = {
            let mut pages = self.lock();
            let changed = pages.servers.get_mut(server).and_then(change);
            if changed.is_some() {
                self.door.store(pages.door() as u8, Ordering::Relaxed);
            }
            changed
        };
        if let Some(standing) = changed {
            self.observer.observe(Event::Changed { server, standing });
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn door(&self) -> Door {
        let mut asked = self
            .servers
            .iter()
            .filter(|known| !known.looping)
            .peekable();
        if asked.peek().is_none() {
            Door::Looping
        } else if asked.all(|known| known.health.standing() == Standing::Down) {
            Door::Down
        } else {
            Door::Open
        }
    }
}

impl Known {
    fn candidate(&self) -> Candidate {
        Candidate {
            looping: self.looping,
            standing: self.health.standing(),
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
        fn observe(&self, _: Event) {}

        fn trouble(&self, _: usize, _: Option<ServerFault>, _: &str) {}
    }

    #[test]
    fn who_is_beaten_again_and_again_is_asked_last_until_it_answers() {
        use Standing::{Suspect, Up};
        let book = Book::new(Strategy::Ordered, 2, Arc::new(Nobody));
        let start = Instant::now();
        book.beaten(0, start);
        book.beaten(0, start);
        book.answered(0, None);
        book.beaten(0, start);
        book.beaten(0, start);
        assert_eq!(book.standings(), [Up, Up], "it answered in between");
        book.beaten(0, start);
        assert_eq!(book.standings(), [Suspect, Up]);
        assert_eq!(book.plan().order, [1, 0]);
        assert_eq!(book.take_probes(start), [0], "at once");
        book.answered(0, None);
        assert_eq!(book.standings(), [Up, Up]);
        assert_eq!(book.plan().order, [0, 1]);
    }

    #[test]
    fn the_door_is_open_while_one_server_may_answer() {
        let book = Book::new(Strategy::Ordered, 2, Arc::new(Nobody));
        let start = Instant::now();
        let fail = |server| {
            for second in 0..3 {
                book.unreachable(server, start + Duration::from_secs(second));
            }
        };
        assert_eq!(book.door(), Door::Open);
        fail(0);
        assert_eq!(book.door(), Door::Open);
        book.set_looping(1, true);
        assert_eq!(book.door(), Door::Down, "the one that may be asked is");
        assert_eq!(book.plan().order, [0]);
        book.set_looping(0, true);
        assert_eq!(book.door(), Door::Looping);
        assert_eq!(book.plan().order, [] as [usize; 0]);
        book.set_looping(1, false);
        assert_eq!(book.door(), Door::Open);
        fail(1);
        assert_eq!(book.door(), Door::Down);
        book.answered(1, None);
        assert_eq!(book.door(), Door::Open);
        assert_eq!(book.plan().order, [1]);
    }
}
