//! The names in a response and their positions, as targets for compression pointers.
//!
//! The table is bounded, so that the cost of a name is bounded too. A name that does not fit into
//! the table is written in full each time.

use super::{MAX_POINTER, pointer_to};
use crate::dns::name::MAX_LABELS;

/// The maximum number of suffixes: enough for a chain of a dozen names.
const MOST: usize = 40;

/// Suffixes of names, in the order of writing.
pub(super) struct CompressionTable {
    /// The position of each suffix in the response.
    places: [u16; MOST],
    /// The uncompressed length of each suffix, including the root byte. A search compares it first.
    lengths: [u8; MOST],
    count: usize,
}

impl CompressionTable {
    pub(super) const fn new() -> Self {
        Self {
            places: [0; MOST],
            lengths: [0; MOST],
            count: 0,
        }
    }

    /// Adds a suffix of `len` bytes at position `at`, if there is room and a pointer can reach it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 255 bytes"
    )]
    pub(super) fn add(&mut self, at: usize, len: usize) {
        let slots = (
            self.places.get_mut(self.count),
            self.lengths.get_mut(self.count),
        );
        if let ((Some(place), Some(length)), Some(at)) = (slots, pointer_to(at)) {
            (*place, *length) = (at, len as u8); // a name has at most 255 bytes
            self.count += 1;
        }
    }

    /// The position of `suffix` in the response, ignoring letter case.
    pub(super) fn find(&self, reply: &[u8], suffix: &[u8]) -> Option<u16> {
        let lengths = self.lengths.get(..self.count)?;
        let known = lengths.iter().zip(&self.places);
        known
            .filter(|&(&len, _)| usize::from(len) == suffix.len())
            .map(|(_, &at)| at)
            .find(|&at| stands_at(reply, at, suffix))
    }

    /// Whether the table is full.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= MOST
    }

    /// The number of suffixes, for [`CompressionTable::cut`].
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Removes all but the first `count` suffixes.
    pub(super) fn cut(&mut self, count: usize) {
        self.count = count.min(self.count);
    }

    /// Removes the suffixes at or after `end`.
    pub(super) fn cut_at(&mut self, end: usize) {
        let places = self.places.iter().take(self.count);
        self.count = places.take_while(|&&at| usize::from(at) < end).count();
    }
}

/// Whether the name at `at` in the response is `name`, ignoring letter case. Pointers in the
/// response are our own and lead backward, so the loop bound is only for the reader.
#[inline]
pub(super) fn stands_at(reply: &[u8], at: u16, mut name: &[u8]) -> bool {
    let mut at = usize::from(at);
    // The name is usually there byte for byte, without a pointer.
    if reply.get(at..at + name.len()) == Some(name) {
        return true;
    }
    for _ in 0..2 * MAX_LABELS {
        let Some(&len) = reply.get(at) else {
            return false;
        };
        if len >= 0xc0 {
            let Some(&low) = reply.get(at + 1) else {
                return false;
            };
            at = usize::from(u16::from_be_bytes([len, low])) & MAX_POINTER;
            continue;
        }
        let size = 1 + usize::from(len);
        let (Some(here), Some((label, rest))) =
            (reply.get(at..at + size), name.split_at_checked(size))
        else {
            return false;
        };
        // Most names are in lower case, and an equality check compares many bytes at once.
        if here != label && !here.eq_ignore_ascii_case(label) {
            return false;
        }
        if len == 0 {
            return rest.is_empty();
        }
        at += size;
        name = rest;
    }
    false
}
