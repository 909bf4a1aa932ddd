//! The policy: admits clients and decides questions.
//!
//! ```text
//!   source address ─▶ admit ─▶ group ─┐
//!   name, type, now ──────────────────┴─▶ decide ─▶ Zone | Answer | Forward | Deny
//! ```
//!
//! Among the unexpired rules for the group and the type, the one with the longest name wins. On the
//! same name, an exact pattern takes precedence over a wider one, then a rule that names the group
//! over one for every group, then a configured rule over a built-in one. A remaining tie is an
//! error when the policy is built. If no rule wins, the question is denied. A question from a
//! source in no group is denied too, and so is a question that meets an internal fault. A policy in
//! observe mode forwards questions that it would deny.
//!
//! A denial by default distinguishes three cases: a rule allows the name but is for other groups or
//! types or has expired; the name is one that search lists create ([`RuleOrigin::Search`]); or
//! neither.
//!
//! The policy does not contain the answers of zones and upstreams (it refers to them by number),
//! write denials (`engine`), or parse rules (`config`). It reads no clock and keeps no state
//! between questions, and `admit` and `decide` do not allocate.

use std::net::IpAddr;

use crate::dns::{Name, NameRef};

mod build;
mod clients;
pub mod conflict;
mod decide;
mod denial_text;
mod embedded;
mod entry;
mod explain;
mod index_builder;
mod name_index;
pub mod pattern;
mod permit;
mod ranges;
pub mod rule;
mod rule_budget;
mod shadow;
mod spans;
mod special;
#[cfg(test)]
mod tests;
mod verdict;

pub use conflict::Conflict;
pub use entry::EntryId;
pub use explain::{Candidate, NearMiss};
pub use pattern::{Pattern, PatternError};
pub use permit::{Grant, Permit, QueryBits, probe_token};
pub use ranges::{AnswerRanges, Ranges};
pub use rule::{
    Action, CnameMode, DenyWith, Forwarding, Group, GroupId, GroupSet, MAX_GROUPS, Rule, RuleId,
    RuleOrigin, TypeSet, UpstreamId,
};
pub use rule_budget::{Budget, BudgetParty, OverBudget};
pub use shadow::Shadowed;
#[cfg(test)]
pub(crate) use spans::COMPARED;
pub use verdict::{Denial, DenialReason, Disposition, Verdict, ZoneId};

use clients::ClientSet;
use denial_text::DenialTexts;
pub use name_index::NameIndex;
use ranges::RuleRanges;

/// The text of a denial for a client in no group.
const UNKNOWN_CLIENT: &str = "client is in no group";

/// The access policy: immutable, built by [`Policy::build`].
#[derive(Clone, Debug)]
pub struct Policy {
    groups: Vec<Group>,
    rules: Vec<Rule>,
    /// The denial texts of each rule.
    texts: Vec<DenialTexts>,
    clients: ClientSet,
    names: NameIndex,
    /// The rule for single-label names that no other rule matches.
    single_label: Option<RuleId>,
    deny_with: DenyWith,
    /// The target of questions that would be denied, if the policy is in observe mode.
    observe: Option<Forwarding>,
    /// The compiled ranges of the forwarding rules.
    rule_ranges: RuleRanges,
}

impl Policy {
    /// The group of a client: that of the most specific CIDR that contains its address. `None` for
    /// an unknown client, whose questions [`Policy::deny_unknown_client`] answers.
    #[must_use]
    pub fn admit(&self, source: IpAddr) -> Option<GroupId> {
        self.clients.group_of(source)
    }

    /// The same policy in observe mode: it forwards questions that it would deny to `upstream`,
    /// except for built-in denials and clients in no group. It does not relax the limits for
    /// answers.
    #[must_use]
    pub fn observing(self, upstream: UpstreamId) -> Self {
        let observe = Forwarding {
            upstream,
            answers: AnswerRanges::Public,
            cname: CnameMode::Any,
            budget: None,
        };
        Self {
            rule_ranges: self.rule_ranges.observing(&observe),
            observe: Some(observe),
            ..self
        }
    }

    /// The same policy with these addresses added to the ranges of every rule. They are the
    /// addresses of the Google preset, to which an alias of any name may lead.
    #[must_use]
    pub fn always_allowing(self, addresses: Vec<IpAddr>) -> Self {
        let rule_ranges = RuleRanges::new(&self.rules, self.observe.as_ref(), addresses);
        Self {
            rule_ranges,
            ..self
        }
    }

    /// The target of questions that would be denied, if the policy is in observe mode.
    #[must_use]
    pub const fn observed(&self) -> Option<&Forwarding> {
        self.observe.as_ref()
    }

    /// The name index, for prefetching before decisions.
    #[must_use]
    pub const fn name_index(&self) -> &NameIndex {
        &self.names
    }

    /// Whether a name below this one is allowed for any group, at any time. Then a response must
    /// not say that the name does not exist, because that would deny all names below it (RFC 8020).
    #[must_use]
    pub fn has_allowed_below(&self, name: NameRef<'_>) -> bool {
        self.names.has_allowed_below(self.names.lookup(name))
    }

    /// How to answer a denial for this group if no rule specifies it.
    #[must_use]
    pub fn deny_with(&self, group: GroupId) -> DenyWith {
        let by_group = self.group_of(group).and_then(|group| group.deny_with);
        by_group.unwrap_or(self.deny_with)
    }

    /// The denial for a client in no group.
    #[must_use]
    pub fn deny_unknown_client(&self) -> Denial<'_> {
        Denial {
            with: self.deny_with,
            rule: None,
            entry: None,
            why: DenialReason::UnknownClient,
            text: UNKNOWN_CLIENT,
        }
    }

    /// Whether a rule is a configured denial; such a rule also applies to the targets of aliases.
    #[must_use]
    pub fn denies(&self, id: RuleId) -> bool {
        let rule = self.rule(id);
        rule.is_some_and(|rule| {
            rule.origin == RuleOrigin::Configured && rule.action == Action::Deny
        })
    }

    /// The addresses that a rule's answers may contain; none for a rule that does not forward.
    #[must_use]
    pub fn ranges_of(&self, id: RuleId) -> &Ranges {
        self.rule_ranges.of_rule(id)
    }

    /// The groups, by number.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The rules, by number. The tree holds their patterns (see [`Rule::patterns`]).
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The entries that `wanted` selects, with rule and pattern, in no particular order.
    pub fn entries<'p>(
        &'p self,
        wanted: impl Fn(EntryId) -> bool + Copy + 'p,
    ) -> impl Iterator<Item = (EntryId, RuleId, Pattern)> + 'p {
        self.names.select(wanted)
    }

    /// The entry of a rule with this pattern. A wider pattern of the rule for the same name stands
    /// for a narrower one.
    #[must_use]
    pub fn entry_of(&self, rule: RuleId, pattern: &Pattern) -> Option<EntryId> {
        self.names.entry_of(rule, pattern.name())
    }

    /// The number of entries of each rule, by number.
    #[must_use]
    pub fn entry_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.rules.len()];
        for (rule, _) in self.names.by_name().flatten() {
            if let Some(count) = counts.get_mut(rule.0 as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// One more than the highest [`EntryId::index`].
    #[must_use]
    pub fn entry_places(&self) -> usize {
        self.names.places()
    }

    /// Every name with a pattern, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.names.names()
    }

    /// The addresses where the group of a client changes. The group of an address is that of the
    /// last start at or below it.
    pub fn range_starts(&self) -> impl Iterator<Item = IpAddr> {
        self.clients.starts()
    }

    /// The group with this number.
    #[must_use]
    pub fn group_of(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::from(id.0))
    }

    /// The rule with this number.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize)
    }

    /// The number of patterns, without patterns that another one of the same rule implies.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.names.len()
    }
}
