//! Finds rules that can never win, because better rules for the same names match all their
//! questions.
//!
//! It compares only entries of the same name: a rule for a longer name takes some questions from a
//! rule for a shorter name, but never all. It does not add up types that several rules cover
//! together, and it counts a group without addresses like any other. A missing warning costs less
//! than a wrong one.

use super::{
    GroupSet, Policy, Rule, RuleId,
    entry::{Coverage, PatternKind},
};

/// A rule that can never win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The rule.
    pub rule: RuleId,
    /// The best of the rules that win in its place; often the only one.
    pub by: RuleId,
}

/// The coverage of a rule by the entries seen so far.
#[derive(Clone, Copy, Debug)]
enum Cover {
    /// No entry of the rule was seen.
    Unseen,
    /// This rule, possibly with others, covers all entries seen.
    By(RuleId),
    /// The rule can win.
    Open,
}

impl Policy {
    /// The configured rules that can never win, ordered by number. For each of their names, better
    /// rules cover all their groups and types for as long as they are in force. The list contains
    /// only certain cases.
    #[must_use]
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let mut covers = vec![Cover::Unseen; self.rules.len()];
        let everybody = GroupSet::first(self.groups.len());
        let seen = self.rules.iter().map(|rule| Seen::of(rule, everybody));
        let seen: Vec<Seen> = seen.collect();
        let (mut entries, mut last) = (Vec::new(), Vec::new());
        for of_name in self.names.by_name() {
            entries.clear();
            entries.extend(of_name);
            // The names of one list have the same entries, so checking the first of them is
            // sufficient.
            if entries == last {
                continue;
            }
            for (at, &(id, kind)) in entries.iter().enumerate() {
                let better = entries.get(..at).unwrap_or_default();
                if let Some(cover) = covers.get_mut(id.0 as usize)
                    && !matches!(cover, Cover::Open)
                {
                    *cover = match (*cover, self.cover_of(id, kind, better, &seen)) {
                        (Cover::Open, _) | (_, None) => Cover::Open,
                        (Cover::Unseen, Some(by)) => Cover::By(by),
                        (Cover::By(by), Some(_)) => Cover::By(by),
                    };
                }
            }
            std::mem::swap(&mut entries, &mut last);
        }
        let ids = (0..).map(RuleId);
        ids.zip(covers)
            .filter_map(|(rule, cover)| match cover {
                Cover::By(by) => Some(Shadowed { rule, by }),
                Cover::Unseen | Cover::Open => None,
            })
            .collect()
    }

    /// The best of the entries that together cover an entry of the same name, if they do.
    fn cover_of(
        &self,
        id: RuleId,
        kind: PatternKind,
        better: &[(RuleId, PatternKind)],
        seen: &[Seen],
    ) -> Option<RuleId> {
        let rule = self.rule(id)?;
        if rule.origin.is_built_in() {
            return None; // it is there to be replaced
        }
        let reaches: &[Coverage] = match kind {
            PatternKind::Exact => &[Coverage::Name],
            PatternKind::Subtree => &[Coverage::Name, Coverage::Below],
            PatternKind::Below | PatternKind::Search => &[Coverage::Below],
        };
        let own = *seen.get(id.0 as usize)?;
        let mut best = None;
        for &reach in reaches {
            let able = better.iter().filter(|(id, kind)| {
                let other = seen.get(id.0 as usize);
                kind.covers(reach) && other.is_some_and(|other| other.may_cover(own))
            });
            let by = self.cover_of_part(rule, own, able.map(|&(id, _)| id), seen)?;
            best = best.or(Some(by));
        }
        best
    }

    fn cover_of_part(
        &self,
        rule: &Rule,
        own: Seen,
        able: impl Iterator<Item = RuleId>,
        seen: &[Seen],
    ) -> Option<RuleId> {
        let mut covered = GroupSet::EMPTY;
        let mut best = None;
        for id in able {
            let (other, groups) = (self.rule(id)?, seen.get(id.0 as usize)?.groups);
            if other.types.covers(&rule.types) && lasts_as_long(other, rule) {
                covered = covered.union(groups);
                best = best.or(Some(id));
            }
        }
        best.filter(|_| covered.covers(own.groups))
    }
}

/// A summary of a rule for a quick comparison: a name may have a thousand rules, each compared with
/// the others.
#[derive(Clone, Copy, Debug)]
struct Seen {
    groups: GroupSet,
    /// See [`TypeSet::signature`](super::TypeSet::signature).
    types: u64,
}

impl Seen {
    fn of(rule: &Rule, everybody: GroupSet) -> Self {
        Self {
            groups: rule.groups.unwrap_or(everybody),
            types: rule.types.signature(),
        }
    }

    /// Whether a rule may cover part of another, judged by their summaries.
    const fn may_cover(self, other: Self) -> bool {
        other.types & !self.types == 0 && self.groups.intersects(other.groups)
    }
}

/// Whether `other` is in force whenever `rule` is.
fn lasts_as_long(other: &Rule, rule: &Rule) -> bool {
    match (other.until, rule.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(other), Some(rule)) => other >= rule,
    }
}
