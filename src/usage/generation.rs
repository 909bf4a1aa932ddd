//! What threads have noted of one generation of the configuration: a bit per pattern, a cell per rule.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
};

use jiff::Timestamp;

use super::stamp_of;
use crate::metrics::labels::{LabelSet, NameId, TYPES, type_label};
use dnsgate_core::{
    engine::{EntryId, RuleId, Snapshot},
    policy::{Action, AnswerRanges, Pattern, Policy},
};
use dnsgate_whatif::usage::RuleUsage;

const _: () = assert!(TYPES <= 64, "types are bits of a word");

/// An answer of the rule had an alias.
pub(super) const ALIAS: u8 = 1;
/// It led to a name that the client may not query.
pub(super) const OUTSIDE: u8 = 2;
/// An alias led to a name of the rule.
pub(super) const TARGET: u8 = 4;

/// The notes of one thread. Only that thread writes them, so no write needs a locked instruction.
#[derive(Debug, Default)]
pub(super) struct OwnUsage {
    /// A bit for each [`EntryId::index`].
    patterns: Box<[AtomicU8]>,
    rules: Box<[RuleCell]>,
    /// Queries with a new name beyond the limit per second.
    pub(super) unlooked: AtomicU64,
}

/// The notes about one rule. Times are seconds since 1970, 0 for none.
#[derive(Debug, Default)]
struct RuleCell {
    first: AtomicU64,
    last: AtomicU64,
    /// A bit for each position of [`type_label`].
    types: AtomicU64,
    aliases: AtomicU8,
}

impl OwnUsage {
    fn new(patterns: usize, rules: usize) -> Self {
        Self {
            patterns: std::iter::repeat_with(AtomicU8::default)
                .take(patterns.div_ceil(8))
                .collect(),
            rules: std::iter::repeat_with(RuleCell::default)
                .take(rules)
                .collect(),
            unlooked: AtomicU64::new(0),
        }
    }

    /// Notes that a rule's pattern decided about a type. Returns whether it is the rule's first use
    /// within this second.
    #[inline]
    pub(super) fn uses(&self, (rule, entry): (RuleId, EntryId), qtype: u64, now: u64) -> bool {
        self.set(entry);
        let Some(cell) = self.rules.get(rule.0 as usize) else {
            return false;
        };
        let types = cell.types.load(Relaxed);
        if types & qtype == 0 {
            cell.types.store(types | qtype, Relaxed);
        }
        if cell.last.load(Relaxed) == now {
            return false;
        }
        cell.last.store(now, Relaxed);
        if cell.first.load(Relaxed) == 0 {
            cell.first.store(now, Relaxed);
        }
        true
    }

    #[inline]
    fn set(&self, entry: EntryId) {
        let (at, bit) = (entry.index() / 8, 1 << (entry.index() % 8));
        if let Some(byte) = self.patterns.get(at) {
            let bits = byte.load(Relaxed);
            if bits & bit == 0 {
                byte.store(bits | bit, Relaxed);
            }
        }
    }

    fn is_set(&self, entry: EntryId) -> bool {
        let (at, bit) = (entry.index() / 8, 1 << (entry.index() % 8));
        self.patterns
            .get(at)
            .is_some_and(|byte| byte.load(Relaxed) & bit != 0)
    }

    /// Notes where the aliases of a rule's answer led.
    pub(super) fn note_aliases(&self, rule: RuleId, flags: u8) {
        if let Some(cell) = self.rules.get(rule.0 as usize) {
            let held = cell.aliases.load(Relaxed);
            if held & flags != flags {
                cell.aliases.store(held | flags, Relaxed);
            }
        }
    }
}

/// The notes about one rule, of all threads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RuleSum {
    first: u64,
    pub(super) last: u64,
    types: u64,
    aliases: u8,
}

impl RuleSum {
    fn add(&mut self, cell: &RuleCell) {
        let first = cell.first.load(Relaxed);
        if first != 0 && (self.first == 0 || first < self.first) {
            self.first = first;
        }
        self.last = self.last.max(cell.last.load(Relaxed));
        self.types |= cell.types.load(Relaxed);
        self.aliases |= cell.aliases.load(Relaxed);
    }

    /// Adds the notes to those of earlier generations. A clock that was ahead when they were made
    /// does not put a use into the future.
    pub(super) fn add_to(self, rule: &mut RuleUsage, now: Timestamp) {
        if self.last == 0 {
            return;
        }
        let (first, last) = (stamp_of(self.first).min(now), stamp_of(self.last).min(now));
        rule.first = Some(rule.first.map_or(first, |known| known.min(first)));
        rule.last = Some(rule.last.map_or(last, |known| known.min(now).max(last)));
        let seen = (0..TYPES).filter(|at| self.types >> at & 1 != 0);
        rule.types.extend(seen.map(|at| type_label(at).to_owned()));
        rule.types.sort_unstable();
        rule.types.dedup();
        rule.aliases |= self.aliases & ALIAS != 0;
        rule.aliases_outside |= self.aliases & OUTSIDE != 0;
        rule.alias_target |= self.aliases & TARGET != 0;
    }
}

/// One generation.
#[derive(Debug, Default)]
pub(crate) struct GenerationUsage {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// The number of patterns of each rule.
    pub(super) patterns: Vec<usize>,
    /// The ID of each rule's name.
    names: Vec<NameId>,
    /// Whether the addresses in the answers of a rule are noted.
    with_addresses: Vec<bool>,
    /// What was carried over.
    base: OwnUsage,
    threads: Mutex<Vec<Arc<OwnUsage>>>,
}

/// The used patterns of each rule.
#[derive(Debug, Default)]
pub(super) struct UsedPatterns {
    patterns: HashMap<RuleId, Vec<Pattern>>,
    pub(super) is_complete: bool,
}

impl UsedPatterns {
    /// The used patterns of a rule, as text.
    pub(super) fn texts(&self, rule: RuleId) -> impl Iterator<Item = String> {
        let patterns = self.patterns.get(&rule).into_iter().flatten();
        patterns.map(Pattern::to_string)
    }
}

impl GenerationUsage {
    pub(super) fn new(snapshot: &Arc<Snapshot>, labels: &LabelSet) -> Self {
        let policy = snapshot.policy();
        let rules = policy.rules();
        let ids = (0..).map(RuleId).take(rules.len());
        let with_addresses = rules.iter().map(|rule| match &rule.action {
            Action::Forward(forwarding) => forwarding.answers != AnswerRanges::Public,
            Action::Zone(_) | Action::Answer(_) | Action::Deny => false,
        });
        Self {
            patterns: policy.entry_counts(),
            names: ids.map(|id| labels.rule_id(Some(id))).collect(),
            with_addresses: with_addresses.collect(),
            base: OwnUsage::new(policy.entry_places(), rules.len()),
            threads: Mutex::default(),
            snapshot: Some(Arc::clone(snapshot)),
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.snapshot.as_ref().map(|snapshot| snapshot.generation())
    }

    /// The ID of a rule's name.
    #[inline]
    pub(super) fn name_id(&self, rule: RuleId) -> Option<NameId> {
        self.names.get(rule.0 as usize).copied()
    }

    #[inline]
    pub(super) fn notes_addresses(&self, rule: RuleId) -> bool {
        self.with_addresses.get(rule.0 as usize) == Some(&true)
    }

    /// Notes for one more thread.
    pub(super) fn of_thread(&self) -> Arc<OwnUsage> {
        let places = self.base.patterns.len() * 8;
        let own = Arc::new(OwnUsage::new(places, self.base.rules.len()));
        self.threads().push(Arc::clone(&own));
        own
    }

    /// Marks a pattern, as text, as used if one of these rules has it.
    pub(super) fn carry(&self, policy: &Policy, rules: &[RuleId], pattern: &str) {
        let Ok(pattern) = pattern.parse::<Pattern>() else {
            return;
        };
        let entries = rules
            .iter()
            .filter_map(|&rule| policy.entry_of(rule, &pattern));
        entries.for_each(|entry| self.base.set(entry));
    }

    /// The notes about each rule, of all threads.
    pub(super) fn sums(&self) -> Vec<RuleSum> {
        let mut sums = vec![RuleSum::default(); self.base.rules.len()];
        for own in self.threads().iter() {
            for (sum, cell) in sums.iter_mut().zip(&own.rules) {
                sum.add(cell);
            }
        }
        sums
    }

    pub(super) fn unlooked(&self) -> u64 {
        let threads = self.threads();
        threads.iter().map(|own| own.unlooked.load(Relaxed)).sum()
    }

    /// The used patterns, at most `most`.
    pub(super) fn used(&self, policy: &Policy, most: usize) -> UsedPatterns {
        let threads = self.threads().clone();
        let is_used =
            |entry| self.base.is_set(entry) || threads.iter().any(|own| own.is_set(entry));
        let (mut patterns, mut count) = (HashMap::<_, Vec<_>>::new(), 0);
        for (_, rule, pattern) in policy.entries(is_used) {
            count += 1;
            if count > most {
                break;
            }
            patterns.entry(rule).or_default().push(pattern);
        }
        UsedPatterns {
            patterns,
            is_complete: count <= most,
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Arc<OwnUsage>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
