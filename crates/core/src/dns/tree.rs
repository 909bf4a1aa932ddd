//! A tree of names: each node is a name, and siblings differ in their leftmost label.
//!
//! Rules and zones are found by the longest known suffix of a name. The lookup walks down from the
//! root and ends at the first missing label, so a denied name costs a few steps regardless of the
//! size of the tree. Names that only have descendants are nodes too: they are empty non-terminals
//! (RFC 4592 section 2.2.2).
//!
//! The tree has two forms. A [`LabelTree`] can grow and suits the names of a zone. A [`PackedTree`]
//! is built from a complete [`LabelTree`] and suits lists larger than the processor caches.
//!
//! A [`LabelTree`] stores each node in one arena as nine bytes plus its label. One hash table finds
//! children by (parent, label). A million names take about 30 MB.

mod arena;
mod block;
mod map;
mod packed;
mod prefetch;
mod prefetch_list;
mod seed;

use hashbrown::HashTable;

use super::name::NameRef;
use seed::Seed;

pub use map::LabelMap;
pub use packed::{PackedId, PackedTree};
pub use prefetch_list::Prefetch;
pub use seed::fix_seed;

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
/// Estimated bytes per node, for reservations: labels have about ten bytes on average.
const TYPICAL: usize = arena::OVERHEAD + 10;

/// Names with marks, found by the longest known suffix. The owner of the tree defines the meaning
/// of a mark.
#[derive(Clone, Debug)]
pub struct LabelTree {
    arena: Vec<u8>,
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
    mark: u32,
    label: &'t [u8],
}

impl<'t> Node<'t> {
    const fn new(parent: u32, mark: u32, label: &'t [u8]) -> Self {
        Self {
            parent,
            mark,
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
        let [m0, m1, m2, m3] = self.mark.to_ne_bytes();
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
        let mut arena = Vec::new();
        arena::put(&mut arena, Node::new(NONE, 0, &[]));
        Self {
            arena,
            children: HashTable::new(),
            seed,
        }
    }

    /// Reserves space for `names` more names, so that loading a long list does not repeatedly
    /// reallocate and copy the tree. [`Self::shrink_to_fit`] releases the unused space.
    pub fn reserve(&mut self, names: usize) {
        self.arena.reserve(names.saturating_mul(TYPICAL));
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
        let start = self.arena.len();
        // The end must have a number too, so that no node starts at or after `NONE`.
        let end = u32::try_from(start + arena::OVERHEAD + label.len());
        let id = u32::try_from(start).map_err(|_| TreeFull)?;
        end.map_err(|_| TreeFull)?;
        arena::put(&mut self.arena, Node::new(parent.0, 0, label));
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
            arena::at(&self.arena, child)
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
        let parent = arena::at(&self.arena, node.0)?.parent;
        (parent != NONE).then_some(NodeId(parent))
    }

    /// The leftmost label of a node's name; empty for the root.
    #[must_use]
    pub fn label(&self, node: NodeId) -> &[u8] {
        arena::at(&self.arena, node.0).map_or(&[], |node| node.label)
    }

    /// The mark of a node; 0 if none was set.
    #[must_use]
    pub fn mark(&self, node: NodeId) -> u32 {
        arena::at(&self.arena, node.0).map_or(0, |node| node.mark)
    }

    /// Sets the mark of a node.
    pub fn set_mark(&mut self, node: NodeId, mark: u32) {
        if let Some(Node { parent, .. }) = arena::at(&self.arena, node.0) {
            arena::overwrite(&mut self.arena, node.0, parent, mark);
        }
    }

    /// Every node and its mark, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, u32)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (id, node) = (next, arena::at(&self.arena, next)?);
            next = arena::behind(id, node);
            Some((NodeId(id), node.mark))
        })
    }

    /// Converts the tree into a read-only form with the same names and marks. The nodes get new
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
        self.arena.shrink_to_fit();
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

fn rehash(seed: &Seed, arena: &[u8], child: u32) -> u64 {
    arena::at(arena, child).map_or(0, |node| seed.hash(node.parent, node.label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn name(text: &str) -> Name {
        text.parse().expect(text)
    }

    #[test]
    fn labels_are_the_same_where_every_byte_is() {
        for len in 0..=63 {
            let label = vec![b'a'; len];
            assert!(same_label(&label, &label.clone()), "{len}");
            assert!(!same_label(&label, &[&label[..], b"a"].concat()), "{len}");
            for at in 0..len {
                let mut other = label.clone();
                other[at] = b'b';
                assert!(!same_label(&label, &other), "{len}: {at}");
            }
        }
    }

    #[test]
    fn the_walk_ends_at_the_closest_known_name() {
        let mut tree = LabelMap::new();
        for text in ["a.b.example", "example", "*.c.example"] {
            let node = tree.insert(name(text).as_ref(), 0).expect("room");
            tree.value_or_insert_with(node, || text);
        }
        for (asked, depth, value) in [
            ("a.b.example", 3, Some("a.b.example")),
            ("x.a.b.example", 3, Some("a.b.example")),
            ("b.example", 2, None), // an empty non-terminal
            ("x.b.example", 2, None),
            ("example", 1, Some("example")),
            ("*.c.example", 3, Some("*.c.example")), // a label like any other
            ("com", 0, None),
        ] {
            let (node, found) = tree.names().closest(name(asked).as_ref(), 0);
            assert_eq!(
                (found, tree.value(node).copied()),
                (depth, value),
                "{asked}"
            );
        }
        let (below, _) = tree.names().closest(name("a.b.example").as_ref(), 0);
        let up: Vec<_> =
            std::iter::successors(Some(below), |&node| tree.names().parent(node)).collect();
        assert_eq!(up.len(), 4);
        assert_eq!(up.last(), Some(&NodeId::ROOT));
        let labels: Vec<_> = up.iter().map(|&node| tree.names().label(node)).collect();
        assert_eq!(labels, [&b"a"[..], b"b", b"example", b""]);
        // The same name below a tree whose root is `example`.
        assert_eq!(tree.names().closest(name("example.org").as_ref(), 1).1, 1);
    }

    proptest! {
        #[test]
        fn equal_to_a_map_of_names(
            names in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){0,4}", 1..40),
            asked in "[ab]{1,2}(\\.[ab]{1,2}){0,5}",
        ) {
            let mut tree = LabelMap::new();
            let mut map = BTreeMap::new();
            for (at, text) in names.iter().enumerate() {
                let node = tree.insert(name(text).as_ref(), 0).unwrap();
                tree.value_or_insert_with(node, || at);
                map.entry(name(text)).or_insert(at);
            }
            tree.shrink_to_fit();
            let asked = name(&asked);
            let by_map = std::iter::successors(Some(asked.as_ref()), |name| name.parent())
                .find_map(|suffix| map.get(&suffix.to_name()));
            let (node, _) = tree.names().closest(asked.as_ref(), 0);
            let by_tree = std::iter::successors(Some(node), |&node| tree.names().parent(node)).find_map(|node| tree.value(node));
            prop_assert_eq!(by_map, by_tree);
            prop_assert_eq!(tree.iter().count(), map.len());
        }
    }
}
