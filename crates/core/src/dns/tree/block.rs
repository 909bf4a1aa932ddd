//! The memory of a packed tree: its blocks, and the list of blocks that a batch of lookups will
//! read.
//!
//! A block is a bucket of the tree's hash table that contains whole nodes.
//!
//! ```text
//!            ┌─ first line ────────────────────────────────┬─ second line ──────────────────┐
//!   block    │ tags: 8 │ bounds: 9 │ over: 1 │ node │ node │ node │ …                  free │ 128 bytes
//!            └─────────┴───────────┴─────────┴──────┴──────┴────────────────────────────────┘
//!              │         │           └─ a node did not fit and is in a later block
//!              │         └─ offsets where each node begins and ends, from the first one
//!              └─ a byte of each node's hash; 0 for an empty slot
//!
//!   node     │ parent: u32 │ data: u32 │ label │
//! ```

use std::hint;

use super::{HEAD, Node, same_label};

/// Bytes of a block: two adjacent cache lines in one page. A larger block would need more cache
/// lines; a smaller one could not hold the longest label.
pub(super) const SIZE: usize = 128;
/// The maximum number of nodes in a block: the number of tags in one 64-bit word.
pub(super) const SLOTS: usize = 8;
/// Bytes of a block for its nodes.
pub(super) const BODY: usize = SIZE - SLOTS - (SLOTS + 1) - 1;

/// A block; see the diagram in the module documentation.
#[derive(Clone, Debug)]
#[repr(C, align(128))]
pub(super) struct Block {
    tags: [u8; SLOTS],
    bounds: [u8; SLOTS + 1],
    over: bool,
    body: [u8; BODY],
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        tags: [0; SLOTS],
        bounds: [0; SLOTS + 1],
        over: false,
        body: [0; BODY],
    };

    /// The node in a slot.
    #[inline]
    pub(super) fn node(&self, slot: usize) -> Option<Node<'_>> {
        // Has no effect on a valid slot; it lets the compiler omit bounds checks.
        let slot = slot % SLOTS;
        let (start, end) = (*self.bounds.get(slot)?, *self.bounds.get(slot + 1)?);
        let node = self.body.get(usize::from(start)..usize::from(end))?;
        let (head, label) = node.split_first_chunk()?;
        Some(Node::of(head, label))
    }

    /// The node in a slot without its label, which is faster to read.
    #[inline]
    pub(super) fn head(&self, slot: usize) -> Option<Node<'_>> {
        let start = usize::from(*self.bounds.get(slot % SLOTS)?);
        Some(Node::of(self.body.get(start..)?.first_chunk()?, &[]))
    }

    /// The slot of the node with this tag, parent and label.
    #[inline]
    pub(super) fn find(&self, tag: u8, parent: u32, label: &[u8]) -> Option<usize> {
        // Compares all tags at once: sets the highest bit of each equal tag, and possibly of the
        // tag after it if that tag differs only in the lowest bit.
        const ONES: u64 = u64::from_ne_bytes([1; SLOTS]);
        let other = u64::from_le_bytes(self.tags) ^ (ONES * u64::from(tag));
        let mut same = other.wrapping_sub(ONES) & !other & (ONES << 7);
        while same != 0 {
            let slot = same.trailing_zeros() as usize / 8;
            let node = self.node(slot);
            if node.is_some_and(|node| node.parent == parent && same_label(node.label, label)) {
                return Some(slot);
            }
            same &= same - 1;
        }
        None
    }

    /// Whether a node that belongs here may be in a later block.
    #[inline]
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Each used slot, with the data of its node.
    pub(super) fn data(&self) -> impl Iterator<Item = (usize, u32)> {
        let taken = self.tags.iter().take_while(|&&tag| tag != 0);
        let slots = taken.enumerate().map(|(slot, _)| slot);
        slots.filter_map(|slot| Some((slot, self.node(slot)?.data)))
    }

    /// Appends a node and returns its slot. If the block has no room, returns `None` and marks the
    /// block as overflowed. The tag must not be 0.
    pub(super) fn put(&mut self, tag: u8, node: Node<'_>) -> Option<usize> {
        let slot = self.try_put(tag, node);
        self.over |= slot.is_none();
        slot
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a node ends within its block of 128 bytes"
    )]
    fn try_put(&mut self, tag: u8, node: Node<'_>) -> Option<usize> {
        let slot = self.tags.iter().position(|&tag| tag == 0)?;
        let start = usize::from(*self.bounds.get(slot)?);
        let end = start + HEAD + node.label.len();
        let room = self.body.get_mut(start..end)?;
        let (head, label) = room.split_first_chunk_mut::<HEAD>()?;
        *head = node.head();
        label.copy_from_slice(node.label);
        *self.tags.get_mut(slot)? = tag;
        *self.bounds.get_mut(slot + 1)? = end as u8; // less than a block
        Some(slot)
    }

    /// Reads a byte of both cache lines.
    #[inline]
    const fn touch(&self) -> u8 {
        let ([first, ..], [.., last]) = (self.tags, self.body);
        first ^ last
    }
}

/// The blocks that a batch of walks will read, so that their memory can be read before the first
/// walk begins. [`PackedTree::prefetch`](super::PackedTree::prefetch) adds those of one name;
/// [`PackedTree::fetch`](super::PackedTree::fetch) reads them all.
///
/// In a long list each walk waits for memory outside all caches, about a hundred nanoseconds per
/// access. A walk branches on the data that it reads, so the processor cannot overlap it with the
/// next walk. But the name alone determines the blocks of its nodes. So for a batch of queries all
/// blocks are computed first, without reading any, and then read in a loop without dependencies, so
/// that several reads run at a time. In a list of a million names, this reduces the time of a walk
/// to one third.
///
/// ```text
///   without   walk: wait ……… walk: wait ……… walk: wait ……… walk: wait ………
///   with      places  fetch: wait ………… walk walk walk walk
///                            wait …………
///                            wait …………
///                            wait …………
/// ```
#[derive(Debug)]
pub struct Prefetch {
    blocks: [u32; Self::ROOM],
    count: usize,
}

impl Prefetch {
    /// The number of labels to prefetch for, from the right. Most rules are for names of two or
    /// three labels, and a walk for any other name ends one level deeper.
    pub(super) const LABELS: usize = 4;
    /// The number of rightmost labels to skip: top-level domains are few, so the caches hold their
    /// blocks.
    pub(super) const NEAR: usize = 1;
    /// Capacity of the list: the blocks of 32 names.
    pub(super) const ROOM: usize = 32 * (Self::LABELS - Self::NEAR);

    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            blocks: [0; Self::ROOM],
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

    /// The numbers of the listed blocks.
    pub(super) fn noted(&self) -> &[u32] {
        self.blocks.get(..self.count).unwrap_or_default()
    }

    /// Reads a byte of each cache line of the listed blocks, which loads them into the cache, and
    /// clears the list.
    pub(super) fn fetch(&mut self, blocks: &[Block]) {
        let noted = self.noted().iter();
        let noted = noted.filter_map(|&block| blocks.get(block as usize));
        hint::black_box(noted.fold(0, |read, block| read ^ block.touch()));
        self.count = 0;
    }
}

impl Default for Prefetch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(parent: u32, label: &[u8]) -> Node<'_> {
        Node::new(parent, parent + 1, label)
    }

    #[test]
    fn a_block_is_two_lines_and_holds_the_longest_label() {
        assert_eq!((size_of::<Block>(), align_of::<Block>()), (SIZE, SIZE));
        let mut block = Block::EMPTY;
        let long = [b'a'; 63];
        assert_eq!(block.put(7, node(1, &long)), Some(0));
        assert_eq!(block.find(7, 1, &long), Some(0));
        // The rest takes a label of 31 bytes and not one of 32.
        assert_eq!(block.put(7, node(1, &[b'b'; 32])), None);
        assert!(block.is_over());
        assert_eq!(block.put(7, node(1, &[b'b'; 31])), Some(1));
        assert_eq!(block.put(7, node(1, b"")), None);
    }

    #[test]
    fn tags_that_are_the_same_or_nearly_so_do_not_mislead() {
        let mut block = Block::EMPTY;
        for (parent, tag) in (0..).zip([8, 9, 8, 9, 1, 1, 255, 254]) {
            assert_eq!(
                block.put(tag, node(parent, b"x")),
                Some(parent as usize),
                "{parent}"
            );
        }
        for (slot, tag) in [8, 9, 8, 9, 1, 1, 255, 254].into_iter().enumerate() {
            assert_eq!(block.find(tag, slot as u32, b"x"), Some(slot), "{slot}");
            assert_eq!(block.find(tag, slot as u32, b"y"), None, "{slot}");
            assert_eq!(block.find(tag, 8, b"x"), None, "{slot}");
        }
        let data: Vec<_> = block.data().collect();
        assert_eq!(data.len(), SLOTS);
        assert_eq!(data.last(), Some(&(7, 8)));
        assert!(!block.is_over());
        assert_eq!(block.put(3, node(9, b"")), None); // there would be bytes, but no slot
        assert!(block.is_over());
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        for tag in 1..=255 {
            assert_eq!(Block::EMPTY.find(tag, 0, b""), None);
        }
        assert_eq!(Block::EMPTY.data().count(), 0);
    }
}
