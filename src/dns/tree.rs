//! A tree of names: each node is a name, its children differ in their leftmost label.
//!
//! Rules and zones are looked up by the longest known suffix of a name, which is a walk from the
//! root downward that ends at the first label that is not there. So a refused name costs a few
//! steps, however many names the tree holds. Names that only have others below them are nodes,
//! too: that is what an empty non-terminal is (RFC 4592 section 2.2.2).
//!
//! A node is twelve bytes; children are found in one hash table by (parent, label), and the labels
//! stand in one arena, so that a million names fit into some 40 MB.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::name::NameRef;

/// A node of a [`LabelTree`]; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The node where every walk begins.
    pub const ROOT: Self = Self(0);
}

/// No value, or no parent.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    /// Where in the arena the label stands: a length byte, then the bytes.
    label: u32,
    value: u32,
}

/// Names with values, found by the longest known suffix.
#[derive(Clone, Debug)]
pub struct LabelTree<T> {
    nodes: Vec<Node>,
    labels: Vec<u8>,
    children: HashTable<u32>,
    values: Vec<T>,
}

/// The tree would need more than 2³² nodes or bytes of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many names: their labels do not fit into 4 GiB")]
pub struct TreeFull;

impl<T> LabelTree<T> {
    /// A tree of the root alone.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: vec![Node {
                parent: NONE,
                label: 0,
                value: NONE,
            }],
            labels: vec![0],
            children: HashTable::new(),
            values: Vec::new(),
        }
    }

    /// Makes room for so many more names at once, so that a long list does not make the tree grow
    /// step by step with two copies of itself. What is not used goes by [`Self::shrink_to_fit`].
    pub fn reserve(&mut self, names: usize) {
        self.nodes.reserve(names);
        let (nodes, labels) = (&self.nodes, &self.labels);
        self.children
            .reserve(names, |&child| rehash(nodes, labels, child));
    }

    /// The node of `name` without its last `skip` labels, made with all its ancestors where it
    /// was not there.
    ///
    /// # Errors
    /// When the tree is full.
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
        let id = u32::try_from(self.nodes.len())
            .ok()
            .filter(|&id| id != NONE)
            .ok_or(TreeFull)?;
        let at = u32::try_from(self.labels.len()).map_err(|_| TreeFull)?;
        let len = u8::try_from(label.len()).map_err(|_| TreeFull)?;
        self.labels.push(len);
        self.labels.extend_from_slice(label);
        self.nodes.push(Node {
            parent: parent.0,
            label: at,
            value: NONE,
        });
        let (nodes, labels) = (&self.nodes, &self.labels);
        self.children
            .insert_unique(hash(parent, label), id, |&child| {
                rehash(nodes, labels, child)
            });
        Ok(NodeId(id))
    }

    /// The child of `node` with this label.
    #[must_use]
    pub fn child(&self, node: NodeId, label: &[u8]) -> Option<NodeId> {
        let found = self.children.find(hash(node, label), |&child| {
            self.nodes.get(child as usize).is_some_and(|child| {
                child.parent == node.0 && label_of(&self.labels, child.label) == label
            })
        });
        found.map(|&child| NodeId(child))
    }

    /// The deepest node on the way to `name` (its last `skip` labels left out), and how many
    /// labels deep it is below the root of this tree.
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

    /// The node that `node` is a child of; `None` for the root.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.nodes.get(node.0 as usize)?.parent;
        (parent != NONE).then_some(NodeId(parent))
    }

    /// The leftmost label of a node's name; empty for the root.
    #[must_use]
    pub fn label(&self, node: NodeId) -> &[u8] {
        let node = self.nodes.get(node.0 as usize);
        node.map_or(&[], |node| label_of(&self.labels, node.label))
    }

    /// The value at a node.
    #[must_use]
    pub fn value(&self, node: NodeId) -> Option<&T> {
        self.values
            .get(self.nodes.get(node.0 as usize)?.value as usize)
    }

    /// The value at a node, made by `default` where there was none.
    pub fn value_or_insert_with(
        &mut self,
        node: NodeId,
        default: impl FnOnce() -> T,
    ) -> Option<&mut T> {
        let slot = self.nodes.get_mut(node.0 as usize)?;
        if slot.value == NONE {
            slot.value = self.values.len() as u32; // no more values than nodes
            self.values.push(default());
        }
        self.values.get_mut(slot.value as usize)
    }

    /// Every node with a value, in the order the nodes were made.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &T)> {
        self.nodes.iter().zip(0u32..).filter_map(|(node, id)| {
            self.values
                .get(node.value as usize)
                .map(|value| (NodeId(id), value))
        })
    }

    /// How many nodes there are, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing but the root, without a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.values.is_empty()
    }

    /// How many bytes the tree holds on the heap, those that growth reserved included, those that
    /// values hold themselves not.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.labels.capacity()
            + self.children.allocation_size()
            + self.values.capacity() * size_of::<T>()
    }

    /// Gives back what growth reserved; for trees that are complete.
    pub fn shrink_to_fit(&mut self) {
        self.nodes.shrink_to_fit();
        self.labels.shrink_to_fit();
        self.values.shrink_to_fit();
        let (nodes, labels) = (&self.nodes, &self.labels);
        self.children
            .shrink_to_fit(|&child| rehash(nodes, labels, child));
    }
}

impl<T> Default for LabelTree<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn label_of(labels: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    let len = usize::from(labels.get(at).copied().unwrap_or(0));
    labels.get(at + 1..at + 1 + len).unwrap_or_default()
}

/// The keys are the operator's and nobody can add one by asking, so a fixed seed is safe.
fn hash(parent: NodeId, label: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(u64::from(parent.0)).build_hasher();
    hasher.write(label);
    hasher.finish()
}

fn rehash(nodes: &[Node], labels: &[u8], child: u32) -> u64 {
    nodes.get(child as usize).map_or(0, |node| {
        hash(NodeId(node.parent), label_of(labels, node.label))
    })
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
    fn the_walk_ends_at_the_closest_known_name() {
        let mut tree = LabelTree::new();
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
            let (node, found) = tree.closest(name(asked).as_ref(), 0);
            assert_eq!(
                (found, tree.value(node).copied()),
                (depth, value),
                "{asked}"
            );
        }
        let (below, _) = tree.closest(name("a.b.example").as_ref(), 0);
        let up: Vec<_> = std::iter::successors(Some(below), |&node| tree.parent(node)).collect();
        assert_eq!(up.len(), 4);
        assert_eq!(up.last(), Some(&NodeId::ROOT));
        let labels: Vec<_> = up.iter().map(|&node| tree.label(node)).collect();
        assert_eq!(labels, [&b"a"[..], b"b", b"example", b""]);
        // The same name below a tree whose root is `example`.
        assert_eq!(tree.closest(name("example.org").as_ref(), 1).1, 1);
    }

    proptest! {
        #[test]
        fn equal_to_a_map_of_names(
            names in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){0,4}", 1..40),
            asked in "[ab]{1,2}(\\.[ab]{1,2}){0,5}",
        ) {
            let mut tree = LabelTree::new();
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
            let (node, _) = tree.closest(asked.as_ref(), 0);
            let by_tree = std::iter::successors(Some(node), |&node| tree.parent(node)).find_map(|node| tree.value(node));
            prop_assert_eq!(by_map, by_tree);
            prop_assert_eq!(tree.iter().count(), map.len());
        }
    }
}
