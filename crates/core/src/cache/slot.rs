//! One slot of the table: the stored key, its value, and the weight of both.
//!
//! The weight of a slot is its heap memory: the name, the response with its contents, the entry,
//! and [`SLOT`] for the table. A response also in use elsewhere counts in full. The weight excludes
//! the keys of evicted entries that the table remembers: at most half as many as there would be
//! typical entries, without their names.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use quick_cache::{Equivalent, Lifecycle, Weighter};

use super::{CacheEntry, CacheKey};
use crate::dns::{Failure, Name};

/// The overhead of a heap block in bytes.
const BLOCK: usize = 16;
/// The share of the table in bytes per slot: the key and the value with their links and state,
/// doubled because their array doubles when it is full, and the entry in the hash table, also
/// doubled.
const SLOT: usize = 2 * (size_of::<(OwnedKey, CacheSlot)>() + 32) + 16;

/// A [`CacheKey`] that owns its name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OwnedKey {
    name: Name,
    rest: u64,
}

impl CacheKey<'_> {
    /// All fields except the name, as one number.
    fn rest(&self) -> u64 {
        let bits = u64::from(self.dnssec_ok) | u64::from(self.checking_disabled) << 1;
        u64::from(self.partition) << 32 | u64::from(self.qtype.0) << 16 | bits
    }
}

impl From<&CacheKey<'_>> for OwnedKey {
    fn from(key: &CacheKey<'_>) -> Self {
        Self {
            name: key.name.to_name(),
            rest: key.rest(),
        }
    }
}

// Both forms of a key have the same hash, because lookups use the borrowed form.
impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.as_ref().wire().hash(state);
        self.rest.hash(state);
    }
}

impl Hash for CacheKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.wire().hash(state);
        self.rest().hash(state);
    }
}

impl Equivalent<OwnedKey> for CacheKey<'_> {
    fn equivalent(&self, key: &OwnedKey) -> bool {
        self.rest() == key.rest && self.name == key.name.as_ref()
    }
}

/// The value of a key.
#[derive(Clone)]
pub(super) enum CacheSlot {
    Response(Arc<CacheEntry>),
    /// A failure, and when it expires.
    Failed {
        failure: Failure,
        until: Instant,
    },
}

/// The weight of a slot without its value, in bytes; `name` is in wire form.
pub(super) const fn weight_of_key(name: &[u8]) -> usize {
    SLOT + name.len() + BLOCK
}

/// Computes the weight of slots for the table.
#[derive(Clone)]
pub(super) struct SlotWeigher;

impl Weighter<OwnedKey, CacheSlot> for SlotWeigher {
    fn weight(&self, key: &OwnedKey, kept: &CacheSlot) -> u64 {
        let weight = match kept {
            CacheSlot::Response(entry) => entry.weight() + size_of::<CacheEntry>() + BLOCK,
            CacheSlot::Failed { .. } => weight_of_key(key.name.as_ref().wire()),
        };
        weight as u64
    }
}

/// Counts evictions.
#[derive(Clone, Default)]
pub(super) struct EvictionCounter(Arc<AtomicU64>);

impl EvictionCounter {
    /// The number of entries evicted, or not admitted, because there was no room.
    pub(super) fn evictions(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Lifecycle<OwnedKey, CacheSlot> for EvictionCounter {
    /// The evicted entries of one operation. They are freed after the shard is unlocked.
    type RequestState = Vec<(OwnedKey, CacheSlot)>;

    fn on_evict(&self, state: &mut Self::RequestState, key: OwnedKey, kept: CacheSlot) {
        self.0.fetch_add(1, Ordering::Relaxed);
        state.push((key, kept));
    }
}
