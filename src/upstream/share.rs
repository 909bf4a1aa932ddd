//! The rule by which parties share a bounded number of slots: none holds more than [`SHARE`] times
//! the number of free slots.
//!
//! The rule needs no list of parties and costs one comparison. A single party gets at most `SHARE`
//! of `SHARE + 1` parts; `n` parties that take all they can get `SHARE` of `1 + n × SHARE` parts
//! each, and one part stays free for the next party. A party that already holds more gets no slot
//! until it holds less, so the shares are right again when its earlier queries have ended, after
//! one query timeout at most. Switches share their buffers by this rule (Choudhury and Hahne,
//! "Dynamic queue length thresholds", 1998).

/// The maximum ratio of a party's slots to the free slots. With four, a single party gets four
/// fifths.
const SHARE: usize = 4;

/// Whether a party that holds `held` slots may take one of `free` slots.
#[must_use]
pub(crate) const fn may_take(held: usize, free: usize) -> bool {
    held < free.saturating_mul(SHARE)
}

/// The client group that asks, used only to share connections fairly. It is never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Party(pub(crate) u8);

/// The origin of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requester {
    /// The client group.
    pub(super) party: Party,
    /// Whether this is a retry, to this or another server. Retries leave room for first attempts.
    pub(super) again: bool,
}

impl Party {
    /// dnsgate itself: probes, and refreshes of cached responses.
    pub(crate) const OWN: Self = Self(u8::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of `greedy` parties holds of 1000 places when all take what they can, in turn.
    fn held(greedy: usize) -> (Vec<usize>, usize) {
        let mut held = vec![0; greedy];
        let mut free: usize = 1000;
        loop {
            let before = free;
            for held in &mut held {
                if may_take(*held, free) {
                    *held += 1;
                    free -= 1;
                }
            }
            if before == free {
                return (held, free);
            }
        }
    }

    #[test]
    fn leaves_a_share_for_the_next_party_however_many_are_greedy() {
        for greedy in 1..=64 {
            let (held, free) = held(greedy);
            let part = 1000 / (1 + greedy * SHARE);
            assert!(free >= part, "{greedy} leave {free}");
            let most = held.iter().max().expect("one at least");
            let least = held.iter().min().expect("one at least");
            assert!(most - least <= SHARE, "{greedy}: {held:?}");
        }
        assert_eq!(held(1).0, [800]);
        assert!(!may_take(0, 0), "what is not free cannot be taken");
    }
}
