//! The part of an answer that an upstream gives: found in the cache, at hand, or to be asked for;
//! then filtered and written.
//!
//! A query that must wait is not kept here. It ends with the permit to ask for what is missing, and
//! is taken the whole way once more when that has come: so there is one path for a question, its
//! waiting costs nobody but the shell, and what arrives is judged like everything else.

use std::{sync::Arc, time::Instant};

use crate::{
    cache::{Entry, Found, Key},
    dns::{
        Failure, Name, NameBuf, NameRef, RecordType, ReplyWriter, Response, Rrset,
        reply::Section,
        response::{Dname, End, MAX_LINKS},
    },
    policy::{Bits, Grant, GroupId, Permit, RuleId, UpstreamId, Verdict},
};

use super::{
    Context, Reason, Turn,
    answer::{Next, Stop},
    filter::{Filter, Rejection},
};

/// What came of a permit.
#[derive(Clone, Debug)]
pub struct Arrived {
    permit: Permit,
    result: Result<Arc<Entry>, Failure>,
}

impl Arrived {
    /// Takes what an upstream said, or that it said nothing, into the cache. Where it said nothing
    /// and the cache has responses that are past their time, they stand in (RFC 8767).
    #[must_use]
    pub fn new(
        permit: Permit,
        result: Result<Arc<Response>, Failure>,
        context: &Context<'_>,
    ) -> Self {
        let result = match (&result, context.memory, context.key(&permit)) {
            (Ok(response), Some(memory), Some(key)) => {
                Ok(memory.cache.put(&key, response, memory.now))
            }
            (Err(failure), Some(memory), Some(key)) => {
                memory.cache.fail(&key, *failure, memory.now);
                memory.cache.stale(&key, memory.now).ok_or(*failure)
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
        let memory = context.memory.zip(context.key(&permit));
        let stale = memory.and_then(|(memory, key)| memory.cache.stale(&key, memory.now));
        let result = stale.ok_or(failure);
        Self { permit, result }
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
    /// The last one whose responses are in it.
    pub(super) upstream: Option<UpstreamId>,
    /// Whether any of it came from the cache.
    pub(super) cached: bool,
    /// Whether any of it is past its time.
    pub(super) stale: bool,
    /// Whether what is past its time stands in for a denial, not for an answer that did not come.
    pub(super) bridges: bool,
    /// The aliases so far, whoever has the data.
    links: usize,
    /// The answers that the chain went on from, each with the number of its aliases that count: their
    /// proofs stand behind the end's.
    left: Vec<(Arc<Entry>, usize)>,
    /// What should be asked for anew before it is past its time.
    pub(super) refresh: Option<Permit>,
    /// The rule that would deny an alias of it, where denials are only observed.
    pub(super) observed: Option<RuleId>,
}

impl Trail {
    /// Notes whether responses that are in the answer are past their time.
    fn note(&mut self, entry: &Entry, now: Instant) {
        self.stale |= entry.is_stale(now);
        self.bridges |= entry.is_stale(now) && entry.is_denied(now);
    }

    /// Counts aliases of the chain: more than [`MAX_LINKS`], over all who have a part in it, are
    /// followed for nobody.
    pub(super) const fn count(&mut self, links: usize) -> Result<(), Stop> {
        self.links += links;
        if self.links > MAX_LINKS {
            return Err(Stop::Endless);
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
                if let Some(memory) = turn.memory() {
                    trail.note(entry, memory.now);
                }
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
            trail.note(&entry, memory.now);
            entry
        }
    };
    trail.cached = true;
    Ok(entry)
}

/// Filters what an upstream said and writes it. Where one of its aliases leads to a name that we have the
/// data of, or that the policy sends to another upstream, that one's take the place of this one's.
pub(super) fn write<'t>(
    turn: Turn<'t>,
    group: GroupId,
    (grant, entry, filter): (&Grant<'_, '_>, &Arc<Entry>, &mut Filter<'t>),
    (writer, trail): (&mut ReplyWriter<'_>, &mut Trail),
    target: &mut Option<NameBuf>,
) -> Result<Next<'static>, Stop> {
    let response = entry.response();
    let passed = follow(turn, group, (grant, entry, filter), trail)?;
    trail.count(passed.links)?;
    let ttl = ttl(turn, entry);
    let mut owner = grant.name();
    for link in response.links.iter().take(passed.links) {
        if let Some(dname) = &link.dname {
            write_dname(turn, group, (grant, entry), dname, writer)?;
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
        if response.proofs(passed.links).next().is_some() {
            trail.left.push((Arc::clone(entry), passed.links));
        }
        *target = Some(owner.into());
        return Ok(Next::Target);
    }
    if let Some(dname) = &response.dname {
        write_dname(turn, group, (grant, entry), dname, writer)?;
    }
    for set in &response.answers {
        writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
    }
    // Of a chain, the code speaks of its last name (RFC 6604 section 2.1).
    writer.set_rcode(response.rcode);
    for (owner, set) in &response.authority {
        if !trail.left.iter().any(|left| has_proof(left, owner, set)) {
            writer.rrset_for(Section::Authority, owner.as_ref(), set, ttl(set))?;
        }
    }
    Ok(Next::End)
}

/// The TTLs of what is in an entry.
fn ttl<'e>(turn: Turn<'_>, entry: &'e Entry) -> impl Fn(&Rrset) -> u32 + use<'e> {
    let now = turn.memory().map(|memory| memory.now);
    move |set| now.map_or(set.ttl(), |now| entry.ttl(set.ttl(), now))
}

/// Writes a DNAME, where the names that it speaks of are forwarded to the upstream that said so. Of
/// others it says nothing: a resolver in front would believe it of names that are none of the
/// upstream's business.
fn write_dname(
    turn: Turn<'_>,
    group: GroupId,
    (grant, entry): (&Grant<'_, '_>, &Entry),
    dname: &Dname,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Stop> {
    let owner = dname.owner.as_ref();
    let Verdict::Forward(above) = turn.decide(group, owner, turn.qtype()) else {
        return Ok(());
    };
    if above.forwarding().upstream == grant.forwarding().upstream {
        let ttl = ttl(turn, entry);
        for set in dname.sets() {
            writer.rrset_for(Section::Answer, owner, set, ttl(set))?;
        }
    }
    Ok(())
}

/// Writes the proofs of those answers that the chain has gone on from: that their aliases come from
/// wildcards (RFC 4035 section 3.1.3.3).
pub(super) fn write_proofs(
    turn: Turn<'_>,
    trail: &Trail,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Stop> {
    for (at, (entry, links)) in trail.left.iter().enumerate() {
        let ttl = ttl(turn, entry);
        let before = trail.left.get(..at).unwrap_or_default();
        for (owner, set) in entry.response().proofs(*links) {
            if !before.iter().any(|left| has_proof(left, owner, set)) {
                writer.rrset_for(Section::Authority, owner.as_ref(), set, ttl(set))?;
            }
        }
    }
    Ok(())
}

fn has_proof((entry, links): &(Arc<Entry>, usize), owner: &Name, set: &Rrset) -> bool {
    let mut proofs = entry.response().proofs(*links);
    proofs.any(|(other, proof)| other == owner && proof.rtype() == set.rtype() && same(proof, set))
}

/// Whether two sets are the same but for their TTLs.
fn same(one: &Rrset, other: &Rrset) -> bool {
    one.rdatas().eq(other.rdatas())
}

/// How much of the responses the answer has.
struct Passed {
    /// The number of links.
    links: usize,
    /// Whether it goes on elsewhere from the last of them, not with the responses' records.
    goes_on: bool,
}

/// Follows the aliases and filters all that the answer would have, before anything is written.
fn follow<'t>(
    turn: Turn<'t>,
    group: GroupId,
    (grant, entry, filter): (&Grant<'_, '_>, &Entry, &mut Filter<'t>),
    trail: &mut Trail,
) -> Result<Passed, Stop> {
    let response = entry.response();
    let asked = (group, grant.forwarding().upstream);
    let mut owner = grant.name();
    for (before, link) in response.links.iter().enumerate() {
        let target = link.target.as_ref();
        match lead(turn, asked, (owner, target), filter, trail)? {
            Lead::Elsewhere => {
                return Ok(Passed {
                    links: before + 1,
                    goes_on: true,
                });
            }
            // What the rule of this link says holds from here on, too.
            Lead::On(next) => filter.add(&next)?,
            Lead::Nowhere => {}
        }
        owner = target;
    }
    let links = response.links.len();
    if matches!(response.end, End::TooLong | End::Loop) {
        return Err(Stop::Endless);
    }
    // Where aliases are what was asked for, they are the answer; what they lead to is told all the
    // same.
    for target in response.answers.iter().flat_map(Filter::targets) {
        lead(turn, asked, (owner, target.as_ref()), filter, trail)?;
    }
    filter.check_entry(owner, entry)?;
    // An upstream that only knows its own zones leaves a chain at their edge, and says nothing of
    // the name there: whom the policy names for it may know.
    Ok(Passed {
        links,
        goes_on: response.end == End::Open,
    })
}

/// Where an alias of an upstream's answer leads.
enum Lead<'t, 'n> {
    /// To data that somebody else has: we, or another upstream. What this one says of the name is none of its business.
    Elsewhere,
    /// To a name that this upstream is asked for, by this leave.
    On(Grant<'t, 'n>),
    /// To a name that is not allowed, which it may lead to.
    Nowhere,
}

/// Decides where an alias of `owner` leads, if it may lead there at all.
fn lead<'t, 'n>(
    turn: Turn<'t>,
    (group, upstream): (GroupId, UpstreamId),
    (owner, target): (NameRef<'_>, NameRef<'n>),
    filter: &Filter<'t>,
    trail: &mut Trail,
) -> Result<Lead<'t, 'n>, Rejection> {
    let policy = turn.context.snapshot.policy();
    match turn.decide(group, target, turn.qtype()) {
        Verdict::Zone { .. } | Verdict::Answer { .. } => Ok(Lead::Elsewhere),
        // What would be denied is only observed.
        Verdict::Forward(next) if next.is_observed() => {
            if trail.observed.is_none() {
                trail.observed = filter.binding(policy, next.rule());
            }
            Ok(Lead::Nowhere)
        }
        Verdict::Forward(next) if next.forwarding().upstream != upstream => Ok(Lead::Elsewhere),
        Verdict::Forward(next) => Ok(Lead::On(next)),
        Verdict::Deny(denial) => {
            filter.check_target(owner, target, (policy, &denial))?;
            Ok(Lead::Nowhere)
        }
    }
}
