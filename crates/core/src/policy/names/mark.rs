//! What a node of the tree of names says of its name, in four bytes.
//!
//! ```text
//!   bit 31           a name below is allowed to somebody, at some time
//!   bit 30           the other bits are the name's only entry
//!   bits 29 … 0      that entry, or one more than where the name's entries begin, or 0 for none
//! ```

use super::{Kind, Placed, RuleId};

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
pub(super) struct Mark(u32);

/// Where a name's entries are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// There is this one.
    Here(Packed),
    /// They stand from here on.
    From(u32),
}

impl Mark {
    /// The mark with these bits.
    pub(super) const fn of(bits: u32) -> Self {
        Self(bits)
    }

    /// What the tree keeps.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// Where the name's entries are, if it has any.
    pub(super) const fn place(self) -> Option<Place> {
        match (self.0 & ONLY, self.0 & REST) {
            (0, 0) => None,
            (0, first) => Some(Place::From(first - 1)),
            (_, entry) => Some(Place::Here(Packed(entry | LAST))),
        }
    }

    /// The same with entries.
    pub(super) const fn with(self, place: Place) -> Self {
        let place = match place {
            Place::Here(entry) => ONLY | entry.0 & REST,
            Place::From(first) => (first + 1) & REST,
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
pub(super) struct Packed(u32);

const LAST: u32 = 1 << 31;

impl Packed {
    /// `last` ends the name's entries.
    pub(super) fn new(entry: &Placed, last: bool) -> Self {
        let kind = match entry.kind {
            Kind::Exact => 0,
            Kind::Subtree => 1,
            Kind::Below => 2,
            Kind::Search => 3,
        };
        let last = if last { LAST } else { 0 };
        Self(last | entry.rule.0 << KIND_BITS | kind)
    }

    /// The rule that it is of.
    pub(super) const fn rule(self) -> RuleId {
        RuleId((self.0 & REST) >> KIND_BITS)
    }

    /// What it is about.
    pub(super) const fn kind(self) -> Kind {
        match self.0 & 0b11 {
            0 => Kind::Exact,
            1 => Kind::Subtree,
            2 => Kind::Below,
            _ => Kind::Search,
        }
    }

    /// Whether it ends the name's entries.
    pub(super) const fn is_last(self) -> bool {
        self.0 & LAST != 0
    }
}
