//! A rule: its names, client groups and question types, its end, and its action.
//!
//! Rules are plain data. This module does not decide which rule wins (the name index orders rules
//! by precedence) or which settings a file may contain (`config`).

use std::{fmt, str::FromStr, time::SystemTime};

use super::{AnswerRanges, Budget, Pattern, ZoneId};
use crate::dns::{RecordType, Rrset};

/// The maximum number of client groups in a policy: a set of groups is a 64-bit word.
pub const MAX_GROUPS: usize = 64;

/// A client group: its index in the policy's list of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u8);

/// A rule: its index in the policy's list of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// A named client group and its default way to answer denials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The configured name.
    pub name: Box<str>,
    /// How to answer a denial if the rule does not specify it; `None`: as the policy specifies.
    pub deny_with: Option<DenyWith>,
}

/// One entry of the policy: a configured rule, a zone, or a built-in answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The configured name. Logs, metrics and denials use it.
    pub name: Box<str>,
    /// The patterns of the rule. Empty in a built [`Policy`](super::Policy), whose tree holds them:
    /// a second copy of a million names would dominate its memory use.
    pub patterns: Vec<Pattern>,
    /// The client groups of the rule; `None`: every group.
    pub groups: Option<GroupSet>,
    /// The question types of the rule.
    pub types: TypeSet,
    /// The time when the rule expires.
    pub until: Option<SystemTime>,
    /// The reason for the rule, written by the operator.
    pub reason: Option<Box<str>>,
    /// The action for a question that the rule wins.
    pub action: Action,
    /// How to answer a denial by this rule; `None`: as the group specifies.
    pub deny_with: Option<DenyWith>,
    /// The author of the rule.
    pub origin: RuleOrigin,
}

impl Rule {
    /// A rule for every group and type that never expires and has no reason.
    #[must_use]
    pub const fn new(
        name: Box<str>,
        patterns: Vec<Pattern>,
        action: Action,
        origin: RuleOrigin,
    ) -> Self {
        Self {
            name,
            patterns,
            groups: None,
            types: TypeSet::ANY,
            until: None,
            reason: None,
            action,
            deny_with: None,
            origin,
        }
    }

    /// Whether the rule applies to this group.
    #[must_use]
    pub fn is_for(&self, group: GroupId) -> bool {
        self.groups.is_none_or(|groups| groups.contains(group))
    }

    /// Whether the rule has expired at `now`. It has expired at `until` itself.
    #[must_use]
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// The action of a rule for a question that it wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Answers from the data of the zone.
    Zone(ZoneId),
    /// Answers with these records; their owner name is the question's name.
    Answer(Vec<Rrset>),
    /// Forwards the question to an upstream.
    Forward(Forwarding),
    /// Denies the question.
    Deny,
}

impl Action {
    /// Whether the action allows the name.
    #[must_use]
    pub const fn allows(&self) -> bool {
        match self {
            Self::Zone(_) | Self::Answer(_) | Self::Forward(_) => true,
            Self::Deny => false,
        }
    }
}

/// An upstream: its index in the configuration's list of upstreams. The policy holds no other data
/// about upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);

/// The upstream for a question, and the limits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forwarding {
    /// The upstream.
    pub upstream: UpstreamId,
    /// The addresses that the answer may contain.
    pub answers: AnswerRanges,
    /// The permitted targets of aliases in the answer.
    pub cname: CnameMode,
    /// How much may leave through the rule; `None`: any amount.
    pub budget: Option<Budget>,
}

/// The permitted targets of aliases in an upstream's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CnameMode {
    /// Any name: only the queried name and the addresses count.
    #[default]
    Any,
    /// Only names that the client itself may query.
    Allowed,
}

impl CnameMode {
    /// The configuration keyword.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Allowed => "allowed",
        }
    }
}

/// The author of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleOrigin {
    /// The operator, in the configuration.
    Configured,
    /// dnsgate: a default rule. A configured rule for the same name replaces it.
    BuiltIn,
    /// dnsgate: a rule for names that search lists create and that cannot exist in the public DNS.
    /// It denies names that no other rule matches, even one for a shorter name. Without a pattern
    /// it matches every name of one label.
    Search,
}

impl RuleOrigin {
    /// Whether dnsgate created the rule, not the operator.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Search)
    }
}

/// How to answer a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyWith {
    /// REFUSED: the accurate error code, but some resolvers treat it as a broken server.
    Refused,
    /// NXDOMAIN, as if the name did not exist.
    NxDomain,
    /// NOERROR without records, as if the name had none of the type.
    NoData,
    /// No response.
    Drop,
}

impl DenyWith {
    /// Every variant, in the order of their discriminants (`as usize`).
    pub const ALL: [Self; 4] = [Self::Refused, Self::NxDomain, Self::NoData, Self::Drop];

    /// The configuration keyword.
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

/// The text is not a way to answer denials.
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
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The first `count` groups; all groups if `count` exceeds [`MAX_GROUPS`].
    #[must_use]
    pub const fn first(count: usize) -> Self {
        if count >= MAX_GROUPS {
            Self(u64::MAX)
        } else {
            Self((1 << count) - 1)
        }
    }

    /// Adds a group. Ignores a group beyond [`MAX_GROUPS`], because no policy has so many.
    pub fn insert(&mut self, group: GroupId) {
        self.0 |= Self::bit(group);
    }

    /// Whether the set contains the group.
    #[must_use]
    pub const fn contains(self, group: GroupId) -> bool {
        self.0 & Self::bit(group) != 0
    }

    /// Whether both sets have a group in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether this set contains every group of `other`.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The union of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set as a word with one bit per group.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the set is empty.
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

/// A set of question types: all types, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypeSet(Option<Box<[RecordType]>>);

impl TypeSet {
    /// Every type, including types without a name.
    pub const ANY: Self = Self(None);

    /// The listed types in ascending order without duplicates; `None` for [`TypeSet::ANY`].
    #[must_use]
    pub fn listed(&self) -> Option<&[RecordType]> {
        self.0.as_deref()
    }

    /// Whether the set contains the type.
    #[must_use]
    pub fn contains(&self, rtype: RecordType) -> bool {
        // The lists have few types, so a linear search is as fast as a binary search.
        self.listed().is_none_or(|types| types.contains(&rtype))
    }

    /// Whether both sets have a type in common.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        match (self.listed(), other.listed()) {
            (None, None) => true,
            (None, Some(types)) | (Some(types), None) => !types.is_empty(),
            (Some(types), Some(others)) => meet(types, others),
        }
    }

    /// Whether this set contains every type of `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match other.listed() {
            None => self.0.is_none(),
            Some(types) => types.iter().all(|&rtype| self.contains(rtype)),
        }
    }

    /// A 64-bit summary of the set; several types share a bit. A set whose signature lacks a bit of
    /// another signature does not cover that other set.
    pub(super) fn signature(&self) -> u64 {
        let bit = |rtype: &RecordType| 1 << (u32::from(rtype.0) % u64::BITS);
        self.listed().map_or(u64::MAX, |types| {
            types.iter().map(bit).fold(0, |bits, bit: u64| bits | bit)
        })
    }
}

/// Whether two ascending lists have a type in common.
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
    /// The set of exactly these types; empty if there are none.
    fn from_iter<I: IntoIterator<Item = RecordType>>(types: I) -> Self {
        let mut types: Vec<_> = types.into_iter().collect();
        types.sort_unstable();
        types.dedup();
        Self(Some(types.into()))
    }
}

impl fmt::Display for TypeSet {
    /// Writes `every type`, or the list separated by spaces.
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
