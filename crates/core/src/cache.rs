//! The cache of upstreams' responses, bounded in bytes.
//!
//! It keeps responses, not verdicts: each hit is filtered under the policy in force at that moment. Time is an argument.
//!
//! A hit costs one keyed hash of the name, one shard's lock taken for reading, one comparison of
//! the whole key, and an `Arc` counted up; it allocates nothing and waits for no writer elsewhere.
//!
//! The table is quick_cache's: S3-FIFO keeps what is asked for often from being swept out by names
//! that are asked for once, which a hostile client has no end of; a look-up takes a borrowed key
//! and moves nothing, so that readers share the lock; weights are ours to define. The hash is the
//! standard library's SipHash, keyed anew in each process, because clients choose the names.
//!
//! Not here: who may ask (`policy`), which records may pass (`engine`), which server is asked (the program's `upstream`).

mod entry;
mod slot;
mod stats;
#[cfg(test)]
mod tests;

use std::{
    hash::RandomState,
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::{OptionsBuilder, sync::Cache as Table};

pub use entry::CacheEntry;
use entry::Freshness;
use slot::{CacheSlot, EvictionCounter, OwnedKey, SlotWeigher};
pub use stats::CacheStats;
use stats::{Counters, LookupResult};

use crate::dns::{Failure, NameRef, RecordType, Response};

/// How long a failure is remembered (RFC 9520 section 3.2: at least a second, at most
/// five minutes). Long enough that a storm of retries asks once, short enough that nobody notices
/// when the upstream is back.
const FAILURE_TTL: Duration = Duration::from_secs(5);
/// The least room of one shard: several times the largest responses, so that they have a place.
const SHARD: usize = 512 << 10;
/// The most shards: writers of as many cores seldom meet.
const MAX_SHARDS: usize = 64;
/// About what an entry weighs. The table sizes its memory of keys that it threw out by it: half as
/// many as there would be entries of this weight.
const TYPICAL_ENTRY: usize = 1 << 10;

/// How the cache keeps responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheSettings {
    /// The most bytes; 0 keeps nothing.
    pub size: usize,
    /// A response is fresh for at least this long, in seconds.
    pub min_ttl: u32,
    /// A response is fresh for at most this long, in seconds. Takes precedence over `min_ttl`.
    pub max_ttl: u32,
    /// How long a response may be served stale after that, in seconds, when the upstream fails (RFC 8767).
    pub serve_stale: u32,
    /// Whether a stale response is served, too, when the upstream suddenly denies the name or the data.
    pub bridge_denials: bool,
}

/// The key of a response: a question in class IN, the bits that change its answer, and the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheKey<'k> {
    /// The name asked for.
    pub name: NameRef<'k>,
    /// The type asked for.
    pub qtype: RecordType,
    /// Whether signatures were asked for.
    pub dnssec_ok: bool,
    /// Whether the upstream was not to validate.
    pub checking_disabled: bool,
    /// The partition of the upstream: its responses serve only those who may ask it.
    pub partition: u32,
}

/// What the cache has for a question.
#[derive(Clone, Debug)]
pub enum CacheLookup {
    /// Fresh.
    Fresh(Arc<CacheEntry>),
    /// Fresh, asked for often, and near its end: the caller that gets this one renews it.
    Refresh(Arc<CacheEntry>),
    /// Stale: to be used only when the upstream fails or takes too long.
    Stale(Arc<CacheEntry>),
    /// Stale, and the upstream failed a moment ago: to be used at once.
    StaleNow(Arc<CacheEntry>),
    /// The upstream failed a moment ago, and there is nothing else.
    Failed(Failure),
    /// Nothing.
    Missing,
}

/// The responses by key, for all workers.
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
        // The table takes a power of two: never more than there is room for.
        let shards = 1 << shards.ilog2();
        // It rounds a shard's part up, and all of them may be full.
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
            // Only for what was not set.
            Err(_) => Table::with(items, 0, SlotWeigher, RandomState::new(), room.clone()),
        };
        Self {
            settings,
            table,
            room,
            counters: Counters::default(),
        }
    }

    /// What there is for `key`. Allocates nothing.
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

    /// Keeps what an upstream said just now, and returns it as it is to be used: also when it is
    /// not kept, because it holds for no time at all or there is no room. What was there before is
    /// gone in either case: it is no longer what the upstream says, and must not come back as stale.
    /// Those who waited for the same responses each put them; the first one's entry stays.
    ///
    /// Where denials are bridged, responses that can still be used stay, and are what is to be used.
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
            // Takes out what was there even where there is no room for this.
            self.table.insert(OwnedKey::from(key), kept);
        } else {
            self.table.remove(key);
        }
        entry
    }

    /// Remembers for a few seconds that asking failed (RFC 9520). A response that can still be used stays,
    /// with a note of it. That there was no room to ask says nothing of the question, and is not
    /// remembered; nor is that its upstream is down or leads back here, which is known of the upstream:
    /// a flood of names for one that is down would push out what others can still use.
    pub fn fail(&self, key: &CacheKey<'_>, failure: Failure, now: Instant) {
        if failure == Failure::Shed || self.settings.size == 0 {
            return;
        }
        if let Some(entry) = self.usable(key, now) {
            entry.note_failure(now, FAILURE_TTL);
            return;
        }
        if matches!(failure, Failure::Down | Failure::Looping) {
            return;
        }
        // A response that another thread puts between these two is lost for a few seconds. Questions that are
        // the same are merged, so there is hardly a second one to do so.
        let until = now + FAILURE_TTL;
        let kept = CacheSlot::Failed { failure, until };
        self.table.insert(OwnedKey::from(key), kept);
    }

    /// What can be used when asking fails: responses past their time, but not by more than
    /// `serve_stale`; or newer ones, if somebody put them meanwhile.
    #[must_use]
    pub fn stale(&self, key: &CacheKey<'_>, now: Instant) -> Option<Arc<CacheEntry>> {
        self.usable(key, now)
    }

    /// The responses that are true or stale, without counting as asked for.
    fn usable(&self, key: &CacheKey<'_>, now: Instant) -> Option<Arc<CacheEntry>> {
        match self.table.peek(key)? {
            CacheSlot::Response(entry) => {
                let standing = entry.standing(now, self.settings.serve_stale);
                (standing != Freshness::Gone).then_some(entry)
            }
            CacheSlot::Failed { .. } => None,
        }
    }

    /// How it has been doing, for metrics.
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
