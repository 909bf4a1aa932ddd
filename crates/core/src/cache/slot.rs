//! A place in the table: the key as it is kept, what is kept under it, and what both weigh.
//!
//! The weight of a place is what it takes from the heap: the name, the responses with all they own, the
//! entry, and [`SLOT`] for the table's own part. Response that are also in use elsewhere count in full.
//! Not counted: the keys that the table remembers after it threw them out, which are at most half
//! as many as there would be typical entries, without their names.

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

/// What one block on the heap costs beside its bytes.
const BLOCK: usize = 16;
/// The table's part of a place: key and value with their links and state, twice, because the array
/// that they are in doubles when it is full; and the place in the hash table, likewise.
const SLOT: usize = 2 * (size_of::<(OwnedKey, CacheSlot)>() + 32) + 16;

/// A [`CacheKey`] that owns its name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OwnedKey {
    name: Name,
    rest: u64,
}

impl CacheKey<'_> {
    /// All but the name, in one number.
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

// Both forms of a key hash alike: the table is asked with one for the other.
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

/// What is kept under a key.
#[derive(Clone)]
pub(super) enum CacheSlot {
    Response(Arc<CacheEntry>),
    /// That asking failed, and until when that is remembered.
    Failed {
        failure: Failure,
        until: Instant,
    },
}

/// What a place weighs beside its responses, in bytes; `name` in wire form.
pub(super) const fn weight_of_key(name: &[u8]) -> usize {
    SLOT + name.len() + BLOCK
}

/// Weighs places for the table.
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

/// Counts what the table throws out.
#[derive(Clone, Default)]
pub(super) struct EvictionCounter(Arc<AtomicU64>);

impl EvictionCounter {
    /// How many were thrown out, or not let in, because there was no room.
    pub(super) fn evictions(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Lifecycle<OwnedKey, CacheSlot> for EvictionCounter {
    /// What was thrown out on one occasion, so that it is freed after the shard's lock is.
    type RequestState = Vec<(OwnedKey, CacheSlot)>;

    fn on_evict(&self, state: &mut Self::RequestState, key: OwnedKey, kept: CacheSlot) {
        self.0.fetch_add(1, Ordering::Relaxed);
        state.push((key, kept));
    }
}
