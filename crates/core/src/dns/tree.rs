//! A tree of names: each node is a name, and siblings differ in their leftmost label.
//!
//! Rules and zones are found by the longest known suffix of a name. The lookup walks down from the
//! root and ends at the first missing label, so a denied name costs a few steps regardless of the
//! size of the tree. Names that only have descendants are nodes too: they are empty non-terminals
//! (RFC 4592 section 2.2.2).
//!
//! The tree has two forms. A [`LabelTree`] can grow and suits the names of a zone. A [`PackedTree`]
//! is built from a complete [`LabelTree`] and suits lists larger than the processor caches. A
//! [`LabelMap`] holds a value of any type at each name.
//!
//! A [`LabelTree`] stores each node in one arena as nine bytes plus its label. One hash table finds
//! children by (parent, label). A million names take about 30 MB.

mod block;
mod packed;
#[cfg(test)]
mod tests;

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::OnceLock,
};

use foldhash::{SharedSeed, fast::FoldHasher};
use hashbrown::HashTable;

use super::name::NameRef;

pub use block::Prefetch;
pub use packed::{PackedId, PackedTree};

/// A node of a [`LabelTree`]. The root has the lowest number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The node where every walk begins.
    pub const ROOT: Self = Self(0);
}

/// The parent value of the root.
const NONE: u32 = u32::MAX;
/// Bytes of a node before its label.
const HEAD: usize = 8;

/// Names with four bytes of data each, found by the longest known suffix. The owner of the tree
/// defines the meaning of the data; those of a new node are 0.
#[derive(Clone, Debug)]
pub struct LabelTree {
    arena: Arena,
    children: HashTable<u32>,
    seed: &'static Seed,
}

/// The tree would need more than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many names: their labels do not fit into 4 GiB")]
pub struct TreeFull;

/// The contents of one node.
#[derive(Clone, Copy, Debug)]
struct Node<'t> {
    parent: u32,
    data: u32,
    label: &'t [u8],
}

impl<'t> Node<'t> {
    const fn new(parent: u32, data: u32, label: &'t [u8]) -> Self {
        Self {
            parent,
            data,
            label,
        }
    }

    /// Decodes a node from the bytes that both forms of the tree store.
    #[inline]
    const fn of(head: &[u8; HEAD], label: &'t [u8]) -> Self {
        let &[p0, p1, p2, p3, m0, m1, m2, m3] = head;
        let parent = u32::from_ne_bytes([p0, p1, p2, p3]);
        Self::new(parent, u32::from_ne_bytes([m0, m1, m2, m3]), label)
    }

    /// The stored bytes before the label.
    const fn head(self) -> [u8; HEAD] {
        let [p0, p1, p2, p3] = self.parent.to_ne_bytes();
        let [m0, m1, m2, m3] = self.data.to_ne_bytes();
        [p0, p1, p2, p3, m0, m1, m2, m3]
    }
}

impl LabelTree {
    /// A tree with only the root.
    #[must_use]
    pub fn new() -> Self {
        Self::with_seed(Seed::of_process())
    }

    /// A tree with only the root and the given seed.
    fn with_seed(seed: &'static Seed) -> Self {
        let mut arena = Arena(Vec::new());
        arena.put(Node::new(NONE, 0, &[]));
        Self {
            arena,
            children: HashTable::new(),
            seed,
        }
    }

    /// Reserves space for `names` more names, so that loading a long list does not repeatedly
    /// reallocate and copy the tree. [`Self::shrink_to_fit`] releases the unused space.
    pub fn reserve(&mut self, names: usize) {
        self.arena.0.reserve(names.saturating_mul(Arena::TYPICAL));
        let (arena, seed) = (&self.arena, self.seed);
        self.children
            .reserve(names, |&child| rehash(seed, arena, child));
    }

    /// Returns the node of `name` without its last `skip` labels. Creates it and its missing
    /// ancestors if necessary.
    ///
    /// # Errors
    /// If the tree is full.
    pub fn insert(&mut self, name: NameRef<'_>, skip: usize) -> Result<NodeId, TreeFull> {
        let starts = name.label_starts();
        let mut node = NodeId::ROOT;
        for &start in starts.as_slice().iter().rev().skip(skip) {
            let label = name.label_at(start);
            node = match self.child(node, label) {
                Some(child) => child,
                None => self.add_child(node, label)?,
            };
        }
        Ok(node)
    }

    fn add_child(&mut self, parent: NodeId, label: &[u8]) -> Result<NodeId, TreeFull> {
        let start = self.arena.0.len();
        // The end must have a number too, so that no node starts at or after `NONE`.
        let end = u32::try_from(start + Arena::OVERHEAD + label.len());
        let id = u32::try_from(start).map_err(|_| TreeFull)?;
        end.map_err(|_| TreeFull)?;
        self.arena.put(Node::new(parent.0, 0, label));
        let (arena, seed) = (&self.arena, self.seed);
        self.children
            .insert_unique(seed.hash(parent.0, label), id, |&child| {
                rehash(seed, arena, child)
            });
        Ok(NodeId(id))
    }

    /// The child of `node` with this label.
    #[must_use]
    pub fn child(&self, node: NodeId, label: &[u8]) -> Option<NodeId> {
        let found = self.children.find(self.seed.hash(node.0, label), |&child| {
            self.arena
                .at(child)
                .is_some_and(|child| child.parent == node.0 && same_label(child.label, label))
        });
        found.map(|&child| NodeId(child))
    }

    /// Returns the deepest node on the path to `name` without its last `skip` labels, and its depth
    /// in labels below the root of this tree.
    #[must_use]
    pub fn closest(&self, name: NameRef<'_>, skip: usize) -> (NodeId, usize) {
        let starts = name.label_starts();
        let mut node = NodeId::ROOT;
        let mut depth = 0;
        for &start in starts.as_slice().iter().rev().skip(skip) {
            let Some(child) = self.child(node, name.label_at(start)) else {
                break;
            };
            node = child;
            depth += 1;
        }
        (node, depth)
    }

    /// The parent of `node`; `None` for the root.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.arena.at(node.0)?.parent;
        (parent != NONE).then_some(NodeId(parent))
    }

    /// The leftmost label of a node's name; empty for the root.
    #[must_use]
    pub fn label(&self, node: NodeId) -> &[u8] {
        self.arena.at(node.0).map_or(&[], |node| node.label)
    }

    /// The data of a node; 0 if none were set.
    #[must_use]
    pub fn data(&self, node: NodeId) -> u32 {
        self.arena.at(node.0).map_or(0, |node| node.data)
    }

    /// Sets the data of a node.
    pub fn set_data(&mut self, node: NodeId, data: u32) {
        if let Some(Node { parent, .. }) = self.arena.at(node.0) {
            self.arena.overwrite(node.0, parent, data);
        }
    }

    /// Every node and its data, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, u32)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (id, node) = (next, self.arena.at(next)?);
            next = Arena::after(id, node);
            Some((NodeId(id), node.data))
        })
    }

    /// Converts the tree into a read-only form with the same names and data. The nodes get new
    /// numbers.
    ///
    /// # Errors
    /// If the tree has more nodes than numbers.
    pub fn pack(self) -> Result<PackedTree, TreeFull> {
        let Self {
            arena,
            children,
            seed,
        } = self;
        drop(children); // before anything else takes room
        PackedTree::pack(arena, seed)
    }

    /// Releases unused capacity. Use it when the tree is complete.
    pub fn shrink_to_fit(&mut self) {
        self.arena.0.shrink_to_fit();
        let (arena, seed) = (&self.arena, self.seed);
        self.children
            .shrink_to_fit(|&child| rehash(seed, arena, child));
    }
}

impl Default for LabelTree {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares two labels. For most lengths it compares both ends, which meet or overlap; that is
/// faster than a call to the general byte comparison.
#[inline]
fn same_label(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        17.. => one == other,
        8..=16 => ends::<8>(one) == ends::<8>(other),
        4..=7 => ends::<4>(one) == ends::<4>(other),
        2..=3 => ends::<2>(one) == ends::<2>(other),
        _ => one.first() == other.first(),
    }
}

#[inline]
fn ends<const N: usize>(label: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (label.first_chunk(), label.last_chunk())
}

fn rehash(seed: &Seed, arena: &Arena, child: u32) -> u64 {
    arena
        .at(child)
        .map_or(0, |node| seed.hash(node.parent, node.label))
}

/// The nodes of a growing tree, one after another. The offset of a node is its number.
///
/// ```text
///   … │ parent: u32 │ data: u32 │ length: u8 │ label │ …
/// ```
#[derive(Clone, Debug)]
struct Arena(Vec<u8>);

impl Arena {
    /// Bytes of a node besides its label.
    const OVERHEAD: usize = HEAD + 1;
    /// Estimated bytes per node, for reservations: labels have about ten bytes on average.
    const TYPICAL: usize = Self::OVERHEAD + 10;

    /// Appends a node. A label has at most 63 bytes.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a label has at most 63 bytes"
    )]
    fn put(&mut self, node: Node<'_>) {
        self.0.extend_from_slice(&node.head());
        self.0.push(node.label.len() as u8);
        self.0.extend_from_slice(node.label);
    }

    /// The node at this offset; `None` after the last one.
    #[inline]
    fn at(&self, id: u32) -> Option<Node<'_>> {
        let (head, rest) = self.0.get(id as usize..)?.split_first_chunk()?;
        let (&len, rest) = rest.split_first()?;
        Some(Node::of(head, rest.get(..usize::from(len))?))
    }

    /// The offset of the node after this one. Insertion has checked that it fits into `u32`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the end of each node was seen to have a number when it was added"
    )]
    const fn after(id: u32, node: Node<'_>) -> u32 {
        id + (Self::OVERHEAD + node.label.len()) as u32
    }

    /// Replaces the parent and the data of a node.
    fn overwrite(&mut self, id: u32, parent: u32, data: u32) {
        let mut rest = self.0.get_mut(id as usize..);
        if let Some(head) = rest.as_mut().and_then(|rest| rest.first_chunk_mut()) {
            *head = Node::new(parent, data, &[]).head();
        }
    }
}

/// The seed of this process, set on first use.
static OF_PROCESS: OnceLock<Seed> = OnceLock::new();

/// The seed of the hashes in a tree.
///
/// The labels of a tree come from third-party lists, zone files and the configuration. If an
/// attacker knows the seed, they can make 60 000 labels with the same hash, and loading them would
/// take hours. So each process draws a random seed. The whole seed enters the hash of the first
/// label: if an attacker can make one factor of the hash zero, the result no longer depends on the
/// other factor.
#[derive(Debug)]
struct Seed {
    /// The initial state of each hash.
    begin: u64,
    shared: SharedSeed,
}

impl Seed {
    /// The seed of this process.
    fn of_process() -> &'static Self {
        OF_PROCESS.get_or_init(|| {
            let random = RandomState::new();
            Self::of(random.hash_one(0), random.hash_one(1))
        })
    }

    /// Derives a seed from two numbers.
    const fn of(begin: u64, shared: u64) -> Self {
        Self {
            begin,
            shared: SharedSeed::from_u64(shared),
        }
    }

    /// Hashes a label; `above` identifies its parent.
    #[inline]
    fn hash(&self, above: u32, label: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.begin ^ u64::from(above), &self.shared);
        hasher.write(label);
        hasher.finish()
    }
}

/// Fixes the seed of this process, for reproducible measurements. A process that reads third-party
/// lists must not call it. Returns whether it took effect, which it does only before the first tree
/// exists.
pub fn fix_seed(seed: u64) -> bool {
    OF_PROCESS.set(Seed::of(seed, seed)).is_ok()
}

/// Names with values: a [`LabelTree`] whose data are indices into a list of values.
#[derive(Clone, Debug)]
pub struct LabelMap<T> {
    tree: LabelTree,
    /// The data of a node are the index of its value plus one.
    values: Vec<T>,
}

impl<T> LabelMap<T> {
    /// A map with only the root and no values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tree: LabelTree::new(),
            values: Vec::new(),
        }
    }

    /// The tree of names, for walks.
    #[must_use]
    pub const fn names(&self) -> &LabelTree {
        &self.tree
    }

    /// See [`LabelTree::insert`].
    ///
    /// # Errors
    /// If the tree is full.
    pub fn insert(&mut self, name: NameRef<'_>, skip: usize) -> Result<NodeId, TreeFull> {
        self.tree.insert(name, skip)
    }

    /// The value at a node.
    #[must_use]
    pub fn value(&self, node: NodeId) -> Option<&T> {
        self.at(self.tree.data(node))
    }

    /// Returns the value at a node, and inserts `default()` if the node has none.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "there are no more values than nodes, and fewer than 2^32 of those"
    )]
    pub fn value_or_insert_with(
        &mut self,
        node: NodeId,
        default: impl FnOnce() -> T,
    ) -> Option<&mut T> {
        if self.tree.data(node) == 0 {
            self.values.push(default());
            // There are no more values than nodes, and fewer than 2³² nodes.
            self.tree.set_data(node, self.values.len() as u32);
        }
        let at = self.tree.data(node).checked_sub(1)?;
        self.values.get_mut(at as usize)
    }

    /// Every node with a value, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &T)> {
        let nodes = self.tree.iter();
        nodes.filter_map(|(node, data)| self.at(data).map(|value| (node, value)))
    }

    /// Releases unused capacity. Use it when the map is complete.
    pub fn shrink_to_fit(&mut self) {
        self.tree.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    fn at(&self, data: u32) -> Option<&T> {
        self.values.get(data.checked_sub(1)? as usize)
    }
}

impl<T> Default for LabelMap<T> {
    fn default() -> Self {
        Self::new()
    }
}
