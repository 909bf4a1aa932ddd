//! Which servers are asked without EDNS: those that answered FORMERR, NOTIMP or BADVERS to a query
//! with an OPT record, and something else to the same query without one.
//!
//! Without EDNS a reply over UDP has 512 bytes at most, so more questions go to TCP, and there are no
//! signatures. So a server is asked with it again after a while.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a server is asked without EDNS before one question has it again. Long enough that the
/// second query, which a server without EDNS costs then, is one in thousands; short enough that a
/// server which was updated, or a firewall that was mended, is soon asked for signatures again.
/// No official reference; Unbound keeps what it knows of a server for 15 minutes.
const PLAIN: Duration = Duration::from_secs(300);

/// Whether one server knows EDNS, as far as is known.
#[derive(Debug, Default)]
pub(super) struct EdnsSupport {
    /// Until when it is asked without.
    plain: Mutex<Option<Instant>>,
}

impl EdnsSupport {
    /// Whether the next question has an OPT record. Of those that come after the time without, one
    /// has, and the others follow when it went well.
    pub(super) fn is_spoken(&self, now: Instant) -> bool {
        match &mut *self.lock() {
            None => true,
            Some(until) if now < *until => false,
            Some(until) => {
                *until = now + PLAIN;
                true
            }
        }
    }

    /// A query with an OPT record was answered.
    pub(super) fn works(&self) {
        *self.lock() = None;
    }

    /// A query was answered without an OPT record, and was not with one. Returns whether that is
    /// news.
    pub(super) fn fails(&self, now: Instant) -> bool {
        self.lock().replace(now + PLAIN).is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_edns_is_asked_with_it_now_and_then() {
        let edns = EdnsSupport::default();
        let start = Instant::now();
        assert!(edns.is_spoken(start));
        assert!(edns.fails(start), "news");
        assert!(!edns.fails(start), "no news");
        let almost = PLAIN.saturating_sub(Duration::from_millis(1));
        assert!(!edns.is_spoken(start + almost));
        assert!(edns.is_spoken(start + PLAIN), "one tries");
        assert!(!edns.is_spoken(start + PLAIN), "the others do not");
        assert!(edns.is_spoken(start + PLAIN * 2));
        edns.works();
        assert!(edns.is_spoken(start + PLAIN * 2));
    }
}
