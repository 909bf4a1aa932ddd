//! How many questions may be asked twice for speed: a token bucket in units of questions, so that
//! it needs no clock.
//!
//! Without it, servers that become slow all at once would get twice the load when they can bear it
//! least.

/// Each question earns one part, and a hedge costs as many: one question in twenty.
const COST: u32 = 20;
/// What can be saved up: the first questions after a quiet time are the ones that find a dead server.
const MOST: u32 = 10 * COST;

/// What is left to spend.
#[derive(Debug)]
pub(super) struct HedgeBudget(u32);

impl Default for HedgeBudget {
    fn default() -> Self {
        Self(MOST)
    }
}

impl HedgeBudget {
    /// A question is asked.
    pub(super) fn earn(&mut self) {
        self.0 = (self.0 + 1).min(MOST);
    }

    /// Whether one more may be asked early; if so, that is paid for.
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
    fn one_question_in_twenty_once_the_savings_are_spent() {
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
