//! The rule by which several share what is bounded: nobody holds more than [`SHARE`] times what is free.
//!
//! It needs to know nobody beforehand and costs a comparison. One alone gets [`SHARE`] parts of
//! `SHARE + 1`; `n` that take all they can get `SHARE` parts of `1 + n × SHARE` each, and one part is
//! free for who comes next. Who held more when it came is given nothing until it holds less, so that
//! the parts are right as soon as what was taken before has ended, which is the time-out of a question.
//! Switches share their buffers so (Choudhury and Hahne, "Dynamic queue length thresholds", 1998).

/// How many times what is free one party may hold. With four a party that is alone gets four fifths.
const SHARE: usize = 4;

/// Whether a party that holds so many may take one more, where so many are free.
#[must_use]
pub const fn may_take(held: usize, free: usize) -> bool {
    held < free.saturating_mul(SHARE)
}

/// Whose question it is, so that connections are shared fairly. It decides nothing else, and is never
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party(pub u8);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requester {
    /// Whose question it is.
    pub(super) party: Party,
    /// Whether it has been asked before, here or elsewhere. Then it leaves room to those that have not.
    pub(super) again: bool,
}

impl Party {
    /// dnsgate's own: probes, and answers that are asked for anew before they end.
    pub const OWN: Self = Self(u8::MAX);
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
    fn however_many_are_greedy_there_is_a_part_for_the_next() {
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
