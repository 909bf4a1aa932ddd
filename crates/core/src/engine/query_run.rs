//! One query in the engine, in the order in which its values come about.
//!
//! ```text
//!   Client, Context, UpstreamResult ─▶ QueryRun ─▶ CnameChain ─▶ Step
//!   inputs                             verdicts    one answer    result
//! ```

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use crate::{
    cache::{Cache, CacheEntry, CacheKey},
    dns::{
        Ede, Failure, NameBuf, NameRef, Query, Rcode, RecordType, ReplyWriter, Response, Transport,
        response::MAX_ALIASES,
    },
    policy::{Grant, GroupId, Permit, QueryBits, RuleId, RuleOrigin, UpstreamId, Verdict, ZoneId},
    zone::Zone,
};

use super::{
    incomplete::Incomplete,
    outcome::{Outcome, Reason, UsedEntries},
    snapshot::Snapshot,
};

/// The client of a query, and its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The source address of the packet or connection.
    pub source: IpAddr,
    /// The transport of the query.
    pub transport: Transport,
}

/// The inputs of a decision and an answer, all at one moment.
#[derive(Clone, Copy)]
pub struct Context<'t> {
    /// The configuration in force.
    pub snapshot: &'t Snapshot,
    /// The wall-clock time, for the expiry of rules.
    pub now: SystemTime,
    /// The cache; without one, every forwarded question goes to an upstream.
    pub cache_view: Option<CacheView<'t>>,
}

/// A cache and its current time.
#[derive(Clone, Copy)]
pub struct CacheView<'t> {
    /// The cache.
    pub cache: &'t Cache,
    /// The monotonic time.
    pub now: Instant,
}

impl<'t> Context<'t> {
    /// A context without a cache.
    #[must_use]
    pub const fn new(snapshot: &'t Snapshot, now: SystemTime) -> Self {
        Self {
            snapshot,
            now,
            cache_view: None,
        }
    }

    /// Adds a cache.
    #[must_use]
    pub const fn with_cache(self, cache: &'t Cache, now: Instant) -> Self {
        Self {
            cache_view: Some(CacheView { cache, now }),
            ..self
        }
    }
}

/// One query with the inputs of its decision.
#[derive(Clone, Copy)]
pub(super) struct QueryRun<'t> {
    pub(super) query: &'t Query<'t>,
    /// The client's group.
    pub(super) group: GroupId,
    pub(super) context: &'t Context<'t>,
    pub(super) results: &'t [UpstreamResult],
}

impl<'t> QueryRun<'t> {
    /// The policy's verdict on a name in this query.
    #[inline]
    pub(super) fn decide<'q>(self, name: NameRef<'q>, qtype: RecordType) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        if qtype == RecordType::DS {
            return self.decide_ds(name);
        }
        policy.decide(self.group, name, qtype, self.context.now)
    }

    /// The verdict on a DS question, whose records are on the parent side of a zone cut.
    #[cold]
    fn decide_ds<'q>(self, name: NameRef<'q>) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(self.group, name, RecordType::DS, self.context.now);
        let Verdict::Zone { zone, rule, .. } = verdict else {
            return verdict;
        };
        let zone = self
            .zone(zone)
            .filter(|zone| self.is_parents(rule, zone, name));
        zone.and_then(|_| self.ask_parent(name))
            .map_or(verdict, Verdict::Forward)
    }

    /// Whether the question is for the DS at the origin of a built-in zone. A DS belongs to the
    /// parent side of the cut (RFC 4035 section 3.1.4.1), and these zones do not have their own. If
    /// the policy forwards names below the parent, the upstream is asked; otherwise there is no DS.
    pub(super) fn is_parents(self, rule: RuleId, zone: &Zone, name: NameRef<'_>) -> bool {
        let policy = self.context.snapshot.policy();
        self.qtype() == RecordType::DS
            && name == zone.origin()
            && policy
                .rule(rule)
                .is_some_and(|rule| rule.origin == RuleOrigin::BuiltIn)
    }

    /// A grant to ask for the DS of `name`, if a sibling name would be forwarded.
    fn ask_parent<'q>(self, name: NameRef<'q>) -> Option<Grant<'t, 'q>> {
        let mut beside = NameBuf::new();
        beside.push_label(b"*").ok()?;
        beside.push_name(name.parent()?).ok()?;
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(
            self.group,
            beside.as_ref(),
            RecordType::DS,
            self.context.now,
        );
        match verdict {
            Verdict::Forward(grant) if self.may_be_forwarded() => grant.beside(name),
            _ => None,
        }
    }

    pub(super) fn zone(self, id: ZoneId) -> Option<&'t Zone> {
        self.context.snapshot.zone(id)
    }

    pub(super) fn qtype(self) -> RecordType {
        self.query.qtype()
    }

    /// Whether a forwarded question may be answered: recursion is desired, or no upstream would be
    /// asked anyway.
    pub(super) fn may_be_forwarded(self) -> bool {
        self.query.recursion_desired() || self.qtype() == RecordType::ANY
    }

    pub(super) fn cache_view(self) -> Option<CacheView<'t>> {
        self.context.cache_view
    }

    /// The query bits that are forwarded to an upstream.
    pub(super) fn bits(self) -> QueryBits {
        QueryBits {
            dnssec_ok: self.query.edns().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: self.query.checking_disabled(),
        }
    }
}

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

/// The caller's next action for a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the first `len` bytes of the buffer.
    Reply {
        /// The length of the response in bytes.
        len: usize,
        /// The outcome.
        outcome: Outcome,
        /// Additional data that few responses have.
        more: Option<Box<FollowUp>>,
    },
    /// Send nothing. The log may need the follow-up.
    Drop(Outcome, Option<Box<FollowUp>>),
    /// Ask an upstream, then call [`resume`](super::resume).
    Forward(Box<Forward>),
}

/// Additional data that few responses have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// The permit to renew the cached response: it is popular and near its expiry.
    pub refresh: Option<Permit>,
    /// The record that failed the response filter, for the log.
    pub rejected: Option<String>,
}

/// The question that an upstream must answer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The permit for the question.
    pub permit: Permit,
    /// Whether the cache has a stale response to fall back on
    /// ([`UpstreamResult::unknown`](super::UpstreamResult::unknown)).
    pub stale: bool,
    /// The rule that forwards it, whose budget it counts toward; in observe mode the rule that would
    /// deny it.
    pub rule: Option<RuleId>,
    /// The outcome so far; its reason is that of a successful answer.
    pub outcome: Outcome,
}

impl Step {
    /// Finishes the response and records its code.
    pub(super) fn reply(
        writer: &mut ReplyWriter<'_>,
        ede: Option<(Ede, &str)>,
        mut outcome: Outcome,
    ) -> Self {
        outcome.rcode = Some(writer.rcode());
        Self::Reply {
            len: writer.finish(ede),
            outcome,
            more: None,
        }
    }

    /// Refuses the query for `reason`.
    pub(super) fn refuse(
        reason: Reason,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Self {
        outcome.reason = reason;
        writer.set_rcode(Rcode::Refused);
        Self::reply(writer, None, outcome)
    }

    /// The length of the response in bytes; 0 without a response.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Reply { len, .. } => *len,
            Self::Drop(..) | Self::Forward(_) => 0,
        }
    }

    /// Whether there is no response.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The upstream's record that failed the response filter.
    #[must_use]
    pub fn rejected(&self) -> Option<&str> {
        match self {
            Self::Reply { more, .. } | Self::Drop(_, more) => more.as_ref()?.rejected.as_deref(),
            Self::Forward(_) => None,
        }
    }

    /// The outcome; for a waiting query, the expected one.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        match self {
            Self::Reply { outcome, .. } | Self::Drop(outcome, _) => outcome,
            Self::Forward(ask) => &ask.outcome,
        }
    }
}
