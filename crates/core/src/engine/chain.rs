//! The chain of aliases that one answer consists of, and what it owes to upstreams.

use std::{sync::Arc, time::Instant};

use crate::{
    cache::CacheEntry,
    dns::response::MAX_ALIASES,
    policy::{Permit, RuleId, UpstreamId},
};

use super::{incomplete::Incomplete, outcome::Reason};

/// What an answer owes to upstreams.
#[derive(Debug, Default)]
pub(super) struct CnameChain {
    /// The last one whose responses are in it.
    pub(super) upstream: Option<UpstreamId>,
    /// Whether any of it came from the cache.
    pub(super) cached: bool,
    /// Whether any of it is past its time.
    pub(super) stale: bool,
    /// Whether what is past its time stands in for a denial, not for an answer that did not come.
    pub(super) bridges: bool,
    /// The aliases so far, whoever has the data.
    aliases: usize,
    /// The answers that the chain went on from, each with the number of its aliases that count: their
    /// proofs stand behind the end's.
    pub(super) left: Vec<(Arc<CacheEntry>, usize)>,
    /// What should be asked for anew before it is past its time.
    pub(super) refresh: Option<Permit>,
    /// The rule that would deny an alias of it, where denials are only observed.
    pub(super) observed: Option<RuleId>,
}

impl CnameChain {
    /// Notes whether responses that are in the answer are past their time.
    pub(super) fn note(&mut self, entry: &CacheEntry, now: Instant) {
        self.stale |= entry.is_stale(now);
        self.bridges |= entry.is_stale(now) && entry.is_denied(now);
    }

    /// Counts aliases of the chain: more than [`MAX_ALIASES`], over all who have a part in it, are
    /// followed for nobody.
    pub(super) const fn count(&mut self, aliases: usize) -> Result<(), Incomplete> {
        self.aliases += aliases;
        if self.aliases > MAX_ALIASES {
            return Err(Incomplete::Endless);
        }
        Ok(())
    }

    /// The reason of an answer that began with an upstream's responses.
    pub(super) const fn reason(&self) -> Reason {
        if self.observed.is_some() {
            return Reason::Observed;
        }
        match (self.stale, self.cached) {
            (true, _) => Reason::Stale,
            (false, true) => Reason::Cache,
            (false, false) => Reason::Upstream,
        }
    }
}
