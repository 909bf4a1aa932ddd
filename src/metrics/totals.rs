//! Counts keyed by the text of their labels: what remains of blocks whose generation is gone, and
//! what a scrape sums into.
//!
//! A position means nothing once its generation is gone, but a counter may not go backward because
//! the configuration was reloaded. So a block that is given up is folded in here by name, and a
//! group or rule that keeps its name keeps its series.

use std::collections::BTreeMap;

use dnsgate_core::dns::Transport;

use crate::telemetry::Tally;

use super::{
    block::{BUCKETS, Block, DeniedCell, ENDINGS, FilteredCell, QueryCell},
    labels::{Labels, OTHER, denial_position, rcode_position, type_position},
};

/// The most series of one family that are remembered from generations that are gone. Past it, new
/// ones are folded into [`OTHER`]: a file that is reloaded for months with ever new names must not
/// fill the memory.
pub(crate) const MAX_KEPT: usize = 50_000;

/// The labels of a series of `queries_total`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueryKey {
    pub(crate) transport: usize,
    pub(crate) group: String,
    pub(crate) ending: usize,
    pub(crate) rcode: usize,
    pub(crate) qtype: usize,
}

/// The labels of a series of `denied_total`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeniedKey {
    pub(crate) group: String,
    pub(crate) rule: String,
    pub(crate) reason: usize,
}

/// The labels of a series of `filter_rejected_total`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FilteredKey {
    pub(crate) rule: String,
    pub(crate) check: usize,
}

/// One histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) nanos: u64,
}

/// Counts by label text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) queries: BTreeMap<QueryKey, u64>,
    pub(crate) denied: BTreeMap<DeniedKey, u64>,
    pub(crate) filtered: BTreeMap<FilteredKey, u64>,
    pub(crate) durations: [Histogram; ENDINGS],
    pub(crate) truncated: [u64; Transport::ALL.len()],
    pub(crate) panics: u64,
    pub(crate) rate_limited: u64,
    pub(crate) log_dropped: u64,
}

impl Totals {
    /// Adds all that a block counted. `most` bounds the series of each family.
    pub(crate) fn add(&mut self, block: &Block, most: usize) {
        for (cell, count) in block.queries() {
            self.add_queries(cell, count, most);
        }
        for (cell, count) in block.denied() {
            self.add_denied(cell, count, most);
        }
        for (cell, count) in block.filtered() {
            self.add_filtered(cell, count, most);
        }
        for (ending, histogram) in self.durations.iter_mut().enumerate() {
            for (at, count) in histogram.buckets.iter_mut().enumerate() {
                *count += block.bucket(ending, at);
            }
            histogram.nanos = histogram.nanos.wrapping_add(block.nanos(ending));
        }
        for (transport, count) in self.truncated.iter_mut().enumerate() {
            *count += block.truncated(transport);
        }
        self.panics += block.panics();
        self.rate_limited += block.rate_limited();
        self.log_dropped += block.log_dropped();
    }

    /// Counts one query whose generation is gone: it was under way while the file was reloaded.
    pub(crate) fn count(&mut self, tally: &Tally, labels: &Labels) {
        let group = labels.group(tally.group);
        let cell = QueryCell {
            transport: tally.transport as usize,
            group,
            ending: tally.ending as usize,
            rcode: rcode_position(tally.rcode),
            qtype: type_position(tally.qtype),
        };
        self.add_queries(cell, 1, MAX_KEPT);
        if let Some(reason) = tally.denied.and_then(denial_position) {
            let rule = labels.rule(tally.rule);
            let cell = DeniedCell {
                group,
                rule,
                reason,
            };
            self.add_denied(cell, 1, MAX_KEPT);
        }
        if let Some(check) = tally.check {
            let rule = labels.rule(tally.rule);
            let check = check as usize;
            self.add_filtered(FilteredCell { rule, check }, 1, MAX_KEPT);
        }
        if let Some(count) = self.truncated.get_mut(tally.transport as usize) {
            *count += u64::from(tally.truncated);
        }
        self.panics += u64::from(tally.panicked);
        self.rate_limited += u64::from(tally.rate_limited);
    }

    fn add_queries(&mut self, cell: QueryCell<'_>, count: u64, most: usize) {
        let mut key = QueryKey {
            transport: cell.transport,
            group: cell.group.to_owned(),
            ending: cell.ending,
            rcode: cell.rcode,
            qtype: cell.qtype,
        };
        if self.queries.len() >= most && !self.queries.contains_key(&key) {
            key.group = OTHER.to_owned();
        }
        *self.queries.entry(key).or_default() += count;
    }

    fn add_denied(&mut self, cell: DeniedCell<'_>, count: u64, most: usize) {
        let mut key = DeniedKey {
            group: cell.group.to_owned(),
            rule: cell.rule.to_owned(),
            reason: cell.reason,
        };
        if self.denied.len() >= most && !self.denied.contains_key(&key) {
            key.group = OTHER.to_owned();
            key.rule = OTHER.to_owned();
        }
        *self.denied.entry(key).or_default() += count;
    }

    fn add_filtered(&mut self, cell: FilteredCell<'_>, count: u64, most: usize) {
        let mut key = FilteredKey {
            rule: cell.rule.to_owned(),
            check: cell.check,
        };
        if self.filtered.len() >= most && !self.filtered.contains_key(&key) {
            key.rule = OTHER.to_owned();
        }
        *self.filtered.entry(key).or_default() += count;
    }
}
