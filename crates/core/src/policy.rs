//! The policy: which clients are admitted, and what is done with a question.
//!
//! ```text
//!   source address ─▶ admit ─▶ group ─┐
//!   name, type, now ──────────────────┴─▶ decide ─▶ Zone | Answer | Forward | Deny
//! ```
//!
//! Among the rules that are for the group and the type and have not ended, the longest name wins;
//! on the same name an exact pattern beats a wider one, then the rule that names the group beats
//! the one for everybody, then a configured rule beats a built-in one. What is still tied is
//! refused when the policy is built. If no rule wins, the question is denied; so is one from a source in no group, and so
//! would be one that meets a fault in here. A policy in observe mode forwards where it would deny.
//!
//! A denial by default tells three cases apart: a rule allows the name for other groups or types or
//! has ended, the name is one that search lists leave behind ([`RuleOrigin::Search`]), or neither.
//!
//! Not here: the answers of zones and upstreams (they are numbers here), the reply that denies (`engine`), and the syntax of
//! rules (`config`). Nothing in here reads a clock or keeps state between
//! questions, and `admit` and `decide` do not allocate.

use std::net::IpAddr;

use crate::dns::{Name, NameRef};

mod build;
mod clients;
pub mod conflict;
mod decide;
mod denial_text;
mod disposition;
mod embedded;
mod explain;
mod name_index;
pub mod pattern;
mod permit;
mod ranges;
pub mod rule;
mod rule_ranges;
mod shadow;
mod spans;
mod special;
#[cfg(test)]
mod tests;
mod ties;
mod verdict;

pub use conflict::Conflict;
pub use disposition::Disposition;
pub use explain::{Candidate, NearMiss};
pub use pattern::{Pattern, PatternError};
pub use permit::{Grant, Permit, QueryBits, probe_token};
pub use ranges::{AnswerRanges, Ranges};
pub use rule::{
    Action, CnameMode, DenyWith, Forwarding, Group, GroupId, GroupSet, MAX_GROUPS, Rule, RuleId,
    RuleOrigin, TypeSet, UpstreamId,
};
pub use shadow::Shadowed;
#[cfg(test)]
pub(crate) use spans::COMPARED;
pub use verdict::{Denial, DenialReason, Verdict, ZoneId};

use clients::ClientSet;
use denial_text::DenialTexts;
pub use name_index::NameIndex;
use rule_ranges::RuleRanges;

/// What a denial says to a client that may not ask at all.
const UNKNOWN_CLIENT: &str = "client is in no group";

/// Who may ask what: immutable, built by [`Policy::build`].
#[derive(Clone, Debug)]
pub struct Policy {
    groups: Vec<Group>,
    rules: Vec<Rule>,
    /// What a denial by each rule, or in spite of it, says.
    texts: Vec<DenialTexts>,
    clients: ClientSet,
    names: NameIndex,
    /// The rule about names of one label that nothing else is about.
    single_label: Option<RuleId>,
    deny_with: DenyWith,
    /// Where questions go that would be denied, in a policy that is only observed.
    observe: Option<Forwarding>,
    /// The ranges of the rules that forward, as answers are compared with them.
    rule_ranges: RuleRanges,
}

impl Policy {
    /// The group of a client, by the most specific CIDR that holds its address; `None` for a
    /// unknown client, whose questions [`Policy::deny_unknown_client`] answers.
    #[must_use]
    pub fn admit(&self, source: IpAddr) -> Option<GroupId> {
        self.clients.group_of(source)
    }

    /// The same policy, observed only: what it would deny is forwarded to `upstream` instead, but
    /// for built-in denials and clients in no group. What the answers may hold is not relaxed.
    #[must_use]
    pub fn observing(self, upstream: UpstreamId) -> Self {
        let observe = Forwarding {
            upstream,
            answers: AnswerRanges::Public,
            cname: CnameMode::Any,
        };
        Self {
            rule_ranges: self.rule_ranges.observing(&observe),
            observe: Some(observe),
            ..self
        }
    }

    /// The same policy, in which these addresses are in the ranges of every rule: those of the Google
    /// preset, to which an alias of any name may lead.
    #[must_use]
    pub fn always_allowing(self, addresses: Vec<IpAddr>) -> Self {
        let rule_ranges = RuleRanges::new(&self.rules, self.observe.as_ref(), addresses);
        Self {
            rule_ranges,
            ..self
        }
    }

    /// Where questions go that would be denied, where denials are only observed.
    #[must_use]
    pub const fn observed(&self) -> Option<&Forwarding> {
        self.observe.as_ref()
    }

    /// The index of names, to prefetch from before decisions are made.
    #[must_use]
    pub const fn name_index(&self) -> &NameIndex {
        &self.names
    }

    /// Whether a name below this one is allowed to anybody, at any time: then nobody should hear
    /// that the name does not exist, since nothing would exist below it (RFC 8020).
    #[must_use]
    pub fn has_allowed_below(&self, name: NameRef<'_>) -> bool {
        self.names.has_allowed_below(self.names.lookup(name))
    }

    /// The way in which a denial for this group is answered where no rule says it.
    #[must_use]
    pub fn deny_with(&self, group: GroupId) -> DenyWith {
        let by_group = self.group_of(group).and_then(|group| group.deny_with);
        by_group.unwrap_or(self.deny_with)
    }

    /// The denial of a client in no group.
    #[must_use]
    pub fn deny_unknown_client(&self) -> Denial<'_> {
        Denial {
            with: self.deny_with,
            rule: None,
            why: DenialReason::UnknownClient,
            text: UNKNOWN_CLIENT,
        }
    }

    /// Whether a rule is the operator's and denies: such a one binds the targets of aliases as well.
    #[must_use]
    pub fn denies(&self, id: RuleId) -> bool {
        let rule = self.rule(id);
        rule.is_some_and(|rule| {
            rule.origin == RuleOrigin::Configured && rule.action == Action::Deny
        })
    }

    /// The addresses that a rule's answers may hold; none of a rule that does not forward.
    #[must_use]
    pub fn ranges_of(&self, id: RuleId) -> &Ranges {
        self.rule_ranges.of_rule(id)
    }

    /// The groups, by number.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The rules, by number; their patterns are in the tree (see [`Rule::patterns`]).
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Every name that a rule has a pattern for, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.names.names()
    }

    /// Where in the address space the group of a client changes: every address is in the same
    /// group, or in none, as the last of these that is not above it.
    pub fn range_starts(&self) -> impl Iterator<Item = IpAddr> {
        self.clients.starts()
    }

    /// The group of this number.
    #[must_use]
    pub fn group_of(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::from(id.0))
    }

    /// The rule of this number.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize)
    }

    /// How many patterns the rules have, those left out that say what another of the same rule says.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.names.len()
    }
}
