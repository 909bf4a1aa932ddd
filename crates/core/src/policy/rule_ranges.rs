//! The ranges of all rules that forward, each list of them merged and sorted once: many rules have
//! the same ones, most often none of their own.

use std::{collections::HashMap, net::IpAddr};

use super::{Action, AnswerRanges, Forwarding, Ranges, Rule, RuleId};

/// For rules that do not forward: of those nothing is answered by an upstream.
static NONE: Ranges = Ranges::NONE;

/// What the answers to each rule's questions may hold.
#[derive(Clone, Debug)]
pub(super) struct RuleRanges {
    /// Each once.
    ranges: Vec<Ranges>,
    /// Where in `ranges` those of a rule are, by its number; nowhere for one that does not forward.
    of_rule: Vec<Option<u32>>,
    /// Those of what is only observed.
    observed: Option<u32>,
    /// The addresses that are in all of them.
    always: Vec<IpAddr>,
}

/// What was made so far.
#[derive(Default)]
struct RangeTable<'r> {
    ranges: Vec<Ranges>,
    known: HashMap<&'r AnswerRanges, u32>,
}

impl<'r> RangeTable<'r> {
    fn place(&mut self, answers: &'r AnswerRanges, always: &[IpAddr]) -> u32 {
        *self.known.entry(answers).or_insert_with(|| {
            self.ranges.push(Ranges::new(answers, always));
            // No more than there are rules, which are numbered in 28 bits, and one.
            (self.ranges.len() - 1) as u32
        })
    }
}

impl RuleRanges {
    /// Those of the rules, in the order of their numbers, and of what is observed.
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

    /// The same with what is observed.
    pub(super) fn observing(mut self, observed: &Forwarding) -> Self {
        self.observed = Some(self.ranges.len() as u32);
        self.ranges
            .push(Ranges::new(&observed.answers, &self.always));
        self
    }

    /// Those of a rule; where there are none, those that hold no address.
    pub(super) fn of_rule(&self, id: RuleId) -> &Ranges {
        self.at(self.of_rule.get(id.0 as usize).copied().flatten())
    }

    /// Those of what is only observed.
    pub(super) fn observed(&self) -> &Ranges {
        self.at(self.observed)
    }

    fn at(&self, place: Option<u32>) -> &Ranges {
        let ranges = place.and_then(|at| self.ranges.get(at as usize));
        ranges.unwrap_or(&NONE)
    }
}
