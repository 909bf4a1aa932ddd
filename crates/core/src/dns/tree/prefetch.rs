//! Prefetches the memory that a batch of walks needs before the first walk begins.
//!
//! In a long list each walk waits for memory outside all caches, about a hundred nanoseconds per
//! access. A walk branches on the data that it reads, so the processor cannot overlap it with the
//! next walk. But the name alone determines the blocks of its nodes. So for a batch of queries this
//! module first computes all blocks without reading any, then reads them in a loop without
//! dependencies, so that several reads run at a time. In a list of a million names, this reduces
//! the time of a walk to one third.
//!
//! ```text
//!   without   walk: wait ……… walk: wait ……… walk: wait ……… walk: wait ………
//!   with      places  fetch: wait ………… walk walk walk walk
//!                            wait …………
//!                            wait …………
//!                            wait …………
//! ```
//!
//! Prefetching is a guess and never changes an answer. It takes names from packets without
//! validation; for a name with upper-case letters it has no effect.

use std::hint;

use super::{
    packed::{PackedTree, Suffix},
    prefetch_list::{LABELS, NEAR, Prefetch},
};

/// Trees up to this size in bytes are not prefetched. It is half the second-level cache of a core
/// on common servers, so such a tree is mostly cached already.
const CACHED: usize = 512 << 10;
/// The maximum length of a name in bytes.
const NAME: usize = 255;

impl PackedTree {
    /// Adds the blocks that a walk to a name may read. `wire` should begin with the name but may
    /// hold any bytes. Returns whether prefetching is useful for this tree; it is not for a small
    /// one.
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
            suffix = self.child_of(suffix, label);
            if depth >= NEAR {
                prefetch.note(self.home(suffix));
            }
        }
    }

    /// Reads a byte of each cache line of the listed blocks, which loads them into the cache, and
    /// clears the list.
    pub fn fetch(&self, prefetch: &mut Prefetch) {
        let noted = prefetch.blocks.get(..prefetch.count).unwrap_or_default();
        let blocks = noted.iter().filter_map(|&block| self.block(block));
        hint::black_box(blocks.fold(0, |read, block| read ^ block.touch()));
        prefetch.count = 0;
    }
}

/// The last labels of a name, from the right; missing ones are empty.
#[inline]
fn last_labels(wire: &[u8]) -> [&[u8]; LABELS] {
    let mut last: [&[u8]; LABELS] = [&[]; LABELS];
    let mut rest = wire.get(..NAME).unwrap_or(wire);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{
        LabelTree, Name,
        tree::{block::SIZE, prefetch_list::ROOM},
    };
    use proptest::prelude::*;

    fn tree(count: u32) -> PackedTree {
        let mut tree = LabelTree::new();
        for at in 0..count {
            let name: Name = format!("a{at}.example.com").parse().expect("a name");
            let node = tree.insert(name.as_ref(), 0).expect("room");
            tree.set_mark(node, u32::from(at == 77) * 7);
        }
        tree.pack().expect("room")
    }

    fn wire(text: &str) -> Vec<u8> {
        let name: Name = text.parse().expect(text);
        name.as_ref().wire().to_vec()
    }

    #[test]
    fn the_last_labels_are_found_from_the_right() {
        for (name, last) in [
            (&b"\x01a\x01b\0rest"[..], [&b"b"[..], b"a", b"", b""]),
            (b"\x01a\x01b\x01c\x01d\x01e\0", [b"e", b"d", b"c", b"b"]),
            (b"\0", [b"", b"", b"", b""]),
            (b"", [b"", b"", b"", b""]),
            (b"\x05ab", [b"", b"", b"", b""]),
            (b"\x01a", [b"a", b"", b"", b""]),
        ] {
            assert_eq!(last_labels(name), last, "{name:?}");
        }
    }

    #[test]
    fn what_a_walk_needs_is_noted() {
        let tree = tree(40_000);
        let mut prefetch = Prefetch::new();
        assert!(tree.prefetch(&wire("x.a77.example.com"), &mut prefetch));
        // example.com, a77.example.com, and where x would be.
        assert_eq!(prefetch.count, 3);
        let name: Name = "a77.example.com".parse().expect("a name");
        let (node, depth) = tree.closest(name.as_ref());
        assert_eq!(depth, 3);
        let noted = prefetch.blocks.get(1).copied().expect("noted");
        let block = tree.block(noted).expect("a block");
        assert!(block.is_over() || block.marks().any(|(_, mark)| mark == 7));
        assert_eq!(tree.mark(node), 7);
        tree.fetch(&mut prefetch);
        assert_eq!(prefetch.count, 0);
    }

    #[test]
    fn a_small_tree_needs_no_foresight() {
        let tree = tree(100);
        assert!(tree.heap_bytes() < CACHED && CACHED.is_multiple_of(SIZE));
        let mut prefetch = Prefetch::new();
        assert!(!tree.prefetch(&wire("a7.example.com"), &mut prefetch));
        assert_eq!(prefetch.count, 0);
    }

    #[test]
    fn no_more_is_noted_than_there_is_room_for() {
        let tree = tree(40_000);
        let mut prefetch = Prefetch::new();
        for _ in 0..1000 {
            assert!(tree.prefetch(&wire("a.b.c.d.e.f"), &mut prefetch));
        }
        assert_eq!(prefetch.count, ROOM);
        tree.fetch(&mut prefetch);
    }

    proptest! {
        #[test]
        fn any_bytes_will_do(wires in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..40)) {
            let tree = tree(10);
            let mut prefetch = Prefetch::new();
            for wire in &wires {
                tree.note(wire, &mut prefetch);
            }
            tree.fetch(&mut prefetch);
            prop_assert_eq!(prefetch.count, 0);
        }
    }
}
