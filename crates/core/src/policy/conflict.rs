//! Conflicts that prevent building a policy from rules and groups, and the search for two rules that
//! could win the same question.

use ipnet::IpNet;

use super::{
    Rule,
    entry::MAX_RULES,
    index_builder::{NameIndexBuilder, PlacedPattern},
    pattern::Pattern,
    rule::{GroupId, MAX_GROUPS, RuleId},
};

/// The maximum number of listed conflicts; so many usually have one cause.
pub const MAX_CONFLICTS: usize = 100;
/// The maximum number of rules for one name. No official reference: it far exceeds any useful
/// number of groups × types, and comparing so many rules is fast.
pub const MAX_RULES_OF_NAME: usize = 1000;
/// A conflict between rules or groups. It refers to them by number; the caller knows their names
/// and positions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Two rules could win the same question.
    #[error(
        "two rules are about `{pattern}` for the same clients and types, and neither takes precedence; give them different groups or types, or remove one"
    )]
    TiedRules {
        /// The rule with the lower number.
        first: RuleId,
        /// The other rule.
        second: RuleId,
        /// The pattern of the second rule; the first has a pattern with the same name.
        pattern: Pattern,
    },
    /// Two groups claim the same CIDR.
    #[error("two client groups have the CIDR {cidr}; a client belongs to one group")]
    SameCidr {
        /// The CIDR, without host bits.
        cidr: IpNet,
        /// The group with the lower number.
        first: GroupId,
        /// The other group.
        second: GroupId,
    },
    /// One name has more than [`MAX_RULES_OF_NAME`] rules.
    #[error(
        "{count} rules are about `{pattern}`; {MAX_RULES_OF_NAME} are the most that one name may have"
    )]
    TooManyOfName {
        /// One of the patterns.
        pattern: Pattern,
        /// The number of rules.
        count: usize,
    },
    /// There are more than [`MAX_GROUPS`] groups.
    #[error("there are {count} client groups; {MAX_GROUPS} are the most")]
    TooManyGroups {
        /// The number of groups.
        count: usize,
    },
    /// There are more rules than numbers.
    #[error("there are {count} rules; {MAX_RULES} are the most")]
    TooManyRules {
        /// The number of rules.
        count: usize,
    },
    /// The names exceed the capacity of the tree.
    #[error("the rules have too many names: their labels do not fit into 4 GiB")]
    TooManyNames,
    /// There are more than [`MAX_CONFLICTS`] conflicts; only the first are listed.
    #[error("there are more conflicts like these; the first {MAX_CONFLICTS} are listed")]
    More,
}

/// Finds tied rules, until there are more conflicts than are listed.
///
/// Only entries of the same name and rank can tie, and a file may have a thousand rules for each of
/// many names. So this module does not compare all pairs. For each type it records the groups of
/// the rules seen so far. A rule that finds one of its groups recorded for one of its types is tied
/// with an earlier rule; only then does the module search for that rule. The work grows linearly
/// with the number of listed types, not quadratically.
pub(super) fn find_ties(draft: &NameIndexBuilder, rules: &[Rule], conflicts: &mut Vec<Conflict>) {
    let mut taken = Taken::default();
    // The rules of the last name and rank without a conflict. Names of one list have the same
    // rules.
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

/// Finds the ties among entries of one name and rank. The entries are sorted by rule, with one
/// entry per rule.
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

/// The groups recorded for each type at one name, as bits. A rule for every group sets all bits.
#[derive(Debug, Default)]
struct Taken {
    /// By type number, allocated on first use: the round of the record, and the groups.
    listed: Vec<(u32, u64)>,
    round: u32,
    /// The groups of rules for every type.
    any: u64,
    /// The groups of rules that list types.
    some: u64,
    /// The number of types examined.
    #[cfg(test)]
    looks: usize,
}

impl Taken {
    /// Clears the records for the next name or rank.
    fn begin(&mut self) {
        (self.any, self.some) = (0, 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.listed.fill((0, 0));
            self.round = 1;
        }
    }

    /// Records a rule and returns whether an earlier rule has a type and a group in common with it.
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

/// Whether rules with entries of the same name and rank could both win a question. The pattern kind
/// does not separate them: `.x` and `*.x` overlap below x. Expiry does not either: both rules are
/// in force until the first one expires.
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
    use crate::policy::{Action, GroupId, RuleOrigin, TypeSet};

    use super::*;

    /// Rules about the same names that share no type, each with the same number of them.
    fn rules(count: u16, names: usize, types: u16) -> Vec<Rule> {
        let patterns: Vec<Pattern> = (0..names)
            .map(|at| format!("d{at}.example").parse().expect("a pattern"))
            .collect();
        let rule = |at: u16| Rule {
            groups: Some([GroupId(0)].into_iter().collect()),
            types: (0..types)
                .map(|of| crate::dns::RecordType(1000 + at * types + of))
                .collect::<TypeSet>(),
            ..Rule::new(
                format!("r{at}").into(),
                patterns.clone(),
                Action::Deny,
                RuleOrigin::Configured,
            )
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
