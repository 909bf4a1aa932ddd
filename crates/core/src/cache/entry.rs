//! A cached response and its lifetime: when it expires, how long it may be served stale after that,
//! and when to renew it before it expires.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::CacheSettings;
use crate::dns::Response;

/// The maximum TTL of a negative answer, in seconds (RFC 2308 section 5: one to three hours work
/// well, more than a day does not).
const MAX_NEGATIVE_TTL: u32 = 3 * 60 * 60;
/// The TTL of expired records, in seconds (RFC 8767 section 4).
const STALE_TTL: u32 = 30;
/// A response may be renewed in the last of this many parts of its lifetime.
const LAST_PART: u32 = 10;
/// The number of hits during its lifetime after which a response is renewed.
const POPULAR: u32 = 3;
/// The time one caller has to renew an entry before another caller may: longer than any question to
/// an upstream takes.
const CLAIM: Duration = Duration::from_secs(5);

/// The number of ranges for which an entry records that its records passed: enough for the rules of
/// two client groups, or of two links of a chain. With more ranges, records are checked again.
const RANGES: usize = 2;

/// A cached response of an upstream. Several threads use it; only its notes change.
#[derive(Debug)]
pub struct CacheEntry {
    response: Arc<Response>,
    since: Instant,
    /// The lifetime in seconds; an entry with lifetime 0 is not cached.
    life: u32,
    /// The minimum and maximum TTL of a record, in seconds.
    least: u32,
    most: u32,
    /// The weight in bytes, including the key and the slot in the table, but not the entry itself.
    weight: usize,
    /// The number of hits, up to [`POPULAR`]; beyond it nothing is written.
    hits: AtomicU32,
    /// The end of the current renewal claim, in milliseconds from `since`.
    claimed: AtomicU64,
    /// The end of the current failure note, in milliseconds from `since`.
    failed: AtomicU64,
    /// Whether the failure was a denial by the upstream, which this entry replaces.
    denied: AtomicBool,
    /// The identifiers of the last ranges that the records passed; 0 for none. This is not a policy
    /// verdict: the ranges of an identifier never change, and neither does the response.
    passed: [AtomicU64; RANGES],
}

/// Whether a response may be used at a given time.
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
        // A negative answer without an SOA has no TTL, so it is not cached.
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

    /// The response.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The TTL for a response, in seconds, of a record set whose original TTL is `own`: within the
    /// cache's bounds and counted down. An expired entry gives a short TTL (RFC 8767 section 4).
    #[must_use]
    pub fn ttl(&self, own: u32, now: Instant) -> u32 {
        if self.is_stale(now) {
            return STALE_TTL;
        }
        let age = u32::try_from(self.age(now).as_secs()).unwrap_or(u32::MAX);
        own.max(self.least).min(self.most).saturating_sub(age)
    }

    /// Whether the entry has expired. An entry that is not cached never expires for the queries
    /// that waited for it.
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

    /// Counts a hit and returns whether this caller should renew the entry.
    pub(super) fn hit(&self, now: Instant) -> bool {
        if self.hits.load(Relaxed) < POPULAR {
            self.hits.fetch_add(1, Relaxed);
            return false;
        }
        let left = seconds(self.life).saturating_sub(self.age(now));
        left * LAST_PART < seconds(self.life) && !self.has_failed(now) && self.claim(now)
    }

    /// Claims the renewal; only one of several concurrent callers succeeds.
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

    /// Whether all records are known to be within the ranges with this identifier, which is not 0.
    #[must_use]
    pub fn has_passed(&self, ranges: u64) -> bool {
        self.passed
            .iter()
            .any(|passed| passed.load(Relaxed) == ranges)
    }

    /// Notes that all records are within the ranges with this identifier, and drops the oldest
    /// note. Two concurrent calls may lose one note.
    pub fn note_passed(&self, ranges: u64) {
        let mut moved = ranges;
        for passed in &self.passed {
            moved = passed.swap(moved, Relaxed);
        }
    }

    /// Notes for `time` that a renewal failed.
    pub(super) fn note_failure(&self, now: Instant, time: Duration) {
        self.note(now, time, false);
    }

    /// Notes for `time` that the upstream denied the name and that this entry replaces that
    /// response.
    pub(super) fn note_denial(&self, now: Instant, time: Duration) {
        self.note(now, time, true);
    }

    fn note(&self, now: Instant, time: Duration, denied: bool) {
        let until = millis(self.age(now) + time);
        self.denied.store(denied, Relaxed);
        self.failed.fetch_max(until, Relaxed);
    }

    /// Whether the upstream has recently denied the name of this response.
    #[must_use]
    pub fn is_denied(&self, now: Instant) -> bool {
        self.denied.load(Relaxed) && self.has_failed(now)
    }

    pub(super) fn has_failed(&self, now: Instant) -> bool {
        millis(self.age(now)) < self.failed.load(Relaxed)
    }

    /// Whether the entry holds this response object.
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

/// Large enough for the age of any process.
#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds in 64 bits last longer than any process"
)]
const fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
