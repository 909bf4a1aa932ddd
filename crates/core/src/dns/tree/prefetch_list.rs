//! The list of places that lookups will read.

/// Labels of a name that count, from the right. Rules are mostly about names of two or three, and a
/// walk for any other name ends one deeper.
pub(super) const LABELS: usize = 4;
/// Of these, the first ones: top-level domains are few and always near.
pub(super) const NEAR: usize = 1;
/// How many places are noted: as many as 32 names can have.
pub(super) const ROOM: usize = 32 * (LABELS - NEAR);

/// The places that walks will need: noted by [`PackedTree::prefetch`](super::PackedTree::prefetch) for one name after another,
/// read by [`PackedTree::fetch`](super::PackedTree::fetch) for all.
#[derive(Debug)]
pub struct Prefetch {
    pub(super) blocks: [u32; ROOM],
    pub(super) count: usize,
}

impl Prefetch {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            blocks: [0; ROOM],
            count: 0,
        }
    }

    /// Notes a block, if there is room.
    #[inline]
    pub(super) fn note(&mut self, block: u32) {
        if let Some(place) = self.blocks.get_mut(self.count) {
            *place = block;
            self.count += 1;
        }
    }
}

impl Default for Prefetch {
    fn default() -> Self {
        Self::new()
    }
}
