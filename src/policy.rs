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
//! has ended, the name is one that search lists leave behind ([`Origin::Search`]), or neither.
//!
//! Not here: what a zone or an upstream answers (they are numbers here), how a denial looks on the
//! wire (`engine`), and how rules are written (`config`). Nothing in here reads a clock or keeps state between
//! questions, and `admit` and `decide` do not allocate.

use std::{net::IpAddr, time::SystemTime};

use crate::dns::{Ahead, Name, NameRef, RecordType, Rrset};

pub mod build;
mod clients;
mod embedded;
mod explain;
mod filters;
mod names;
pub mod pattern;
mod permit;
mod ranges;
pub mod rule;
mod shadow;
mod spans;
mod special;
#[cfg(test)]
mod tests;
mod ties;

pub use build::Conflict;
pub use explain::{Candidate, Fate, NearMiss};
pub use pattern::{Pattern, PatternError};
pub use permit::{Bits, Grant, Permit, probe_token};
pub use ranges::{AnswerRanges, Ranges};
pub use rule::{
    Action, CnameMode, DenyWith, Forwarding, Group, GroupId, GroupSet, MAX_GROUPS, Origin, Rule,
    RuleId, TypeSet, UpstreamId,
};
pub use shadow::Shadowed;
#[cfg(test)]
pub(crate) use spans::COMPARED;

use build::Texts;
use clients::ClientSet;
use filters::Filters;
use names::{Entry, Kind, NameTree, Reach, Spot};

/// A zone: its place in the snapshot's list of zones. The policy knows no more of zones than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);

/// What a denial says where no rule is about the name.
const NO_RULE: &str = "no rule allows this name";
/// What a denial says to a client that may not ask at all.
const STRANGER: &str = "client is in no group";

/// Who may ask what: immutable, built by [`Policy::build`].
#[derive(Clone, Debug)]
pub struct Policy {
    groups: Vec<Group>,
    rules: Vec<Rule>,
    /// What a denial by each rule, or in spite of it, says.
    texts: Vec<Texts>,
    clients: ClientSet,
    names: NameTree,
    /// The rule about names of one label that nothing else is about.
    single_label: Option<RuleId>,
    deny_with: DenyWith,
    /// Where questions go that would be denied, in a policy that is only observed.
    observe: Option<Forwarding>,
    /// The ranges of the rules that forward, as answers are compared with them.
    filters: Filters,
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
    Stranger,
}

/// What one walk over the rules about a name found.
#[derive(Clone, Copy, Default)]
struct Found<'p> {
    /// The rule that decides.
    winner: Option<(RuleId, &'p Rule)>,
    /// Where none does: the rule that would allow the question but for this. One that is for the
    /// group goes before one that is not, and one that has ended before one for other types.
    missed: Option<(RuleId, Fate)>,
    /// Where none does: the rule about names that search lists leave behind.
    search: Option<RuleId>,
}

/// Who asks, for what, and when: what a rule must be for to apply.
#[derive(Clone, Copy)]
struct Asked {
    group: GroupId,
    qtype: RecordType,
    now: SystemTime,
}

impl Policy {
    /// The group of a client, by the most specific CIDR that holds its address; `None` for a
    /// stranger, whose questions [`Policy::deny_stranger`] answers.
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
            filters: self.filters.observing(&observe),
            observe: Some(observe),
            ..self
        }
    }

    /// The same policy, in which these addresses are in the ranges of every rule: those of the Google
    /// preset, to which an alias of any name may lead.
    #[must_use]
    pub fn always_allowing(self, addresses: Vec<IpAddr>) -> Self {
        let filters = Filters::new(&self.rules, self.observe.as_ref(), addresses);
        Self { filters, ..self }
    }

    /// Where questions go that would be denied, where denials are only observed.
    #[must_use]
    pub const fn observed(&self) -> Option<&Forwarding> {
        self.observe.as_ref()
    }

    /// Notes what a decision about a name will read, so that [`Policy::fetch`] can bring it near for
    /// several at once. `wire` should begin with the name, and may be anything: nothing depends on
    /// it but how long the decision takes. Tells whether it is of use, which it is in long lists.
    pub fn foresee(&self, wire: &[u8], ahead: &mut Ahead) -> bool {
        self.names.foresee(wire, ahead)
    }

    /// Brings near what was noted, and forgets it.
    pub fn fetch(&self, ahead: &mut Ahead) {
        self.names.fetch(ahead);
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
        let asked = Asked { group, qtype, now };
        let spot = self.names.find(name);
        // Of most names no rule is about one on the way, or the first one that is decides.
        let Some(entry) = self.names.first(spot) else {
            return self.denied(name, asked, spot, &self.unmentioned(spot));
        };
        if entry.reaches(Reach::Name)
            && let Some(rule) = self.rule(entry.rule)
            && asked.obstacle(rule).is_none()
        {
            let winner = (entry.rule, rule);
            return self.allowed(name, qtype, winner).unwrap_or_else(|| {
                let mut found = self.unmentioned(spot);
                found.winner = Some(winner);
                self.denied(name, asked, spot, &found)
            });
        }
        self.contested(name, asked, spot)
    }

    /// What becomes of a question that the first rule about its name does not decide.
    #[inline(never)]
    fn contested<'q>(&self, name: NameRef<'q>, asked: Asked, spot: Spot) -> Verdict<'_, 'q> {
        let found = self.found(asked, spot);
        let allowed = found.winner;
        let allowed = allowed.and_then(|winner| self.allowed(name, asked.qtype, winner));
        allowed.unwrap_or_else(|| self.denied(name, asked, spot, &found))
    }

    /// What becomes of a question that no rule allows.
    #[inline(never)]
    fn denied<'q>(
        &self,
        name: NameRef<'q>,
        asked: Asked,
        spot: Spot,
        found: &Found<'_>,
    ) -> Verdict<'_, 'q> {
        let winner = found.winner;
        let built_in = winner.is_some_and(|(_, rule)| rule.origin == Origin::BuiltIn);
        match &self.observe {
            Some(forwarding) if !built_in => {
                let id = winner.map(|(id, _)| id);
                let by = (forwarding, self.filters.observed());
                Verdict::Forward(Grant::new(name, asked.qtype, by, id, true))
            }
            _ => Verdict::Deny(self.denial(asked, spot, found)),
        }
    }

    /// What follows for a question that a rule wins, unless it denies.
    #[inline]
    fn allowed<'p, 'q>(
        &'p self,
        name: NameRef<'q>,
        qtype: RecordType,
        (id, rule): (RuleId, &'p Rule),
    ) -> Option<Verdict<'p, 'q>> {
        Some(match &rule.action {
            &Action::Zone(zone) => Verdict::Zone { zone, rule: id },
            Action::Answer(records) => Verdict::Answer { records, rule: id },
            Action::Forward(forwarding) => {
                let by = (forwarding, self.filters.of_rule(id));
                Verdict::Forward(Grant::new(name, qtype, by, Some(id), false))
            }
            Action::Deny => return None,
        })
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
    pub fn deny_stranger(&self) -> Denial<'_> {
        Denial {
            with: self.deny_with,
            rule: None,
            why: DenialReason::Stranger,
            text: STRANGER,
        }
    }

    /// Whether a rule is the operator's and denies: such a one binds the targets of aliases as well.
    #[must_use]
    pub fn denies(&self, id: RuleId) -> bool {
        let rule = self.rule(id);
        rule.is_some_and(|rule| rule.origin == Origin::Configured && rule.action == Action::Deny)
    }

    /// The addresses that a rule's answers may hold; none of a rule that does not forward.
    #[must_use]
    pub fn ranges_of(&self, id: RuleId) -> &Ranges {
        self.filters.of_rule(id)
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
    fn contest(&self, spot: Spot, reach: Reach) -> impl Iterator<Item = (Entry, &Rule)> {
        self.names
            .entries(spot)
            .filter(move |entry| entry.reaches(reach))
            // Every entry has its rule. Were one missing, those behind it must not win instead.
            .map_while(|entry| Some((entry, self.rule(entry.rule)?)))
    }

    fn winner(&self, asked: Asked, spot: Spot, reach: Reach) -> Option<(RuleId, &Rule)> {
        self.contest(spot, reach)
            .find(|(_, rule)| asked.obstacle(rule).is_none())
            .map(|(entry, rule)| (entry.rule, rule))
    }

    /// What the rules about a name say to a question, in one walk.
    fn found(&self, asked: Asked, spot: Spot) -> Found<'_> {
        let mut found = self.unmentioned(spot);
        let single_label = found.search.take();
        for entry in self.names.entries(spot) {
            if entry.kind == Kind::Search {
                found.search = found.search.or(Some(entry.rule));
            }
            if !entry.reaches(Reach::Name) {
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
            let is_nearer = |(_, other): (RuleId, Fate)| obstacle.nearness() > other.nearness();
            if asked.would_be_allowed_elsewhere(rule, obstacle)
                && found.missed.is_none_or(is_nearer)
            {
                found.missed = Some((entry.rule, obstacle));
            }
        }
        found.search = found.search.or(single_label);
        found
    }

    /// The same of a name that no rule is about.
    #[inline]
    fn unmentioned(&self, spot: Spot) -> Found<'_> {
        Found {
            search: self.single_label.filter(|_| spot.is_single_label()),
            ..Found::default()
        }
    }

    /// The entry of the rule about names that search lists leave behind, if the name is one of its.
    fn search_entry(&self, spot: Spot) -> Option<Entry> {
        let mut entries = self.names.entries(spot);
        entries.find(|entry| entry.kind == Kind::Search)
    }

    fn denial(&self, asked: Asked, spot: Spot, found: &Found<'_>) -> Denial<'_> {
        let (why, rule) = match *found {
            Found {
                winner: Some((id, _)),
                ..
            } => (DenialReason::Rule, Some(id)),
            Found {
                missed: Some((id, obstacle)),
                ..
            } => (obstacle.denial(), Some(id)),
            Found {
                search: Some(id), ..
            } => (DenialReason::Search, Some(id)),
            _ => (DenialReason::Default, None),
        };
        let by_rule = found.winner.and_then(|(_, rule)| rule.deny_with);
        let with = by_rule.unwrap_or_else(|| {
            let by_group = self.deny_with(asked.group);
            // The walk ended with the winner: a search list's name may be one of those above it.
            let above = || found.winner.is_some() && self.search_entry(spot).is_some();
            let searched = || found.search.is_some() || above();
            match by_group {
                DenyWith::NxDomain => by_group,
                _ if searched() => DenyWith::NxDomain,
                _ => by_group,
            }
        });
        let with = match with {
            DenyWith::NxDomain if self.allows_more(asked, spot) => DenyWith::NoData,
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
    fn allows_more(&self, asked: Asked, spot: Spot) -> bool {
        spot.is_root()
            || self.names.has_allowed_below(spot)
            || self.allows_some_type(asked, spot, Reach::Name)
            || self.allows_some_type(asked, spot, Reach::Below)
    }

    /// Whether there is any type that the group may ask for, at the name or at the unmentioned
    /// names below it.
    fn allows_some_type(&self, asked: Asked, spot: Spot, reach: Reach) -> bool {
        // Most often the first rule is about every type, so that it is the last one, too.
        if let Some(entry) = self.names.first(spot)
            && entry.reaches(reach)
            && let Some(rule) = self.rule(entry.rule)
            && rule.is_for(asked.group)
            && !rule.has_expired(asked.now)
            && rule.types.listed().is_none()
        {
            return rule.action.allows();
        }
        self.allows_any_type(asked, spot, reach)
    }

    fn allows_any_type(&self, asked: Asked, spot: Spot, reach: Reach) -> bool {
        for (_, rule) in self.contest(spot, reach) {
            if !rule.is_for(asked.group) || rule.has_expired(asked.now) {
                continue;
            }
            match rule.types.listed() {
                // No type gets past this rule, and there are always some that got as far as it.
                None => return rule.action.allows(),
                // The types listed here may all have been denied by a better rule.
                Some(types) if rule.action.allows() => {
                    let allows = |&qtype: &RecordType| {
                        self.winner(Asked { qtype, ..asked }, spot, reach)
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

impl Asked {
    /// Whether a rule that does not apply, for this reason, allows the name to somebody else, or did
    /// allow it. One that is for others and has ended does neither.
    fn would_be_allowed_elsewhere(self, rule: &Rule, obstacle: Fate) -> bool {
        rule.action.allows() && (obstacle == Fate::Expired || !rule.has_expired(self.now))
    }

    /// Why a rule does not apply; `None` when it does.
    fn obstacle(self, rule: &Rule) -> Option<Fate> {
        if !rule.is_for(self.group) {
            Some(Fate::OtherGroup)
        } else if !rule.types.contains(self.qtype) {
            Some(Fate::OtherType)
        } else if rule.has_expired(self.now) {
            Some(Fate::Expired)
        } else {
            None
        }
    }
}
