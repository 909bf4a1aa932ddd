//! The read-only form of the tree, packed so that a lookup reads one block of memory per label.
//!
//! In a long list, uncached memory accesses dominate the cost of a walk. So the buckets of the hash
//! table ([`block`](super::block)) contain the nodes themselves, a few per bucket. A missing label
//! reads the first cache line of its block; an existing one reads at most both. A node that does
//! not fit into its home block goes into the next block with room.
//!
//! ```text
//!   www.example.com      ┌ block ┬ block ┬ block ┬ block ┬ … ┬ block ┐
//!    │   │       └ com ──┼───────┼───▶   │       │       │   │       │   a node's number:
//!    │   └ example.com ──┼──▶    │       │       │       │   │       │   8 × block + slot
//!    └ www.example.com ──┼───────┼───────┼───────┼──▶    │   │       │
//!                        └───────┴───────┴───────┴───────┴───┴───────┘
//! ```
//!
//! The home block of a node depends only on the labels of its name, hashed in a chain from the
//! right. So the name determines all blocks of a walk, and the processor can compute them without
//! waiting for memory. A walk compares the parent and the label of each node that it finds, so hash
//! collisions affect its speed but never its result.

use std::ops::Range;

use super::{
    Arena, HEAD, NONE, Node, Seed, TreeFull,
    block::{BODY, Block, Prefetch, SIZE, SLOTS},
};
use crate::dns::name::{MAX_NAME, NameRef};

/// The fill level of the blocks in percent. Fuller blocks use less memory but overflow more often.
/// At this level, one node in ten to twenty is outside its home block.
const FILL: usize = 70;

/// Trees up to this size in bytes are not prefetched. It is half the second-level cache of a core
/// on common servers, so such a tree is mostly cached already.
const CACHED: usize = 512 << 10;

/// A node of a [`PackedTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedId(u32);

impl PackedId {
    /// The node where every walk begins: the first node of the first block.
    pub const ROOT: Self = Self(0);

    fn new(block: usize, slot: usize) -> Option<Self> {
        u32::try_from(block * SLOTS + slot).ok().map(Self)
    }

    /// The place of the node; below [`PackedTree::places`].
    #[inline]
    #[must_use]
    pub const fn place(self) -> u32 {
        self.0
    }
}

/// Names with data, found by the longest known suffix: the packed form of a complete
/// [`LabelTree`](super::LabelTree). The owner of the tree defines the meaning of the data.
#[derive(Clone, Debug)]
pub struct PackedTree {
    /// The home blocks, then overflow blocks for the nodes that do not fit into the last home
    /// blocks.
    blocks: Vec<Block>,
    /// The number of home blocks.
    homes: u32,
    seed: &'static Seed,
}

/// The hash of the labels of a name, from the rightmost one to a certain label.
#[derive(Clone, Copy)]
struct Suffix(u64);

impl Suffix {
    /// The hash of no labels.
    const ROOT: Self = Self(0);

    /// Adds a label on the left.
    #[inline]
    fn child(self, label: &[u8], seed: &Seed) -> Self {
        Self(seed.hash(self.passed_on(), label))
    }

    /// The half of the hash that enters the hashes of the children.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "one half of the hash is wanted"
    )]
    const fn passed_on(self) -> u32 {
        self.0 as u32
    }

    const fn of_passed_on(half: u32) -> Self {
        Self(half as u64)
    }

    /// The number of the home block: the other half of the hash, as a fraction of all home blocks.
    #[inline]
    const fn home(self, homes: u32) -> u32 {
        (((self.0 >> 32) * homes as u64) >> 32) as u32
    }

    /// The byte that a lookup compares first. It is never 0, the tag of an empty slot.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "eight bits of the hash are wanted"
    )]
    const fn tag(self) -> u8 {
        self.0 as u8 | 1
    }
}

impl PackedTree {
    /// Packs the nodes of an arena. Each parent must precede its children.
    ///
    /// # Errors
    /// If there are more nodes than numbers.
    pub(super) fn pack(nodes: Arena, seed: &'static Seed) -> Result<Self, TreeFull> {
        let homes = homes_for(&nodes).ok_or(TreeFull)?;
        Self::pack_into(nodes, homes, seed)
    }

    fn pack_into(mut nodes: Arena, homes: u32, seed: &'static Seed) -> Result<Self, TreeFull> {
        let homes_len = homes as usize;
        // Reserves additional space for overflow blocks.
        let mut blocks = Vec::with_capacity(homes_len + homes_len / 1000 + 1);
        blocks.resize(homes_len, Block::EMPTY);
        let mut tree = Self {
            blocks,
            homes,
            seed,
        };
        let (mut prefetch, mut next) = (Prefetch::new(), 0);
        loop {
            let here = next;
            next = tree.look_ahead(&nodes, here, &mut prefetch);
            if next == here {
                return Ok(tree);
            }
            tree.place_all(&mut nodes, here..next)?;
        }
    }

    /// Prefetches the home blocks of the next nodes whose parents are already packed. Returns the
    /// end of this batch of nodes. This halves the time to pack a long list.
    fn look_ahead(&self, nodes: &Arena, from: u32, prefetch: &mut Prefetch) -> u32 {
        let mut here = from;
        for _ in 0..Prefetch::ROOM {
            let Some(node) = nodes.at(here) else {
                break;
            };
            if node.parent < from {
                let (_, suffix) = packed(nodes, node, self.seed);
                prefetch.note(self.home(suffix));
            }
            here = Arena::after(here, node);
        }
        self.fetch(prefetch);
        here
    }

    fn place_all(&mut self, nodes: &mut Arena, range: Range<u32>) -> Result<(), TreeFull> {
        let mut here = range.start;
        while here < range.end
            && let Some(node) = nodes.at(here)
        {
            let (parent, suffix) = packed(nodes, node, self.seed);
            let packed = self.place(suffix, Node { parent, ..node })?;
            let next = Arena::after(here, node);
            nodes.overwrite(here, packed.0, suffix.passed_on());
            here = next;
        }
        Ok(())
    }

    /// Puts a node into its home block or the next block with room.
    fn place(&mut self, suffix: Suffix, node: Node<'_>) -> Result<PackedId, TreeFull> {
        let mut at = self.home(suffix) as usize;
        loop {
            if at == self.blocks.len() {
                self.blocks.push(Block::EMPTY);
            }
            let block = self.blocks.get_mut(at).ok_or(TreeFull)?;
            if let Some(slot) = block.put(suffix.tag(), node) {
                return PackedId::new(at, slot).ok_or(TreeFull);
            }
            at += 1;
        }
    }

    /// The deepest node on the path to `name`, and its depth in labels.
    #[must_use]
    pub fn closest(&self, name: NameRef<'_>) -> (PackedId, usize) {
        let starts = name.label_starts();
        let (mut node, mut suffix, mut depth) = (PackedId::ROOT, Suffix::ROOT, 0);
        for &start in starts.as_slice().iter().rev() {
            let label = name.label_at(start);
            suffix = suffix.child(label, self.seed);
            let Some(child) = self.child(node, label, suffix) else {
                break;
            };
            node = child;
            depth += 1;
        }
        (node, depth)
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "that the place has a number was checked when the node was put there"
    )]
    fn child(&self, parent: PackedId, label: &[u8], suffix: Suffix) -> Option<PackedId> {
        let mut at = self.home(suffix) as usize;
        loop {
            let block = self.blocks.get(at)?;
            if let Some(slot) = block.find(suffix.tag(), parent.0, label) {
                // Insertion has checked that this number fits.
                return Some(PackedId((at * SLOTS + slot) as u32));
            }
            if !block.is_over() {
                return None;
            }
            at += 1;
        }
    }

    /// The parent of `node`; `None` for the root.
    #[must_use]
    pub fn parent(&self, node: PackedId) -> Option<PackedId> {
        self.above(node).0
    }

    /// The parent of `node` and the data of `node`, for walks to the root.
    #[inline]
    #[must_use]
    pub fn above(&self, node: PackedId) -> (Option<PackedId>, u32) {
        let at = node.0 as usize;
        let block = self.blocks.get(at / SLOTS);
        let Some(Node { parent, data, .. }) = block.and_then(|block| block.head(at % SLOTS)) else {
            return (None, 0);
        };
        ((parent != NONE).then_some(PackedId(parent)), data)
    }

    /// The leftmost label of a node's name; empty for the root.
    #[must_use]
    pub fn label(&self, node: PackedId) -> &[u8] {
        let at = node.0 as usize;
        let block = self.blocks.get(at / SLOTS);
        let node = block.and_then(|block| block.node(at % SLOTS));
        node.map_or(&[], |node| node.label)
    }

    /// The data of a node.
    #[must_use]
    pub fn data(&self, node: PackedId) -> u32 {
        self.above(node).1
    }

    /// Every node and its data, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (PackedId, u32)> {
        self.blocks.iter().enumerate().flat_map(|(at, block)| {
            let nodes = block.data();
            nodes.filter_map(move |(slot, data)| Some((PackedId::new(at, slot)?, data)))
        })
    }

    /// One more than the highest place of a node. There are two to three places per node.
    #[inline]
    #[must_use]
    pub fn places(&self) -> u32 {
        u32::try_from(self.blocks.len() * SLOTS).unwrap_or(u32::MAX)
    }

    /// The heap memory of the tree in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.blocks.capacity() * SIZE
    }

    /// Adds the blocks that a walk to a name may read. `wire` should begin with the name but may
    /// hold any bytes: prefetching is a guess and never changes an answer, and for a name with
    /// upper-case letters it has no effect. Returns whether prefetching is useful for this tree; it
    /// is not for a small one.
    #[inline]
    pub fn prefetch(&self, wire: &[u8], prefetch: &mut Prefetch) -> bool {
        let of_use = self.heap_bytes() > CACHED;
        if of_use {
            self.note(wire, prefetch);
        }
        of_use
    }

    fn note(&self, wire: &[u8], prefetch: &mut Prefetch) {
        let mut suffix = Suffix::ROOT;
        for (depth, label) in last_labels(wire).into_iter().enumerate() {
            if label.is_empty() {
                break;
            }
            suffix = suffix.child(label, self.seed);
            if depth >= Prefetch::NEAR {
                prefetch.note(self.home(suffix));
            }
        }
    }

    /// Reads the listed blocks into the processor cache and clears the list.
    pub fn fetch(&self, prefetch: &mut Prefetch) {
        prefetch.fetch(&self.blocks);
    }

    /// The number of the home block of a suffix.
    #[inline]
    const fn home(&self, suffix: Suffix) -> u32 {
        suffix.home(self.homes)
    }
}

/// The last labels of a name, from the right; missing ones are empty.
#[inline]
fn last_labels(wire: &[u8]) -> [&[u8]; Prefetch::LABELS] {
    let mut last: [&[u8]; Prefetch::LABELS] = [&[]; Prefetch::LABELS];
    let mut rest = wire.get(..MAX_NAME).unwrap_or(wire);
    while let Some((&len, behind)) = rest.split_first()
        && len != 0
        && let Some((label, behind)) = behind.split_at_checked(usize::from(len))
    {
        let [first, second, third, _] = last;
        last = [label, first, second, third];
        rest = behind;
    }
    last
}

/// The new number of a node's parent, and the suffix of the node. Packing a node overwrites its
/// parent in the arena with its new number, and its data with the half of its suffix that enters
/// the hashes of its children.
fn packed(nodes: &Arena, node: Node<'_>, seed: &Seed) -> (u32, Suffix) {
    let above = nodes.at(node.parent);
    above.map_or((NONE, Suffix::ROOT), |above| {
        let suffix = Suffix::of_passed_on(above.data).child(node.label, seed);
        (above.parent, suffix)
    })
}

/// The number of home blocks for the nodes of an arena; `None` if the number does not fit.
fn homes_for(nodes: &Arena) -> Option<u32> {
    let (mut here, mut bytes) = (0, 0);
    while let Some(node) = nodes.at(here) {
        // The space left when no other node of this size fits counts as used.
        let fit = (BODY / (HEAD + node.label.len())).clamp(1, SLOTS);
        bytes += BODY / fit;
        here = Arena::after(here, node);
    }
    u32::try_from(bytes * 100 / (BODY * FILL) + 1).ok()
}

#[cfg(test)]
mod tests;
