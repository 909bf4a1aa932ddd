//! The number of an entry of the policy: one pattern of one rule.
//!
//! A caller that wants to know which names of a list are in use keeps one bit per entry, indexed by
//! [`EntryId::index`]. The numbers are dense enough for that, and mean nothing outside their policy.

use std::num::NonZeroU32;

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
