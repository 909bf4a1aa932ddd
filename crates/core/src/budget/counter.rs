//! One counter: the names of one party, rule and domain in a window, and how it is asked and shown.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::sketch::{BudgetCount, NameSketch};
use crate::{
    dns::{Name, NameRef},
    policy::Budget,
};

/// The memory of an entry in the two indexes of a counter, in bytes.
const INDEX_ENTRY: usize = 64;

/// A question that is about to be sent upstream.
#[derive(Clone, Copy, Debug)]
pub struct Spending<'q> {
    /// The name of the rule that forwards it.
    pub rule: &'q str,
    /// The budget of the rule.
    pub budget: Budget,
    /// The name of the client's group.
    pub group: &'q str,
    /// The client's address.
    pub client: IpAddr,
    /// The name.
    pub name: NameRef<'q>,
    /// The number of labels of its registered domain.
    pub domain_labels: usize,
}

/// What a question costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: the name is not below a registered domain, or is learnt.
    Free,
    /// It is within the budget.
    Within,
    /// It is beyond the budget.
    Over(Box<BudgetStanding>),
}

/// One counter, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStanding {
    /// The name of the rule.
    pub rule: Box<str>,
    /// Whose names it counts.
    pub party: CountedParty,
    /// The domain below which it counts.
    pub domain: CountedDomain,
    /// The client that asked last.
    pub client: IpAddr,
    /// What was counted.
    pub count: BudgetCount,
    /// The budget.
    pub budget: Budget,
    /// The time until the window ends.
    pub left: Duration,
    /// Whether a question was beyond the budget in this window.
    pub reported: bool,
    /// Whether the question is the first such one.
    pub is_first: bool,
}

/// Whose names a counter counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountedParty {
    /// Those of a client: its address, or its prefix.
    Client(IpAddr),
    /// Those of a group.
    Group(Box<str>),
    /// Those of everybody.
    Everybody,
}

/// The domain of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountedDomain {
    /// This registered domain.
    Registered(Name),
    /// All domains of the party without a counter of their own.
    Others,
    /// All domains of all parties that found no room in the table.
    Overflow,
}

/// One counter.
#[derive(Debug)]
pub(super) struct BudgetCounter {
    pub(super) key: u64,
    /// The key of the number of domains of its party and rule.
    pub(super) owner: u64,
    pub(super) rule: Box<str>,
    pub(super) party: CountedParty,
    pub(super) domain: CountedDomain,
    pub(super) client: IpAddr,
    pub(super) budget: Budget,
    pub(super) began: Instant,
    pub(super) sketch: NameSketch,
    /// Whether a question beyond the budget was reported in this window.
    pub(super) reported: bool,
}

impl BudgetCounter {
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= self.budget.window
    }

    pub(super) fn memory(&self) -> usize {
        let domain = match &self.domain {
            CountedDomain::Registered(name) => name.as_ref().wire().len(),
            CountedDomain::Others | CountedDomain::Overflow => 0,
        };
        size_of::<Self>() + INDEX_ENTRY + self.rule.len() + domain + self.sketch.memory()
    }

    pub(super) fn counted(
        &self,
        count: BudgetCount,
        now: Instant,
        is_first: bool,
    ) -> BudgetStanding {
        BudgetStanding {
            rule: self.rule.clone(),
            party: self.party.clone(),
            domain: self.domain.clone(),
            client: self.client,
            count,
            budget: self.budget,
            left: (self.began + self.budget.window).saturating_duration_since(now),
            reported: self.reported,
            is_first,
        }
    }

    /// The larger of the two used parts of the budget, in thousandths.
    pub(super) fn used(&self, count: BudgetCount) -> u64 {
        let part = |used: u64, of: u64| used.saturating_mul(1_000) / of.max(1);
        part(count.names, self.budget.names).max(part(count.bytes, self.budget.bytes))
    }
}
