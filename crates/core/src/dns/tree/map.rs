//! A map from names to values: a [`LabelTree`] whose marks are indices into a list of values.

use super::{LabelTree, NameRef, NodeId, TreeFull};

/// Names with values, found by the longest known suffix.
#[derive(Clone, Debug)]
pub struct LabelMap<T> {
    tree: LabelTree,
    /// The mark of a node is the index of its value plus one.
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
        self.at(self.tree.mark(node))
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
        if self.tree.mark(node) == 0 {
            self.values.push(default());
            // There are no more values than nodes, and fewer than 2³² nodes.
            self.tree.set_mark(node, self.values.len() as u32);
        }
        let at = self.tree.mark(node).checked_sub(1)?;
        self.values.get_mut(at as usize)
    }

    /// Every node with a value, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &T)> {
        let nodes = self.tree.iter();
        nodes.filter_map(|(node, mark)| self.at(mark).map(|value| (node, value)))
    }

    /// Releases unused capacity. Use it when the map is complete.
    pub fn shrink_to_fit(&mut self) {
        self.tree.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    fn at(&self, mark: u32) -> Option<&T> {
        self.values.get(mark.checked_sub(1)? as usize)
    }
}

impl<T> Default for LabelMap<T> {
    fn default() -> Self {
        Self::new()
    }
}
