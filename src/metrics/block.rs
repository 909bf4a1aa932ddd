//! One worker's counters: a flat array of cells that one thread writes and any thread reads.
//!
//! A cell is read and written back, both relaxed: with a single writer that loses nothing, and it
//! costs a plain load and a plain store, where `fetch_add` would lock the cache line. The price is
//! paid by the types: a block is only written through the one [`super::Recorder`] that owns it.
//!
//! **Memory**, stated because it is allocated whole when a worker takes a block: with *g* groups,
//! `2 × (g + 2) × 5 × 9 × 42` cells for queries, at most [`MAX_RULE_CELLS`] for what is counted by
//! rule, and some hundred others; 8 bytes each. One group: 90 KiB; the most, 64 groups: 1.91 MiB,
//! and 1 MiB for the rules. A rule needs `(g + 2) × 8` cells for its denials and 3 for its response filter:
//! the rules that do not fit, in the order of the file, are counted as [`OTHER`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dnsgate_core::{
    dns::Transport,
    engine::{Ending, FilterCheck, GroupId, RuleId},
};

use crate::telemetry::Tally;

use super::labels::{
    DENIALS, Labels, NONE, OTHER, RCODES, TYPES, denial_position, rcode_position, type_position,
};

/// The most cells of a block that are spent on what is counted by rule: 1 MiB.
pub(crate) const MAX_RULE_CELLS: usize = 131_072;

const TRANSPORTS: usize = Transport::ALL.len();
/// The number of checks of the response filter.
const CHECKS: usize = FilterCheck::ALL.len();
/// The number of endings.
pub(crate) const ENDINGS: usize = Ending::ALL.len();

/// The upper bounds of the buckets of `query_duration_seconds`.
///
/// Answers come from memory and take microseconds: the lower half tells a quiet machine from one
/// whose queries wait in a batch or for a core. Above a millisecond something is wrong, and the
/// bounds are the ones that matter: 2 s is the deadline of dnsgate's own look-ups, 4 s is when
/// Cloud DNS gives a target up.
pub(crate) const BOUNDS: [Duration; 13] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// The same bounds in nanoseconds.
const BOUND_NANOS: [u64; BOUNDS.len()] = {
    let mut bounds = [0; BOUNDS.len()];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = BOUNDS[at].as_nanos() as u64;
        at += 1;
    }
    bounds
};

/// The buckets of one histogram: one below each bound, one above them all.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;
/// The cells of one histogram: its buckets and its sum in nanoseconds.
const HISTOGRAM: usize = BUCKETS + 1;

/// Cells that no other allocation's cache line may reach into.
const PADDING: usize = 8;
const TRUNCATED: usize = PADDING;
const PANICS: usize = TRUNCATED + TRANSPORTS;
const RATE_LIMITED: usize = PANICS + 1;
const LOG_DROPPED: usize = RATE_LIMITED + 1;
const DURATIONS: usize = LOG_DROPPED + 1;
const QUERIES: usize = DURATIONS + ENDINGS * HISTOGRAM;

/// One worker's counters under one generation of labels.
#[derive(Debug)]
pub(crate) struct Block {
    generation: u64,
    labels: Arc<Labels>,
    /// The labels of a group: none, each group, other.
    groups: usize,
    /// The labels of a rule: none, each rule that fits, other.
    rules: usize,
    cells: Box<[AtomicU64]>,
}

impl Block {
    pub(crate) fn new(generation: u64, labels: Arc<Labels>) -> Self {
        let groups = labels.groups.len() + 2;
        let each = DENIALS * groups + CHECKS;
        let room = MAX_RULE_CELLS / each;
        let rules = (labels.rules.len() + 2).min(room.max(2));
        let queries = TRANSPORTS * groups * ENDINGS * RCODES * TYPES;
        let cells = QUERIES + queries + rules * each + PADDING;
        Self {
            generation,
            labels,
            groups,
            rules,
            cells: std::iter::repeat_with(AtomicU64::default)
                .take(cells)
                .collect(),
        }
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Counts one query, but for how long it took. Only the block's owner may call this.
    pub(crate) fn count(&self, tally: &Tally) {
        self.add(self.query_cell(tally), 1);
        if let Some(cell) = self.denied_cell(tally) {
            self.add(cell, 1);
        }
        if let Some(check) = tally.check {
            let row = self.rule_position(tally.rule) * CHECKS;
            self.add(self.filtered_start() + row + check as usize, 1);
        }
        if tally.truncated {
            self.add(TRUNCATED + tally.transport as usize, 1);
        }
        if tally.panicked {
            self.add(PANICS, 1);
        }
        if tally.rate_limited {
            self.add(RATE_LIMITED, 1);
        }
    }

    /// Counts that so many queries with this ending took so long each. Only the block's owner may call
    /// this.
    pub(crate) fn took(&self, ending: Ending, latency: Duration, queries: u64) {
        let histogram = DURATIONS + ending as usize * HISTOGRAM;
        self.add(histogram + bucket(latency), queries);
        self.add(histogram + BUCKETS, nanos(latency).wrapping_mul(queries));
    }

    /// Counts a log line that was lost. Only the block's owner may call this.
    pub(crate) fn count_log_drop(&self) {
        self.add(LOG_DROPPED, 1);
    }

    fn add(&self, cell: usize, by: u64) {
        if let Some(cell) = self.cells.get(cell) {
            cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
        }
    }

    fn get(&self, cell: usize) -> u64 {
        self.cells.get(cell).map_or(0, |cell| cell.load(Relaxed))
    }

    fn query_cell(&self, tally: &Tally) -> usize {
        let row = tally.transport as usize * self.groups + self.group_position(tally.group);
        let row = row * ENDINGS + tally.ending as usize;
        let row = row * RCODES + rcode_position(tally.rcode);
        QUERIES + row * TYPES + type_position(tally.qtype)
    }

    fn denied_cell(&self, tally: &Tally) -> Option<usize> {
        let reason = denial_position(tally.denied?)?;
        let row = self.rule_position(tally.rule) * DENIALS + reason;
        Some(self.denied_start() + row * self.groups + self.group_position(tally.group))
    }

    const fn denied_start(&self) -> usize {
        QUERIES + TRANSPORTS * self.groups * ENDINGS * RCODES * TYPES
    }

    const fn filtered_start(&self) -> usize {
        self.denied_start() + self.rules * DENIALS * self.groups
    }

    fn group_position(&self, group: Option<GroupId>) -> usize {
        group
            .map_or(0, |GroupId(at)| usize::from(at) + 1)
            .min(self.groups - 1)
    }

    fn rule_position(&self, rule: Option<RuleId>) -> usize {
        rule.map_or(0, |RuleId(at)| (at as usize).saturating_add(1))
            .min(self.rules - 1)
    }

    fn group_label(&self, position: usize) -> &str {
        label(&self.labels.groups, self.groups, position)
    }

    fn rule_label(&self, position: usize) -> &str {
        label(&self.labels.rules, self.rules, position)
    }

    /// Every cell of `queries_total` that is not zero.
    pub(crate) fn queries(&self) -> impl Iterator<Item = (QueryCell<'_>, u64)> {
        (QUERIES..self.denied_start()).filter_map(|cell| {
            let count = self.get(cell);
            if count == 0 {
                return None;
            }
            let row = cell - QUERIES;
            let (row, qtype) = (row / TYPES, row % TYPES);
            let (row, rcode) = (row / RCODES, row % RCODES);
            let (row, ending) = (row / ENDINGS, row % ENDINGS);
            let (transport, group) = (row / self.groups, row % self.groups);
            let cell = QueryCell {
                transport,
                group: self.group_label(group),
                ending,
                rcode,
                qtype,
            };
            Some((cell, count))
        })
    }

    /// Every cell of `denied_total` that is not zero.
    pub(crate) fn denied(&self) -> impl Iterator<Item = (DeniedCell<'_>, u64)> {
        let start = self.denied_start();
        (start..self.filtered_start()).filter_map(move |cell| {
            let count = self.get(cell);
            if count == 0 {
                return None;
            }
            let row = cell - start;
            let (row, group) = (row / self.groups, row % self.groups);
            let cell = DeniedCell {
                group: self.group_label(group),
                rule: self.rule_label(row / DENIALS),
                reason: row % DENIALS,
            };
            Some((cell, count))
        })
    }

    /// Every cell of `filter_rejected_total` that is not zero.
    pub(crate) fn filtered(&self) -> impl Iterator<Item = (FilteredCell<'_>, u64)> {
        let start = self.filtered_start();
        (start..start + self.rules * CHECKS).filter_map(move |cell| {
            let count = self.get(cell);
            if count == 0 {
                return None;
            }
            let row = cell - start;
            let cell = FilteredCell {
                rule: self.rule_label(row / CHECKS),
                check: row % CHECKS,
            };
            Some((cell, count))
        })
    }

    /// The observations in a bucket of the ending's histogram.
    pub(crate) fn bucket(&self, ending: usize, bucket: usize) -> u64 {
        self.get(DURATIONS + ending * HISTOGRAM + bucket)
    }

    /// The sum of the ending's histogram, in nanoseconds.
    pub(crate) fn nanos(&self, ending: usize) -> u64 {
        self.get(DURATIONS + ending * HISTOGRAM + BUCKETS)
    }

    pub(crate) fn truncated(&self, transport: usize) -> u64 {
        self.get(TRUNCATED + transport)
    }

    pub(crate) fn panics(&self) -> u64 {
        self.get(PANICS)
    }

    pub(crate) fn rate_limited(&self) -> u64 {
        self.get(RATE_LIMITED)
    }

    pub(crate) fn log_dropped(&self) -> u64 {
        self.get(LOG_DROPPED)
    }
}

/// The labels of one cell of `queries_total`: the group's text, the positions of the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryCell<'a> {
    pub(crate) transport: usize,
    pub(crate) group: &'a str,
    pub(crate) ending: usize,
    pub(crate) rcode: usize,
    pub(crate) qtype: usize,
}

/// The labels of one cell of `denied_total`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeniedCell<'a> {
    pub(crate) group: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) reason: usize,
}

/// The labels of one cell of `filter_rejected_total`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilteredCell<'a> {
    pub(crate) rule: &'a str,
    pub(crate) check: usize,
}

/// The label at a position of `count`: the first is none, the last is other.
fn label(names: &[String], count: usize, position: usize) -> &str {
    match position {
        0 => NONE,
        at if at + 1 >= count => OTHER,
        at => names.get(at - 1).map_or(OTHER, |name| name),
    }
}

/// The bucket that an observation falls into; a bound belongs to the bucket below it.
pub(crate) fn bucket(latency: Duration) -> usize {
    // From the front, as that is where nearly all of them end.
    let within = BOUND_NANOS
        .iter()
        .position(|&bound| nanos(latency) <= bound);
    within.unwrap_or(BOUND_NANOS.len())
}

/// Nanoseconds, as far as 64 bits go: 584 years.
pub(crate) fn nanos(latency: Duration) -> u64 {
    let seconds = latency.as_secs().saturating_mul(NANOS);
    seconds.saturating_add(u64::from(latency.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnsgate_core::{
        dns::{Rcode, RecordType},
        engine::{Outcome, Reason},
    };

    fn labels(groups: usize, rules: usize) -> Arc<Labels> {
        Arc::new(Labels {
            groups: (0..groups).map(|at| format!("g{at}")).collect(),
            rules: (0..rules).map(|at| format!("r{at}")).collect(),
            upstreams: Vec::new(),
        })
    }

    #[test]
    fn no_two_outcomes_share_a_cell() {
        let block = Block::new(1, labels(3, 5));
        let mut seen = std::collections::BTreeSet::new();
        let rcodes = Rcode::ALL.map(Some).into_iter().chain([None]);
        for (transport, rcode) in Transport::ALL
            .into_iter()
            .flat_map(|t| rcodes.clone().map(move |r| (t, r)))
        {
            for group in [None, Some(GroupId(0)), Some(GroupId(2)), Some(GroupId(9))] {
                for qtype in [None, Some(RecordType::A), Some(RecordType(9999))] {
                    for reason in [Reason::Zone, Reason::NoRule, Reason::Format, Reason::Panic] {
                        let outcome = Outcome {
                            group,
                            qtype,
                            rcode,
                            ..Outcome::new(reason)
                        };
                        let cell = block.query_cell(&Tally::of(&outcome, transport));
                        assert!((QUERIES..block.denied_start()).contains(&cell));
                        assert!(seen.insert(cell), "{outcome:?} shares its cell");
                    }
                }
            }
        }
    }

    #[test]
    fn rules_past_the_bound_are_other_and_memory_is_bounded() {
        let block = Block::new(1, labels(64, 1_000_000));
        let most = MAX_RULE_CELLS + TRANSPORTS * 66 * ENDINGS * RCODES * TYPES + 200;
        assert!(block.cells.len() <= most, "{}", block.cells.len());
        for rule in [0, 999_999, u32::MAX] {
            let outcome = Outcome {
                rule: Some(RuleId(rule)),
                group: Some(GroupId(63)),
                check: Some(FilterCheck::Cname),
                ..Outcome::new(Reason::Filtered)
            };
            block.count(&Tally::of(&outcome, Transport::Udp));
        }
        let denied: Vec<_> = block
            .denied()
            .map(|(cell, count)| (cell.group, cell.rule, count))
            .collect();
        assert_eq!(denied, [("g63", "r0", 1), ("g63", OTHER, 2)]);
        let filtered: Vec<_> = block
            .filtered()
            .map(|(cell, count)| (cell.rule, FilterCheck::ALL[cell.check], count))
            .collect();
        let chain = FilterCheck::Cname;
        assert_eq!(filtered, [("r0", chain, 1), (OTHER, chain, 2)]);
    }

    #[test]
    fn the_stated_memory_is_what_a_block_takes() {
        let kib = |groups| Block::new(1, labels(groups, 0)).cells.len() * 8 / 1024;
        assert!(kib(1) <= 90, "{}", kib(1));
        assert!(kib(64) <= 1959, "{}", kib(64));
        assert_eq!((DENIALS, CHECKS), (8, 3), "the cells of a rule are stated");
        assert_eq!((ENDINGS, RCODES, TYPES), (5, 9, 42), "as are a query's");
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::from_micros(10)), 0);
        assert_eq!(bucket(Duration::from_nanos(10_001)), 1);
        assert_eq!(bucket(Duration::from_secs(4)), BOUNDS.len() - 1);
        assert_eq!(bucket(Duration::from_secs(5)), BOUNDS.len());
        assert!(BOUNDS.is_sorted());
    }
}
