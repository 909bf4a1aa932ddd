//! From rules and groups to a policy, or to everything that keeps them from being one.
//!
//! A policy is built whole or not at all, and order in the file never matters: where two rules
//! could both win the same question, that is an error here, not a coin that a decision tosses.

use ipnet::IpNet;

use super::{
    Action, DenyWith, Group, GroupId, MAX_GROUPS, Origin, Pattern, Policy, Rule, RuleId,
    clients::ClientSet,
    filters::Filters,
    names::{Draft, MAX_RULES, Placed},
};

/// The most conflicts that are listed: who sees so many has one cause to find, not as many.
pub const MAX_CONFLICTS: usize = 100;
/// The most rules with one name that are compared with each other. No official reference: far above
/// groups × types that anybody tells apart, and low enough that comparing all of them takes no time.
pub const MAX_RULES_OF_NAME: usize = 1000;
/// The longest text that a denial carries, in bytes: it travels in every denied reply.
pub const MAX_TEXT: usize = 200;

/// Why rules and groups are no policy. Rules and groups go by number: who knows the file knows
/// their names and places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Two rules could win the same question.
    #[error(
        "two rules are about `{pattern}` for the same clients and types, and neither goes before the other; give them different groups or types, or remove one"
    )]
    TiedRules {
        /// The one with the lower number.
        first: RuleId,
        /// The other.
        second: RuleId,
        /// The pattern as the second has it; the first has one of the same name.
        pattern: Pattern,
    },
    /// Two groups claim the same CIDR.
    #[error("two client groups have the CIDR {cidr}; a client belongs to one group")]
    SameCidr {
        /// What both have, without host bits.
        cidr: IpNet,
        /// The one with the lower number.
        first: GroupId,
        /// The other.
        second: GroupId,
    },
    /// More rules about one name than [`MAX_RULES_OF_NAME`].
    #[error(
        "{count} rules are about `{pattern}`; {MAX_RULES_OF_NAME} are the most that one name may have"
    )]
    TooManyOfName {
        /// One of them.
        pattern: Pattern,
        /// How many there are.
        count: usize,
    },
    /// More groups than [`MAX_GROUPS`].
    #[error("there are {count} client groups; {MAX_GROUPS} are the most")]
    TooManyGroups {
        /// How many there are.
        count: usize,
    },
    /// More rules than can be numbered.
    #[error("there are {count} rules; {MAX_RULES} are the most")]
    TooManyRules {
        /// How many there are.
        count: usize,
    },
    /// More names than the tree can hold.
    #[error("the rules have too many names: their labels do not fit into 4 GiB")]
    TooManyNames,
    /// There are more conflicts than [`MAX_CONFLICTS`]; these are the first.
    #[error("there are more conflicts like these; the first {MAX_CONFLICTS} are listed")]
    More,
}

impl Policy {
    /// Builds the policy: `groups` with their CIDRs, `rules` with their patterns, and how a denial
    /// is answered where neither rule nor group says. The numbers of groups and rules are their
    /// places in these lists.
    ///
    /// # Errors
    /// With every [`Conflict`], at most [`MAX_CONFLICTS`] and a last one that says so.
    pub fn build(
        groups: Vec<(Group, Vec<IpNet>)>,
        rules: Vec<Rule>,
        deny_with: DenyWith,
    ) -> Result<Self, Vec<Conflict>> {
        let mut conflicts = count_conflicts(&groups, &rules);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let (groups, cidrs): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let clients = clients_of(cidrs, &mut conflicts);
        let draft = Draft::new(&rules).map_err(|_| vec![Conflict::TooManyNames])?;
        find_ties(&draft, &rules, &mut conflicts);
        if conflicts.len() > MAX_CONFLICTS {
            conflicts.truncate(MAX_CONFLICTS);
            conflicts.push(Conflict::More);
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let names = draft.finish().map_err(|_| vec![Conflict::TooManyNames])?;
        let mut rules = rules;
        for rule in &mut rules {
            rule.patterns = Vec::new();
        }
        Ok(Self {
            groups,
            texts: rules.iter().map(text_of).collect(),
            filters: Filters::new(&rules, None, Vec::new()),
            rules,
            clients,
            names,
            deny_with,
            observe: None,
        })
    }
}

fn count_conflicts(groups: &[(Group, Vec<IpNet>)], rules: &[Rule]) -> Vec<Conflict> {
    let groups = (groups.len() > MAX_GROUPS).then_some(Conflict::TooManyGroups {
        count: groups.len(),
    });
    let rules = (rules.len() > MAX_RULES).then_some(Conflict::TooManyRules { count: rules.len() });
    groups.into_iter().chain(rules).collect()
}

fn clients_of(cidrs: Vec<Vec<IpNet>>, conflicts: &mut Vec<Conflict>) -> ClientSet {
    let cidrs = (0..)
        .map(GroupId)
        .zip(cidrs)
        .flat_map(|(group, cidrs)| cidrs.into_iter().map(move |cidr| (cidr, group)));
    ClientSet::new(cidrs).unwrap_or_else(|contested| {
        conflicts.extend(contested.into_iter().map(|contested| Conflict::SameCidr {
            cidr: contested.cidr,
            first: contested.first,
            second: contested.second,
        }));
        ClientSet::default()
    })
}

/// Finds the rules that are tied, until there are more conflicts than are listed. Only entries of
/// one name and rank can be, so a list of a million names costs one comparison a name.
fn find_ties(draft: &Draft, rules: &[Rule], conflicts: &mut Vec<Conflict>) {
    for of_name in draft.by_name() {
        if of_name.len() > MAX_RULES_OF_NAME {
            let pattern = of_name.first().and_then(|entry| pattern_of(entry, rules));
            conflicts.extend(pattern.map(|pattern| Conflict::TooManyOfName {
                pattern,
                count: of_name.len(),
            }));
            continue;
        }
        for of_rank in of_name.chunk_by(|one, other| one.rank == other.rank) {
            // Entries of one rank are in the order of their rules, each rule's once.
            for (at, second) in of_rank.iter().enumerate() {
                for first in of_rank.iter().take(at) {
                    if overlap(first, second, rules) {
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
    }
}

/// Whether there is a question that both entries, of one name and rank, could win. Names do not
/// tell them apart: `.x` and `*.x` meet below x. Neither does time: what has not begun to differ
/// before it ends is tied until then.
fn overlap(first: &Placed, second: &Placed, rules: &[Rule]) -> bool {
    let rule = |entry: &Placed| rules.get(entry.rule.0 as usize);
    let (Some(first), Some(second)) = (rule(first), rule(second)) else {
        return true;
    };
    let groups = match (first.groups, second.groups) {
        (Some(first), Some(second)) => first.intersects(second),
        _ => true,
    };
    groups && first.types.intersects(&second.types)
}

fn pattern_of(entry: &Placed, rules: &[Rule]) -> Option<Pattern> {
    let rule = rules.get(entry.rule.0 as usize)?;
    rule.patterns.get(entry.pattern as usize).cloned()
}

/// What a denial by this rule says to the client, in an extended DNS error (RFC 8914): the name
/// that an operator can look for, and the reason that a user can read.
fn text_of(rule: &Rule) -> Box<str> {
    if rule.action != Action::Deny {
        return Box::default();
    }
    let mut text = match rule.origin {
        Origin::Configured => format!("rule {}", rule.name),
        Origin::BuiltIn => rule.name.to_string(),
    };
    if let Some(reason) = &rule.reason {
        text.push_str(": ");
        text.push_str(reason);
    }
    // A line break from a folded YAML string would break the line that shows it.
    let mut text = text.replace(char::is_control, " ");
    let cut = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let cut = cut.take_while(|&end| end <= MAX_TEXT).last();
    text.truncate(cut.unwrap_or(0));
    text.into()
}
