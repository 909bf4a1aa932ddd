//! The names that a reply already holds, and where: what later names may point to.
//!
//! The table is bounded, so that the cost of a name is too. A name that finds no room in it is
//! written out again where it comes again.

use super::{MAX_POINTER, pointer_to};
use crate::dns::name::MAX_LABELS;

/// Suffixes that are known at most: enough for a chain of a dozen names.
const MOST: usize = 40;

/// Suffixes of names, in the order in which they were written.
pub(super) struct CompressionTable {
    /// Where each stands in the reply.
    places: [u16; MOST],
    /// Its length when written out, root byte included: what is compared first.
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

    /// Notes a suffix of `len` bytes that stands at `at`, if there is room and a pointer reaches it.
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

    /// Where `suffix` stands in the reply, letter case aside.
    pub(super) fn find(&self, reply: &[u8], suffix: &[u8]) -> Option<u16> {
        let lengths = self.lengths.get(..self.count)?;
        let known = lengths.iter().zip(&self.places);
        known
            .filter(|&(&len, _)| usize::from(len) == suffix.len())
            .map(|(_, &at)| at)
            .find(|&at| stands_at(reply, at, suffix))
    }

    /// Whether no more can be added.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= MOST
    }

    /// How many there are: what [`CompressionTable::cut`] goes back to.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Forgets all but the first `count`.
    pub(super) fn cut(&mut self, count: usize) {
        self.count = count.min(self.count);
    }

    /// Forgets those that do not stand before `end`.
    pub(super) fn cut_at(&mut self, end: usize) {
        let places = self.places.iter().take(self.count);
        self.count = places.take_while(|&&at| usize::from(at) < end).count();
    }
}

/// Whether the name in the reply at `at` is `name`, letter case aside. Pointers in the reply are our
/// own and lead backward; the bound is for the reader.
pub(super) fn stands_at(reply: &[u8], at: u16, mut name: &[u8]) -> bool {
    let mut at = usize::from(at);
    // Most often it stands there byte for byte, without a pointer in between.
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
        // Most names are in lower case throughout, and equality is many bytes a step.
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
