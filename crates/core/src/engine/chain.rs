//! The CNAME chain of one answer, and its data from upstreams.

use std::{sync::Arc, time::Instant};

use crate::{
    cache::CacheEntry,
    dns::response::MAX_ALIASES,
    policy::{Permit, RuleId, UpstreamId},
};

use super::{
    incomplete::Incomplete,
    outcome::{Reason, UsedEntries},
};

/// The upstream data in an answer.
#[derive(Debug, Default)]
pub(super) struct CnameChain {
    /// The last upstream with data in the answer.
    pub(super) upstream: Option<UpstreamId>,
    /// Whether some data came from the cache.
    pub(super) cached: bool,
    /// Whether some data has expired.
    pub(super) stale: bool,
    /// Whether the expired data replaces a denial by the upstream, not a missing answer.
    pub(super) bridges: bool,
    /// The number of aliases so far, from all sources.
    aliases: usize,
    /// The answers that the chain has left, each with the number of its aliases in use. Their
    /// proofs follow those of the last answer.
    pub(super) left: Vec<(Arc<CacheEntry>, usize)>,
    /// The permit to renew an entry before it expires.
    pub(super) refresh: Option<Permit>,
    /// The rule that would deny an alias if the policy were not in observe mode.
    pub(super) observed: Option<RuleId>,
    /// The entries of its aliases' targets.
    pub(super) used: UsedEntries,
}

impl CnameChain {
    /// Notes whether an entry in the answer has expired.
    pub(super) fn note(&mut self, entry: &CacheEntry, now: Instant) {
        self.stale |= entry.is_stale(now);
        self.bridges |= entry.is_stale(now) && entry.is_denied(now);
    }

    /// Counts aliases of the chain. Fails above [`MAX_ALIASES`], counted over all sources.
    pub(super) const fn count(&mut self, aliases: usize) -> Result<(), Incomplete> {
        self.aliases += aliases;
        if self.aliases > MAX_ALIASES {
            return Err(Incomplete::Endless);
        }
        Ok(())
    }

    /// The reason of an answer that began with an upstream's response.
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
