//! The health of one server: a state machine over (event, time), without a clock.
//!
//! ```text
//!            a failure                several in a streak, over a while
//!   up ─────────────────▶ suspect ────────────────────────────────▶ down
//!    ▲                       │                                        │
//!    └────── an answer ──────┴──────────────── an answer ─────────────┘
//! ```
//!
//! One failure is enough to prefer other servers, because a dead server must not delay anybody.
//! Several are needed to stop asking the server, because a packet may be lost and a name may be
//! slow to resolve. A suspect is probed at once, so a live server is soon up again. An answer with
//! an error code counts as an answer, because it shows that the server is alive.
//!
//! Not here: the choice of the server (`choice`), sending the probes (`prober`).

use std::time::{Duration, Instant};

/// A streak of this many failures makes a server down…
const DOWN_AFTER: u32 = 3;
/// …if it lasts at least this long. Queries that are lost together count as one loss.
const DOWN_FOR: Duration = Duration::from_secs(1);
/// Pause between two probes of a suspect. Three probes decide between up and down.
const SUSPECT_PAUSE: Duration = Duration::from_millis(500);
/// Pause after the first probe of a server that is down. It doubles with each probe.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: the longest time that a recovered server may stay unnoticed.
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// The state of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ServerStatus {
    /// It answers, or was never asked.
    Up,
    /// Its last query failed. It is asked after the others.
    Suspect,
    /// It does not answer. It is not asked while another server is up.
    Down,
}

/// A streak of failures.
#[derive(Clone, Copy, Debug)]
struct FailureStreak {
    count: u32,
    since: Instant,
    probe_at: Instant,
    pause: Duration,
}

/// One server's health.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerHealth {
    down: bool,
    streak: Option<FailureStreak>,
}

impl ServerHealth {
    pub(super) const fn status(&self) -> ServerStatus {
        match (self.down, &self.streak) {
            (true, _) => ServerStatus::Down,
            (false, Some(_)) => ServerStatus::Suspect,
            (false, None) => ServerStatus::Up,
        }
    }

    /// The server answered. Returns its status if it changed.
    pub(super) fn answered(&mut self) -> Option<ServerStatus> {
        let before = self.status();
        *self = Self::default();
        (before != ServerStatus::Up).then_some(ServerStatus::Up)
    }

    /// The server did not answer in time or could not be reached. Returns its status if it changed.
    pub(super) fn failed(&mut self, now: Instant) -> Option<ServerStatus> {
        let before = self.status();
        let streak = self.streak.get_or_insert(FailureStreak {
            count: 0,
            since: now,
            probe_at: now,
            pause: LEAST_PAUSE,
        });
        streak.count = streak.count.saturating_add(1);
        let lasting = now.saturating_duration_since(streak.since) >= DOWN_FOR;
        if !self.down && streak.count >= DOWN_AFTER && lasting {
            self.down = true;
            streak.probe_at = now + streak.pause;
        }
        let after = self.status();
        (before != after).then_some(after)
    }

    /// Time of the next probe; `None` while the server is up.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.streak.map(|streak| streak.probe_at)
    }

    /// Whether a probe is due. If so, schedules the next one.
    pub(super) fn take_probe(&mut self, now: Instant) -> bool {
        let Some(streak) = self.streak.as_mut().filter(|streak| streak.probe_at <= now) else {
            return false;
        };
        if self.down {
            streak.pause = streak.pause.saturating_mul(2).min(MOST_PAUSE);
            streak.probe_at = now + streak.pause;
        } else {
            streak.probe_at = now + SUSPECT_PAUSE;
        }
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point to count from")]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn several_failures_take_a_server_down_and_one_answer_brings_it_back() {
        use ServerStatus::{Down, Suspect, Up};
        let start = Instant::now();
        // (milliseconds from the start, answered?, standing after, is it news)
        let story = [
            (0, true, Up, false),
            (10, false, Suspect, true),
            (20, true, Up, true),
            // Lost together: one loss.
            (30, false, Suspect, true),
            (30, false, Suspect, false),
            (30, false, Suspect, false),
            (31, false, Suspect, false),
            // Still failing a second later: down.
            (1030, false, Down, true),
            (1040, false, Down, false),
            (9000, true, Up, true),
            // Over a long time, but too few.
            (10_000, false, Suspect, true),
            (20_000, false, Suspect, false),
            (30_000, false, Down, true),
        ];
        let mut health = ServerHealth::default();
        for (at, answered, status, news) in story {
            let told = if answered {
                health.answered()
            } else {
                health.failed(start + ms(at))
            };
            assert_eq!(health.status(), status, "at {at}");
            assert_eq!(told, news.then_some(status), "at {at}");
        }
    }

    #[test]
    fn probes_back_off() {
        let start = Instant::now();
        let mut health = ServerHealth::default();
        assert_eq!(health.next_probe(), None);
        assert!(!health.take_probe(start), "a server that is up");
        health.failed(start);
        assert!(health.take_probe(start), "a suspect, at once");
        assert!(!health.take_probe(start), "once");
        assert!(health.take_probe(start + SUSPECT_PAUSE));
        health.failed(start + DOWN_FOR);
        health.failed(start + DOWN_FOR);
        assert_eq!(health.status(), ServerStatus::Down);
        let mut last = start + DOWN_FOR;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let next = health.next_probe().expect("it is down");
            assert!(!health.take_probe(next - ms(1)));
            assert!(health.take_probe(next));
            health.failed(next);
            pauses.push((next - last).as_secs());
            last = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        health.answered();
        assert_eq!(health.next_probe(), None);
    }
}
