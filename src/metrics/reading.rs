//! Values that other modules keep and that are read at a scrape: cache statistics and the number of
//! in-flight queries.

use std::{fmt, sync::OnceLock};

/// The values at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Cache lookups answered from an unexpired entry.
    pub cache_hits: u64,
    /// Cache lookups that found no entry.
    pub cache_misses: u64,
    /// Cache lookups that found only an expired entry.
    pub cache_stale: u64,
    /// Entries that were removed, or not stored, because the cache was full.
    pub cache_evictions: u64,
    /// Entries in the cache.
    pub cache_entries: u64,
    /// Memory of the entries, in bytes.
    pub cache_bytes: u64,
    /// Queries that wait for an upstream.
    pub in_flight: u64,
    /// Bytes of replies that TCP clients have not read.
    pub tcp_unread_bytes: u64,
}

/// The function that reads the values.
pub(crate) type ReadingSource = Box<dyn Fn() -> Reading + Send + Sync>;

/// Holds the source. Without a source all values are 0.
#[derive(Default)]
pub(crate) struct Watched(OnceLock<ReadingSource>);

impl Watched {
    /// Sets the source. Further calls have no effect.
    pub(crate) fn set(&self, source: ReadingSource) {
        let _ = self.0.set(source);
    }

    pub(crate) fn read(&self) -> Reading {
        self.0
            .get()
            .map_or_else(Reading::default, |source| source())
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.read()).finish()
    }
}
