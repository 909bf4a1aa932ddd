//! What became of every query of a load.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// As many wrong replies are kept to be shown.
const SHOWN: usize = 5;

/// The account of one client, or of several.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    /// Replies by what they said, as the scenario calls it.
    pub(crate) said: BTreeMap<&'static str, u64>,
    /// When the queries were sent that got no reply.
    pub(crate) unanswered: Vec<Instant>,
    /// What was sent after this need not be answered.
    pub(crate) end: Option<Instant>,
    /// Replies to what was not asked, or was answered already.
    pub(crate) stray: u64,
    /// Replies that are not what the question may be answered with.
    pub(crate) wrong: u64,
    /// Some of them.
    pub(crate) shown: Vec<String>,
    /// Whether the server was gone: what came after that was not sent.
    pub(crate) closed: bool,
    /// Of each reply.
    latencies: Vec<Duration>,
}

impl Tally {
    /// Counts a reply: what it said, if that was right.
    pub(crate) fn count(&mut self, name: &str, seen: &str, said: Option<&'static str>) {
        match said {
            Some(said) => *self.said.entry(said).or_default() += 1,
            None => {
                self.wrong += 1;
                if self.shown.len() < SHOWN {
                    self.shown.push(format!("{name}: {seen}"));
                }
            }
        }
    }

    pub(crate) fn took(&mut self, latency: Duration) {
        self.latencies.push(latency);
    }

    /// The sum of two.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.sent += other.sent;
        for (said, count) in other.said {
            *self.said.entry(said).or_default() += count;
        }
        self.unanswered.extend(other.unanswered);
        self.stray += other.stray;
        self.wrong += other.wrong;
        self.shown.extend(other.shown);
        self.closed |= other.closed;
        self.latencies.extend(other.latencies);
        self
    }

    /// How often it was said.
    pub(crate) fn of(&self, said: &str) -> u64 {
        self.said.get(said).copied().unwrap_or_default()
    }

    /// Queries that should have got a reply, and got none.
    pub(crate) fn lost(&self) -> usize {
        let is_due = |sent: &&Instant| self.end.is_none_or(|end| **sent < end);
        self.unanswered.iter().filter(is_due).count()
    }

    /// How long it took, in milliseconds, until so many of a thousand were answered.
    pub(crate) fn percentile(&self, of_1000: usize) -> u128 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = sorted.len().saturating_sub(1) * of_1000 / 1000;
        sorted.get(at).copied().unwrap_or_default().as_millis()
    }
}
