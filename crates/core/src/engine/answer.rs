//! The answer: a zone's records, a rule's, or an upstream's (`forward`), and the chain of aliases
//! that starts there, followed to its end in one reply.
//!
//! Each name of the chain is decided by the same policy as a question would be. Where the chain
//! leads from our own data to a name that this client is not answered, the reply ends with the
//! alias: it holds nothing that the client could not have asked for. Where it came through a
//! forwarded name, what that one's rule says of the answer holds to the end of the chain, for our own
//! data as well (`filter`).

use crate::{
    dns::{
        Failure, NameBuf, NameRef, Rcode, RecordType, ReplyWriter, Rrset,
        reply::{OwnerName, ReplyFull, Section},
        response::substitute,
    },
    policy::{Grant, GroupId, Permit, Verdict},
    zone::{Zone, ZoneLookup},
};

use super::{
    QueryRun,
    filter::{Filter, Rejection},
    forward::{self, CnameChain},
};

/// Why the answer was not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// An upstream must be asked first.
    Forward {
        /// The question to it.
        permit: Permit,
        /// Whether the cache has responses past their time, should nobody answer.
        stale: bool,
    },
    /// An upstream was asked in vain.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether that is remembered from an earlier query.
        cached: bool,
    },
    /// What the upstream said may not pass.
    Filtered(Rejection),
    /// An upstream would have to be asked, and the client does not want that.
    NoRecursion,
    /// It does not fit into the reply.
    Full,
    /// The chain of aliases is a circle, or longer than [`MAX_ALIASES`](crate::dns::responses::MAX_ALIASES).
    Endless,
}

impl From<ReplyFull> for Incomplete {
    fn from(_: ReplyFull) -> Self {
        Self::Full
    }
}

impl From<Rejection> for Incomplete {
    fn from(rejection: Rejection) -> Self {
        Self::Filtered(rejection)
    }
}

/// Where the chain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextName<'t> {
    /// Nowhere: this was its end.
    End,
    /// At this name.
    At(NameRef<'t>),
    /// At the name that was put into the target.
    Target,
}

/// Writes the answer to the run's question, whose verdict is `verdict`.
pub(super) fn write(
    run: QueryRun<'_>,
    group: GroupId,
    verdict: Verdict<'_, '_>,
    writer: &mut ReplyWriter<'_>,
    chain: &mut CnameChain,
) -> Result<(), Incomplete> {
    // A name at hand that is made here is in one of them while its target is put into the other.
    let (mut one, mut other) = (None, None);
    let (mut here, mut target) = (&mut one, &mut other);
    let mut owner = OwnerName::question(run.query.name());
    let mut verdict = verdict;
    // Made when a link is forwarded: most answers have none.
    let mut filter: Option<Filter<'_>> = None;
    let mut first = true;
    loop {
        let ours = !matches!(verdict, Verdict::Forward(_));
        let next = match verdict {
            Verdict::Zone { zone, rule } => match run.zone(zone) {
                Some(zone) if run.is_parents(rule, zone, owner.name()) => {
                    no_data(run, owner, writer)?
                }
                Some(zone) => {
                    let zone = parent_side(run, group, zone, owner.name()).unwrap_or(zone);
                    let at = (owner, first, filter.as_ref());
                    from_zone(run, zone, at, writer, target)?
                }
                None => NextName::End,
            },
            Verdict::Answer { records, .. } => {
                let at = (owner, first, filter.as_ref());
                from_records(run, records, at, writer)?
            }
            Verdict::Forward(_) if !run.may_be_forwarded() && first => {
                return Err(Incomplete::NoRecursion);
            }
            Verdict::Forward(_) if !run.may_be_forwarded() => NextName::End,
            Verdict::Forward(grant) => {
                let filter = filter.get_or_insert_with(Filter::new);
                if grant.is_observed() && chain.observed.is_none() {
                    let policy = run.context.snapshot.policy();
                    chain.observed = filter.binding(policy, grant.rule()).filter(|_| !first);
                }
                filter.add(&grant)?;
                forwarded(run, group, (&grant, filter), (writer, chain), target)?
            }
            Verdict::Deny(denial) => {
                if let Some(filter) = &filter {
                    let policy = run.context.snapshot.policy();
                    filter.check_target(run.query.name(), owner.name(), (policy, &denial))?;
                }
                NextName::End
            }
        };
        let name = match next {
            NextName::End => return forward::write_proofs(run, chain, writer),
            NextName::At(name) => name,
            NextName::Target => {
                std::mem::swap(&mut here, &mut target);
                here.as_ref().map_or(NameRef::ROOT, NameBuf::as_ref)
            }
        };
        if ours {
            chain.count(1)?;
        }
        first = false;
        owner = writer.target(name);
        verdict = run.decide(group, owner.name(), run.qtype());
    }
}

/// What an upstream says, from `grant`'s name on.
fn forwarded<'t>(
    run: QueryRun<'t>,
    group: GroupId,
    (grant, filter): (&Grant<'_, '_>, &mut Filter<'t>),
    (writer, chain): (&mut ReplyWriter<'_>, &mut CnameChain),
    target: &mut Option<NameBuf>,
) -> Result<NextName<'static>, Incomplete> {
    if run.qtype() == RecordType::ANY {
        // Nobody is asked for everything: RFC 8482 section 4.2.
        writer.rrset(Section::Answer, grant.name(), run.context.snapshot.any())?;
        return Ok(NextName::End);
    }
    let entry = forward::response(run, grant, chain)?;
    forward::write(run, group, (grant, &entry, filter), (writer, chain), target)
}

/// The zone that answers a question for the DS at `child`'s origin, if it is another one of ours
/// and this client is answered from it: a DS stands on the parent's side of the cut (RFC 4035
/// section 3.1.4.1).
fn parent_side<'t>(
    run: QueryRun<'t>,
    group: GroupId,
    child: &Zone,
    name: NameRef<'_>,
) -> Option<&'t Zone> {
    if run.qtype() != RecordType::DS || name != child.origin() {
        return None;
    }
    let verdict = run.decide(group, name.parent()?, RecordType::DS);
    let Verdict::Zone { zone, .. } = verdict else {
        return None;
    };
    let parent = run.zone(zone)?;
    // A zone above that does not delegate the name knows nothing of it.
    let delegates = matches!(
        parent.lookup(name, RecordType::NS),
        ZoneLookup::Referral { cut_labels, .. } if cut_labels == name.label_count()
    );
    delegates.then_some(parent)
}

/// Writes records of ours, if the rules that forwarded on the way let them pass.
fn put(
    owner: OwnerName<'_>,
    set: &Rrset,
    filter: Option<&Filter<'_>>,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Incomplete> {
    if let Some(filter) = filter {
        filter.check(owner.name(), set)?;
    }
    Ok(writer.rrset(Section::Answer, owner, set)?)
}

/// One link, or the end, from a zone; `first` of the chain or not.
fn from_zone<'t>(
    run: QueryRun<'t>,
    zone: &'t Zone,
    (owner, first, filter): (OwnerName<'_>, bool, Option<&Filter<'_>>),
    writer: &mut ReplyWriter<'_>,
    target: &mut Option<NameBuf>,
) -> Result<NextName<'t>, Incomplete> {
    let name = owner.name();
    let found = zone.lookup(name, run.qtype());
    // AA speaks of the first name of the answer (RFC 1035 section 4.1.1).
    if first && !matches!(found, ZoneLookup::Referral { .. }) {
        writer.set_authoritative();
    }
    match found {
        ZoneLookup::Found(set) => put(owner, set, filter, writer)?,
        ZoneLookup::Exists => writer.rrset(Section::Answer, owner, run.context.snapshot.any())?,
        ZoneLookup::Alias(set) => return alias(run, set, owner, writer),
        ZoneLookup::Dname {
            owner_labels,
            dname,
        } => return redirect(run, (dname, owner_labels), name, writer, target),
        ZoneLookup::NoData => {
            writer.rrset(Section::Authority, zone.origin(), zone.negative_soa())?
        }
        ZoneLookup::NxDomain => {
            // Of a chain, the code speaks of its last name (RFC 6604 section 2.1). What has a name
            // below it that a rule or another zone knows exists, if only for that (RFC 8020).
            if !run.context.snapshot.policy().has_allowed_below(name) {
                writer.set_rcode(Rcode::NxDomain);
            }
            writer.rrset(Section::Authority, zone.origin(), zone.negative_soa())?;
        }
        ZoneLookup::Referral { cut_labels, ns } => {
            refer(zone, (ns, filter), last_labels(name, cut_labels), writer)?
        }
    }
    Ok(NextName::End)
}

/// One link, or the end, from the records of a rule.
fn from_records<'t>(
    run: QueryRun<'t>,
    records: &'t [Rrset],
    (owner, first, filter): (OwnerName<'_>, bool, Option<&Filter<'_>>),
    writer: &mut ReplyWriter<'_>,
) -> Result<NextName<'t>, Incomplete> {
    if first {
        writer.set_authoritative();
    }
    let of_type = |rtype| records.iter().find(|set| set.rtype() == rtype);
    if let Some(set) = of_type(run.qtype()) {
        put(owner, set, filter, writer)?;
    } else if let Some(set) = of_type(RecordType::CNAME) {
        return alias(run, set, owner, writer);
    } else if run.qtype() == RecordType::ANY {
        writer.rrset(Section::Answer, owner, run.context.snapshot.any())?;
    } else {
        return no_data(run, owner, writer);
    }
    Ok(NextName::End)
}

/// The end of a chain at a name that has no such records, and that no zone says so of.
fn no_data<'t>(
    run: QueryRun<'_>,
    owner: OwnerName<'_>,
    writer: &mut ReplyWriter<'_>,
) -> Result<NextName<'t>, Incomplete> {
    writer.set_authoritative();
    let soa = run.context.snapshot.denial_soa();
    writer.rrset(Section::Authority, owner, soa)?;
    Ok(NextName::End)
}

/// Writes a CNAME and tells where it leads. The answer to ANY is the CNAME alone
/// (RFC 8482 section 4.2).
fn alias<'t>(
    run: QueryRun<'_>,
    set: &'t Rrset,
    owner: OwnerName<'_>,
    writer: &mut ReplyWriter<'_>,
) -> Result<NextName<'t>, Incomplete> {
    writer.rrset(Section::Answer, owner, set)?;
    if run.qtype() == RecordType::ANY {
        return Ok(NextName::End);
    }
    Ok(set.alias().map_or(NextName::End, NextName::At))
}

/// Writes a DNAME and the CNAME that follows from it (RFC 6672 section 3.1). To a question for the
/// CNAME that is the answer, as it is for ANY (see [`alias`]).
fn redirect(
    run: QueryRun<'_>,
    (dname, owner_labels): (&Rrset, usize),
    name: NameRef<'_>,
    writer: &mut ReplyWriter<'_>,
    target: &mut Option<NameBuf>,
) -> Result<NextName<'static>, Incomplete> {
    writer.rrset(Section::Answer, last_labels(name, owner_labels), dname)?;
    let Some(substituted) = substituted(name, owner_labels, dname) else {
        // RFC 6672 section 2.2: the new name would be too long.
        writer.set_rcode(Rcode::YxDomain);
        return Ok(NextName::End);
    };
    let substituted = target.insert(substituted);
    writer.cname(name, dname.ttl(), substituted.as_ref())?;
    Ok(match run.qtype() {
        RecordType::CNAME | RecordType::ANY => NextName::End,
        _ => NextName::Target,
    })
}

/// `name` with its last `owner_labels` labels replaced by the DNAME's target.
fn substituted(name: NameRef<'_>, owner_labels: usize, dname: &Rrset) -> Option<NameBuf> {
    let (suffix, _) = NameBuf::read(dname.target()?).ok()?;
    substitute(name, owner_labels, suffix.as_ref())
}

/// Writes a delegation: its name servers, and their addresses where the zone holds them. Glue that
/// does not fit makes the reply a truncated one (RFC 9471 section 3.1).
fn refer(
    zone: &Zone,
    (ns, filter): (&Rrset, Option<&Filter<'_>>),
    cut: NameRef<'_>,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Incomplete> {
    writer.rrset(Section::Authority, cut, ns)?;
    for server in ns.rdatas() {
        let Ok((server, _)) = NameBuf::read(server) else {
            continue;
        };
        let (v4, v6) = zone.addresses(server.as_ref());
        for set in [v4, v6].into_iter().flatten() {
            if let Some(filter) = filter {
                filter.check(server.as_ref(), set)?;
            }
            writer.rrset(Section::Additional, server.as_ref(), set)?;
        }
    }
    Ok(())
}

/// The name made of the last `count` labels of `name`.
fn last_labels(name: NameRef<'_>, count: usize) -> NameRef<'_> {
    let starts = name.label_starts();
    let starts = starts.as_slice();
    let first = starts
        .len()
        .checked_sub(count)
        .and_then(|at| starts.get(at));
    first.map_or(NameRef::ROOT, |&start| name.from_label(start))
}
