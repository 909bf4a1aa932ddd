//! Selects the queries to log when one in N is logged.
//!
//! It selects one query of each run of N, at a position drawn anew for each run. A count can
//! therefore be restored to within one run, and alternating queries (A, AAAA, A, AAAA) are sampled
//! evenly. Each worker has its own sampler, so there is no contention. Only statistics depend on it
//! and no secret, so a cheap generator suffices.

/// One worker's sampler.
#[derive(Debug)]
pub(crate) struct Sampler {
    rate: u32,
    /// The number of queries left in this run.
    left: u32,
    /// The query is selected when this many are left after it.
    taken: u32,
    /// State of the generator; never 0.
    state: u64,
}

impl Sampler {
    /// Selects one in `rate`, with `seed` as the start of the generator.
    pub(crate) const fn new(rate: u32, seed: u64) -> Self {
        Self {
            rate,
            left: 0,
            taken: 0,
            state: seed | 1,
        }
    }

    /// Whether the next query is selected.
    pub(crate) fn take(&mut self) -> bool {
        if self.left == 0 {
            self.left = self.rate.max(1);
            self.taken = self.below(self.left);
        }
        self.left -= 1;
        self.left == self.taken
    }

    /// A number below `bound`, by xorshift (Marsaglia 2003).
    const fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (((self.state >> 32) * bound as u64) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_run_one_is_taken_and_not_always_the_same() {
        for (rate, seed) in [(1, 0), (2, 7), (100, 0), (100, u64::MAX), (1_000_000, 3)] {
            let mut sampler = Sampler::new(rate, seed);
            let mut places = Vec::new();
            for _ in 0..4 {
                let run: Vec<_> = (0..rate).filter(|_| sampler.take()).collect();
                assert_eq!(run.len(), 1, "{rate} {seed}");
                places.extend(run);
            }
            let same = places.windows(2).all(|two| two[0] == two[1]);
            assert!(!same || rate <= 2, "{rate} {seed}: {places:?}");
        }
    }

    #[test]
    fn what_comes_in_turns_is_seen_in_equal_parts() {
        let mut sampler = Sampler::new(100, 1);
        let taken = (0..1_000_000u32).filter(|_| sampler.take());
        let even = taken.filter(|at| at % 2 == 0).count();
        assert!((4_700..5_300).contains(&even), "{even} of 10000");
    }
}
