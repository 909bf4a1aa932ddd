//! Rules that are tied: two of them could win the same question.
//!
//! Only entries of one name and rank can be tied, and a file may have a thousand rules on each of many names. So
//! rules are not compared with each other. Each type notes the groups that it has been taken for, and a rule that
//! finds one of its groups taken for one of its types is tied with an earlier one; only then is that one looked
//! for. The work grows with the types that the rules list, not with its square.

use super::{
    Conflict, Pattern, Rule, RuleId,
    build::{MAX_CONFLICTS, MAX_RULES_OF_NAME},
    name_index::{NameIndexBuilder, PlacedPattern},
};

/// Finds the rules that are tied, until there are more conflicts than are listed.
pub(super) fn find(draft: &NameIndexBuilder, rules: &[Rule], conflicts: &mut Vec<Conflict>) {
    let mut taken = Taken::default();
    // The rules of the last name and rank that had no conflict: the names of one list have the same ones.
    let mut clear: Vec<RuleId> = Vec::new();
    for of_name in draft.by_name() {
        if of_name.len() > MAX_RULES_OF_NAME {
            let pattern = of_name.first().and_then(|entry| pattern_of(entry, rules));
            conflicts.extend(pattern.map(|pattern| Conflict::TooManyOfName {
                pattern,
                count: of_name.len(),
            }));
        } else {
            for of_rank in of_name.chunk_by(|one, other| one.rank == other.rank) {
                let ids = of_rank.iter().map(|entry| entry.rule);
                if of_rank.len() > 1 && !ids.clone().eq(clear.iter().copied()) {
                    let before = conflicts.len();
                    among(of_rank, rules, &mut taken, conflicts);
                    if conflicts.len() == before {
                        clear.clear();
                        clear.extend(ids);
                    }
                }
            }
        }
        if conflicts.len() > MAX_CONFLICTS {
            return;
        }
    }
}

/// Finds those of one name and rank. They are in the order of their rules, each rule's once.
fn among(
    of_rank: &[PlacedPattern],
    rules: &[Rule],
    taken: &mut Taken,
    conflicts: &mut Vec<Conflict>,
) {
    taken.begin();
    for (at, second) in of_rank.iter().enumerate() {
        let Some(rule) = rule_of(second, rules) else {
            continue;
        };
        if !taken.take(rule) {
            continue;
        }
        for first in of_rank.iter().take(at) {
            if rule_of(first, rules).is_none_or(|first| overlap(first, rule)) {
                let pattern = pattern_of(second, rules);
                conflicts.extend(pattern.map(|pattern| Conflict::TiedRules {
                    first: first.rule,
                    second: second.rule,
                    pattern,
                }));
            }
            if conflicts.len() > MAX_CONFLICTS {
                return;
            }
        }
    }
}

/// Which groups each type has been taken for on one name. Groups are bits; a rule for everybody has them all.
#[derive(Debug, Default)]
struct Taken {
    /// By the number of the type, once there is any: in which round, and for whom.
    listed: Vec<(u32, u64)>,
    round: u32,
    /// By rules for every type.
    any: u64,
    /// By rules that list types, whichever.
    some: u64,
    /// How many types were looked at.
    #[cfg(test)]
    looks: usize,
}

impl Taken {
    /// Forgets everything: another name, or another rank.
    fn begin(&mut self) {
        (self.any, self.some) = (0, 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.listed.fill((0, 0));
            self.round = 1;
        }
    }

    /// Notes a rule, and tells whether an earlier one has one of its types and groups.
    fn take(&mut self, rule: &Rule) -> bool {
        let groups = rule.groups.map_or(u64::MAX, |groups| groups.bits());
        let Some(types) = rule.types.listed() else {
            let tied = (self.any | self.some) & groups != 0;
            self.any |= groups;
            return tied;
        };
        if types.is_empty() {
            return false;
        }
        if self.listed.is_empty() {
            self.listed.resize(1 << u16::BITS, (0, 0));
        }
        let mut met = self.any;
        self.some |= groups;
        for rtype in types {
            #[cfg(test)]
            {
                self.looks += 1;
            }
            if let Some((round, of_type)) = self.listed.get_mut(usize::from(rtype.0)) {
                if *round != self.round {
                    (*round, *of_type) = (self.round, 0);
                }
                met |= *of_type;
                *of_type |= groups;
            }
        }
        met & groups != 0
    }
}

/// Whether there is a question that rules of entries of one name and rank could both win. Names do
/// not tell them apart: `.x` and `*.x` meet below x. Neither does time: what has not begun to differ
/// before it ends is tied until then.
fn overlap(first: &Rule, second: &Rule) -> bool {
    let groups = match (first.groups, second.groups) {
        (Some(first), Some(second)) => first.intersects(second),
        _ => true,
    };
    groups && first.types.intersects(&second.types)
}

fn rule_of<'r>(entry: &PlacedPattern, rules: &'r [Rule]) -> Option<&'r Rule> {
    rules.get(entry.rule.0 as usize)
}

fn pattern_of(entry: &PlacedPattern, rules: &[Rule]) -> Option<Pattern> {
    rule_of(entry, rules)?
        .patterns
        .get(entry.pattern as usize)
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Action, GroupId, RuleOrigin, TypeSet};

    /// Rules about the same names that share no type, each with the same number of them.
    fn rules(count: u16, names: usize, types: u16) -> Vec<Rule> {
        let patterns: Vec<Pattern> = (0..names)
            .map(|at| format!("d{at}.example").parse().expect("a pattern"))
            .collect();
        let rule = |at: u16| Rule {
            name: format!("r{at}").into(),
            patterns: patterns.clone(),
            groups: Some([GroupId(0)].into_iter().collect()),
            types: (0..types)
                .map(|of| crate::dns::RecordType(1000 + at * types + of))
                .collect::<TypeSet>(),
            until: None,
            reason: None,
            action: Action::Deny,
            deny_with: None,
            origin: RuleOrigin::Configured,
        };
        (0..count).map(rule).collect()
    }

    fn looks(rules: &[Rule]) -> usize {
        let draft = NameIndexBuilder::new(rules).expect("room");
        let mut taken = Taken::default();
        let mut conflicts = Vec::new();
        for of_name in draft.by_name() {
            among(of_name, rules, &mut taken, &mut conflicts);
        }
        assert_eq!(conflicts, []);
        taken.looks
    }

    #[test]
    fn the_work_grows_with_the_rules_and_not_with_their_square() {
        let (some, twice) = (looks(&rules(200, 5, 30)), looks(&rules(400, 5, 30)));
        assert_eq!((some, twice), (200 * 5 * 30, 400 * 5 * 30));
    }
}
