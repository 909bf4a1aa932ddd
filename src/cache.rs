//! What upstreams said, for as long as it is true: a cache bounded in bytes.
//!
//! It keeps facts, not verdicts: whoever takes something out screens it under the policy in force
//! at that moment. Time is an argument.
//!
//! Not here: who may ask (`policy`), what of it may pass (`engine`), who is asked (`upstream`).
#![expect(missing_docs, unused_variables, reason = "stub")]
use crate::dns::{Facts, Failure, NameRef, RecordType};
use std::{sync::Arc, time::Instant};
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'k> {
    pub name: NameRef<'k>,
    pub qtype: RecordType,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
    pub partition: u32,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub size: usize,
    pub min_ttl: u32,
    pub max_ttl: u32,
    pub serve_stale: u32,
}
#[derive(Debug)]
pub struct Cache;
#[derive(Debug)]
pub struct Entry(Arc<Facts>);
#[derive(Clone, Debug)]
pub enum Found {
    Fresh(Arc<Entry>),
    Refresh(Arc<Entry>),
    Stale(Arc<Entry>),
    StaleNow(Arc<Entry>),
    Failed(Failure),
    Missing,
}
impl Cache {
    pub fn new(settings: Settings) -> Self {
        Self
    }
    pub fn get(&self, key: &Key<'_>, now: Instant) -> Found {
        Found::Missing
    }
    pub fn put(&self, key: &Key<'_>, facts: &Arc<Facts>, now: Instant) -> Arc<Entry> {
        Arc::new(Entry(Arc::clone(facts)))
    }
    pub fn fail(&self, key: &Key<'_>, failure: Failure, now: Instant) {}
    pub fn stale(&self, key: &Key<'_>, now: Instant) -> Option<Arc<Entry>> {
        None
    }
}
impl Entry {
    pub fn facts(&self) -> &Facts {
        &self.0
    }
    pub fn ttl(&self, own: u32, now: Instant) -> u32 {
        own
    }
    pub fn is_stale(&self, now: Instant) -> bool {
        false
    }
}
