//! Response and their time: how long they are true, how long they may be used after that, and when to
//! ask again before it is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::CacheSettings;
use crate::dns::Response;

/// The longest that a negative answer is believed, in seconds (RFC 2308 section 5: one to three
/// hours work well, more than a day does not).
const MAX_NEGATIVE_TTL: u32 = 3 * 60 * 60;
/// The TTL of records past their time, in seconds (RFC 8767 section 4).
const STALE_TTL: u32 = 30;
/// Response are asked for again in the last part of their life: one in this many.
const LAST_PART: u32 = 10;
/// How often responses must have been asked for in their life to be asked for again before its end.
const POPULAR: u32 = 3;
/// How long one caller is left to ask again before another one is told to: longer than any question
/// to an upstream takes.
const CLAIM: Duration = Duration::from_secs(5);

/// For so many ranges it is kept that the records are in them: for those of the rules of two client
/// groups, or of two links of a chain. Where more take turns, the records are looked through again.
const RANGES: usize = 2;

/// What an upstream said at one time. Several threads use it; what changes in it are notes.
#[derive(Debug)]
pub struct CacheEntry {
    response: Arc<Response>,
    since: Instant,
    /// For how long this is true, in seconds; 0 is not kept.
    life: u32,
    /// What the TTL of a record is raised and lowered to, in seconds.
    least: u32,
    most: u32,
    /// In bytes, key and place in the table included, itself not.
    weight: usize,
    /// How often this was asked for, up to [`POPULAR`]: beyond that nothing is written.
    hits: AtomicU32,
    /// Until when somebody is about to ask again, in milliseconds from `since`.
    claimed: AtomicU64,
    /// Until when it is remembered that asking failed, likewise.
    failed: AtomicU64,
    /// Whether it failed by a denial, which this stands in for.
    denied: AtomicBool,
    /// The stats of the ranges that the records were found to be in last; 0 for none. Not a
    /// verdict of a policy: what such a number stands for never changes, and neither do the responses.
    passed: [AtomicU64; RANGES],
}

/// What responses are good for at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    True,
    Stale,
    Gone,
}

impl CacheEntry {
    pub(super) fn new(
        response: Arc<Response>,
        weight: usize,
        settings: &CacheSettings,
        now: Instant,
    ) -> Self {
        let negative = response.is_negative();
        let most = if negative {
            settings.max_ttl.min(MAX_NEGATIVE_TTL)
        } else {
            settings.max_ttl
        };
        // Nobody said how long to believe a negative answer without SOA: not at all.
        let life = match response.ttl() {
            0 if negative => 0,
            ttl => ttl.max(settings.min_ttl).min(most),
        };
        Self {
            response,
            since: now,
            life,
            least: settings.min_ttl,
            most,
            weight,
            hits: AtomicU32::new(0),
            claimed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            denied: AtomicBool::new(false),
            passed: [const { AtomicU64::new(0) }; RANGES],
        }
    }

    /// What was said.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The TTL for a reply, in seconds, of a record set whose own is `own`: within the cache's
    /// bounds, counted down; of responses past their time a short one (RFC 8767 section 4).
    #[must_use]
    pub fn ttl(&self, own: u32, now: Instant) -> u32 {
        if self.is_stale(now) {
            return STALE_TTL;
        }
        let age = u32::try_from(self.age(now).as_secs()).unwrap_or(u32::MAX);
        own.max(self.least).min(self.most).saturating_sub(age)
    }

    /// Whether this is past its time. What is not kept is true for those who waited for it.
    #[must_use]
    pub fn is_stale(&self, now: Instant) -> bool {
        self.life > 0 && self.age(now) >= seconds(self.life)
    }

    pub(super) fn standing(&self, now: Instant, serve_stale: u32) -> Freshness {
        let age = self.age(now);
        if age < seconds(self.life) {
            Freshness::True
        } else if age < seconds(self.life) + seconds(serve_stale) {
            Freshness::Stale
        } else {
            Freshness::Gone
        }
    }

    /// Counts that this was asked for, and tells whether this caller is to ask again.
    pub(super) fn hit(&self, now: Instant) -> bool {
        if self.hits.load(Relaxed) < POPULAR {
            self.hits.fetch_add(1, Relaxed);
            return false;
        }
        let left = seconds(self.life).saturating_sub(self.age(now));
        left * LAST_PART < seconds(self.life) && !self.has_failed(now) && self.claim(now)
    }

    /// Whether this caller, of those at the same time, is the one.
    fn claim(&self, now: Instant) -> bool {
        let age = millis(self.age(now));
        let claimed = self.claimed.load(Relaxed);
        let until = age + millis(CLAIM);
        claimed <= age
            && self
                .claimed
                .compare_exchange(claimed, until, Relaxed, Relaxed)
                .is_ok()
    }

    /// Whether all records are known to be in the ranges of this number, which is not 0.
    #[must_use]
    pub fn has_passed(&self, ranges: u64) -> bool {
        self.passed
            .iter()
            .any(|passed| passed.load(Relaxed) == ranges)
    }

    /// Remembers that all records are in the ranges of this number, in the place of those that were
    /// noted before the last. Two threads that do so at once may lose one of the notes.
    pub fn note_passed(&self, ranges: u64) {
        let mut moved = ranges;
        for passed in &self.passed {
            moved = passed.swap(moved, Relaxed);
        }
    }

    /// Remembers for `time` that asking failed.
    pub(super) fn note_failure(&self, now: Instant, time: Duration) {
        self.note(now, time, false);
    }

    /// Remembers for `time` that the upstream denied it, and that this stands in.
    pub(super) fn note_denial(&self, now: Instant, time: Duration) {
        self.note(now, time, true);
    }

    fn note(&self, now: Instant, time: Duration, denied: bool) {
        let until = millis(self.age(now) + time);
        self.denied.store(denied, Relaxed);
        self.failed.fetch_max(until, Relaxed);
    }

    /// Whether the upstream denied a moment ago that there is what this says.
    #[must_use]
    pub fn is_denied(&self, now: Instant) -> bool {
        self.denied.load(Relaxed) && self.has_failed(now)
    }

    pub(super) fn has_failed(&self, now: Instant) -> bool {
        millis(self.age(now)) < self.failed.load(Relaxed)
    }

    /// Whether this is of these very responses.
    pub(super) fn holds(&self, response: &Arc<Response>) -> bool {
        Arc::ptr_eq(&self.response, response)
    }

    pub(super) const fn is_worth_keeping(&self) -> bool {
        self.life > 0
    }

    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

const fn seconds(count: u32) -> Duration {
    Duration::from_secs(count as u64)
}

/// Wide enough for any age that a process gets to.
const fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
