//! The names that were asked for below subtrees: their texts, and how many there are.
//!
//! A thread counts a name by a hash, in counters of its own. This table has the text of each hash,
//! so it is asked only when a thread meets a name for the first time.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::metrics::{
    labels::NameId,
    thread_counters::{Key, QueryCounters},
};
use dnsgate_core::dns::{Name, NameRef};
use dnsgate_whatif::usage::{NameUsage, RuleUsage};

/// The most names of all rules together, half of what a thread's counters hold. A name takes some 150
/// bytes, so all of them 5 MiB. Of what comes after, only the number is estimated.
pub(crate) const MAX_SEEN: usize = 1 << 15;
/// The most rules whose number of names is estimated, at 1 KiB each.
const MAX_SKETCHES: usize = 256;
/// The bits of a hash that select a register of a sketch: 1024 of them give a standard error of 3 %.
const INDEX_BITS: u32 = 10;

/// The names so far.
#[derive(Debug, Default)]
pub(crate) struct SeenNames {
    /// Random, because clients choose the names and could choose colliding ones.
    seed: Seed,
    /// The threads' counters of names.
    pub(crate) counts: Arc<QueryCounters>,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

#[derive(Debug, Default)]
struct Table {
    names: HashMap<Key, SeenName>,
    rules: HashMap<NameId, NamesOfRule>,
    sketches: usize,
}

#[derive(Debug)]
struct SeenName {
    rule: NameId,
    name: Name,
    /// Queries of earlier processes.
    before: u64,
}

#[derive(Debug, Default)]
struct NamesOfRule {
    count: u64,
    /// Whether there were names without room.
    is_over: bool,
    /// The number of names that an earlier process knew.
    before: u64,
    sketch: Option<Sketch>,
}

impl SeenNames {
    /// The counter of a name of a rule. Letters count alike in both cases; so do a few other pairs of
    /// characters that differ in the same bit, such as `[` and `{`.
    #[inline]
    pub(crate) fn key(&self, rule: NameId, wire: &[u8]) -> Key {
        /// The bit that distinguishes the cases of a letter, in each byte.
        const CASE: u64 = 0x2020_2020_2020_2020;
        let mut hash = self.seed.0 ^ u64::from(rule).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (words, rest) = wire.as_chunks::<8>();
        for word in words {
            hash = mixed(hash ^ (u64::from_le_bytes(*word) | CASE));
        }
        // The last eight bytes, some of them again; a short name is padded.
        let last = wire.last_chunk::<8>().copied().unwrap_or_else(|| {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(rest) {
                *to = *from;
            }
            padded
        });
        let length = (wire.len() as u64) << 56;
        Key::name(mixed(hash ^ length ^ (u64::from_le_bytes(last) | CASE)))
    }

    /// Adds a name that a thread has not met before. Returns whether it may count it by its key.
    pub(crate) fn add(&self, key: Key, rule: NameId, name: NameRef<'_>) -> bool {
        let mut table = self.lock();
        if table.names.contains_key(&key) {
            return true;
        }
        let has_room = table.names.len() < MAX_SEEN;
        if !has_room {
            table.make_sketch(rule);
        }
        let of_rule = table.rules.entry(rule).or_default();
        if let Some(sketch) = &mut of_rule.sketch {
            sketch.add(key);
        }
        of_rule.is_over |= !has_room;
        of_rule.count += u64::from(has_room);
        if has_room {
            let name = name.to_name();
            table.names.insert(
                key,
                SeenName {
                    rule,
                    name,
                    before: 0,
                },
            );
        }
        has_room
    }

    /// Takes over the names of a rule from an earlier process.
    pub(super) fn restore(&self, rule: Option<NameId>, usage: &mut RuleUsage) {
        let Some(rule) = rule else { return };
        for NameUsage { name, count } in std::mem::take(&mut usage.names) {
            if let Ok(name) = name.parse::<Name>() {
                let key = self.key(rule, name.as_ref().wire());
                if self.add(key, rule, name.as_ref())
                    && let Some(seen) = self.lock().names.get_mut(&key)
                {
                    seen.before = count;
                }
            }
        }
        let mut table = self.lock();
        let of_rule = table.rules.entry(rule).or_default();
        of_rule.before = usage.distinct_names;
        of_rule.is_over |= !usage.names_complete;
    }

    /// The names of each rule with their counts, the `most` most frequent ones.
    pub(super) fn by_rule(&self, most: usize) -> NamesByRule {
        let counts = self.counts.sum();
        let table = self.lock();
        let mut all: HashMap<NameId, NamesShown> = HashMap::new();
        for (key, seen) in &table.names {
            let live = counts.get(key).copied().unwrap_or(0);
            let shown = all.entry(seen.rule).or_default();
            shown.names.push(NameUsage {
                name: without_dot(&seen.name),
                count: live.saturating_add(seen.before),
            });
        }
        for (rule, of_rule) in &table.rules {
            let shown = all.entry(*rule).or_default();
            let estimate = of_rule.sketch.as_ref().map_or(0, Sketch::estimate);
            shown.distinct = of_rule.count.max(of_rule.before).max(estimate);
            shown.is_complete = !of_rule.is_over;
        }
        drop(table);
        for shown in all.values_mut() {
            let names = &mut shown.names;
            names.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
            shown.is_complete &= names.len() <= most;
            names.truncate(most);
        }
        NamesByRule(all)
    }

    /// A poisoned table is usable, because its rows are complete.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Multiplies into 128 bits and folds the halves, as foldhash does.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half of the product is wanted"
)]
const fn mixed(word: u64) -> u64 {
    let product = (word as u128).wrapping_mul(0x2d35_8dcc_aa6c_78a5);
    product as u64 ^ (product >> 64) as u64
}

fn without_dot(name: &Name) -> String {
    let mut text = name.to_string();
    if !name.as_ref().is_root() {
        text.pop();
    }
    text
}

impl Table {
    /// Begins to estimate the names of a rule, with the ones that are known.
    fn make_sketch(&mut self, rule: NameId) {
        let of_rule = self.rules.entry(rule).or_default();
        if of_rule.sketch.is_some() || self.sketches >= MAX_SKETCHES {
            return;
        }
        self.sketches += 1;
        let mut sketch = Sketch::default();
        let own = self.names.iter().filter(|(_, seen)| seen.rule == rule);
        own.for_each(|(&key, _)| sketch.add(key));
        of_rule.sketch = Some(sketch);
    }
}

/// The names of each rule for the page.
pub(super) struct NamesByRule(HashMap<NameId, NamesShown>);

#[derive(Default)]
struct NamesShown {
    names: Vec<NameUsage>,
    distinct: u64,
    is_complete: bool,
}

impl NamesByRule {
    pub(super) fn write(&self, rule: Option<NameId>, usage: &mut RuleUsage) {
        if let Some(shown) = rule.and_then(|rule| self.0.get(&rule)) {
            usage.names.clone_from(&shown.names);
            usage.distinct_names = shown.distinct;
            usage.names_complete = shown.is_complete;
        }
    }
}

/// An estimate of the number of distinct names: HyperLogLog (Flajolet et al. 2007).
#[derive(Debug)]
struct Sketch(Box<[u8; 1 << INDEX_BITS]>);

impl Default for Sketch {
    fn default() -> Self {
        Self(Box::new([0; 1 << INDEX_BITS]))
    }
}

impl Sketch {
    fn add(&mut self, key: Key) {
        let hash = mixed(key.get());
        let index = usize::try_from(hash >> (u64::BITS - INDEX_BITS)).unwrap_or(0);
        let rank = (hash << INDEX_BITS)
            .leading_zeros()
            .min(u64::BITS - INDEX_BITS)
            + 1;
        if let Some(register) = self.0.get_mut(index) {
            *register = (*register).max(rank.to_le_bytes()[0]);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate of some thousands, never negative"
    )]
    fn estimate(&self) -> u64 {
        let registers = self.0.len() as f64;
        let sum: f64 = self.0.iter().map(|&rank| (-f64::from(rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / registers) * registers * registers / sum;
        let zeros = self.0.iter().filter(|&&rank| rank == 0).count();
        // For few names, the empty registers say more.
        let few = registers * (registers / zeros as f64).ln();
        let estimate = if raw <= 2.5 * registers && zeros > 0 {
            few
        } else {
            raw
        };
        estimate.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(names: &SeenNames, rule: NameId, text: &str) -> bool {
        let name: Name = text.parse().expect(text);
        let key = names.key(rule, name.as_ref().wire());
        names.add(key, rule, name.as_ref())
    }

    #[test]
    fn a_name_has_one_key_whatever_its_case() {
        let names = SeenNames::default();
        let key = |wire: &[u8]| names.key(3, wire);
        assert_eq!(key(b"\x03WWW\x07Example\0"), key(b"\x03www\x07example\0"));
        assert_ne!(key(b"\x03www\x07example\0"), key(b"\x03www\x07exampl1\0"));
        assert_ne!(key(b"\x01a\0"), key(b"\x01b\0"));
        assert_ne!(key(b"\0"), key(b"\x01a\0"));
        assert_ne!(names.key(1, b"\x01a\0"), names.key(2, b"\x01a\0"));
        let other = SeenNames::default();
        assert_ne!(
            key(b"\x01a\0"),
            other.key(3, b"\x01a\0"),
            "nobody can predict it"
        );
    }

    #[test]
    fn names_beyond_the_bound_are_estimated() {
        let names = SeenNames::default();
        for at in 0..MAX_SEEN {
            assert!(add(&names, 7, &format!("n{at}.test")));
        }
        assert!(add(&names, 7, "n1.test"), "known");
        for at in MAX_SEEN..3 * MAX_SEEN {
            assert!(!add(&names, 7, &format!("n{at}.test")));
        }
        assert!(!add(&names, 8, "other.test"));
        let shown = names.by_rule(1_000);
        let of_rule = &shown.0[&7];
        assert_eq!(of_rule.names.len(), 1_000);
        assert!(!of_rule.is_complete);
        let off = of_rule.distinct.abs_diff(3 * MAX_SEEN as u64);
        assert!(off < MAX_SEEN as u64 / 4, "{}", of_rule.distinct);
        assert_eq!((shown.0[&8].distinct, shown.0[&8].is_complete), (1, false));
    }
}
