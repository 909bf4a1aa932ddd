//! A rule as it is written: for which names, groups and types, until when, and what follows.
//!
//! Plain data with the few questions that a decision asks of it. Which of several rules wins is not
//! decided here (`names` keeps that order), and neither is what a file may say (`config`).

use std::{fmt, str::FromStr, time::SystemTime};

use super::{AnswerRanges, Pattern, ZoneId};
use crate::dns::{RecordType, Rrset};

/// The most client groups of one policy: a set of groups is one machine word.
pub const MAX_GROUPS: usize = 64;

/// A client group: its place in the policy's list of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u8);

/// A rule: its place in the policy's list of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// A named set of clients, and how they like to be refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The operator's name for it.
    pub name: Box<str>,
    /// How its denials are answered where the rule does not say; `None`: as the policy says.
    pub deny_with: Option<DenyWith>,
}

/// One entry of the policy: a rule of the file, a zone, or a built-in answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The operator's name for it: what logs, metrics and denials call it.
    pub name: Box<str>,
    /// The names it is about. Empty in a built [`Policy`](super::Policy), whose tree holds them: a
    /// million names kept twice would be the larger part of its memory.
    pub patterns: Vec<Pattern>,
    /// The groups it is for; `None`: every group.
    pub groups: Option<GroupSet>,
    /// The question types it is for.
    pub types: TypeSet,
    /// The moment from which it is no longer in force.
    pub until: Option<SystemTime>,
    /// Why it is there, in the operator's words.
    pub reason: Option<Box<str>>,
    /// What follows for a question that it wins.
    pub action: Action,
    /// How its denials are answered; `None`: as the group says.
    pub deny_with: Option<DenyWith>,
    /// Who wrote it.
    pub origin: RuleOrigin,
}

impl Rule {
    /// Whether it is for this group.
    #[must_use]
    pub fn is_for(&self, group: GroupId) -> bool {
        self.groups.is_none_or(|groups| groups.contains(group))
    }

    /// Whether it has ended by `now`: the moment `until` itself is the first one without it.
    #[must_use]
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// What follows for a question that a rule wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The zone's data answers it.
    Zone(ZoneId),
    /// These records answer it; their owner is the question's name.
    Answer(Vec<Rrset>),
    /// An upstream is asked.
    Forward(Forwarding),
    /// It is denied.
    Deny,
}

impl Action {
    /// Whether this lets a name through, with whatever answer.
    #[must_use]
    pub const fn allows(&self) -> bool {
        match self {
            Self::Zone(_) | Self::Answer(_) | Self::Forward(_) => true,
            Self::Deny => false,
        }
    }
}

/// An upstream: its place in the configuration's list of them. The policy knows no more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);

/// Who is asked, and what of the answer may pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forwarding {
    /// Whom to ask.
    pub upstream: UpstreamId,
    /// The addresses that the answer may hold.
    pub answers: AnswerRanges,
    /// Where its aliases may lead.
    pub cname: CnameMode,
}

/// Where the aliases of an upstream's answer may lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CnameMode {
    /// Anywhere: what counts is the name that was asked for, and the addresses.
    #[default]
    Any,
    /// To names only that the client could ask for itself.
    Allowed,
}

impl CnameMode {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Allowed => "allowed",
        }
    }
}

/// Who wrote a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleOrigin {
    /// The operator, in the configuration.
    Configured,
    /// dnsgate itself: a default that a configured rule for the same name replaces.
    BuiltIn,
    /// dnsgate itself, for names that cannot exist in the public DNS, which search lists make: it
    /// denies what no other rule is for, however short that one's name is. Without a pattern it is
    /// about every name of one label.
    Search,
}

impl RuleOrigin {
    /// Whether dnsgate wrote it, not the operator.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Search)
    }
}

/// How a denial is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyWith {
    /// REFUSED: an honest error, which some resolvers take for a broken server.
    Refused,
    /// NXDOMAIN, as if the name did not exist.
    NxDomain,
    /// NOERROR without records, as if the name had none of the type.
    NoData,
    /// No reply at all.
    Drop,
}

impl DenyWith {
    /// Every way, in the order of their positions (`as usize`).
    pub const ALL: [Self; 4] = [Self::Refused, Self::NxDomain, Self::NoData, Self::Drop];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NxDomain => "nxdomain",
            Self::NoData => "nodata",
            Self::Drop => "drop",
        }
    }
}

impl fmt::Display for DenyWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the ways to deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way to deny; write refused, nxdomain, nodata or drop")]
pub struct UnknownDenyWith(String);

impl FromStr for DenyWith {
    type Err = UnknownDenyWith;

    fn from_str(text: &str) -> Result<Self, UnknownDenyWith> {
        Self::ALL
            .into_iter()
            .find(|way| way.as_str() == text)
            .ok_or_else(|| UnknownDenyWith(text.to_owned()))
    }
}

/// A set of client groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupSet(u64);

impl GroupSet {
    /// No group.
    pub const EMPTY: Self = Self(0);

    /// The first `count` groups; all there can be when `count` is larger than [`MAX_GROUPS`].
    #[must_use]
    pub const fn first(count: usize) -> Self {
        if count >= MAX_GROUPS {
            Self(u64::MAX)
        } else {
            Self((1 << count) - 1)
        }
    }

    /// Adds a group. One past [`MAX_GROUPS`] cannot be held and is left out: no policy with so
    /// many is ever built.
    pub fn insert(&mut self, group: GroupId) {
        self.0 |= Self::bit(group);
    }

    /// Whether the group is in the set.
    #[must_use]
    pub const fn contains(self, group: GroupId) -> bool {
        self.0 & Self::bit(group) != 0
    }

    /// Whether there is a group in both sets.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether every group of `other` is in this set.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The groups in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// A bit for each group.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is no group in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The groups, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = GroupId> {
        (0..=u8::MAX)
            .take(MAX_GROUPS)
            .map(GroupId)
            .filter(move |&group| self.contains(group))
    }

    const fn bit(group: GroupId) -> u64 {
        match 1u64.checked_shl(group.0 as u32) {
            Some(bit) => bit,
            None => 0,
        }
    }
}

impl FromIterator<GroupId> for GroupSet {
    fn from_iter<I: IntoIterator<Item = GroupId>>(groups: I) -> Self {
        let mut set = Self::EMPTY;
        for group in groups {
            set.insert(group);
        }
        set
    }
}

/// A set of question types: all of them, or the ones that were listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypeSet(Option<Box<[RecordType]>>);

impl TypeSet {
    /// Every type, those without a name included.
    pub const ANY: Self = Self(None);

    /// The listed types, `None` for [`TypeSet::ANY`]; in ascending order, each once.
    #[must_use]
    pub fn listed(&self) -> Option<&[RecordType]> {
        self.0.as_deref()
    }

    /// Whether the type is in the set.
    #[must_use]
    pub fn contains(&self, rtype: RecordType) -> bool {
        // The lists have a handful of types: a scan is as fast as a search.
        self.listed().is_none_or(|types| types.contains(&rtype))
    }

    /// Whether there is a type in both sets.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        match (self.listed(), other.listed()) {
            (None, None) => true,
            (None, Some(types)) | (Some(types), None) => !types.is_empty(),
            (Some(types), Some(others)) => meet(types, others),
        }
    }

    /// Whether every type of `other` is in this set.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match other.listed() {
            None => self.0.is_none(),
            Some(types) => types.iter().all(|&rtype| self.contains(rtype)),
        }
    }

    /// Bits that stand for the types, several types a bit: a set that lacks a bit of another one does not cover it.
    pub(super) fn signature(&self) -> u64 {
        let bit = |rtype: &RecordType| 1 << (u32::from(rtype.0) % u64::BITS);
        self.listed().map_or(u64::MAX, |types| {
            types.iter().map(bit).fold(0, |bits, bit: u64| bits | bit)
        })
    }
}

/// Whether two lists in ascending order have a type in common.
fn meet(mut one: &[RecordType], mut other: &[RecordType]) -> bool {
    while let (Some((first, rest)), Some((second, others))) =
        (one.split_first(), other.split_first())
    {
        match first.cmp(second) {
            std::cmp::Ordering::Less => one = rest,
            std::cmp::Ordering::Greater => other = others,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

impl FromIterator<RecordType> for TypeSet {
    /// The set of just these types; of none when there are none.
    fn from_iter<I: IntoIterator<Item = RecordType>>(types: I) -> Self {
        let mut types: Vec<_> = types.into_iter().collect();
        types.sort_unstable();
        types.dedup();
        Self(Some(types.into()))
    }
}

impl fmt::Display for TypeSet {
    /// `every type`, or the list with spaces between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(types) = self.listed() else {
            return f.write_str("every type");
        };
        for (at, rtype) in types.iter().enumerate() {
            write!(f, "{}{rtype}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(groups: &[u8]) -> GroupSet {
        groups.iter().copied().map(GroupId).collect()
    }

    fn types(types: &[RecordType]) -> TypeSet {
        types.iter().copied().collect()
    }

    #[test]
    fn ways_to_deny_read_back() {
        for (at, way) in DenyWith::ALL.into_iter().enumerate() {
            assert_eq!(way as usize, at);
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        for text in ["", "Refused", "servfail", "nxdomain "] {
            assert!(text.parse::<DenyWith>().is_err(), "{text}");
        }
    }

    #[test]
    fn group_sets_are_sets() {
        let set = groups(&[63, 0, 7, 7]);
        let listed: Vec<_> = set.iter().map(|group| group.0).collect();
        assert_eq!(listed, [0, 7, 63]);
        assert!(!set.contains(GroupId(1)));
        assert_eq!(groups(&[64, 255]), GroupSet::EMPTY, "no such groups");
        assert!(!set.contains(GroupId(64)));
        for (count, last) in [(0, None), (1, Some(0)), (64, Some(63)), (65, Some(63))] {
            let last = last.map(GroupId);
            assert_eq!(GroupSet::first(count).iter().last(), last, "{count}");
        }
        for (one, other, meet, covers) in [
            (&[][..], &[][..], false, true),
            (&[1], &[], false, true),
            (&[], &[1], false, false),
            (&[1, 2], &[2, 3], true, false),
            (&[1, 2, 3], &[3, 1], true, true),
        ] {
            let (one, other) = (groups(one), groups(other));
            assert_eq!((one.intersects(other), one.covers(other)), (meet, covers));
        }
    }

    #[test]
    fn type_sets_are_sets() {
        use RecordType as T;
        let list = types(&[T::MX, T::A, T::MX]);
        assert_eq!(list.listed(), Some(&[T::A, T::MX][..]));
        assert_eq!(list.to_string(), "A MX");
        assert_eq!(TypeSet::ANY.to_string(), "every type");
        for (one, other, meet, covers) in [
            (TypeSet::ANY, TypeSet::ANY, true, true),
            (TypeSet::ANY, list.clone(), true, true),
            (list.clone(), TypeSet::ANY, true, false),
            (TypeSet::ANY, types(&[]), false, true),
            (list.clone(), types(&[T::A, T::TXT]), true, false),
            (list.clone(), types(&[T::A]), true, true),
            (list, types(&[T::TXT]), false, false),
        ] {
            let found = (one.intersects(&other), one.covers(&other));
            assert_eq!(found, (meet, covers), "{one} / {other}");
        }
    }
}
