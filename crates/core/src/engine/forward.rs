//! The part of an answer that an upstream gives: found in the cache, at hand, or to be asked for;
//! then filtered and written.
//!
//! A query that must wait is not kept here. It ends with the permit to ask for what is missing, and
//! is taken the whole way once more when that has come: so there is one path for a question, its
//! waiting costs nobody but the shell, and what arrives is judged like everything else.

use std::{sync::Arc, time::Instant};

use crate::{
    cache::{CacheEntry, CacheKey, CacheLookup},
    dns::{
        Failure, Name, NameBuf, NameRef, RecordType, ReplyWriter, Response, Rrset,
        reply::Section,
        response::{ChainEnd, Dname, MAX_ALIASES},
    },
    policy::{Grant, GroupId, Permit, QueryBits, RuleId, UpstreamId, Verdict},
};

use super::{
    Context, QueryRun, Reason,
    answer::{Incomplete, NextName},
    filter::{Filter, Rejection},
};

/// What came of a permit.
#[derive(Clone, Debug)]
pub struct UpstreamResult {
    permit: Permit,
    result: Result<Arc<CacheEntry>, Failure>,
}

impl UpstreamResult {
    /// Takes what an upstream said, or that it said nothing, into the cache. Where it said nothing
    /// and the cache has responses that are past their time, they stand in (RFC 8767).
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

    /// What stands in for an answer that did not come, without a note that asking failed: whoever asks
    /// next asks anew. That is what the cache has past its time, or else the failure.
    #[must_use]
    pub fn unknown(permit: Permit, failure: Failure, context: &Context<'_>) -> Self {
        let cache_view = context.cache_view.zip(context.key(&permit));
        let stale =
            cache_view.and_then(|(cache_view, key)| cache_view.cache.stale(&key, cache_view.now));
        let result = stale.ok_or(failure);
        Self { permit, result }
    }

    fn is_for(&self, grant: &Grant<'_, '_>, bits: QueryBits) -> bool {
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

fn key<'k>(
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
    left: Vec<(Arc<CacheEntry>, usize)>,
    /// What should be asked for anew before it is past its time.
    pub(super) refresh: Option<Permit>,
    /// The rule that would deny an alias of it, where denials are only observed.
    pub(super) observed: Option<RuleId>,
}

impl CnameChain {
    /// Notes whether responses that are in the answer are past their time.
    fn note(&mut self, entry: &CacheEntry, now: Instant) {
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

/// The responses for a grant.
pub(super) fn response(
    run: QueryRun<'_>,
    grant: &Grant<'_, '_>,
    chain: &mut CnameChain,
) -> Result<Arc<CacheEntry>, Incomplete> {
    let upstream = grant.forwarding().upstream;
    chain.upstream = Some(upstream);
    let bits = run.bits();
    if let Some(results) = run.results.iter().find(|it| it.is_for(grant, bits)) {
        return match &results.result {
            Ok(entry) => {
                if let Some(cache_view) = run.cache_view() {
                    chain.note(entry, cache_view.now);
                }
                Ok(Arc::clone(entry))
            }
            Err(failure) => Err(Incomplete::Failed {
                failure: *failure,
                cached: false,
            }),
        };
    }
    let ask = |stale| {
        let permit = grant.permit(bits);
        Err(Incomplete::Forward { permit, stale })
    };
    let key = key(run.context, grant.name(), grant.qtype(), bits, upstream);
    let (Some(cache_view), Some(key)) = (run.cache_view(), key) else {
        return ask(false);
    };
    let entry = match cache_view.cache.get(&key, cache_view.now) {
        CacheLookup::Missing => return ask(false),
        CacheLookup::Stale(_) => return ask(true),
        CacheLookup::Failed(failure) => {
            return Err(Incomplete::Failed {
                failure,
                cached: true,
            });
        }
        CacheLookup::Fresh(entry) => entry,
        CacheLookup::Refresh(entry) => {
            chain.refresh = Some(grant.permit(bits));
            entry
        }
        CacheLookup::StaleNow(entry) => {
            chain.note(&entry, cache_view.now);
            entry
        }
    };
    chain.cached = true;
    Ok(entry)
}

/// Filters what an upstream said and writes it. Where one of its aliases leads to a name that we have the
/// data of, or that the policy sends to another upstream, that one's take the place of this one's.
pub(super) fn write<'t>(
    run: QueryRun<'t>,
    group: GroupId,
    (grant, entry, filter): (&Grant<'_, '_>, &Arc<CacheEntry>, &mut Filter<'t>),
    (writer, chain): (&mut ReplyWriter<'_>, &mut CnameChain),
    target: &mut Option<NameBuf>,
) -> Result<NextName<'static>, Incomplete> {
    let response = entry.response();
    let passed = follow(run, group, (grant, entry, filter), chain)?;
    chain.count(passed.aliases)?;
    let ttl = ttl(run, entry);
    let mut owner = grant.name();
    for link in response.aliases.iter().take(passed.aliases) {
        if let Some(dname) = &link.dname {
            write_dname(run, group, (grant, entry), dname, writer)?;
        }
        for set in [Some(&link.cname), link.signatures.as_ref()]
            .into_iter()
            .flatten()
        {
            writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
        }
        owner = link.target.as_ref();
    }
    if passed.goes_on {
        if response.proofs(passed.aliases).next().is_some() {
            chain.left.push((Arc::clone(entry), passed.aliases));
        }
        *target = Some(owner.into());
        return Ok(NextName::Target);
    }
    if let Some(dname) = &response.dname {
        write_dname(run, group, (grant, entry), dname, writer)?;
    }
    for set in &response.answers {
        writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
    }
    // Of a chain, the code speaks of its last name (RFC 6604 section 2.1).
    writer.set_rcode(response.rcode);
    for (owner, set) in &response.authority {
        if !chain.left.iter().any(|left| has_proof(left, owner, set)) {
            writer.rrset_for(Section::Authority, owner.as_ref(), set, ttl(set))?;
        }
    }
    Ok(NextName::End)
}

/// The TTLs of what is in an entry.
fn ttl<'e>(run: QueryRun<'_>, entry: &'e CacheEntry) -> impl Fn(&Rrset) -> u32 + use<'e> {
    let now = run.cache_view().map(|cache_view| cache_view.now);
    move |set| now.map_or(set.ttl(), |now| entry.ttl(set.ttl(), now))
}

/// Writes a DNAME, where the names that it speaks of are forwarded to the upstream that said so. Of
/// others it says nothing: a resolver in front would believe it of names that are none of the
/// upstream's business.
fn write_dname(
    run: QueryRun<'_>,
    group: GroupId,
    (grant, entry): (&Grant<'_, '_>, &CacheEntry),
    dname: &Dname,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Incomplete> {
    let owner = dname.owner.as_ref();
    let Verdict::Forward(above) = run.decide(group, owner, run.qtype()) else {
        return Ok(());
    };
    if above.forwarding().upstream == grant.forwarding().upstream {
        let ttl = ttl(run, entry);
        for set in dname.sets() {
            writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
        }
    }
    Ok(())
}

/// Writes the proofs of those answers that the chain has gone on from: that their aliases come from
/// wildcards (RFC 4035 section 3.1.3.3).
pub(super) fn write_proofs(
    run: QueryRun<'_>,
    chain: &CnameChain,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Incomplete> {
    for (at, (entry, aliases)) in chain.left.iter().enumerate() {
        let ttl = ttl(run, entry);
        let before = chain.left.get(..at).unwrap_or_default();
        for (owner, set) in entry.response().proofs(*aliases) {
            if !before.iter().any(|left| has_proof(left, owner, set)) {
                writer.rrset_for(Section::Authority, owner.as_ref(), set, ttl(set))?;
            }
        }
    }
    Ok(())
}

fn has_proof((entry, aliases): &(Arc<CacheEntry>, usize), owner: &Name, set: &Rrset) -> bool {
    let mut proofs = entry.response().proofs(*aliases);
    proofs.any(|(other, proof)| other == owner && proof.rtype() == set.rtype() && same(proof, set))
}

/// Whether two sets are the same but for their TTLs.
fn same(one: &Rrset, other: &Rrset) -> bool {
    one.rdatas().eq(other.rdatas())
}

/// How much of the responses the answer has.
struct Followed {
    /// The number of aliases.
    aliases: usize,
    /// Whether it goes on elsewhere from the last of them, not with the responses' records.
    goes_on: bool,
}

/// Follows the aliases and filters all that the answer would have, before anything is written.
fn follow<'t>(
    run: QueryRun<'t>,
    group: GroupId,
    (grant, entry, filter): (&Grant<'_, '_>, &CacheEntry, &mut Filter<'t>),
    chain: &mut CnameChain,
) -> Result<Followed, Incomplete> {
    let response = entry.response();
    let asked = (group, grant.forwarding().upstream);
    let mut owner = grant.name();
    for (before, link) in response.aliases.iter().enumerate() {
        let target = link.target.as_ref();
        match lead(run, asked, (owner, target), filter, chain)? {
            AliasTarget::Elsewhere => {
                return Ok(Followed {
                    aliases: before + 1,
                    goes_on: true,
                });
            }
            // What the rule of this link says holds from here on, too.
            AliasTarget::On(next) => filter.add(&next)?,
            AliasTarget::Nowhere => {}
        }
        owner = target;
    }
    let aliases = response.aliases.len();
    if matches!(response.end, ChainEnd::TooLong | ChainEnd::Loop) {
        return Err(Incomplete::Endless);
    }
    // Where aliases are what was asked for, they are the answer; what they lead to is told all the
    // same.
    for target in response.answers.iter().flat_map(Filter::targets) {
        lead(run, asked, (owner, target.as_ref()), filter, chain)?;
    }
    filter.check_entry(owner, entry)?;
    // An upstream that only knows its own zones leaves a chain at their edge, and says nothing of
    // the name there: whom the policy names for it may know.
    Ok(Followed {
        aliases,
        goes_on: response.end == ChainEnd::Open,
    })
}

/// Where an alias of an upstream's answer leads.
enum AliasTarget<'t, 'n> {
    /// To data that somebody else has: we, or another upstream. What this one says of the name is none of its business.
    Elsewhere,
    /// To a name that this upstream is asked for, by this leave.
    On(Grant<'t, 'n>),
    /// To a name that is not allowed, which it may lead to.
    Nowhere,
}

/// Decides where an alias of `owner` leads, if it may lead there at all.
fn lead<'t, 'n>(
    run: QueryRun<'t>,
    (group, upstream): (GroupId, UpstreamId),
    (owner, target): (NameRef<'_>, NameRef<'n>),
    filter: &Filter<'t>,
    chain: &mut CnameChain,
) -> Result<AliasTarget<'t, 'n>, Rejection> {
    let policy = run.context.snapshot.policy();
    match run.decide(group, target, run.qtype()) {
        Verdict::Zone { .. } | Verdict::Answer { .. } => Ok(AliasTarget::Elsewhere),
        // What would be denied is only observed.
        Verdict::Forward(next) if next.is_observed() => {
            if chain.observed.is_none() {
                chain.observed = filter.binding(policy, next.rule());
            }
            Ok(AliasTarget::Nowhere)
        }
        Verdict::Forward(next) if next.forwarding().upstream != upstream => {
            Ok(AliasTarget::Elsewhere)
        }
        Verdict::Forward(next) => Ok(AliasTarget::On(next)),
        Verdict::Deny(denial) => {
            filter.check_target(owner, target, (policy, &denial))?;
            Ok(AliasTarget::Nowhere)
        }
    }
}
