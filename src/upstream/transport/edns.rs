//! Tracks which servers are queried without EDNS: those that answered FORMERR, NOTIMP or BADVERS to
//! a query with an OPT record, and something else to the same query without it.
//!
//! Without EDNS a reply over UDP has at most 512 bytes, so more queries go to TCP, and there are no
//! signatures. After a while EDNS is therefore tried again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a server is queried without EDNS before one query tries it again. Long enough that the
/// second query, which such a try costs, is one in thousands; short enough that an updated server
/// or firewall soon gets queries for signatures again. There is no official reference; Unbound
/// keeps its server data for 15 minutes.
const PLAIN: Duration = Duration::from_secs(300);

/// Whether one server supports EDNS, as far as is known.
#[derive(Debug, Default)]
pub(super) struct EdnsSupport {
    /// Time until which the server is queried without EDNS.
    plain: Mutex<Option<Instant>>,
}

impl EdnsSupport {
    /// Whether the next query has an OPT record. After the time without EDNS, one query tries it,
    /// and the others follow if it succeeds.
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

    /// Records an answer to a query with an OPT record.
    pub(super) fn works(&self) {
        *self.lock() = None;
    }

    /// Records that a query was answered only without an OPT record. Returns whether that is new.
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
    fn tries_edns_again_after_a_while() {
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
