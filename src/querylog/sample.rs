//! Which of many queries are logged, when one in so many is.
//!
//! One of each run of as many, at a place drawn anew for each run: so a count can be restored to
//! within a run, and what comes in turns (A, AAAA, A, AAAA) is not seen half. The worker's own, so
//! that nobody waits for anybody; an operator's numbers hang on it and no secret, so that a cheap
//! generator will do.

/// One worker's choice.
#[derive(Debug)]
pub(crate) struct Sampler {
    rate: u32,
    /// How many are left of this run.
    left: u32,
    /// The one that is taken: when so many are left.
    taken: u32,
    /// Of the generator; never 0.
    state: u64,
}

impl Sampler {
    /// Takes one in `rate`, from a beginning that `seed` determines.
    pub(crate) const fn new(rate: u32, seed: u64) -> Self {
        Self {
            rate,
            left: 0,
            taken: 0,
            state: seed | 1,
        }
    }

    /// Whether the next one is taken.
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
