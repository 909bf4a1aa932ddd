//! The names of a rule that were used, and those that were not.

use std::collections::BTreeMap;

use super::evidence::{Evidence, RuleEvidence};
use dnsgate_core::{
    dns::{Name, RecordType},
    engine::RuleId,
    policy::{Pattern, Policy, RuleOrigin},
};
use std::time::SystemTime;

/// The most names that stand in the place of a subtree. With more, a list is longer than anybody
/// would review. No official reference.
pub(super) const FEW: usize = 50;

/// The patterns of a rule, sorted into what was used and what was not.
#[derive(Clone, Debug, Default)]
pub(super) struct PatternUse {
    pub(super) used: Vec<Pattern>,
    pub(super) unused: Vec<Pattern>,
    /// Subtrees that can be replaced by names, with the number of questions for each.
    pub(super) narrow: Vec<(Pattern, BTreeMap<Name, u64>)>,
}

/// Sorts the patterns of each rule. Rules without evidence have none here.
pub(super) fn by_rule(policy: &Policy, evidence: &Evidence, now: SystemTime) -> Vec<PatternUse> {
    let mut all = vec![PatternUse::default(); policy.rules().len()];
    for (_, id, pattern) in policy.entries(|_| true) {
        let (Some(own), Some(known)) = (all.get_mut(id.0 as usize), evidence.rule(id)) else {
            continue;
        };
        if !known.is_known {
            continue;
        }
        let names = narrow_names(known, &pattern);
        let has_names = names.as_ref().is_some_and(|names| !names.is_empty());
        let is_used = known.used.contains(&pattern) || has_names;
        match names.filter(|names| is_used && (1..=FEW).contains(&names.len())) {
            Some(_) if falls_to_another(policy, id, &pattern, now) => own.used.push(pattern),
            Some(names) => own.narrow.push((pattern, names)),
            None if is_used || !known.used_complete => own.used.push(pattern),
            None if falls_to_another(policy, id, &pattern, now) => own.used.push(pattern),
            None => own.unused.push(pattern),
        }
    }
    let text = |it: &Pattern| it.to_string();
    for own in &mut all {
        own.used.sort_by_cached_key(text);
        own.unused.sort_by_cached_key(text);
        own.narrow.sort_by_cached_key(|(pattern, _)| text(pattern));
    }
    all
}

/// The names below a subtree that were asked for, if all are known. They are not if an alias led
/// below a subtree of the rule: such names are the upstream's to choose.
fn narrow_names(known: &RuleEvidence, pattern: &Pattern) -> Option<BTreeMap<Name, u64>> {
    if matches!(pattern, Pattern::Exact(_)) || !known.names_complete || known.is_target {
        return None;
    }
    known.names.get(&pattern.to_string()).cloned()
}

/// Whether questions for the names of a pattern would come to another rule that allows something if
/// this pattern were gone. Then it must stay: to take it away would allow what it kept from that rule.
pub(super) fn falls_to_another(
    policy: &Policy,
    id: RuleId,
    pattern: &Pattern,
    now: SystemTime,
) -> bool {
    let groups = (0..).zip(policy.groups());
    groups.into_iter().any(|(at, _)| {
        let group = dnsgate_core::policy::GroupId(at);
        let others = policy.explain(group, pattern.name(), RecordType::A, now);
        others.iter().any(|it| {
            it.id != id && it.rule.action.allows() && it.rule.origin == RuleOrigin::Configured
        })
    })
}
