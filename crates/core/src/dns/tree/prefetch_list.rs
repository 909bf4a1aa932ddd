//! The list of blocks that lookups will read.

/// The number of labels to prefetch for, from the right. Most rules are for names of two or three
/// labels, and a walk for any other name ends one level deeper.
pub(super) const LABELS: usize = 4;
/// The number of rightmost labels to skip: top-level domains are few, so the caches hold their
/// blocks.
pub(super) const NEAR: usize = 1;
/// Capacity of the list: the blocks of 32 names.
pub(super) const ROOM: usize = 32 * (LABELS - NEAR);

/// The blocks that walks will read. [`PackedTree::prefetch`](super::PackedTree::prefetch) adds
/// those of one name; [`PackedTree::fetch`](super::PackedTree::fetch) reads them all.
#[derive(Debug)]
pub struct Prefetch {
    pub(super) blocks: [u32; ROOM],
    pub(super) count: usize,
}

impl Prefetch {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            blocks: [0; ROOM],
            count: 0,
        }
    }

    /// Adds a block if the list has room.
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
