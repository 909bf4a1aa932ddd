//! The data of a node in the name index, in four bytes.
//!
//! ```text
//!   bit 31           a name below is allowed for a group, at some time
//!   bit 30           bits 29 … 0 are the name's only entry
//!   bits 29 … 0      that entry, or the index of the name's first entry plus one, or 0 for none
//! ```

use super::{EntryId, PatternKind, PlacedPattern, RuleId};

const ALLOWED_BELOW: u32 = 1 << 31;
const ONLY: u32 = 1 << 30;
const REST: u32 = ONLY - 1;

/// The rule number's bits in an entry; two more bits are the kind.
pub(super) const RULE_BITS: u32 = 28;
const KIND_BITS: u32 = 2;

/// The maximum index of a name's first entry.
pub(super) const MAX_PLACE: u32 = REST - 1;

/// The mark of a node. A new node has no entry.
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
    /// Decodes a mark.
    pub(super) const fn of(bits: u32) -> Self {
        Self(bits)
    }

    /// Encodes the mark for the tree.
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

    /// The same mark with entries.
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

    /// The same mark with [`Self::is_allowed_below`] set.
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
    pub(super) fn new(entry: &PlacedPattern, last: bool) -> Self {
        let kind = match entry.kind {
            PatternKind::Exact => 0,
            PatternKind::Subtree => 1,
            PatternKind::Below => 2,
            PatternKind::Search => 3,
        };
        let last = if last { LAST } else { 0 };
        Self(last | entry.rule.0 << KIND_BITS | kind)
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
