//! What a node of the tree of names says of its name, in four bytes.
//!
//! ```text
//!   bit 31           a name below is allowed to somebody, at some time
//!   bit 30           the other bits are the name's only entry
//!   bits 29 … 0      that entry, or one more than where the name's entries begin, or 0 for none
//! ```

use super::{PatternKind, PlacedPattern, RuleId};

const ALLOWED_BELOW: u32 = 1 << 31;
const ONLY: u32 = 1 << 30;
const REST: u32 = ONLY - 1;

/// An entry has two bits of kind and so many for the rule.
pub(super) const RULE_BITS: u32 = 28;
const KIND_BITS: u32 = 2;

/// Where a name's entries may begin, at most.
pub(super) const MAX_PLACE: u32 = REST - 1;

/// A node's mark. The one that a new node has says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeData(u32);

/// Where a name's entries are.
#[derive(Clone, Copy, Debug)]
pub(super) enum EntryPlace {
    /// There is this one.
    Here(PackedEntry),
    /// They stand from here on.
    From(u32),
}

impl NodeData {
    /// The mark with these bits.
    pub(super) const fn of(bits: u32) -> Self {
        Self(bits)
    }

    /// What the tree keeps.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// Where the name's entries are, if it has any.
    pub(super) const fn place(self) -> Option<EntryPlace> {
        match (self.0 & ONLY, self.0 & REST) {
            (0, 0) => None,
            (0, first) => Some(EntryPlace::From(first - 1)),
            (_, entry) => Some(EntryPlace::Here(PackedEntry(entry | LAST))),
        }
    }

    /// The same with entries.
    pub(super) const fn with(self, place: EntryPlace) -> Self {
        let place = match place {
            EntryPlace::Here(entry) => ONLY | entry.0 & REST,
            EntryPlace::From(first) => (first + 1) & REST,
        };
        Self(self.0 & ALLOWED_BELOW | place)
    }

    /// Whether a name below this one is allowed to anybody, at any time.
    pub(super) const fn is_allowed_below(self) -> bool {
        self.0 & ALLOWED_BELOW != 0
    }

    /// The same with that noted.
    pub(super) const fn with_allowed_below(self) -> Self {
        Self(self.0 | ALLOWED_BELOW)
    }
}

/// An entry in four bytes: one that ends the name's entries, the rule, two bits of kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedEntry(u32);

const LAST: u32 = 1 << 31;

impl PackedEntry {
    /// `last` ends the name's entries.
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

    /// The rule that it is of.
    pub(super) const fn rule(self) -> RuleId {
        RuleId((self.0 & REST) >> KIND_BITS)
    }

    /// What it is about.
    pub(super) const fn kind(self) -> PatternKind {
        match self.0 & 0b11 {
            0 => PatternKind::Exact,
            1 => PatternKind::Subtree,
            2 => PatternKind::Below,
            _ => PatternKind::Search,
        }
    }

    /// Whether it ends the name's entries.
    pub(super) const fn is_last(self) -> bool {
        self.0 & LAST != 0
    }
}
