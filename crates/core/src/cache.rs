//! The cache of upstreams' responses, bounded in bytes.
//!
//! It stores responses, not verdicts: each hit is filtered by the policy in force at that moment.
//! Time is an argument.
//!
//! A hit costs one keyed hash of the name, one read lock of a shard, one comparison of the whole
//! key, and one `Arc` increment. It does not allocate, and it never waits for a writer in another
//! shard.
//!
//! The table is quick_cache's. Its S3-FIFO eviction protects popular entries from names queried
//! only once, of which a hostile client has an unlimited supply. A lookup takes a borrowed key and
//! moves nothing, so that readers share the lock, and the weights are configurable. The hash is the
//! standard library's SipHash with a random key per process, because unknown clients choose the
//! names.
//!
//! This module does not decide who may ask (`policy`), which records may pass (`engine`), or which
//! server is asked (the program's `upstream`).

mod entry;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    hash::RandomState,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use quick_cache::{OptionsBuilder, sync::Cache as Table};

use crate::dns::{Failure, NameRef, RecordType, Response};

use entry::Freshness;
use slot::{CacheSlot, EvictionCounter, OwnedKey, SlotWeigher};

pub use entry::CacheEntry;

/// How long a failure is cached (RFC 9520 section 3.2: at least a second, at most five minutes). It
/// is long enough that many retries cause one question, and short enough that a recovered upstream
/// is used promptly.
const FAILURE_TTL: Duration = Duration::from_secs(5);
/// The minimum size of a shard in bytes: several times the largest response, so that every response
/// fits.
const SHARD: usize = 512 << 10;
/// The maximum number of shards, which makes lock contention between writers on as many cores rare.
const MAX_SHARDS: usize = 64;
/// The typical weight of an entry in bytes. The table remembers half as many evicted keys as there
/// would be entries of this weight.
const TYPICAL_ENTRY: usize = 1 << 10;

/// The cache settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheSettings {
    /// The maximum size in bytes; 0 disables the cache.
    pub size: usize,
    /// The minimum lifetime of a response, in seconds.
    pub min_ttl: u32,
    /// The maximum lifetime of a response, in seconds. Takes precedence over `min_ttl`.
    pub max_ttl: u32,
    /// How long an expired response may be served stale if the upstream fails, in seconds (RFC
    /// 8767).
    pub serve_stale: u32,
    /// Whether a stale response is also served when the upstream unexpectedly denies the name or
    /// the data.
    pub bridge_denials: bool,
}

/// The key of a response: a question in class IN, the query bits that affect the answer, and the
/// upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheKey<'k> {
    /// The name of the question.
    pub name: NameRef<'k>,
    /// The type of the question.
    pub qtype: RecordType,
    /// Whether the question requests signatures.
    pub dnssec_ok: bool,
    /// Whether the question asks the upstream not to validate.
    pub checking_disabled: bool,
    /// The partition of the upstream. Its responses serve only questions to this upstream.
    pub partition: u32,
}

/// The result of a cache lookup.
#[derive(Clone, Debug)]
pub enum CacheLookup {
    /// An unexpired entry.
    Fresh(Arc<CacheEntry>),
    /// A popular unexpired entry near its expiry. The caller that gets this result renews it.
    Refresh(Arc<CacheEntry>),
    /// A stale entry, for use only if the upstream fails or is too slow.
    Stale(Arc<CacheEntry>),
    /// A stale entry of an upstream that has recently failed, for immediate use.
    StaleNow(Arc<CacheEntry>),
    /// The upstream has recently failed, and there is no usable entry.
    Failed(Failure),
    /// No entry.
    Missing,
}

/// The responses by key, shared by all workers.
pub struct Cache {
    settings: CacheSettings,
    table: Table<OwnedKey, CacheSlot, SlotWeigher, RandomState, EvictionCounter>,
    room: EvictionCounter,
    counters: Counters,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(settings: CacheSettings) -> Self {
        let room = EvictionCounter::default();
        let shards = (settings.size / SHARD).clamp(1, MAX_SHARDS);
        // The table uses a power of two; this rounds down so that every shard keeps its minimum
        // size.
        let shards = 1 << shards.ilog2();
        // The table rounds the size of a shard up, and all shards may be full.
        let capacity = settings.size / shards * shards;
        let items = settings.size / TYPICAL_ENTRY;
        let table = match OptionsBuilder::new()
            .shards(shards)
            .weight_capacity(capacity as u64)
            .estimated_items_capacity(items)
            .build()
        {
            Ok(options) => {
                Table::with_options(options, SlotWeigher, RandomState::new(), room.clone())
            }
            // The builder fails only if an option is missing.
            Err(_) => Table::with(items, 0, SlotWeigher, RandomState::new(), room.clone()),
        };
        Self {
            settings,
            table,
            room,
            counters: Counters::default(),
        }
    }

    /// Looks up `key`. Does not allocate.
    #[must_use]
    pub fn get(&self, key: &CacheKey<'_>, now: Instant) -> CacheLookup {
        let found = match self.table.get(key) {
            Some(CacheSlot::Response(entry)) => self.judge(entry, now),
            Some(CacheSlot::Failed { failure, until }) if now < until => {
                CacheLookup::Failed(failure)
            }
            Some(CacheSlot::Failed { .. }) | None => CacheLookup::Missing,
        };
        self.counters.add(match found {
            CacheLookup::Fresh(_) | CacheLookup::Refresh(_) | CacheLookup::Failed(_) => {
                LookupResult::Hit
            }
            CacheLookup::Stale(_) | CacheLookup::StaleNow(_) => LookupResult::Stale,
            CacheLookup::Missing => LookupResult::Miss,
        });
        found
    }

    fn judge(&self, entry: Arc<CacheEntry>, now: Instant) -> CacheLookup {
        match entry.standing(now, self.settings.serve_stale) {
            Freshness::True if entry.hit(now) => CacheLookup::Refresh(entry),
            Freshness::True => CacheLookup::Fresh(entry),
            Freshness::Stale if entry.has_failed(now) => CacheLookup::StaleNow(entry),
            Freshness::Stale => CacheLookup::Stale(entry),
            Freshness::Gone => CacheLookup::Missing,
        }
    }

    /// Stores a new response of an upstream and returns the entry to use. It also returns an entry
    /// if the response is not stored because its lifetime is zero or there is no room. In either
    /// case it removes the old entry: the upstream no longer gives that response, so it must not be
    /// served stale. Several queries that waited for the same response each store it; the first
    /// entry stays.
    ///
    /// If denials are bridged and the old entry is still usable, a denial does not replace it, and
    /// the old entry is returned.
    pub fn put(
        &self,
        key: &CacheKey<'_>,
        response: &Arc<Response>,
        now: Instant,
    ) -> Arc<CacheEntry> {
        if let Some(CacheSlot::Response(entry)) = self.table.peek(key)
            && entry.holds(response)
        {
            return entry;
        }
        if self.settings.bridge_denials
            && response.denies()
            && let Some(entry) = self.usable(key, now)
            && entry.response().affirms()
        {
            entry.note_denial(now, FAILURE_TTL);
            return entry;
        }
        let weight = slot::weight_of_key(key.name.wire()) + response.bytes();
        let entry = Arc::new(CacheEntry::new(
            Arc::clone(response),
            weight,
            &self.settings,
            now,
        ));
        if self.settings.size == 0 {
            return entry;
        }
        if entry.is_worth_keeping() {
            let kept = CacheSlot::Response(Arc::clone(&entry));
            // Removes the old entry even if there is no room for this one.
            self.table.insert(OwnedKey::from(key), kept);
        } else {
            self.table.remove(key);
        }
        entry
    }

    /// Stores a failure for a few seconds (RFC 9520). A response that is still usable stays and
    /// gets a note of the failure. Some failures are not stored: a lack of room says nothing about
    /// the question, and an upstream that is down or loops back is a property of the upstream. A
    /// flood of names for such an upstream would otherwise evict usable entries.
    pub fn fail(&self, key: &CacheKey<'_>, failure: Failure, now: Instant) {
        if matches!(failure, Failure::Shed | Failure::OverBudget { .. }) || self.settings.size == 0
        {
            return;
        }
        if let Some(entry) = self.usable(key, now) {
            entry.note_failure(now, FAILURE_TTL);
            return;
        }
        if matches!(failure, Failure::Down | Failure::Looping) {
            return;
        }
        // A response that another thread stores between these two steps is lost for a few seconds.
        // Identical questions are coalesced, so this is rare.
        let until = now + FAILURE_TTL;
        let kept = CacheSlot::Failed { failure, until };
        self.table.insert(OwnedKey::from(key), kept);
    }

    /// Returns the entry to use when asking fails: one that expired at most `serve_stale` ago, or a
    /// newer one that another thread has stored.
    #[must_use]
    pub fn stale(&self, key: &CacheKey<'_>, now: Instant) -> Option<Arc<CacheEntry>> {
        self.usable(key, now)
    }

    /// The unexpired or stale entry of a key. Does not count as a hit.
    fn usable(&self, key: &CacheKey<'_>, now: Instant) -> Option<Arc<CacheEntry>> {
        match self.table.peek(key)? {
            CacheSlot::Response(entry) => {
                let standing = entry.standing(now, self.settings.serve_stale);
                (standing != Freshness::Gone).then_some(entry)
            }
            CacheSlot::Failed { .. } => None,
        }
    }

    /// Statistics for metrics.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            evictions: self.room.evictions(),
            entries: self.table.len(),
            bytes: self.table.weight(),
            ..self.counters.sum()
        }
    }
}

/// The number of counter sets: a common number of workers.
const PLACES: usize = 16;

/// The result of one lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookupResult {
    Hit,
    Stale,
    Miss,
}

/// The cache's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Lookups answered from an unexpired entry, a remembered failure included.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Lookups that found a stale entry.
    pub stale: u64,
    /// Entries evicted, or not admitted, because there was no room.
    pub evictions: u64,
    /// Entries in the cache, remembered failures included.
    pub entries: usize,
    /// Their weight in bytes; never more than the cache's size.
    pub bytes: u64,
}

/// Counters aligned to a pair of cache lines, which the processor prefetches together.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    events: [AtomicU64; 3],
}

#[derive(Default)]
struct Counters {
    places: [Place; PLACES],
}

thread_local! {
    /// The index of this thread's counters, the same in every cache.
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Assigns counters to new threads in rotation.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    PLACE.with(|place| {
        let own = place.get().unwrap_or_else(|| NEXT.fetch_add(1, Relaxed));
        place.set(Some(own));
        own
    })
}

impl Counters {
    fn add(&self, event: LookupResult) {
        let counter = self
            .places
            .get(place() % PLACES)
            .and_then(|place| place.events.get(event as usize));
        if let Some(counter) = counter {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// The sum of all counters. Fields not counted here are 0.
    fn sum(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for place in &self.places {
            let [hits, stale, misses] = place.events.each_ref().map(|event| event.load(Relaxed));
            stats.hits += hits;
            stats.stale += stale;
            stats.misses += misses;
        }
        stats
    }
}
