//! Decides which of the recorded questions a rule should allow, and why it should not allow the others.
//!
//! Existing decisions are not overridden: a question that a rule denies, or that an expired rule
//! allowed, stays denied and is reported.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use super::observed::{ObservedPage, ObservedQuestion};
use dnsgate_config::default_types;
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{Action, Disposition, GroupId, Pattern, Policy, RuleOrigin, TypeSet},
};

/// The configuration for which the rules are written, if it is known.
#[derive(Clone, Copy, Debug)]
pub struct ExistingPolicy<'c> {
    policy: Option<&'c Policy>,
    now: SystemTime,
}

/// Why a question should not be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotAllowed {
    /// A rule denies it.
    Denied,
    /// A rule allowed it, but has expired.
    Ended,
    /// A rule allows it already.
    Allowed,
    /// The configuration has no such client group.
    NoGroup,
    /// No rule can cover it.
    Unwritable,
}

/// The questions to allow, and the others.
#[derive(Debug, Default)]
pub(super) struct WantedNames<'p> {
    pub(super) wanted: Vec<&'p ObservedQuestion>,
    /// The others, by reason; with the name of the rule concerned, if there is one.
    pub(super) others: BTreeMap<NotAllowed, Vec<(&'p ObservedQuestion, String)>>,
    /// The number of names with too few queries.
    pub(super) rare: usize,
}

/// Judges every entry of the page.
pub(super) fn all<'p>(
    page: &'p ObservedPage,
    existing: ExistingPolicy<'_>,
    min_count: u64,
) -> WantedNames<'p> {
    let mut judged = WantedNames::default();
    let mut counts: HashMap<&Name, u64> = HashMap::new();
    let mut wanted = Vec::new();
    for observed in &page.observed {
        match existing.judge(observed) {
            None => {
                let count = counts.entry(&observed.name).or_default();
                *count = count.saturating_add(observed.seen.count);
                wanted.push(observed);
            }
            Some((why, rule)) => judged.others.entry(why).or_default().push((observed, rule)),
        }
    }
    judged.rare = counts.values().filter(|&&count| count < min_count).count();
    let is_common = |name: &Name| counts.get(name).is_some_and(|&count| count >= min_count);
    wanted.retain(|observed| is_common(&observed.name));
    judged.wanted = wanted;
    judged
}

impl<'c> ExistingPolicy<'c> {
    /// The policy, if it is known, evaluated at `now`.
    #[must_use]
    pub const fn new(policy: Option<&'c Policy>, now: SystemTime) -> Self {
        Self { policy, now }
    }

    fn group(self, name: &str) -> Option<GroupId> {
        let groups = self.policy?.groups();
        let at = groups.iter().position(|group| &*group.name == name)?;
        u8::try_from(at).ok().map(GroupId)
    }

    /// The names of all groups, if they are known.
    pub(super) fn groups(self) -> Option<impl Iterator<Item = &'c str>> {
        Some(self.policy?.groups().iter().map(|group| &*group.name))
    }

    /// The names of existing rules.
    pub(super) fn rule_names(self) -> impl Iterator<Item = &'c str> {
        let rules = self.policy.map(Policy::rules).unwrap_or_default();
        rules.iter().map(|rule| &*rule.name)
    }

    /// Why a question should not be allowed, if so, and the name of the rule concerned.
    fn judge(self, observed: &ObservedQuestion) -> Option<(NotAllowed, String)> {
        if let Some(rule) = &observed.rule {
            return Some((NotAllowed::Denied, rule.clone()));
        }
        if !is_writable(&observed.name, observed.rtype) {
            return Some((NotAllowed::Unwritable, String::new()));
        }
        let policy = self.policy?;
        if observed.group.is_empty() {
            return None;
        }
        let Some(group) = self.group(&observed.group) else {
            return Some((NotAllowed::NoGroup, String::new()));
        };
        let (name, rtype) = (observed.name.as_ref(), observed.rtype);
        for candidate in policy.explain(group, name, rtype, self.now) {
            let rule = candidate.rule;
            let is_about = rule.is_for(group) && rule.types.contains(rtype);
            let why = match (candidate.disposition, &rule.action) {
                // The denial of search-list names is built in, not a decision of the operator.
                _ if rule.origin == RuleOrigin::Search => continue,
                (Disposition::Wins, Action::Deny) => NotAllowed::Denied,
                (Disposition::Wins, _) => NotAllowed::Allowed,
                // Only the person who let an exception expire should renew it.
                (Disposition::Expired, _) if is_about => NotAllowed::Ended,
                _ => continue,
            };
            return Some((why, rule.name.to_string()));
        }
        None
    }

    /// Whether a rule already covers some of the common types for this name and group. A new rule for
    /// all of them could be tied with it, or take precedence over it.
    pub(super) fn has_rule_for(self, name: &Name, group: &str) -> bool {
        let (Some(policy), Some(group)) = (self.policy, self.group(group)) else {
            return false;
        };
        let common: TypeSet = default_types();
        let candidates = policy.explain(group, name.as_ref(), RecordType::A, self.now);
        candidates
            .iter()
            .filter(|it| it.rule.origin != RuleOrigin::Search)
            .any(|it| it.rule.is_for(group) && it.rule.types.intersects(&common))
    }
}

/// Whether a rule can cover exactly this name, and can decide about this type.
fn is_writable(name: &Name, rtype: RecordType) -> bool {
    let pattern = Pattern::Exact(name.clone());
    // The root has no exact pattern, and a name that looks like an address is rejected.
    pattern.to_string().parse() == Ok(pattern) && !rtype.is_meta()
}
