//! The tree as it is asked: complete, and packed so that a label costs one place in memory.
//!
//! What a walk costs in a long list is the memory that it touches, and that nothing of it is in the
//! processor's caches. So the nodes themselves stand in the buckets of the hash table
//! ([`block`](super::block)), a few in each: a label that is not there costs the first line of its
//! block, one that is there at most both. A node that its block has no room for stands in the next
//! one that has.
//!
//! ```text
//!   www.example.com      ┌ block ┬ block ┬ block ┬ block ┬ … ┬ block ┐
//!    │   │       └ com ──┼───────┼───▶   │       │       │   │       │   a node's number:
//!    │   └ example.com ──┼──▶    │       │       │       │   │       │   8 × block + slot
//!    └ www.example.com ──┼───────┼───────┼───────┼──▶    │   │       │
//!                        └───────┴───────┴───────┴───────┴───┴───────┘
//! ```
//!
//! In which block the search for a node begins depends on the labels of its name and on nothing
//! else, chained from the right. So all places of a walk are known from the name alone: the
//! processor need not wait for one to learn the next. What is found is compared with parent and
//! label, so that a walk is right whatever the hashes are; they only decide how long it takes.

use std::ops::Range;

use super::{
    HEAD, NONE, Node, TreeFull, arena,
    block::{BODY, Block, SIZE, SLOTS},
    prefetch_list::{self, Prefetch},
    seed::Seed,
};
use crate::dns::name::NameRef;

/// How much of all blocks is filled, in percent. Fuller ones take less memory and have more often
/// no room: so full, one node in ten to twenty stands in another block than its own.
const FILL: usize = 70;

/// A node of a [`PackedTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedId(u32);

impl PackedId {
    /// The node where every walk begins: the first one of the first block.
    pub const ROOT: Self = Self(0);

    fn new(block: usize, slot: usize) -> Option<Self> {
        u32::try_from(block * SLOTS + slot).ok().map(Self)
    }
}

/// Names, each with a mark that means something to the tree's owner, found by the longest known
/// suffix: a [`LabelTree`](super::LabelTree) that is complete.
#[derive(Clone, Debug)]
pub struct PackedTree {
    /// Behind those that nodes are spread over may be more: what the last of them have no room for.
    blocks: Vec<Block>,
    /// How many nodes are spread over.
    homes: u32,
    seed: &'static Seed,
}

/// What the labels of a name come to, from the right up to one of them.
#[derive(Clone, Copy)]
pub(super) struct Suffix(u64);

impl Suffix {
    /// No label.
    pub(super) const ROOT: Self = Self(0);

    /// One more label to the left.
    #[inline]
    pub(super) fn child(self, label: &[u8], seed: &Seed) -> Self {
        Self(seed.hash(self.passed_on(), label))
    }

    /// What of it goes on to the children: one half.
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

    /// Where the search begins: the other half, as a fraction of all blocks.
    #[inline]
    const fn home(self, homes: u32) -> u32 {
        (((self.0 >> 32) * homes as u64) >> 32) as u32
    }

    /// What is compared first: not 0, which is where there is no node.
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
    /// Packs the nodes that stand in an arena, in which parents stand before their children.
    ///
    /// # Errors
    /// When there are more nodes than numbers.
    pub(super) fn pack(nodes: Vec<u8>, seed: &'static Seed) -> Result<Self, TreeFull> {
        let homes = homes_for(&nodes).ok_or(TreeFull)?;
        Self::pack_into(nodes, homes, seed)
    }

    fn pack_into(mut nodes: Vec<u8>, homes: u32, seed: &'static Seed) -> Result<Self, TreeFull> {
        let homes_len = homes as usize;
        // Some more for what the last ones have no room for.
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

    /// Brings the blocks near that the next nodes will stand in, where their parents have been
    /// packed already; ends where the next ones begin. A long list is packed twice as fast so.
    fn look_ahead(&self, nodes: &[u8], from: u32, prefetch: &mut Prefetch) -> u32 {
        let mut here = from;
        for _ in 0..prefetch_list::ROOM {
            let Some(node) = arena::at(nodes, here) else {
                break;
            };
            if node.parent < from {
                let (_, suffix) = packed(nodes, node, self.seed);
                prefetch.note(self.home(suffix));
            }
            here = arena::behind(here, node);
        }
        self.fetch(prefetch);
        here
    }

    fn place_all(&mut self, nodes: &mut [u8], range: Range<u32>) -> Result<(), TreeFull> {
        let mut here = range.start;
        while here < range.end
            && let Some(node) = arena::at(nodes, here)
        {
            let (parent, suffix) = packed(nodes, node, self.seed);
            let packed = self.place(suffix, Node { parent, ..node })?;
            let next = arena::behind(here, node);
            arena::overwrite(nodes, here, packed.0, suffix.passed_on());
            here = next;
        }
        Ok(())
    }

    /// Puts a node into its block, or the next one with room for it.
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

    /// The deepest node on the way to `name`, and how many labels deep it is.
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
                // That its place has a number was seen to when it was put there.
                return Some(PackedId((at * SLOTS + slot) as u32));
            }
            if !block.is_over() {
                return None;
            }
            at += 1;
        }
    }

    /// The node that `node` is a child of; `None` for the root.
    #[must_use]
    pub fn parent(&self, node: PackedId) -> Option<PackedId> {
        self.above(node).0
    }

    /// The node that `node` is a child of, and the mark of `node`: for walks to the root.
    #[inline]
    #[must_use]
    pub fn above(&self, node: PackedId) -> (Option<PackedId>, u32) {
        let at = node.0 as usize;
        let block = self.blocks.get(at / SLOTS);
        let Some(Node { parent, mark, .. }) = block.and_then(|block| block.head(at % SLOTS)) else {
            return (None, 0);
        };
        ((parent != NONE).then_some(PackedId(parent)), mark)
    }

    /// The leftmost label of a node's name; empty for the root.
    #[must_use]
    pub fn label(&self, node: PackedId) -> &[u8] {
        let at = node.0 as usize;
        let block = self.blocks.get(at / SLOTS);
        let node = block.and_then(|block| block.node(at % SLOTS));
        node.map_or(&[], |node| node.label)
    }

    /// The mark of a node.
    #[must_use]
    pub fn mark(&self, node: PackedId) -> u32 {
        self.above(node).1
    }

    /// Every node and its mark, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (PackedId, u32)> {
        self.blocks.iter().enumerate().flat_map(|(at, block)| {
            let marks = block.marks();
            marks.filter_map(move |(slot, mark)| Some((PackedId::new(at, slot)?, mark)))
        })
    }

    /// How many bytes the tree holds on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.blocks.capacity() * SIZE
    }

    /// A suffix with one more label to the left.
    #[inline]
    pub(super) fn child_of(&self, suffix: Suffix, label: &[u8]) -> Suffix {
        suffix.child(label, self.seed)
    }

    /// In which block the search for the node of a suffix begins.
    #[inline]
    pub(super) const fn home(&self, suffix: Suffix) -> u32 {
        suffix.home(self.homes)
    }

    #[inline]
    pub(super) fn block(&self, at: u32) -> Option<&Block> {
        self.blocks.get(at as usize)
    }
}

/// The new number of a node's parent, and the suffix of the node: where a node has been packed, its
/// number and what its suffix passes on have taken the places of parent and mark.
fn packed(nodes: &[u8], node: Node<'_>, seed: &Seed) -> (u32, Suffix) {
    let above = arena::at(nodes, node.parent);
    above.map_or((NONE, Suffix::ROOT), |above| {
        let suffix = Suffix::of_passed_on(above.mark).child(node.label, seed);
        (above.parent, suffix)
    })
}

/// How many blocks the nodes of an arena are to be spread over, if so many can be numbered.
fn homes_for(nodes: &[u8]) -> Option<u32> {
    let (mut here, mut bytes) = (0, 0);
    while let Some(node) = arena::at(nodes, here) {
        // What is left over when no other one of this size fits counts as taken.
        let fit = (BODY / (HEAD + node.label.len())).clamp(1, SLOTS);
        bytes += BODY / fit;
        here = arena::behind(here, node);
    }
    u32::try_from(bytes * 100 / (BODY * FILL) + 1).ok()
}

#[cfg(test)]
mod tests;
