//! How many distinct names were seen, and how many bytes they have together, in a fixed space.
//!
//! A bottom-k sketch: it keeps the k smallest hashes of the names, each with the length of its name.
//! Up to k names it is exact. Beyond, the k-th smallest hash tells how dense the hashes are, and the
//! kept lengths are a uniform sample of all lengths. Hashes are keyed, so a client cannot choose names
//! that count for less.
//!
//! With N names counted by k entries, the standard error of the number is at most 1 / √(k − 2), 3.2 %
//! for k = 1024. That of the bytes is larger by the factor √(1 + v²), where v is the standard deviation
//! of the lengths divided by their mean; v is below 1 for names that programs make. Tests compare both
//! with exact counts.

/// The maximum number of entries of a sketch. Up to this number of names it is exact.
pub const SKETCH_ENTRIES: usize = 1_024;
/// The number of entries of a new sketch, which it has even if the table is full.
pub(super) const FIRST_ENTRIES: usize = 16;
/// The bits of an entry that hold the length of the name. A name has less than 256 bytes.
const LENGTH_BITS: u32 = 8;
/// The range of the hashes.
const HASHES: u128 = 1 << (u64::BITS - LENGTH_BITS);

/// How much was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetCount {
    /// Distinct names.
    pub names: u64,
    /// The bytes of their labels.
    pub bytes: u64,
    /// Whether both are exact, not estimates.
    pub exact: bool,
}

/// A bottom-k sketch of names with their lengths.
#[derive(Clone, Debug)]
pub(super) struct NameSketch {
    /// Ascending: the hash in the upper bits, the length in the lower ones.
    entries: Vec<u64>,
    /// The sum of the lengths of the entries.
    bytes: u64,
    /// Whether a name was left out. From then on the number of entries stays the same.
    overflowed: bool,
}

impl NameSketch {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::with_capacity(FIRST_ENTRIES),
            bytes: 0,
            overflowed: false,
        }
    }

    /// The memory of the entries in bytes.
    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    /// The additional memory in bytes that one more name may need.
    pub(super) fn growth(&self) -> usize {
        match self.overflowed || self.entries.len() < self.entries.capacity() {
            true => 0,
            false => self.memory(),
        }
    }

    /// Forgets everything, and returns memory beyond that of a new sketch.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Whether the name is known to be counted already.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.position(hash).is_ok()
    }

    /// Counts a name of that many bytes. Without `may_grow` the sketch keeps its size, and estimates
    /// from fewer entries.
    pub(super) fn add(&mut self, hash: u64, length: u8, may_grow: bool) {
        let Err(at) = self.position(hash) else {
            return;
        };
        let is_full = self.entries.len() >= SKETCH_ENTRIES
            || (!may_grow && self.entries.len() >= self.entries.capacity());
        if !self.overflowed && !is_full {
            if self.entries.len() == self.entries.capacity() {
                // Doubled, and never beyond the maximum, so that the memory is what it is taken for.
                self.entries.reserve_exact(self.entries.len());
            }
            self.insert(at, hash, length);
            return;
        }
        self.overflowed = true;
        if at < self.entries.len() {
            let last = self.entries.pop();
            self.bytes -= last.map_or(0, length_of);
            self.insert(at, hash, length);
        }
    }

    /// How much was counted.
    pub(super) fn count(&self) -> BudgetCount {
        let entries = self.entries.len() as u64;
        let Some(&last) = self.entries.last().filter(|_| self.overflowed) else {
            return BudgetCount {
                names: entries,
                bytes: self.bytes,
                exact: true,
            };
        };
        // The k − 1 hashes below the k-th one are spread evenly over its range.
        let range = u128::from(last >> LENGTH_BITS) + 1;
        let scaled = |sum: u64| u64::try_from(u128::from(sum) * HASHES / range).unwrap_or(u64::MAX);
        BudgetCount {
            names: scaled(entries.saturating_sub(1)).max(entries),
            bytes: scaled(self.bytes.saturating_sub(length_of(last))).max(self.bytes),
            exact: false,
        }
    }

    /// The count with four standard errors of the number added, for those who must not exceed it.
    pub(super) fn at_most(&self) -> BudgetCount {
        let count = self.count();
        if count.exact {
            return count;
        }
        let root = (self.entries.len() as u64).isqrt().max(1);
        let more = |value: u64| value.saturating_add(value.saturating_mul(4) / root);
        BudgetCount {
            names: more(count.names),
            bytes: more(count.bytes),
            exact: false,
        }
    }

    fn position(&self, hash: u64) -> Result<usize, usize> {
        let wanted = hash >> LENGTH_BITS;
        self.entries
            .binary_search_by_key(&wanted, |entry| entry >> LENGTH_BITS)
    }

    fn insert(&mut self, at: usize, hash: u64, length: u8) {
        let entry = (hash >> LENGTH_BITS << LENGTH_BITS) | u64::from(length);
        self.entries.insert(at, entry);
        self.bytes += u64::from(length);
    }
}

const fn length_of(entry: u64) -> u64 {
    entry & ((1 << LENGTH_BITS) - 1)
}
