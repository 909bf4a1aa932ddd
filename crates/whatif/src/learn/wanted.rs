//! Which of the recorded questions a rule should allow, and why not the others.
//!
//! What somebody has written down is not undone: a question that a rule denies, and one that a rule
//! allowed until it ended, stay as they are and are told.

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

/// The configuration that the rules are for, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct ExistingPolicy<'c> {
    policy: Option<&'c Policy>,
    now: SystemTime,
}

/// Why a question is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotAllowed {
    /// A rule denies it.
    Denied,
    /// A rule allowed it and has ended.
    Ended,
    /// A rule allows it by now.
    Allowed,
    /// The configuration has no such client group.
    NoGroup,
    /// No rule can be about it.
    Unwritable,
}

/// What is to be allowed, and what is not.
#[derive(Debug, Default)]
pub(super) struct WantedNames<'p> {
    pub(super) wanted: Vec<&'p ObservedQuestion>,
    /// With the rule that is meant, where it is one.
    pub(super) others: BTreeMap<NotAllowed, Vec<(&'p ObservedQuestion, String)>>,
    /// Names that were asked for too rarely.
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
    /// The policy, where it is known, asked at `now`.
    #[must_use]
    pub const fn new(policy: Option<&'c Policy>, now: SystemTime) -> Self {
        Self { policy, now }
    }

    fn group(self, name: &str) -> Option<GroupId> {
        let groups = self.policy?.groups();
        let at = groups.iter().position(|group| &*group.name == name)?;
        u8::try_from(at).ok().map(GroupId)
    }

    /// The names of all groups, where they are known.
    pub(super) fn groups(self) -> Option<impl Iterator<Item = &'c str>> {
        Some(self.policy?.groups().iter().map(|group| &*group.name))
    }

    /// The names that rules have already.
    pub(super) fn rule_names(self) -> impl Iterator<Item = &'c str> {
        let rules = self.policy.map(Policy::rules).unwrap_or_default();
        rules.iter().map(|rule| &*rule.name)
    }

    /// Why a question is not allowed, and by which rule; `None` if it may be allowed.
    fn judge(self, observed: &ObservedQuestion) -> Option<(NotAllowed, String)> {
        if let Some(rule) = &observed.rule {
            return Some((NotAllowed::Denied, rule.clone()));
        }
        if !is_writable(&observed.name, observed.rtype) {
            return Some((NotAllowed::Unwritable, String::new()));
        }
        let policy = self.policy?;
        let Some(group) = self.group(&observed.group) else {
            return Some((NotAllowed::NoGroup, String::new()));
        };
        let (name, rtype) = (observed.name.as_ref(), observed.rtype);
        for candidate in policy.explain(group, name, rtype, self.now) {
            let rule = candidate.rule;
            let is_about = rule.is_for(group) && rule.types.contains(rtype);
            let why = match (candidate.disposition, &rule.action) {
                // Nobody has written down that a name does not exist which a search list makes.
                _ if rule.origin == RuleOrigin::Search => continue,
                (Disposition::Wins, Action::Deny) => NotAllowed::Denied,
                (Disposition::Wins, _) => NotAllowed::Allowed,
                // To take an exception up again is for those who let it end.
                (Disposition::Expired, _) if is_about => NotAllowed::Ended,
                _ => continue,
            };
            return Some((why, rule.name.to_string()));
        }
        None
    }

    /// Whether a rule is about some of the common types of this name and group already. A new rule
    /// for all of them could be tied with it, or take its questions.
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

/// Whether a rule can name this name and no other, and decides about this type.
fn is_writable(name: &Name, rtype: RecordType) -> bool {
    let pattern = Pattern::Exact(name.clone());
    // The root has no exact pattern, and a name that looks like an address is refused as one.
    pattern.to_string().parse() == Ok(pattern) && !rtype.is_meta()
}
