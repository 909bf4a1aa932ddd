//! An entry of the policy, one pattern of one rule: its number, what it matches, and its form in the
//! name index.
//!
//! A caller that wants to know which names of a list are in use keeps one bit per entry, indexed by
//! [`EntryId::index`]. The numbers are dense enough for that, and mean nothing outside their policy.

use std::num::NonZeroU32;

use super::{Pattern, Rule, RuleId, RuleOrigin};
use crate::dns::NameRef;

/// Marks an entry that matches more than its own name.
const WIDE: u32 = 1 << 31;

/// One pattern of one rule, in one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(NonZeroU32);

impl EntryId {
    /// The entry at a place; `wide` if it matches names below its own. `None` beyond two thousand
    /// million places, which no memory holds.
    #[inline]
    pub(super) const fn new(place: u32, wide: bool) -> Option<Self> {
        if place >= WIDE - 1 {
            return None;
        }
        match NonZeroU32::new((place + 1) | if wide { WIDE } else { 0 }) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The index of the entry; below [`Policy::entry_places`](super::Policy::entry_places).
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0.get() & !WIDE) as usize - 1
    }

    /// Whether the entry matches names below its own.
    #[inline]
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.0.get() & WIDE != 0
    }
}

/// The maximum number of rules in a policy: the rule number must fit into the data of a node.
pub(super) const MAX_RULES: usize = 1 << RULE_BITS;

/// The part of a subtree that an entry matches. On the same name, the smaller kind takes
/// precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternKind {
    /// Only the name.
    Exact,
    /// The name and all names below it.
    Subtree,
    /// All names below the name, without the name itself.
    Below,
    /// The name and all names below it, unless another entry decides, even one of a shorter name.
    Search,
}

impl PatternKind {
    pub(super) fn of(pattern: &Pattern, rule: &Rule) -> Self {
        match pattern {
            _ if rule.origin == RuleOrigin::Search => Self::Search,
            Pattern::Exact(_) => Self::Exact,
            Pattern::Subtree(_) => Self::Subtree,
            Pattern::Below(_) => Self::Below,
        }
    }

    /// Whether an entry of this kind matches its own name, or the names below it.
    pub(super) const fn covers(self, reach: Coverage) -> bool {
        match reach {
            Coverage::Name => matches!(self, Self::Exact | Self::Subtree),
            Coverage::Below => matches!(self, Self::Subtree | Self::Below),
        }
    }

    /// The pattern of this kind for a name.
    pub(super) fn pattern(self, name: NameRef<'_>) -> Pattern {
        match self {
            Self::Exact => Pattern::Exact(name.to_name()),
            Self::Subtree | Self::Search => Pattern::Subtree(name.to_name()),
            Self::Below => Pattern::Below(name.to_name()),
        }
    }
}

/// The part that an entry may match, relative to the queried name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// The queried name.
    Name,
    /// The names below it that no entry mentions.
    Below,
}

const ALLOWED_BELOW: u32 = 1 << 31;
const ONLY: u32 = 1 << 30;
const REST: u32 = ONLY - 1;

/// The rule number's bits in an entry; two more bits are the kind.
pub(super) const RULE_BITS: u32 = 28;
const KIND_BITS: u32 = 2;

/// The maximum index of a name's first entry.
pub(super) const MAX_PLACE: u32 = REST - 1;

/// The data of a node in the name index, in four bytes. A new node has no entry.
///
/// ```text
///   bit 31           a name below is allowed for a group, at some time
///   bit 30           bits 29 … 0 are the name's only entry
///   bits 29 … 0      that entry, or the index of the name's first entry plus one, or 0 for none
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeData(u32);

/// The location of a name's entries.
#[derive(Clone, Copy, Debug)]
pub(super) enum EntryPlace {
    /// The only entry.
    Here(PackedEntry),
    /// The index of the first entry.
    From(u32),
}

impl NodeData {
    /// Decodes the data of a node.
    pub(super) const fn of(bits: u32) -> Self {
        Self(bits)
    }

    /// Encodes the data for the tree.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// The location of the name's entries, if it has any.
    pub(super) const fn place(self) -> Option<EntryPlace> {
        match (self.0 & ONLY, self.0 & REST) {
            (0, 0) => None,
            (0, first) => Some(EntryPlace::From(first - 1)),
            (_, entry) => Some(EntryPlace::Here(PackedEntry(entry | LAST))),
        }
    }

    /// The same data with entries.
    pub(super) const fn with(self, place: EntryPlace) -> Self {
        let place = match place {
            EntryPlace::Here(entry) => ONLY | entry.0 & REST,
            EntryPlace::From(first) => (first + 1) & REST,
        };
        Self(self.0 & ALLOWED_BELOW | place)
    }

    /// Whether a name below this one is allowed for any group, at any time.
    pub(super) const fn is_allowed_below(self) -> bool {
        self.0 & ALLOWED_BELOW != 0
    }

    /// The same data with [`Self::is_allowed_below`] set.
    pub(super) const fn with_allowed_below(self) -> Self {
        Self(self.0 | ALLOWED_BELOW)
    }
}

/// An entry in four bytes: a flag for the last entry of the name, the rule, and two bits of kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedEntry(u32);

const LAST: u32 = 1 << 31;

impl PackedEntry {
    /// `last` marks the last entry of the name.
    pub(super) fn new(rule: RuleId, kind: PatternKind, last: bool) -> Self {
        let kind = match kind {
            PatternKind::Exact => 0,
            PatternKind::Subtree => 1,
            PatternKind::Below => 2,
            PatternKind::Search => 3,
        };
        let last = if last { LAST } else { 0 };
        Self(last | rule.0 << KIND_BITS | kind)
    }

    /// The rule of the entry.
    pub(super) const fn rule(self) -> RuleId {
        RuleId((self.0 & REST) >> KIND_BITS)
    }

    /// The number of the entry at its place.
    #[inline]
    pub(super) const fn id(self, place: u32) -> Option<EntryId> {
        EntryId::new(place, self.0 & 0b11 != 0)
    }

    /// The part of the subtree that the entry matches.
    pub(super) const fn kind(self) -> PatternKind {
        match self.0 & 0b11 {
            0 => PatternKind::Exact,
            1 => PatternKind::Subtree,
            2 => PatternKind::Below,
            _ => PatternKind::Search,
        }
    }

    /// Whether this is the last entry of the name.
    pub(super) const fn is_last(self) -> bool {
        self.0 & LAST != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_place_and_its_width() {
        for place in [0, 1, 7, WIDE - 2] {
            for wide in [false, true] {
                let id = EntryId::new(place, wide).expect("a place");
                assert_eq!((id.index(), id.is_wide()), (place as usize, wide));
            }
        }
        assert_eq!(EntryId::new(WIDE - 1, false), None);
        assert_eq!(size_of::<Option<EntryId>>(), 4);
    }
}
