//! Whether one server is worth asking: a state machine over (what happened, when), without a clock.
//!
//! ```text
//!            a failure                several in a streak, over a while
//!   up ─────────────────▶ suspect ────────────────────────────────▶ down
//!    ▲                       │                                        │
//!    └────── an answer ──────┴──────────────── an answer ─────────────┘
//! ```
//!
//! One failure is enough to prefer the others, because a server that is not there must cost nobody
//! anything; only several are enough not to ask at all, because a packet may be lost and a name may
//! be slow to resolve. A suspect is probed at once, so one that lives is soon up again. An answer
//! with an error code is an answer: the server lives.
//!
//! Not here: which server is asked (`choice`), who sends the probes (`watch`).

use std::time::{Duration, Instant};

/// As many failures in a streak make a server down…
const DOWN_AFTER: u32 = 3;
/// …if they took at least this long: questions that were lost together are one loss.
const DOWN_FOR: Duration = Duration::from_secs(1);
/// How long a suspect is left alone between two probes. Three of them make it down or up.
const SUSPECT_PAUSE: Duration = Duration::from_millis(500);
/// The pause after the first probe of a server that is down; it doubles with each.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: what a server that is back may go unnoticed.
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// What is thought of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerStatus {
    /// It answers, or has never been asked.
    Up,
    /// It failed the last time: asked after the others.
    Suspect,
    /// It does not answer: not asked while another is up.
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

    /// The server answered. Returns its standing if that is news.
    pub(super) fn answered(&mut self) -> Option<ServerStatus> {
        let before = self.status();
        *self = Self::default();
        (before != ServerStatus::Up).then_some(ServerStatus::Up)
    }

    /// The server did not answer in time, or could not be reached. Returns its standing if that is
    /// news.
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

    /// When the server is to be probed next; `None` while it is up.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.streak.map(|streak| streak.probe_at)
    }

    /// Whether the server is to be probed now; if so, the next probe is set.
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
    fn a_row_of_failures_takes_a_server_down_and_an_answer_brings_it_back() {
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
    fn probes_come_at_once_and_then_ever_more_rarely() {
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
