//! Remembers for a while which servers lack a feature: EDNS (they answered FORMERR, NOTIMP or BADVERS
//! to a query with an OPT record, and something else to the same query without it), or keeping the
//! letter case of the question.
//!
//! Without EDNS a reply over UDP has at most 512 bytes, so more queries go to TCP, and there are no
//! signatures. Without the letter case, replies are easier to forge. After a while the feature is
//! therefore tried again.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a server is queried without the feature before one query tries it again. Long enough
/// that the second query, which such a try costs, is one in thousands; short enough that an updated
/// server or firewall soon gets queries for signatures again. There is no official reference;
/// Unbound keeps its server data for 15 minutes.
const PLAIN: Duration = Duration::from_secs(300);

/// After this many replies in a row whose only fault is the letter case, a server is taken for one
/// that does not keep it. A forger must have guessed ID and port of each of them.
const CASES_LOST: u8 = 3;

/// Whether one server has a feature, as far as is known.
#[derive(Debug, Default)]
pub(super) struct ServerFeature {
    /// Whether `plain` has a value. Every query reads it, and few servers lack anything.
    lacking: AtomicBool,
    /// Time until which the server is queried without the feature.
    plain: Mutex<Option<Instant>>,
}

impl ServerFeature {
    /// Whether the next query uses the feature. After the time without it, one query tries it, and
    /// the others follow if it succeeds. `clock` is read only for a server that lacks it.
    pub(super) fn is_used(&self, clock: impl FnOnce() -> Instant) -> bool {
        if !self.lacking.load(Ordering::Relaxed) {
            return true;
        }
        let now = clock();
        match &mut *self.lock() {
            None => true,
            Some(until) if now < *until => false,
            Some(until) => {
                *until = now + PLAIN;
                true
            }
        }
    }

    /// Records that a query that used it was answered.
    pub(super) fn works(&self) {
        if self.lacking.load(Ordering::Relaxed) {
            let mut plain = self.lock();
            *plain = None;
            self.lacking.store(false, Ordering::Relaxed);
        }
    }

    /// Records that a query was answered only without it. Returns whether that is new.
    pub(super) fn fails(&self, now: Instant) -> bool {
        let mut plain = self.lock();
        self.lacking.store(true, Ordering::Relaxed);
        plain.replace(now + PLAIN).is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one server repeats the letter case of a question.
#[derive(Debug, Default)]
pub(super) struct LetterCase {
    feature: ServerFeature,
    /// Replies in a row that did not.
    lost: AtomicU8,
}

impl LetterCase {
    /// Whether the next query has random letter case, and its reply must have the same.
    pub(super) fn is_random(&self, clock: impl FnOnce() -> Instant) -> bool {
        self.feature.is_used(clock)
    }

    /// Whether the server is taken for one that does not repeat it.
    pub(super) fn is_lacking(&self) -> bool {
        self.feature.lacking.load(Ordering::Relaxed)
    }

    /// Records a reply that repeats the letter case.
    pub(super) fn kept(&self) {
        if self.lost.load(Ordering::Relaxed) > 0 {
            self.lost.store(0, Ordering::Relaxed);
        }
        self.feature.works();
    }

    /// Records a reply that differs from its question in the letter case only. Returns whether the
    /// server is taken from now on for one that does not keep it.
    pub(super) fn lost(&self, now: Instant) -> bool {
        let more = |lost: u8| Some(lost.saturating_add(1));
        let lost = self
            .lost
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        lost.unwrap_or_else(|lost| lost).saturating_add(1) >= CASES_LOST && self.feature.fails(now)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point to count from")]
mod tests {
    use super::*;

    #[test]
    fn tries_a_feature_again_after_a_while() {
        let edns = ServerFeature::default();
        let start = Instant::now();
        assert!(edns.is_used(|| start));
        assert!(edns.fails(start), "news");
        assert!(!edns.fails(start), "no news");
        let almost = PLAIN.saturating_sub(Duration::from_millis(1));
        assert!(!edns.is_used(|| start + almost));
        assert!(edns.is_used(|| start + PLAIN), "one tries");
        assert!(!edns.is_used(|| start + PLAIN), "the others do not");
        assert!(edns.is_used(|| start + PLAIN * 2));
        edns.works();
        assert!(edns.is_used(|| start + PLAIN * 2));
    }

    #[test]
    fn letter_case_is_given_up_after_several_losses_in_a_row() {
        let case = LetterCase::default();
        let start = Instant::now();
        for _ in 0..3 {
            assert!(!case.lost(start) && !case.lost(start));
            case.kept();
        }
        assert!(!case.lost(start) && !case.lost(start) && case.is_random(|| start));
        assert!(case.lost(start), "news");
        assert!(!case.lost(start), "no news");
        assert!(!case.is_random(|| start));
        assert!(case.is_random(|| start + PLAIN), "one tries");
        assert!(!case.is_random(|| start + PLAIN), "the others do not");
        case.kept();
        assert!(case.is_random(|| start + PLAIN));
        assert!(!case.lost(start), "counted anew");
    }
}
