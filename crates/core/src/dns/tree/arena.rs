//! Nodes one after another, as a tree holds them while it grows.
//!
//! ```text
//!   … │ parent: u32 │ mark: u32 │ length: u8 │ label │ …
//!     └─ the node's number is where it begins
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

/// The node that begins there; `None` behind the last one.
#[inline]
pub(super) fn at(arena: &[u8], id: u32) -> Option<Node<'_>> {
    let (head, rest) = arena.get(id as usize..)?.split_first_chunk()?;
    let (&len, rest) = rest.split_first()?;
    Some(Node::of(head, rest.get(..usize::from(len))?))
}

/// Where the node behind this one begins. That it has a number is seen to where nodes are added.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the end of each node was seen to have a number when it was added"
)]
pub(super) fn behind(id: u32, node: Node<'_>) -> u32 {
    id + (OVERHEAD + node.label.len()) as u32
}

/// Changes what stands before a node's label.
pub(super) fn overwrite(arena: &mut [u8], id: u32, parent: u32, mark: u32) {
    let mut rest = arena.get_mut(id as usize..);
    if let Some(head) = rest.as_mut().and_then(|rest| rest.first_chunk_mut()) {
        *head = Node::new(parent, mark, &[]).head();
    }
}
