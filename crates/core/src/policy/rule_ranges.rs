//! The ranges of all forwarding rules. Rules with equal lists share one compiled form; most rules
//! have no list.

use std::{collections::HashMap, net::IpAddr};

use super::{Action, AnswerRanges, Forwarding, Ranges, Rule, RuleId};

/// For rules that do not forward: no upstream answers their questions.
static NONE: Ranges = Ranges::NONE;

/// The addresses that the answers to each rule's questions may contain.
#[derive(Clone, Debug)]
pub(super) struct RuleRanges {
    /// The distinct ranges.
    ranges: Vec<Ranges>,
    /// The index in `ranges` of each rule's ranges, by rule number; `None` for a rule that does not
    /// forward.
    of_rule: Vec<Option<u32>>,
    /// The index of the ranges for observed questions.
    observed: Option<u32>,
    /// The addresses that all ranges contain.
    always: Vec<IpAddr>,
}

/// The ranges compiled so far.
#[derive(Default)]
struct RangeTable<'r> {
    ranges: Vec<Ranges>,
    known: HashMap<&'r AnswerRanges, u32>,
}

impl<'r> RangeTable<'r> {
    fn place(&mut self, answers: &'r AnswerRanges, always: &[IpAddr]) -> u32 {
        *self.known.entry(answers).or_insert_with(|| {
            self.ranges.push(Ranges::new(answers, always));
            // At most the number of rules, which has 28 bits, plus one.
            u32::try_from(self.ranges.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

impl RuleRanges {
    /// Compiles the ranges of the rules, in order of their numbers, and of observed questions.
    pub(super) fn new(rules: &[Rule], observed: Option<&Forwarding>, always: Vec<IpAddr>) -> Self {
        let mut made = RangeTable::default();
        let of_rule = rules.iter().map(|rule| match &rule.action {
            Action::Forward(forwarding) => Some(made.place(&forwarding.answers, &always)),
            Action::Zone(_) | Action::Answer(_) | Action::Deny => None,
        });
        let of_rule = of_rule.collect();
        let observed = observed.map(|forwarding| made.place(&forwarding.answers, &always));
        Self {
            ranges: made.ranges,
            of_rule,
            observed,
            always,
        }
    }

    /// Adds the ranges of observed questions.
    pub(super) fn observing(mut self, observed: &Forwarding) -> Self {
        self.observed = u32::try_from(self.ranges.len()).ok();
        self.ranges
            .push(Ranges::new(&observed.answers, &self.always));
        self
    }

    /// The ranges of a rule; empty if it has none.
    pub(super) fn of_rule(&self, id: RuleId) -> &Ranges {
        self.at(self.of_rule.get(id.0 as usize).copied().flatten())
    }

    /// The ranges of observed questions.
    pub(super) fn observed(&self) -> &Ranges {
        self.at(self.observed)
    }

    fn at(&self, place: Option<u32>) -> &Ranges {
        let ranges = place.and_then(|at| self.ranges.get(at as usize));
        ranges.unwrap_or(&NONE)
    }
}
