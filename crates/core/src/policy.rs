//! What a client may ask: who is admitted, and what becomes of a question.
//!
//! ```text
//!   source address ─▶ admit ─▶ group ─┐
//!   name, type, now ──────────────────┴─▶ decide ─▶ Zone | Answer | Forward | Deny
//! ```
//!
//! Among the rules that are for the group and the type and have not ended, the longest name wins;
//! on the same name an exact pattern beats a wider one, then the rule that names the group beats
//! the one for everybody, then a configured rule beats a built-in one. What is still tied is
//! refused when the policy is built. Nobody's win is a denial: so is a source in no group, and
//! so would be any fault in here. A policy that is only observed forwards where it would deny.
//!
//! A denial by default tells three cases apart: a rule allows the name for other groups or types or
//! has ended, the name is one that search lists leave behind ([`RuleOrigin::Search`]), or neither.
//!
//! Not here: what a zone or an upstream answers (they are numbers here), how a denial looks on the
//! wire (`engine`), and how rules are written (`config`). Nothing in here reads a clock or keeps state between
//! questions, and `admit` and `decide` do not allocate.

use std::{net::IpAddr, time::SystemTime};

use crate::dns::{Name, NameRef, Prefetch, RecordType, Rrset};

pub mod build;
mod clients;
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

pub use build::Conflict;
pub use explain::{Candidate, Disposition, NearMiss};
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

use build::DenialTexts;
use clients::ClientSet;
use name_index::{Coverage, NameIndex, NamePosition, PatternEntry, PatternKind};
use rule_ranges::RuleRanges;

/// A zone: its place in the snapshot's list of zones. The policy knows no more of zones than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);

/// What a denial says where no rule is about the name.
const NO_RULE: &str = "no rule allows this name";
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

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'p, 'q> {
    /// The data of a zone answers it.
    Zone {
        /// Which zone.
        zone: ZoneId,
        /// The rule that stands for the zone.
        rule: RuleId,
    },
    /// A rule's records answer it: those of its type, and their absence is an answer, too.
    Answer {
        /// All records of the rule.
        records: &'p [Rrset],
        /// Which rule.
        rule: RuleId,
    },
    /// An upstream is asked.
    Forward(Grant<'p, 'q>),
    /// It is denied.
    Deny(Denial<'p>),
}

/// A denial, and all that its reply should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial<'p> {
    /// How to answer: as the rule says, else the group, else the policy. But not with NXDOMAIN
    /// where the name is more than a denied one: where it is allowed to this group in another
    /// type, or a name below it is allowed (to this group, or, where a rule spells the lower name
    /// out, to any). NXDOMAIN would deny those with it (RFC 8020), so NODATA takes its place. And
    /// what cannot exist in the public DNS is NXDOMAIN whatever the group and the policy say, unless
    /// the rule that denies says it.
    pub with: DenyWith,
    /// The rule that denies, if it is one, or the one that allows the name to others.
    pub rule: Option<RuleId>,
    /// Why.
    pub why: DenialReason,
    /// Why, for the client (the text of an extended DNS error).
    pub text: &'p str,
}

/// Why a question is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialReason {
    /// A rule denies it.
    Rule,
    /// A rule allows the name to other groups only.
    OtherGroup,
    /// A rule allows the name for other types only.
    OtherType,
    /// The rule that allowed it has ended.
    Expired,
    /// Nothing is about the name, and it cannot exist in the public DNS: a search list made it.
    Search,
    /// No rule allows it.
    Default,
    /// The client is in no group.
    UnknownClient,
}

/// What one walk over the rules about a name found.
#[derive(Clone, Copy, Default)]
struct RuleMatch<'p> {
    /// The rule that decides.
    winner: Option<(RuleId, &'p Rule)>,
    /// Where none does: the rule that would allow the question but for this. One that is for the
    /// group goes before one that is not, and one that has ended before one for other types.
    missed: Option<(RuleId, Disposition)>,
    /// Where none does: the rule about names that search lists leave behind.
    search: Option<RuleId>,
}

/// Who asks, for what, and when: what a rule must be for to apply.
#[derive(Clone, Copy)]
struct AskedBy {
    group: GroupId,
    qtype: RecordType,
    now: SystemTime,
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

    /// Notes what a decision about a name will read, so that [`Policy::fetch`] can bring it near for
    /// several at once. `wire` should begin with the name, and may be anything: nothing depends on
    /// it but how long the decision takes. Tells whether it is of use, which it is in long lists.
    pub fn prefetch(&self, wire: &[u8], prefetch: &mut Prefetch) -> bool {
        self.names.prefetch(wire, prefetch)
    }

    /// Brings near what was noted, and forgets it.
    pub fn fetch(&self, prefetch: &mut Prefetch) {
        self.names.fetch(prefetch);
    }

    /// What becomes of a question.
    #[must_use]
    pub fn decide<'q>(
        &self,
        group: GroupId,
        name: NameRef<'q>,
        qtype: RecordType,
        now: SystemTime,
    ) -> Verdict<'_, 'q> {
        let asked = AskedBy { group, qtype, now };
        let position = self.names.find(name);
        let found = self.found(asked, position);
        if let Some((id, rule)) = found.winner {
            match &rule.action {
                &Action::Zone(zone) => return Verdict::Zone { zone, rule: id },
                Action::Answer(records) => return Verdict::Answer { records, rule: id },
                Action::Forward(forwarding) => {
                    let by = (forwarding, self.rule_ranges.of_rule(id));
                    return Verdict::Forward(Grant::new(name, qtype, by, Some(id), false));
                }
                Action::Deny => {}
            }
        }
        let winner = found.winner;
        let built_in = winner.is_some_and(|(_, rule)| rule.origin == RuleOrigin::BuiltIn);
        match &self.observe {
            Some(forwarding) if !built_in => {
                let id = winner.map(|(id, _)| id);
                let by = (forwarding, self.rule_ranges.observed());
                Verdict::Forward(Grant::new(name, qtype, by, id, true))
            }
            _ => Verdict::Deny(self.denial(asked, position, found)),
        }
    }

    /// Whether a name below this one is allowed to anybody, at any time: then nobody should hear
    /// that the name does not exist, since nothing would exist below it (RFC 8020).
    #[must_use]
    pub fn has_allowed_below(&self, name: NameRef<'_>) -> bool {
        self.names.has_allowed_below(self.names.find(name))
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

    /// The rules that are about the name (or the unmentioned names below it), best first.
    fn contest(
        &self,
        position: NamePosition,
        reach: Coverage,
    ) -> impl Iterator<Item = (PatternEntry, &Rule)> {
        self.names
            .entries(position)
            .filter(move |entry| entry.reaches(reach))
            // Every entry has its rule. Were one missing, those behind it must not win instead.
            .map_while(|entry| Some((entry, self.rule(entry.rule)?)))
    }

    fn winner(
        &self,
        asked: AskedBy,
        position: NamePosition,
        reach: Coverage,
    ) -> Option<(RuleId, &Rule)> {
        self.contest(position, reach)
            .find(|(_, rule)| asked.obstacle(rule).is_none())
            .map(|(entry, rule)| (entry.rule, rule))
    }

    /// What the rules about a name say to a question, in one walk.
    fn found(&self, asked: AskedBy, position: NamePosition) -> RuleMatch<'_> {
        let mut found = RuleMatch::default();
        for entry in self.names.entries(position) {
            if entry.kind == PatternKind::Search {
                found.search = found.search.or(Some(entry.rule));
            }
            if !entry.reaches(Coverage::Name) {
                continue;
            }
            // Every entry has its rule. Were one missing, those behind it must not win instead.
            let Some(rule) = self.rule(entry.rule) else {
                break;
            };
            let Some(obstacle) = asked.obstacle(rule) else {
                found.winner = Some((entry.rule, rule));
                break;
            };
            let is_nearer =
                |(_, other): (RuleId, Disposition)| obstacle.nearness() > other.nearness();
            if asked.would_be_allowed_elsewhere(rule, obstacle)
                && found.missed.is_none_or(is_nearer)
            {
                found.missed = Some((entry.rule, obstacle));
            }
        }
        if position.is_single_label() {
            found.search = found.search.or(self.single_label);
        }
        found
    }

    /// The entry of the rule about names that search lists leave behind, if the name is one of its.
    fn search_entry(&self, position: NamePosition) -> Option<PatternEntry> {
        let mut entries = self.names.entries(position);
        entries.find(|entry| entry.kind == PatternKind::Search)
    }

    fn denial(&self, asked: AskedBy, position: NamePosition, found: RuleMatch<'_>) -> Denial<'_> {
        let (why, rule) = match found {
            RuleMatch {
                winner: Some((id, _)),
                ..
            } => (DenialReason::Rule, Some(id)),
            RuleMatch {
                missed: Some((id, obstacle)),
                ..
            } => (obstacle.denial(), Some(id)),
            RuleMatch {
                search: Some(id), ..
            } => (DenialReason::Search, Some(id)),
            _ => (DenialReason::Default, None),
        };
        let by_rule = found.winner.and_then(|(_, rule)| rule.deny_with);
        let with = by_rule.or_else(|| {
            // The walk ended with the winner: a search list's name may be one of those above it.
            let above = || found.winner.is_some() && self.search_entry(position).is_some();
            let searched = found.search.is_some() || above();
            searched.then_some(DenyWith::NxDomain)
        });
        let with = match with.unwrap_or_else(|| self.deny_with(asked.group)) {
            DenyWith::NxDomain if self.allows_more(asked, position) => DenyWith::NoData,
            with => with,
        };
        let texts = rule.and_then(|id| self.texts.get(id.0 as usize));
        Denial {
            with,
            rule,
            why,
            text: texts.map_or(NO_RULE, |texts| texts.of_denial(why)),
        }
    }

    /// Whether a denied name is allowed in another type, or names below it are. The root always
    /// counts as if they were: who hears that it does not exist takes every name for gone.
    fn allows_more(&self, asked: AskedBy, position: NamePosition) -> bool {
        position.is_root()
            || self.names.has_allowed_below(position)
            || self.allows_some_type(asked, position, Coverage::Name)
            || self.allows_some_type(asked, position, Coverage::Below)
    }

    /// Whether there is any type that the group may ask for, at the name or at the unmentioned
    /// names below it.
    fn allows_some_type(&self, asked: AskedBy, position: NamePosition, reach: Coverage) -> bool {
        for (_, rule) in self.contest(position, reach) {
            if !rule.is_for(asked.group) || rule.has_expired(asked.now) {
                continue;
            }
            match rule.types.listed() {
                // No type gets past this rule, and there are always some that got as far as it.
                None => return rule.action.allows(),
                // The types listed here may all have been denied by a better rule.
                Some(types) if rule.action.allows() => {
                    let allows = |&qtype: &RecordType| {
                        self.winner(AskedBy { qtype, ..asked }, position, reach)
                            .is_some_and(|(_, rule)| rule.action.allows())
                    };
                    if types.iter().any(allows) {
                        return true;
                    }
                }
                Some(_) => {}
            }
        }
        false
    }
}

impl AskedBy {
    /// Whether a rule that does not apply, for this reason, allows the name to somebody else, or did
    /// allow it. One that is for others and has ended does neither.
    fn would_be_allowed_elsewhere(self, rule: &Rule, obstacle: Disposition) -> bool {
        rule.action.allows() && (obstacle == Disposition::Expired || !rule.has_expired(self.now))
    }

    /// Why a rule does not apply; `None` when it does.
    fn obstacle(self, rule: &Rule) -> Option<Disposition> {
        if !rule.is_for(self.group) {
            Some(Disposition::OtherGroup)
        } else if !rule.types.contains(self.qtype) {
            Some(Disposition::OtherType)
        } else if rule.has_expired(self.now) {
            Some(Disposition::Expired)
        } else {
            None
        }
    }
}
