//! The part of an answer that an upstream gives: found in the cache, at hand, or to be asked for;
//! then screened and written.
//!
//! A query that must wait is not kept here. It ends with the permit to ask for what is missing, and
//! is taken the whole way once more when that has come: so there is one path for a question, its
//! waiting costs nobody but the shell, and what arrives is judged like everything else.

use std::sync::Arc;

use crate::{
    cache::{Entry, Found, Key},
    dns::{
        Facts, Failure, NameBuf, NameRef, Rcode, RecordType, ReplyWriter, Rrset, facts::End,
        reply::Section,
    },
    policy::{Bits, Grant, GroupId, Permit, RuleId, UpstreamId, Verdict},
};

use super::{
    Context, Reason, Turn,
    answer::{Next, Stop},
    screen::{Check, Filter, Rejection},
};

/// What came of a permit.
#[derive(Clone, Debug)]
pub struct Arrived {
    permit: Permit,
    result: Result<Arc<Entry>, Failure>,
}

impl Arrived {
    /// Takes what an upstream said, or that it said nothing, into the cache. Where it said nothing
    /// and the cache has facts that are past their time, they stand in (RFC 8767).
    #[must_use]
    pub fn new(permit: Permit, result: Result<Arc<Facts>, Failure>, context: &Context<'_>) -> Self {
        let result = match (&result, context.memory, context.key(&permit)) {
            (Ok(facts), Some(memory), Some(key)) => Ok(memory.cache.put(&key, facts, memory.now)),
            (Err(failure), Some(memory), Some(key)) => {
                memory.cache.fail(&key, *failure, memory.now);
                memory.cache.stale(&key, memory.now).ok_or(*failure)
            }
            (Err(failure), _, _) => Err(*failure),
            (Ok(_), _, _) => Err(Failure::Unreachable),
        };
        Self { permit, result }
    }

    /// What the cache has past its time, for a client that has waited long enough.
    #[must_use]
    pub fn stale(permit: Permit, context: &Context<'_>) -> Option<Self> {
        let key = context.key(&permit)?;
        let memory = context.memory?;
        let entry = memory.cache.stale(&key, memory.now)?;
        Some(Self {
            permit,
            result: Ok(entry),
        })
    }

    fn is_for(&self, grant: &Grant<'_, '_>, bits: Bits) -> bool {
        let permit = &self.permit;
        permit.name() == grant.name()
            && permit.qtype() == grant.qtype()
            && permit.bits() == bits
            && permit.upstream() == grant.forwarding().upstream
    }
}

impl Context<'_> {
    fn key<'k>(&self, permit: &'k Permit) -> Option<Key<'k>> {
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
    bits: Bits,
    upstream: UpstreamId,
) -> Option<Key<'k>> {
    Some(Key {
        name,
        qtype,
        dnssec_ok: bits.dnssec_ok,
        checking_disabled: bits.checking_disabled,
        partition: context.snapshot.partition(upstream)?.0,
    })
}

/// What an answer owes to upstreams.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// The last one whose facts are in it.
    pub(super) upstream: Option<UpstreamId>,
    /// Whether any of it came from the cache.
    pub(super) cached: bool,
    /// Whether any of it is past its time.
    pub(super) stale: bool,
    /// What should be asked for anew before it is past its time.
    pub(super) refresh: Option<Permit>,
    /// The rule that would deny an alias of it, where denials are only observed.
    pub(super) observed: Option<RuleId>,
}

impl Trail {
    /// The reason of an answer that began with an upstream's facts.
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

/// The facts for a grant.
pub(super) fn facts(
    turn: Turn<'_>,
    grant: &Grant<'_, '_>,
    trail: &mut Trail,
) -> Result<Arc<Entry>, Stop> {
    let upstream = grant.forwarding().upstream;
    trail.upstream = Some(upstream);
    let bits = turn.bits();
    if let Some(arrived) = turn.arrived.iter().find(|it| it.is_for(grant, bits)) {
        return match &arrived.result {
            Ok(entry) => {
                trail.stale |= turn
                    .memory()
                    .is_some_and(|memory| entry.is_stale(memory.now));
                Ok(Arc::clone(entry))
            }
            Err(failure) => Err(Stop::Failed {
                failure: *failure,
                cached: false,
            }),
        };
    }
    let ask = |stale| {
        let permit = grant.permit(bits);
        Err(Stop::Ask { permit, stale })
    };
    let key = key(turn.context, grant.name(), grant.qtype(), bits, upstream);
    let (Some(memory), Some(key)) = (turn.memory(), key) else {
        return ask(false);
    };
    let entry = match memory.cache.get(&key, memory.now) {
        Found::Missing => return ask(false),
        Found::Stale(_) => return ask(true),
        Found::Failed(failure) => {
            return Err(Stop::Failed {
                failure,
                cached: true,
            });
        }
        Found::Fresh(entry) => entry,
        Found::Refresh(entry) => {
            trail.refresh = Some(grant.permit(bits));
            entry
        }
        Found::StaleNow(entry) => {
            trail.stale = true;
            entry
        }
    };
    trail.cached = true;
    Ok(entry)
}

/// Screens what an upstream said and writes it. Where one of its aliases leads to a name that we
/// have the data of, ours take the place of the upstream's.
pub(super) fn write(
    turn: Turn<'_>,
    group: GroupId,
    (grant, entry, filter): (&Grant<'_, '_>, &Entry, &Filter<'_>),
    (writer, trail): (&mut ReplyWriter<'_>, &mut Trail),
    target: &mut Option<NameBuf>,
) -> Result<Next<'static>, Stop> {
    let facts = entry.facts();
    let passed = follow(turn, group, (grant, entry, filter), trail)?;
    let ttl = |set: &Rrset| match turn.memory() {
        Some(memory) => entry.ttl(set.ttl(), memory.now),
        None => set.ttl(),
    };
    let mut owner = grant.name();
    for link in facts.links.iter().take(passed.links) {
        for set in [Some(&link.cname), link.signatures.as_ref()]
            .into_iter()
            .flatten()
        {
            writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
        }
        owner = link.target.as_ref();
    }
    if passed.goes_on {
        *target = Some(owner.into());
        return Ok(Next::Target);
    }
    for set in &facts.answers {
        writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
    }
    // Of a chain, the code speaks of its last name (RFC 6604 section 2.1).
    writer.set_rcode(facts.rcode);
    for (owner, set) in &facts.authority {
        writer.rrset_for(Section::Authority, owner.as_ref(), set, ttl(set))?;
    }
    Ok(Next::End)
}

/// How much of the facts the answer has.
struct Passed {
    /// The number of links.
    links: usize,
    /// Whether it goes on elsewhere from the last of them, not with the facts' records.
    goes_on: bool,
}

/// Follows the aliases and screens all that the answer would have, before anything is written.
fn follow(
    turn: Turn<'_>,
    group: GroupId,
    (grant, entry, filter): (&Grant<'_, '_>, &Entry, &Filter<'_>),
    trail: &mut Trail,
) -> Result<Passed, Rejection> {
    let facts = entry.facts();
    let mut owner = grant.name();
    let mut elsewhere = false;
    for (before, link) in facts.links.iter().enumerate() {
        let target = link.target.as_ref();
        match lead(turn, group, (owner, target), filter, trail)? {
            Lead::Ours => {
                return Ok(Passed {
                    links: before + 1,
                    goes_on: true,
                });
            }
            Lead::Upstream(upstream) => elsewhere = upstream != grant.forwarding().upstream,
            Lead::Nowhere => elsewhere = false,
        }
        owner = target;
    }
    let links = facts.links.len();
    match facts.end {
        End::Name => {}
        End::TooLong => {
            let what = "CNAME, and more of them";
            return Err(Rejection::new(Check::Chain, filter.last(), owner, what));
        }
        End::Loop => {
            let what = "CNAME in a circle";
            return Err(Rejection::new(Check::Chain, filter.last(), owner, what));
        }
    }
    // Where aliases are what was asked for, they are the answer; what they lead to is told all the
    // same.
    for target in facts.answers.iter().flat_map(Filter::targets) {
        lead(turn, group, (owner, target.as_ref()), filter, trail)?;
    }
    filter.check_entry(owner, entry)?;
    // An upstream that only knows its own zones leaves a chain at their edge, and says nothing of
    // the name there: another one may know.
    let unsaid = facts.answers.is_empty() && facts.authority.is_empty();
    Ok(Passed {
        links,
        goes_on: elsewhere && unsaid && facts.rcode == Rcode::NoError,
    })
}

/// Where an alias leads.
enum Lead {
    /// To data of ours.
    Ours,
    /// To a name that this upstream may be asked for.
    Upstream(UpstreamId),
    /// To a name that is not allowed, which it may.
    Nowhere,
}

/// Decides where an alias of `owner` leads, if it may.
fn lead(
    turn: Turn<'_>,
    group: GroupId,
    (owner, target): (NameRef<'_>, NameRef<'_>),
    filter: &Filter<'_>,
    trail: &mut Trail,
) -> Result<Lead, Rejection> {
    let policy = turn.context.snapshot.policy();
    match turn.decide(group, target, turn.qtype()) {
        Verdict::Zone { .. } | Verdict::Answer { .. } => Ok(Lead::Ours),
        Verdict::Forward(next) => {
            // What would be denied is only observed.
            if next.is_observed() && trail.observed.is_none() {
                trail.observed = filter.binding(policy, next.rule());
            }
            Ok(Lead::Upstream(next.forwarding().upstream))
        }
        Verdict::Deny(denial) => {
            filter.check_target(owner, target, (policy, &denial))?;
            Ok(Lead::Nowhere)
        }
    }
}
