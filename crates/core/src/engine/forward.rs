//! The part of an answer that comes from an upstream. It is taken from the cache or the available
//! results, or requested, then filtered and written.
//!
//! This module does not store waiting queries. A query that must wait ends with its permit and runs
//! again from the start when the upstream has responded ([`resume`](super::resume)). So every
//! question takes one path, and a new response is filtered like a cached one.

use std::sync::Arc;

use crate::{
    cache::{CacheEntry, CacheLookup},
    dns::{
        Failure, Name, NameBuf, NameRef, ReplyWriter, Rrset,
        reply::Section,
        response::{ChainEnd, Dname},
    },
    policy::{Grant, UpstreamId, Verdict},
};

use super::{
    filter::Filter,
    incomplete::{Incomplete, NextName, Rejection},
    query_run::{CnameChain, QueryRun, key},
};

/// The response for a grant.
pub(super) fn response(
    run: QueryRun<'_>,
    grant: &Grant<'_, '_>,
    chain: &mut CnameChain,
) -> Result<Arc<CacheEntry>, Incomplete> {
    let upstream = grant.forwarding().upstream;
    chain.upstream = Some(upstream);
    let bits = run.bits();
    if let Some(arrived) = run.results.iter().find(|it| it.is_for(grant, bits)) {
        return match &arrived.result {
            Ok(entry) => {
                if let Some(cache_view) = run.cache_view() {
                    chain.note(entry, cache_view.now);
                }
                Ok(Arc::clone(entry))
            }
            Err(Failure::OverBudget { until }) => Err(Incomplete::OverBudget {
                rule: grant.rule(),
                until: *until,
            }),
            Err(failure) => Err(Incomplete::Failed {
                failure: *failure,
                cached: false,
            }),
        };
    }
    let ask = |stale| {
        let permit = grant.permit(bits);
        Err(Incomplete::Forward {
            permit,
            stale,
            rule: grant.rule(),
        })
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

/// An upstream's response and the grant of its question.
#[derive(Clone, Copy)]
pub(super) struct Forwarded<'a> {
    pub(super) grant: &'a Grant<'a, 'a>,
    pub(super) entry: &'a Arc<CacheEntry>,
}

/// Filters an upstream's response and writes it. If an alias leads to a name with local data or
/// another upstream, the answer continues with that data instead of this response.
pub(super) fn write<'t>(
    run: QueryRun<'t>,
    said: Forwarded<'_>,
    filter: &mut Filter<'t>,
    writer: &mut ReplyWriter<'_>,
    chain: &mut CnameChain,
    target: &mut Option<NameBuf>,
) -> Result<NextName<'static>, Incomplete> {
    let Forwarded { grant, entry } = said;
    let response = entry.response();
    let passed = follow(run, said, filter, chain)?;
    chain.count(passed.aliases)?;
    let ttl = ttl(run, entry);
    let mut owner = grant.name();
    for link in response.aliases.iter().take(passed.aliases) {
        if let Some(dname) = &link.dname {
            write_dname(run, said, dname, writer)?;
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
        write_dname(run, said, dname, writer)?;
    }
    for set in &response.answers {
        writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
    }
    // In a chain, the response code refers to the last name (RFC 6604 section 2.1).
    writer.set_rcode(response.rcode);
    for (owner, set) in &response.authority {
        if !chain.left.iter().any(|left| has_proof(left, owner, set)) {
            writer.rrset_for(Section::Authority, owner.as_ref(), set, ttl(set))?;
        }
    }
    Ok(NextName::End)
}

/// The current TTL of a record set in an entry.
fn ttl<'e>(run: QueryRun<'_>, entry: &'e CacheEntry) -> impl Fn(&Rrset) -> u32 + use<'e> {
    let now = run.cache_view().map(|cache_view| cache_view.now);
    move |set| now.map_or(set.ttl(), |now| entry.ttl(set.ttl(), now))
}

/// Writes a DNAME if its names are forwarded to the upstream that sent it. Otherwise omits it: a
/// downstream resolver would apply it to names that this upstream does not answer.
fn write_dname(
    run: QueryRun<'_>,
    said: Forwarded<'_>,
    dname: &Dname,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Incomplete> {
    let owner = dname.owner.as_ref();
    let Verdict::Forward(above) = run.decide(owner, run.qtype()) else {
        return Ok(());
    };
    if above.forwarding().upstream == said.grant.forwarding().upstream {
        let ttl = ttl(run, said.entry);
        for set in dname.sets() {
            writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
        }
    }
    Ok(())
}

/// Writes the proofs of the responses that the chain has left: they show that aliases come from
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

/// Whether two sets are equal apart from their TTLs.
fn same(one: &Rrset, other: &Rrset) -> bool {
    one.rdatas().eq(other.rdatas())
}

/// The part of the response that the answer uses.
struct Followed {
    /// The number of aliases.
    aliases: usize,
    /// Whether the chain continues with other data after the last alias.
    goes_on: bool,
}

/// Follows the aliases and filters all records for the answer before anything is written.
fn follow<'t>(
    run: QueryRun<'t>,
    said: Forwarded<'_>,
    filter: &mut Filter<'t>,
    chain: &mut CnameChain,
) -> Result<Followed, Incomplete> {
    let Forwarded { grant, entry } = said;
    let response = entry.response();
    let upstream = grant.forwarding().upstream;
    let mut owner = grant.name();
    for (before, link) in response.aliases.iter().enumerate() {
        let target = link.target.as_ref();
        match lead(run, upstream, owner, target, filter, chain)? {
            AliasTarget::Elsewhere => {
                return Ok(Followed {
                    aliases: before + 1,
                    goes_on: true,
                });
            }
            // The limits of this link's rule apply from here on, too.
            AliasTarget::On(next) => filter.add(&next)?,
            AliasTarget::Nowhere => {}
        }
        owner = target;
    }
    let aliases = response.aliases.len();
    if matches!(response.end, ChainEnd::TooLong | ChainEnd::Loop) {
        return Err(Incomplete::Endless);
    }
    // If the question is for the aliases themselves, they are the answer, but their targets are
    // still checked.
    for target in response.answers.iter().flat_map(Filter::targets) {
        lead(run, upstream, owner, target.as_ref(), filter, chain)?;
    }
    filter.check_entry(owner, entry)?;
    // An upstream that serves only its own zones ends a chain at their edge. The upstream that the
    // policy selects for the last name may continue it.
    Ok(Followed {
        aliases,
        goes_on: response.end == ChainEnd::Open,
    })
}

/// The target of an alias in an upstream's answer.
enum AliasTarget<'t, 'n> {
    /// A name with local data or another upstream. This upstream's data for it is ignored.
    Elsewhere,
    /// A name forwarded to this upstream by this grant.
    On(Grant<'t, 'n>),
    /// A denied name that the alias may lead to.
    Nowhere,
}

/// Decides where an alias of `owner` leads, and whether it may.
fn lead<'t, 'n>(
    run: QueryRun<'t>,
    upstream: UpstreamId,
    owner: NameRef<'_>,
    target: NameRef<'n>,
    filter: &Filter<'t>,
    chain: &mut CnameChain,
) -> Result<AliasTarget<'t, 'n>, Rejection> {
    let policy = run.context.snapshot.policy();
    let verdict = run.decide(target, run.qtype());
    chain.used.note(verdict.used());
    match verdict {
        Verdict::Zone { .. } | Verdict::Answer { .. } => Ok(AliasTarget::Elsewhere),
        // The denial is only observed.
        Verdict::Forward(next) if next.is_observed() => {
            if chain.observed.is_none() {
                chain.observed = filter.binding(policy, next.rule());
            }
            chain.used.outside = true;
            Ok(AliasTarget::Nowhere)
        }
        Verdict::Forward(next) if next.forwarding().upstream != upstream => {
            Ok(AliasTarget::Elsewhere)
        }
        Verdict::Forward(next) => Ok(AliasTarget::On(next)),
        Verdict::Deny(denial) => {
            chain.used.outside = true;
            filter.check_target(owner, target, policy, &denial)?;
            Ok(AliasTarget::Nowhere)
        }
    }
}
