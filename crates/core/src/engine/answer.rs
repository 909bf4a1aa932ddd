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
        reply::{Full, Owner, Section},
        response::substitute,
    },
    policy::{Grant, GroupId, Permit, Verdict},
    zone::{Lookup, Zone},
};

use super::{
    Turn,
    filter::{Filter, Rejection},
    forward::{self, Trail},
};

/// Why the answer was not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// An upstream must be asked first.
    Ask {
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
    /// The chain of aliases is a circle, or longer than [`MAX_LINKS`](crate::dns::responses::MAX_LINKS).
    Endless,
}

impl From<Full> for Stop {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Filtered(rejection)
    }
}

/// Where the chain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next<'t> {
    /// Nowhere: this was its end.
    End,
    /// At this name.
    At(NameRef<'t>),
    /// At the name that was put into the target.
    Target,
}

/// Writes the answer to the turn's question, whose verdict is `verdict`.
pub(super) fn write(
    turn: Turn<'_>,
    group: GroupId,
    verdict: Verdict<'_, '_>,
    writer: &mut ReplyWriter<'_>,
    trail: &mut Trail,
) -> Result<(), Stop> {
    // A name at hand that is made here is in one of them while its target is put into the other.
    let (mut one, mut other) = (None, None);
    let (mut here, mut target) = (&mut one, &mut other);
    let mut owner = Owner::question(turn.query.name());
    let mut verdict = verdict;
    // Made when a link is forwarded: most answers have none.
    let mut filter: Option<Filter<'_>> = None;
    let mut first = true;
    loop {
        let ours = !matches!(verdict, Verdict::Forward(_));
        let next = match verdict {
            Verdict::Zone { zone, rule } => match turn.zone(zone) {
                Some(zone) if turn.is_parents(rule, zone, owner.name()) => {
                    no_data(turn, owner, writer)?
                }
                Some(zone) => {
                    let zone = parent_side(turn, group, zone, owner.name()).unwrap_or(zone);
                    let at = (owner, first, filter.as_ref());
                    from_zone(turn, zone, at, writer, target)?
                }
                None => Next::End,
            },
            Verdict::Answer { records, .. } => {
                let at = (owner, first, filter.as_ref());
                from_records(turn, records, at, writer)?
            }
            Verdict::Forward(_) if !turn.may_be_forwarded() && first => {
                return Err(Stop::NoRecursion);
            }
            Verdict::Forward(_) if !turn.may_be_forwarded() => Next::End,
            Verdict::Forward(grant) => {
                let filter = filter.get_or_insert_with(Filter::new);
                if grant.is_observed() && trail.observed.is_none() {
                    let policy = turn.context.snapshot.policy();
                    trail.observed = filter.binding(policy, grant.rule()).filter(|_| !first);
                }
                filter.add(&grant)?;
                forwarded(turn, group, (&grant, filter), (writer, trail), target)?
            }
            Verdict::Deny(denial) => {
                if let Some(filter) = &filter {
                    let policy = turn.context.snapshot.policy();
                    filter.check_target(turn.query.name(), owner.name(), (policy, &denial))?;
                }
                Next::End
            }
        };
        let name = match next {
            Next::End => return forward::write_proofs(turn, trail, writer),
            Next::At(name) => name,
            Next::Target => {
                std::mem::swap(&mut here, &mut target);
                here.as_ref().map_or(NameRef::ROOT, NameBuf::as_ref)
            }
        };
        if ours {
            trail.count(1)?;
        }
        first = false;
        owner = writer.target(name);
        verdict = turn.decide(group, owner.name(), turn.qtype());
    }
}

/// What an upstream says, from `grant`'s name on.
fn forwarded<'t>(
    turn: Turn<'t>,
    group: GroupId,
    (grant, filter): (&Grant<'_, '_>, &mut Filter<'t>),
    (writer, trail): (&mut ReplyWriter<'_>, &mut Trail),
    target: &mut Option<NameBuf>,
) -> Result<Next<'static>, Stop> {
    if turn.qtype() == RecordType::ANY {
        // Nobody is asked for everything: RFC 8482 section 4.2.
        writer.rrset(Section::Answer, grant.name(), turn.context.snapshot.any())?;
        return Ok(Next::End);
    }
    let entry = forward::response(turn, grant, trail)?;
    forward::write(
        turn,
        group,
        (grant, &entry, filter),
        (writer, trail),
        target,
    )
}

/// The zone that answers a question for the DS at `child`'s origin, if it is another one of ours
/// and this client is answered from it: a DS stands on the parent's side of the cut (RFC 4035
/// section 3.1.4.1).
fn parent_side<'t>(
    turn: Turn<'t>,
    group: GroupId,
    child: &Zone,
    name: NameRef<'_>,
) -> Option<&'t Zone> {
    if turn.qtype() != RecordType::DS || name != child.origin() {
        return None;
    }
    let verdict = turn.decide(group, name.parent()?, RecordType::DS);
    let Verdict::Zone { zone, .. } = verdict else {
        return None;
    };
    let parent = turn.zone(zone)?;
    // A zone above that does not delegate the name knows nothing of it.
    let delegates = matches!(
        parent.lookup(name, RecordType::NS),
        Lookup::Referral { cut_labels, .. } if cut_labels == name.label_count()
    );
    delegates.then_some(parent)
}

/// Writes records of ours, if the rules that forwarded on the way let them pass.
fn put(
    owner: Owner<'_>,
    set: &Rrset,
    filter: Option<&Filter<'_>>,
    writer: &mut ReplyWriter<'_>,
) -> Result<(), Stop> {
    if let Some(filter) = filter {
        filter.check(owner.name(), set)?;
    }
    Ok(writer.rrset(Section::Answer, owner, set)?)
}

/// One link, or the end, from a zone; `first` of the chain or not.
fn from_zone<'t>(
    turn: Turn<'t>,
    zone: &'t Zone,
    (owner, first, filter): (Owner<'_>, bool, Option<&Filter<'_>>),
    writer: &mut ReplyWriter<'_>,
    target: &mut Option<NameBuf>,
) -> Result<Next<'t>, Stop> {
    let name = owner.name();
    let found = zone.lookup(name, turn.qtype());
    // AA speaks of the first name of the answer (RFC 1035 section 4.1.1).
    if first && !matches!(found, Lookup::Referral { .. }) {
        writer.set_authoritative();
    }
    match found {
        Lookup::Found(set) => put(owner, set, filter, writer)?,
        Lookup::Exists => writer.rrset(Section::Answer, owner, turn.context.snapshot.any())?,
        Lookup::Alias(set) => return alias(turn, set, owner, writer),
        Lookup::Dname {
            owner_labels,
            dname,
        } => return redirect(turn, (dname, owner_labels), name, writer, target),
        Lookup::NoData => writer.rrset(Section::Authority, zone.origin(), zone.negative_soa())?,
        Lookup::NxDomain => {
            // Of a chain, the code speaks of its last name (RFC 6604 section 2.1). What has a name
            // below it that a rule or another zone knows exists, if only for that (RFC 8020).
            if !turn.context.snapshot.policy().has_allowed_below(name) {
                writer.set_rcode(Rcode::NxDomain);
            }
            writer.rrset(Section::Authority, zone.origin(), zone.negative_soa())?;
        }
        Lookup::Referral { cut_labels, ns } => {
            refer(zone, (ns, filter), last_labels(name, cut_labels), writer)?
        }
    }
    Ok(Next::End)
}

/// One link, or the end, from the records of a rule.
fn from_records<'t>(
    turn: Turn<'t>,
    records: &'t [Rrset],
    (owner, first, filter): (Owner<'_>, bool, Option<&Filter<'_>>),
    writer: &mut ReplyWriter<'_>,
) -> Result<Next<'t>, Stop> {
    if first {
        writer.set_authoritative();
    }
    let of_type = |rtype| records.iter().find(|set| set.rtype() == rtype);
    if let Some(set) = of_type(turn.qtype()) {
        put(owner, set, filter, writer)?;
    } else if let Some(set) = of_type(RecordType::CNAME) {
        return alias(turn, set, owner, writer);
    } else if turn.qtype() == RecordType::ANY {
        writer.rrset(Section::Answer, owner, turn.context.snapshot.any())?;
    } else {
        return no_data(turn, owner, writer);
    }
    Ok(Next::End)
}

/// The end of a chain at a name that has no such records, and that no zone says so of.
fn no_data<'t>(
    turn: Turn<'_>,
    owner: Owner<'_>,
    writer: &mut ReplyWriter<'_>,
) -> Result<Next<'t>, Stop> {
    writer.set_authoritative();
    let soa = turn.context.snapshot.denial_soa();
    writer.rrset(Section::Authority, owner, soa)?;
    Ok(Next::End)
}

/// Writes a CNAME and tells where it leads. The answer to ANY is the CNAME alone
/// (RFC 8482 section 4.2).
fn alias<'t>(
    turn: Turn<'_>,
    set: &'t Rrset,
    owner: Owner<'_>,
    writer: &mut ReplyWriter<'_>,
) -> Result<Next<'t>, Stop> {
    writer.rrset(Section::Answer, owner, set)?;
    if turn.qtype() == RecordType::ANY {
        return Ok(Next::End);
    }
    Ok(set.alias().map_or(Next::End, Next::At))
}

/// Writes a DNAME and the CNAME that follows from it (RFC 6672 section 3.1). To a question for the
/// CNAME that is the answer, as it is for ANY (see [`alias`]).
fn redirect(
    turn: Turn<'_>,
    (dname, owner_labels): (&Rrset, usize),
    name: NameRef<'_>,
    writer: &mut ReplyWriter<'_>,
    target: &mut Option<NameBuf>,
) -> Result<Next<'static>, Stop> {
    writer.rrset(Section::Answer, last_labels(name, owner_labels), dname)?;
    let Some(substituted) = substituted(name, owner_labels, dname) else {
        // RFC 6672 section 2.2: the new name would be too long.
        writer.set_rcode(Rcode::YxDomain);
        return Ok(Next::End);
    };
    let substituted = target.insert(substituted);
    writer.cname(name, dname.ttl(), substituted.as_ref())?;
    Ok(match turn.qtype() {
        RecordType::CNAME | RecordType::ANY => Next::End,
        _ => Next::Target,
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
) -> Result<(), Stop> {
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
