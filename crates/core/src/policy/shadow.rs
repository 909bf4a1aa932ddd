//! Rules that can never win, because better ones on the same names leave them no question.
//!
//! Only entries on one name are compared. A rule on a longer name takes questions from one on a
//! shorter name, but never all of them: there is always another name below. Types that several rules
//! cover between them are not added up, and a group without addresses counts like any other: a
//! warning that is wrong costs more than one that is missing.

use super::{
    GroupSet, Policy, Rule, RuleId,
    name_index::{Coverage, PatternKind},
};

/// A rule that can never win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The rule.
    pub rule: RuleId,
    /// The best of the rules that win in its place. Often it is the only one.
    pub by: RuleId,
}

/// What is known of a rule after some of its entries.
#[derive(Clone, Copy, Debug)]
enum Cover {
    /// It has no entry so far.
    Unseen,
    /// This rule, perhaps with others, covers all of its entries so far.
    By(RuleId),
    /// It can win.
    Open,
}

impl Policy {
    /// The rules of the configuration that can never win, in the order of their numbers: each of
    /// their names is covered, for all of their groups and types and as long as they last, by
    /// better rules. Only what is certain is reported.
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
            // The names of one list have the same entries, of which the first one has told all.
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

    /// The best of the entries that together cover one of the same name, if they do.
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

/// What can be seen of a rule at a glance: a thousand rules of one name are compared with each other.
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

    /// Whether a rule may cover part of another one, as far as can be seen.
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
