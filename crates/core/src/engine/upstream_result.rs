//! The result of asking an upstream, and its storage in the cache.

use std::{sync::Arc, time::SystemTime};

use crate::{
    cache::{CacheEntry, CacheKey},
    dns::{Failure, NameRef, RecordType, Response},
    policy::{Grant, Permit, QueryBits, UpstreamId},
};

use super::context::Context;

/// The result for a permit.
#[derive(Clone, Debug)]
pub struct UpstreamResult {
    permit: Permit,
    pub(super) result: Result<Arc<CacheEntry>, Failure>,
}

impl UpstreamResult {
    /// Stores an upstream's response or failure in the cache. After a failure, a stale response is
    /// used instead if the cache has one (RFC 8767).
    #[must_use]
    pub fn new(
        permit: Permit,
        result: Result<Arc<Response>, Failure>,
        context: &Context<'_>,
    ) -> Self {
        let result = match (&result, context.cache_view, context.key(&permit)) {
            (Ok(response), Some(cache_view), Some(key)) => {
                Ok(cache_view.cache.put(&key, response, cache_view.now))
            }
            (Err(failure), Some(cache_view), Some(key)) => {
                cache_view.cache.fail(&key, *failure, cache_view.now);
                cache_view.cache.stale(&key, cache_view.now).ok_or(*failure)
            }
            (Err(failure), _, _) => Err(*failure),
            (Ok(_), _, _) => Err(Failure::Unreachable),
        };
        Self { permit, result }
    }

    /// The result for a question that was not answered, without caching the failure, so that the
    /// next query asks again. It is a stale response if the cache has one, else the failure.
    #[must_use]
    pub fn unknown(permit: Permit, failure: Failure, context: &Context<'_>) -> Self {
        let cache_view = context.cache_view.zip(context.key(&permit));
        let stale =
            cache_view.and_then(|(cache_view, key)| cache_view.cache.stale(&key, cache_view.now));
        let result = stale.ok_or(failure);
        Self { permit, result }
    }

    /// The result for a question that was not sent because the rule's budget is used up until then.
    /// Nothing is cached: the next window allows it.
    #[must_use]
    pub const fn over_budget(permit: Permit, until: SystemTime) -> Self {
        Self {
            permit,
            result: Err(Failure::OverBudget { until }),
        }
    }

    pub(super) fn is_for(&self, grant: &Grant<'_, '_>, bits: QueryBits) -> bool {
        let permit = &self.permit;
        permit.name() == grant.name()
            && permit.qtype() == grant.qtype()
            && permit.bits() == bits
            && permit.upstream() == grant.forwarding().upstream
    }
}

impl Context<'_> {
    fn key<'k>(&self, permit: &'k Permit) -> Option<CacheKey<'k>> {
        key(
            self,
            permit.name(),
            permit.qtype(),
            permit.bits(),
            permit.upstream(),
        )
    }
}

/// The cache key of a question to an upstream; `None` if the snapshot does not have the upstream.
pub(super) fn key<'k>(
    context: &Context<'_>,
    name: NameRef<'k>,
    qtype: RecordType,
    bits: QueryBits,
    upstream: UpstreamId,
) -> Option<CacheKey<'k>> {
    Some(CacheKey {
        name,
        qtype,
        dnssec_ok: bits.dnssec_ok,
        checking_disabled: bits.checking_disabled,
        partition: context.snapshot.partition(upstream)?.0,
    })
}
