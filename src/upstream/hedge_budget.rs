//! Limits how many queries are hedged: a token bucket that counts queries, so it needs no clock.
//!
//! Without it, servers that all become slow at once would get twice the load at the worst moment.

/// Each query earns one token and a hedge costs this many, so one query in twenty can be hedged.
const COST: u32 = 20;
/// The maximum number of saved tokens: the first queries after a quiet time are the ones that
/// detect a dead server.
const MOST: u32 = 10 * COST;

/// The tokens that are left.
#[derive(Debug)]
pub(super) struct HedgeBudget(u32);

impl Default for HedgeBudget {
    fn default() -> Self {
        Self(MOST)
    }
}

impl HedgeBudget {
    /// Adds a token for a query.
    pub(super) fn earn(&mut self) {
        self.0 = (self.0 + 1).min(MOST);
    }

    /// Pays for a hedge, if the tokens suffice.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.0.checked_sub(COST);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_one_query_in_twenty_once_the_savings_are_spent() {
        let mut budget = HedgeBudget::default();
        let hedged = |budget: &mut HedgeBudget, questions: u32| {
            (0..questions)
                .filter(|_| {
                    budget.earn();
                    budget.spend()
                })
                .count()
        };
        assert_eq!(hedged(&mut budget, 10), 10, "savings");
        assert_eq!(hedged(&mut budget, 10_000), 500);
        for _ in 0..10_000 {
            budget.earn();
        }
        assert_eq!(hedged(&mut budget, 15), 10, "savings have a bound");
    }
}
