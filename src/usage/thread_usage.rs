//! What one thread notes of each query.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    Usage,
    generation::{ALIAS, GenerationUsage, OUTSIDE, OwnUsage, TARGET},
    seconds,
};
use crate::{
    metrics::{
        labels::{NameId, type_position},
        thread_counters::{Key, ThreadCounters},
    },
    querylog::record::FinishedQuery,
};
use dnsgate_core::{
    dns::{NameBuf, query::HEADER},
    engine::{Ending, Outcome, Reason, RuleId},
};

/// The most new names that a thread looks at within a second, each under one lock: some 0.3 ms of
/// work. Beyond it, as in a flood of random names, they are only counted.
pub(super) const NEW_NAMES: u32 = 1_000;

/// The notes of one thread.
#[derive(Debug)]
pub(crate) struct ThreadUsage {
    usage: Arc<Usage>,
    generation: Arc<GenerationUsage>,
    own: Arc<OwnUsage>,
    /// Whether the queries that come now belong to that generation.
    is_current: bool,
    /// The counters of names below subtrees.
    names: ThreadCounters,
    /// The second, and its new names so far.
    second: u64,
    new_names: u32,
}

impl ThreadUsage {
    pub(crate) fn new(usage: &Arc<Usage>, generation: u64) -> Self {
        let mut thread = Self {
            usage: Arc::clone(usage),
            generation: Arc::default(),
            own: Arc::default(),
            is_current: false,
            names: usage.names.counts.of_thread(),
            second: 0,
            new_names: 0,
        };
        thread.change(generation);
        thread
    }

    /// Notes queries of this generation from now on. The few queries that waited during a reload
    /// belong to the old one, and are not noted.
    pub(crate) fn change(&mut self, generation: u64) {
        if self.generation.number() != Some(generation) {
            let Some(newer) = self.usage.generation(generation) else {
                self.is_current = false;
                return;
            };
            self.own = newer.of_thread();
            self.generation = newer;
        }
        self.is_current = true;
    }

    /// Notes what a query used.
    #[inline]
    pub(crate) fn note(&mut self, query: &FinishedQuery<'_>) {
        let outcome = &query.outcome;
        let Some(used @ (rule, entry)) = outcome.used.question.filter(|_| self.is_current) else {
            return;
        };
        let (qtype, now) = (1 << type_position(outcome.qtype), seconds(query.time));
        let is_first = self.own.uses(used, qtype, now);
        let [first, second, ..] = outcome.used.aliases;
        if first.is_some_and(|alias| alias != used) || second.is_some() || outcome.used.outside {
            self.note_aliases(outcome, rule, qtype, now);
        }
        if outcome.upstream.is_some()
            && self.generation.notes_addresses(rule)
            && (is_first || outcome.reason == Reason::Upstream)
        {
            self.note_addresses(rule, query);
        }
        let allows = matches!(
            outcome.ending(),
            Ending::Answered | Ending::Forwarded | Ending::Failed
        );
        if entry.is_wide()
            && allows
            && let Some(id) = self.generation.name_id(rule)
            && let Some(name) = query
                .query
                .get(HEADER..HEADER + usize::from(outcome.name_len))
        {
            let key = self.usage.names.key(id, name);
            if !self.names.add_known(key, 1) {
                self.note_new(key, id, name, now);
            }
        }
    }

    /// Notes the entries of the aliases' targets. An alias in a zone of ours needs none of it.
    #[inline(never)]
    fn note_aliases(&self, outcome: &Outcome, rule: RuleId, qtype: u64, now: u64) {
        let flags = ALIAS | if outcome.used.outside { OUTSIDE } else { 0 };
        self.own.note_aliases(rule, flags);
        for &alias in outcome.used.aliases.iter().flatten() {
            self.own.uses(alias, qtype, now);
            // Its limits hold for the rest of the chain, as those of the question's rule do.
            self.own.note_aliases(alias.0, flags | TARGET);
        }
    }

    #[cold]
    fn note_addresses(&self, rule: RuleId, query: &FinishedQuery<'_>) {
        if query.outcome.ending() == Ending::Forwarded
            && let Some(id) = self.generation.name_id(rule)
        {
            self.usage.networks.add(id, query.reply);
        }
    }

    /// Notes a name that this thread has not met before.
    #[cold]
    fn note_new(&mut self, key: Key, rule: NameId, wire: &[u8], now: u64) {
        if self.second != now {
            (self.second, self.new_names) = (now, 0);
        }
        if self.new_names >= NEW_NAMES {
            let unlooked = self.own.unlooked.load(Relaxed);
            self.own.unlooked.store(unlooked + 1, Relaxed);
            return;
        }
        self.new_names += 1;
        if let Ok((name, _)) = NameBuf::read(wire)
            && self.usage.names.add(key, rule, name.as_ref())
        {
            self.names.add(key, 1);
        }
    }
}
