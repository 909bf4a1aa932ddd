//! The counters of queries: each thread writes only its own, and a scrape sums them.
//!
//! A [`Key`] is the identity of a counter as one number: its family and label values.
//!
//! A thread's counters are a hash table, at most half full, from a [`Key`] to a count. Counting is
//! a lookup, a plain load and a plain store; `fetch_add` would lock the cache line, and with a
//! single writer it is not needed. A missing counter is added. If that makes the table half full,
//! the thread switches to a copy of twice the size. A scrape reads either table, and no count is
//! lower in the newer one. Counting allocates only when the table doubles, which happens a few
//! times in a thread's life.
//!
//! **Memory** is bounded by [`MOST`]: at that size, a new counter is counted without the operator's
//! names, as `other`.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dnsgate_core::{
    dns::{Rcode, RecordType, Transport},
    engine::{Ending, FilterCheck, Reason},
};

use super::labels::{
    BUCKETS, DENIAL_REASONS, DENIALS, NONE, NONE_ID, NameId, OTHER_ID, RCODES, TYPES, bucket,
    denial_position, rcode_label, rcode_position, type_label, type_position,
};

/// Identifies one counter. Never 0, because 0 marks a free entry of a table.
///
/// From the top: 8 unused bits, 8 bits for the family, 16 for the group's ID, 16 for the rule's ID,
/// 16 for the other labels, which depend on the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

const QUERIES: u64 = 1;
const DENIED: u64 = 2;
const FILTERED: u64 = 3;
const BUCKET: u64 = 4;
const NANOS: u64 = 5;
const TRUNCATED: u64 = 6;
const SINGLE: u64 = 7;
const NAME: u64 = 8;

/// Bits of the positions of a type, a response code and a verdict.
const TYPE_BITS: usize = 6;
const RCODE_BITS: usize = 4;
const ENDING_BITS: usize = 3;
const _: () = assert!(TYPES <= 1 << TYPE_BITS && RCODES <= 1 << RCODE_BITS);
const _: () = assert!(Ending::ALL.len() <= 1 << ENDING_BITS && BUCKETS <= 1 << 8);

/// The maximum number of counters without an operator's name, that is, of keys after
/// [`Key::nameless`].
pub(crate) const NAMELESS: usize = 4 * Transport::ALL.len() * Ending::ALL.len() * RCODES * TYPES
    + 4 * DENIALS
    + 2 * FilterCheck::ALL.len()
    + Ending::ALL.len() * (BUCKETS + 1)
    + Transport::ALL.len()
    + 3;

impl Key {
    pub(crate) const PANICS: Self = Self::new(SINGLE, NONE_ID, NONE_ID, 0);
    pub(crate) const RATE_LIMITED: Self = Self::new(SINGLE, NONE_ID, NONE_ID, 1);
    pub(crate) const LOG_DROPPED: Self = Self::new(SINGLE, NONE_ID, NONE_ID, 2);

    const fn new(family: u64, group: NameId, rule: NameId, rest: usize) -> Self {
        Self(family << 48 | (group as u64) << 32 | (rule as u64) << 16 | rest as u64)
    }

    /// A counter of `queries_total` and of `rule_queries_total`, which add up what the other tells
    /// apart: one counter costs a query half of what two would.
    pub(crate) fn queries(
        transport: Transport,
        (group, rule): (NameId, NameId),
        ending: Ending,
        rcode: Option<Rcode>,
        qtype: Option<RecordType>,
    ) -> Self {
        let rest = (transport as usize) << ENDING_BITS | ending as usize;
        let rest = rest << RCODE_BITS | rcode_position(rcode);
        let rest = rest << TYPE_BITS | type_position(qtype);
        Self::new(QUERIES, group, rule, rest)
    }

    /// A counter of `denied_total`; `None` if the reason is not a denial.
    pub(crate) fn denied(group: NameId, rule: NameId, reason: Reason) -> Option<Self> {
        Some(Self::new(DENIED, group, rule, denial_position(reason)?))
    }

    /// A counter of `filter_rejected_total`.
    pub(crate) const fn filtered(rule: NameId, check: FilterCheck) -> Self {
        Self::new(FILTERED, NONE_ID, rule, check as usize)
    }

    /// The bucket of `query_duration_seconds` for a latency.
    pub(crate) fn bucket_of(ending: Ending, latency: Duration) -> Self {
        Self::bucket(ending, bucket(latency))
    }

    /// A bucket of `query_duration_seconds`.
    pub(crate) const fn bucket(ending: Ending, bucket: usize) -> Self {
        Self::new(BUCKET, NONE_ID, NONE_ID, (ending as usize) << 8 | bucket)
    }

    /// The sum of `query_duration_seconds`, in nanoseconds.
    pub(crate) const fn nanos(ending: Ending) -> Self {
        Self::new(NANOS, NONE_ID, NONE_ID, ending as usize)
    }

    /// A counter of `truncated_total`.
    pub(crate) const fn truncated(transport: Transport) -> Self {
        Self::new(TRUNCATED, NONE_ID, NONE_ID, transport as usize)
    }

    /// The counter of a name, by the hash of the name and its rule, of which it keeps 48 bits.
    pub(crate) const fn name(hash: u64) -> Self {
        Self(NAME << 48 | hash & ((1 << 48) - 1))
    }

    /// The same key with every operator's name replaced by "other".
    pub(crate) fn nameless(self) -> Self {
        let other = |id| if id == NONE_ID { NONE_ID } else { OTHER_ID };
        let (family, group, rule, rest) = self.parts();
        if u64::from(family) == NAME {
            return Self::name(0);
        }
        Self::new(family.into(), other(group), other(rule), rest.into())
    }

    /// A hash whose lower bits differ for keys that differ in a few bits: the upper half of the
    /// product with the golden ratio's fraction (Knuth, The Art of Computer Programming 6.4).
    pub(crate) const fn hash(self) -> usize {
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }

    /// The number that a table stores.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// Reads a number from a table; `None` for a free entry.
    pub(crate) fn from_place(place: u64) -> Option<Self> {
        (place != 0).then_some(Self(place))
    }

    /// The labels, for families with operator's names as labels.
    pub(crate) fn labels(self) -> Option<KeyLabels> {
        let (family, group, rule, rest) = self.parts();
        let rest = usize::from(rest);
        match u64::from(family) {
            QUERIES => {
                let (rest, qtype) = (rest >> TYPE_BITS, rest & ((1 << TYPE_BITS) - 1));
                let (rest, rcode) = (rest >> RCODE_BITS, rest & ((1 << RCODE_BITS) - 1));
                let (rest, ending) = (rest >> ENDING_BITS, rest & ((1 << ENDING_BITS) - 1));
                Some(KeyLabels::Queries {
                    transport: label_of(&Transport::ALL, rest, Transport::as_str),
                    group,
                    rule,
                    verdict: label_of(&Ending::ALL, ending, Ending::as_str),
                    rcode: rcode_label(rcode),
                    qtype: type_label(qtype),
                })
            }
            DENIED => Some(KeyLabels::Denied {
                group,
                rule,
                reason: label_of(&DENIAL_REASONS, rest, Reason::as_str),
            }),
            FILTERED => Some(KeyLabels::Filtered {
                rule,
                check: label_of(&FilterCheck::ALL, rest, FilterCheck::as_str),
            }),
            _ => None,
        }
    }

    const fn parts(self) -> (u8, NameId, NameId, u16) {
        let [_, family, g1, g0, r1, r0, high, low] = self.0.to_be_bytes();
        let (group, rule) = ([g1, g0], [r1, r0]);
        (
            family,
            NameId::from_be_bytes(group),
            NameId::from_be_bytes(rule),
            u16::from_be_bytes([high, low]),
        )
    }
}

/// The labels of one counter, with operator's names as IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLabels {
    Queries {
        transport: &'static str,
        group: NameId,
        rule: NameId,
        verdict: &'static str,
        rcode: &'static str,
        qtype: &'static str,
    },
    Denied {
        group: NameId,
        rule: NameId,
        reason: &'static str,
    },
    Filtered {
        rule: NameId,
        check: &'static str,
    },
}

fn label_of<T: Copy>(all: &[T], at: usize, label: fn(T) -> &'static str) -> &'static str {
    all.get(at).map_or(NONE, |&item| label(item))
}

/// Initial number of entries: 16 KiB. A network uses some dozens of counters.
const FIRST: usize = 1 << 10;
/// Maximum number of entries: 1 MiB. Half of them are for counters with names, as many as a scrape
/// can handle.
const MOST: usize = 1 << 16;
const _: () = assert!(MOST / 2 + NAMELESS < MOST / 4 * 3, "a table is never full");

/// One entry of a table; free while its key is 0.
#[derive(Debug, Default)]
struct Place {
    key: AtomicU64,
    count: AtomicU64,
}

/// A table that one thread writes.
#[derive(Debug)]
struct Table {
    /// The number of entries is a power of 2.
    places: Arc<[Place]>,
    used: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::with_places(FIRST)
    }
}

impl Table {
    fn with_places(number: usize) -> Self {
        Self {
            places: std::iter::repeat_with(Place::default)
                .take(number)
                .collect(),
            used: 0,
        }
    }

    /// The entry of a counter, or the free entry for it.
    fn find(&self, key: Key) -> Option<&Place> {
        let mut at = key.hash();
        loop {
            let place = self.places.get(at & (self.places.len() - 1))?;
            let held = place.key.load(Relaxed);
            if held == key.get() || held == 0 {
                return Some(place);
            }
            at += 1;
        }
    }

    /// Adds to an existing counter; `false` if it does not exist.
    fn add(&self, key: Key, by: u64) -> bool {
        let Some(Place { key: held, count }) = self.find(key) else {
            return true;
        };
        if held.load(Relaxed) != key.get() {
            return false;
        }
        count.store(count.load(Relaxed).wrapping_add(by), Relaxed);
        true
    }

    /// Adds to a counter, and creates it if necessary.
    fn add_anyway(&mut self, key: Key, by: u64) {
        if self.add(key, by) {
            return;
        }
        if self.used >= self.places.len() / 2 {
            if self.places.len() < MOST {
                self.grow();
            } else if key != key.nameless() {
                return self.add_anyway(key.nameless(), by);
            }
        }
        if let Some(place) = self.find(key) {
            place.count.store(by, Relaxed);
            place.key.store(key.get(), Relaxed);
            self.used += 1;
        }
    }

    fn grow(&mut self) {
        let mut larger = Self::with_places(self.places.len() * 2);
        for (key, count) in counts(&self.places) {
            larger.add_anyway(key, count);
        }
        *self = larger;
    }
}

/// The counters in a table's entries.
fn counts(places: &[Place]) -> impl Iterator<Item = (Key, u64)> {
    places.iter().filter_map(|Place { key, count }| {
        Some((Key::from_place(key.load(Relaxed))?, count.load(Relaxed)))
    })
}

/// The counters of all threads.
#[derive(Debug, Default)]
pub(crate) struct QueryCounters(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    running: Vec<Arc<Shown>>,
    /// The counters of ended threads.
    ended: Table,
}

/// The entries of a thread's table, as a scrape reads them.
type Shown = Mutex<Arc<[Place]>>;

impl QueryCounters {
    /// Creates counters for one more thread. When the thread drops them, their counts are kept.
    pub(crate) fn of_thread(self: &Arc<Self>) -> ThreadCounters {
        let table = Table::default();
        let shown = Arc::new(Mutex::new(Arc::clone(&table.places)));
        locked(&self.0).running.push(Arc::clone(&shown));
        ThreadCounters {
            table,
            shown,
            all: Arc::clone(self),
        }
    }

    /// The sum of all counts. The lock ensures that the counts of an ending thread are included
    /// exactly once.
    pub(crate) fn sum(&self) -> BTreeMap<Key, u64> {
        let registry = locked(&self.0);
        let mut sum: BTreeMap<_, _> = counts(&registry.ended.places).collect();
        for shown in &registry.running {
            let places = Arc::clone(&locked(shown));
            for (key, count) in counts(&places) {
                let total: &mut u64 = sum.entry(key).or_default();
                *total = total.wrapping_add(count);
            }
        }
        sum
    }
}

/// One thread's counters.
#[derive(Debug)]
pub(crate) struct ThreadCounters {
    table: Table,
    shown: Arc<Shown>,
    all: Arc<QueryCounters>,
}

impl ThreadCounters {
    /// Whether `all` sums these counters.
    pub(crate) fn are_among(&self, all: &Arc<QueryCounters>) -> bool {
        Arc::ptr_eq(&self.all, all)
    }

    /// Adds to a counter.
    pub(crate) fn add(&mut self, key: Key, by: u64) {
        if !self.table.add(key, by) {
            self.add_new(key, by);
        }
    }

    /// Adds to a counter that exists; `false` if it does not.
    #[inline]
    pub(crate) fn add_known(&self, key: Key, by: u64) -> bool {
        self.table.add(key, by)
    }

    #[cold]
    fn add_new(&mut self, key: Key, by: u64) {
        self.table.add_anyway(key, by);
        *locked(&self.shown) = Arc::clone(&self.table.places);
    }
}

impl Drop for ThreadCounters {
    fn drop(&mut self) {
        let mut registry = locked(&self.all.0);
        registry
            .running
            .retain(|shown| !Arc::ptr_eq(shown, &self.shown));
        for (key, count) in counts(&self.table.places) {
            registry.ended.add_anyway(key, count);
        }
    }
}

/// A poisoned value is still consistent, because each change is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
