//! Stores the nodes of a growing tree one after another.
//!
//! ```text
//!   … │ parent: u32 │ mark: u32 │ length: u8 │ label │ …
//!     └─ the offset of a node is its number
//! ```

use super::{HEAD, Node};

/// Bytes of a node besides its label.
pub(super) const OVERHEAD: usize = HEAD + 1;

/// Appends a node. A label has at most 63 bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a label has at most 63 bytes"
)]
pub(super) fn put(arena: &mut Vec<u8>, node: Node<'_>) {
    arena.extend_from_slice(&node.head());
    arena.push(node.label.len() as u8);
    arena.extend_from_slice(node.label);
}

/// The node at this offset; `None` after the last one.
#[inline]
pub(super) fn at(arena: &[u8], id: u32) -> Option<Node<'_>> {
    let (head, rest) = arena.get(id as usize..)?.split_first_chunk()?;
    let (&len, rest) = rest.split_first()?;
    Some(Node::of(head, rest.get(..usize::from(len))?))
}

/// The offset of the node after this one. Insertion has checked that it fits into `u32`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the end of each node was seen to have a number when it was added"
)]
pub(super) fn behind(id: u32, node: Node<'_>) -> u32 {
    id + (OVERHEAD + node.label.len()) as u32
}

/// Replaces the parent and the mark of a node.
pub(super) fn overwrite(arena: &mut [u8], id: u32, parent: u32, mark: u32) {
    let mut rest = arena.get_mut(id as usize..);
    if let Some(head) = rest.as_mut().and_then(|rest| rest.first_chunk_mut()) {
        *head = Node::new(parent, mark, &[]).head();
    }
}
