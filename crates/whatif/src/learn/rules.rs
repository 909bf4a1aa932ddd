//! Builds rules that allow the wanted names, and as little else as stays readable.
//!
//! A rule is for one registrable domain, one set of client groups, and the types that rules forward
//! by default. Other types can carry arbitrary data in both directions, so they get rules of their
//! own, for exactly these types and never for a subtree. No two rules have the same pattern, group
//! and type, so no rules are tied.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    observed::{ObservedQuestion, TimesSeen},
    subtrees::{self, DomainLine, ancestor},
    wanted::ExistingPolicy,
};
use crate::words::without_dot;
use dnsgate_config::{PublicSuffix, default_types};
use dnsgate_core::dns::{Name, NameRef, RecordType};

/// The most types in one rule of a configuration.
const MAX_TYPES: usize = 64;
/// The most characters of a rule's name that come from the domain: the rest of the 64 characters
/// distinguishes rules of the same domain.
const MAX_BASE: usize = 44;

type GroupNames<'p> = BTreeSet<&'p str>;

/// One rule to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LearntRule<'p> {
    pub(super) name: String,
    pub(super) lines: Vec<DomainLine>,
    /// The types; empty means the default ones.
    pub(super) types: Vec<RecordType>,
    /// The client groups; `None` means every group.
    pub(super) groups: Option<GroupNames<'p>>,
    pub(super) seen: TimesSeen,
    /// A warning to consider before the rule is used.
    pub(super) warning: Option<String>,
}

/// The questions for one domain.
struct RuleDomain<'p> {
    name: Name,
    /// The fewest labels that a subtree may have.
    floor: usize,
    warning: Option<String>,
    observed: Vec<&'p ObservedQuestion>,
}

/// The rules, ordered by domain.
pub(super) fn rules<'p>(
    wanted: &[&'p ObservedQuestion],
    existing: ExistingPolicy<'_>,
) -> Vec<LearntRule<'p>> {
    let mut domains: BTreeMap<Vec<Vec<u8>>, RuleDomain<'p>> = BTreeMap::new();
    for &observed in wanted {
        let of = domain_of(&observed.name);
        let domain = domains.entry(from_root(of.name.as_ref())).or_insert(of);
        domain.observed.push(observed);
    }
    let all: Option<BTreeSet<String>> = existing
        .groups()
        .map(|names| names.map(str::to_owned).collect());
    let mut taken: HashSet<String> = existing.rule_names().map(str::to_owned).collect();
    let mut rules = Vec::new();
    for domain in domains.values() {
        for ((types, groups), mut lines) in lines_of(domain, existing) {
            let Some(seen) = lines.iter().map(|line| line.seen).reduce(TimesSeen::and) else {
                continue;
            };
            lines.sort_by_cached_key(|line| from_root(line.pattern.name()));
            let is_all = groups.contains("")
                || all.as_ref().is_some_and(|all| {
                    all.len() == groups.len() && groups.iter().all(|&group| all.contains(group))
                });
            rules.push(LearntRule {
                name: rule_name(domain.name.as_ref(), &types, &mut taken),
                lines,
                types,
                groups: (!is_all).then_some(groups),
                seen,
                warning: domain.warning.clone(),
            });
        }
    }
    rules
}

/// The domain of a name.
fn domain_of(name: &Name) -> RuleDomain<'static> {
    let labels = name.as_ref().label_count();
    let suffix = PublicSuffix::of(name.as_ref());
    let own = suffix.labels + 1;
    let domain = |labels| {
        let found = ancestor(name.as_ref(), labels);
        found.map_or_else(|| name.clone(), NameRef::to_name)
    };
    let (name, warning) = if suffix.is_service {
        // All customers of a service together: one rule for each customer would mean one for each name.
        let service = domain(suffix.labels);
        let warning = format!(
            "anybody can register a name under {}; keep only the names you mean",
            without_dot(&service)
        );
        (service, Some(warning))
    } else if labels >= own {
        (domain(own), None)
    } else if labels > 1 {
        let warning = format!("{} is a public suffix", without_dot(name));
        (name.clone(), Some(warning))
    } else {
        let warning = format!(
            "{} is a single label; a search list that is missing often asks for one",
            without_dot(name)
        );
        (name.clone(), Some(warning))
    };
    RuleDomain {
        name,
        floor: own,
        warning,
        observed: Vec::new(),
    }
}

/// The lines of each rule of a domain, keyed by the types and groups that distinguish the rules.
fn lines_of<'p>(
    domain: &RuleDomain<'p>,
    existing: ExistingPolicy<'_>,
) -> BTreeMap<(Vec<RecordType>, GroupNames<'p>), Vec<DomainLine>> {
    let common = default_types();
    // For each group, the names in the common types: subtrees are formed for each group separately.
    let mut by_group: BTreeMap<&str, BTreeMap<&Name, TimesSeen>> = BTreeMap::new();
    // For each question, the groups: these rules must list their types.
    let mut listed: BTreeMap<(&Name, RecordType), (GroupNames<'p>, TimesSeen)> = BTreeMap::new();
    for observed in &domain.observed {
        let ObservedQuestion {
            name, group, seen, ..
        } = observed;
        let is_common = common.contains(observed.rtype) && !existing.has_rule_for(name, group);
        if is_common {
            let names = by_group.entry(group).or_default();
            let sum = names.entry(name).or_insert(none(*seen));
            *sum = sum.and(*seen);
        } else {
            let (groups, sum) = listed
                .entry((name, observed.rtype))
                .or_insert((GroupNames::new(), none(*seen)));
            groups.insert(group);
            *sum = sum.and(*seen);
        }
    }
    let mut rules = BTreeMap::new();
    common_lines(&by_group, domain.floor, &mut rules);
    listed_lines(listed, &mut rules);
    rules
}

/// The same times with a count of zero.
const fn none(seen: TimesSeen) -> TimesSeen {
    TimesSeen { count: 0, ..seen }
}

fn common_lines<'p>(
    by_group: &BTreeMap<&'p str, BTreeMap<&Name, TimesSeen>>,
    floor: usize,
    rules: &mut BTreeMap<(Vec<RecordType>, GroupNames<'p>), Vec<DomainLine>>,
) {
    let mut by_pattern: BTreeMap<String, (GroupNames<'p>, DomainLine)> = BTreeMap::new();
    for (group, names) in by_group {
        for line in subtrees::lines(names, floor) {
            let key = line.pattern.to_string();
            let (groups, sum) = by_pattern.entry(key).or_insert_with(|| {
                let mut empty = line.clone();
                empty.names.clear();
                empty.seen = none(line.seen);
                (GroupNames::new(), empty)
            });
            groups.insert(group);
            sum.seen = sum.seen.and(line.seen);
            sum.names.extend(line.names);
        }
    }
    for (groups, mut line) in by_pattern.into_values() {
        line.names
            .sort_by_cached_key(|name| from_root(name.as_ref()));
        line.names.dedup();
        rules.entry((Vec::new(), groups)).or_default().push(line);
    }
}

fn listed_lines<'p>(
    listed: BTreeMap<(&Name, RecordType), (GroupNames<'p>, TimesSeen)>,
    rules: &mut BTreeMap<(Vec<RecordType>, GroupNames<'p>), Vec<DomainLine>>,
) {
    let mut by_name: BTreeMap<(&Name, GroupNames<'p>), Vec<(RecordType, TimesSeen)>> =
        BTreeMap::new();
    for ((name, rtype), (groups, seen)) in listed {
        by_name
            .entry((name, groups))
            .or_default()
            .push((rtype, seen));
    }
    for ((name, groups), asked) in by_name {
        for asked in asked.chunks(MAX_TYPES) {
            let types = asked.iter().map(|&(rtype, _)| rtype).collect();
            let seen = asked.iter().map(|&(_, seen)| seen).reduce(TimesSeen::and);
            let line = seen.map(|seen| DomainLine::exact(name, seen));
            rules
                .entry((types, groups.clone()))
                .or_default()
                .extend(line);
        }
    }
}

/// A unique name for a rule, derived from the domain as far as possible.
fn rule_name(domain: NameRef<'_>, types: &[RecordType], taken: &mut HashSet<String>) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let text = domain.to_string();
    let text = text.trim_end_matches('.');
    let mut base: String = text
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    if !base.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        base.insert(0, 'x');
    }
    base.truncate(MAX_BASE);
    match types {
        [] => {}
        [rtype] => base.push_str(&format!("-{rtype}").to_ascii_lowercase()),
        _ => base.push_str("-types"),
    }
    let mut name = base.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}

/// The labels from the root on: this order keeps the names of a domain together.
fn from_root(name: NameRef<'_>) -> Vec<Vec<u8>> {
    let mut labels: Vec<Vec<u8>> = name.labels().map(<[u8]>::to_vec).collect();
    labels.reverse();
    labels
}
