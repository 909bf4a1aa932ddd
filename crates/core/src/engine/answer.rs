//! Writes the answer: records of a zone, a rule or an upstream (`forward`). Follows the CNAME chain
//! from there to its end within one response.
//!
//! The policy decides each name of the chain like a question. If the chain leads from local data to
//! a name that this client may not query, the response ends with that alias, so it contains nothing
//! that the client could not have queried. If the chain passes through a forwarded name, the answer
//! limits of its rule apply to the rest of the chain, including local data (`filter`).

use crate::{
    dns::{
        NameBuf, NameRef, Rcode, RecordType, ReplyWriter, Rrset,
        reply::{OwnerName, Section},
        response::substitute,
    },
    policy::{Grant, Verdict},
    zone::{Zone, ZoneLookup},
};

use super::{
    filter::Filter,
    forward::{self, Forwarded},
    incomplete::{Incomplete, NextName},
    query_run::{CnameChain, QueryRun},
};

/// The position in the CNAME chain where a part of the answer begins.
#[derive(Clone, Copy)]
struct ChainPosition<'a, 't> {
    /// The name reached in the chain.
    owner: OwnerName<'a>,
    /// Whether it is the name of the question.
    first: bool,
    /// The filter for the records, if the chain passed through a forwarded name.
    filter: Option<&'a Filter<'t>>,
}

/// Writes the answer to the run's question with the verdict `verdict`.
pub(super) fn write(
    run: QueryRun<'_>,
    verdict: Verdict<'_, '_>,
    writer: &mut ReplyWriter<'_>,
    chain: &mut CnameChain,
) -> Result<(), Incomplete> {
    // One slot holds the current name while its target is stored in the other.
    let (mut one, mut other) = (None, None);
    let (mut here, mut target) = (&mut one, &mut other);
    let mut owner = OwnerName::question(run.query.name());
    let mut verdict = verdict;
    // Created when a link is forwarded: most answers have none.
    let mut filter: Option<Filter<'_>> = None;
    let mut first = true;
    loop {
        let ours = !matches!(verdict, Verdict::Forward(_));
        let next = match verdict {
            Verdict::Zone { zone, rule, .. } => match run.zone(zone) {
                Some(zone) if run.is_parents(rule, zone, owner.name()) => {
                    no_data(run, owner, writer)?
                }
                Some(zone) => {
                    let zone = parent_side(run, zone, owner.name()).unwrap_or(zone);
                    let at = ChainPosition {
                        owner,
                        first,
                        filter: filter.as_ref(),
                    };
                    from_zone(run, zone, at, writer, target)?
                }
                None => NextName::End,
            },
            Verdict::Answer { records, .. } => {
                let at = ChainPosition {
                    owner,
                    first,
                    filter: filter.as_ref(),
                };
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
                forwarded(run, &grant, filter, writer, chain, target)?
            }
            Verdict::Deny(denial) => {
                if let Some(filter) = &filter {
                    let policy = run.context.snapshot.policy();
                    filter.check_target(run.query.name(), owner.name(), policy, &denial)?;
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
        verdict = run.decide(owner.name(), run.qtype());
        chain.used.note(verdict.used());
    }
}

/// Writes the upstream's answers from the name of `grant` on.
fn forwarded<'t>(
    run: QueryRun<'t>,
    grant: &Grant<'_, '_>,
    filter: &mut Filter<'t>,
    writer: &mut ReplyWriter<'_>,
    chain: &mut CnameChain,
    target: &mut Option<NameBuf>,
) -> Result<NextName<'static>, Incomplete> {
    if run.qtype() == RecordType::ANY {
        // Questions of type ANY are not forwarded (RFC 8482 section 4.2).
        writer.rrset(Section::Answer, grant.name(), run.context.snapshot.any())?;
        return Ok(NextName::End);
    }
    let entry = forward::response(run, grant, chain)?;
    let said = Forwarded {
        grant,
        entry: &entry,
    };
    forward::write(run, said, filter, writer, chain, target)
}

/// The local zone that answers a DS question at the origin of `child`, if it is another zone and
/// this client may query it. A DS belongs to the parent side of the cut (RFC 4035 section 3.1.4.1).
fn parent_side<'t>(run: QueryRun<'t>, child: &Zone, name: NameRef<'_>) -> Option<&'t Zone> {
    if run.qtype() != RecordType::DS || name != child.origin() {
        return None;
    }
    let verdict = run.decide(name.parent()?, RecordType::DS);
    let Verdict::Zone { zone, .. } = verdict else {
        return None;
    };
    let parent = run.zone(zone)?;
    // A zone above that does not delegate the name has no data for it.
    let delegates = matches!(
        parent.lookup(name, RecordType::NS),
        ZoneLookup::Referral { cut_labels, .. } if cut_labels == name.label_count()
    );
    delegates.then_some(parent)
}

/// Writes local records if the filter allows them.
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

/// Writes one alias, or the end of the chain, from a zone.
fn from_zone<'t>(
    run: QueryRun<'t>,
    zone: &'t Zone,
    at: ChainPosition<'_, '_>,
    writer: &mut ReplyWriter<'_>,
    target: &mut Option<NameBuf>,
) -> Result<NextName<'t>, Incomplete> {
    let ChainPosition {
        owner,
        first,
        filter,
    } = at;
    let name = owner.name();
    let found = zone.lookup(name, run.qtype());
    // AA refers to the first owner name of the answer (RFC 1035 section 4.1.1).
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
        } => return redirect(run, dname, owner_labels, name, writer, target),
        ZoneLookup::NoData => {
            writer.rrset(Section::Authority, zone.origin(), zone.negative_soa())?
        }
        ZoneLookup::NxDomain => {
            // In a chain, the response code refers to the last name (RFC 6604 section 2.1). A name
            // exists if a rule or another zone allows a name below it (RFC 8020).
            if !run.context.snapshot.policy().has_allowed_below(name) {
                writer.set_rcode(Rcode::NxDomain);
            }
            writer.rrset(Section::Authority, zone.origin(), zone.negative_soa())?;
        }
        ZoneLookup::Referral { cut_labels, ns } => {
            refer(zone, ns, name.last_labels(cut_labels), filter, writer)?
        }
    }
    Ok(NextName::End)
}

/// Writes one alias, or the end of the chain, from the records of a rule.
fn from_records<'t>(
    run: QueryRun<'t>,
    records: &'t [Rrset],
    at: ChainPosition<'_, '_>,
    writer: &mut ReplyWriter<'_>,
) -> Result<NextName<'t>, Incomplete> {
    let ChainPosition {
        owner,
        first,
        filter,
    } = at;
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

/// Ends a chain at a name that has no records of the type and is in no local zone.
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

/// Writes a CNAME and returns its target. The answer to ANY is the CNAME alone (RFC 8482 section
/// 4.2).
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

/// Writes a DNAME and the CNAME synthesized from it (RFC 6672 section 3.1). They are the complete
/// answer to a CNAME or ANY question (see [`alias`]).
fn redirect(
    run: QueryRun<'_>,
    dname: &Rrset,
    owner_labels: usize,
    name: NameRef<'_>,
    writer: &mut ReplyWriter<'_>,
    target: &mut Option<NameBuf>,
) -> Result<NextName<'static>, Incomplete> {
    writer.rrset(Section::Answer, name.last_labels(owner_labels), dname)?;
    let Some(substituted) = substituted(name, owner_labels, dname) else {
        // The new name would be too long (RFC 6672 section 2.2).
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

/// Replaces the last `owner_labels` labels of `name` with the DNAME's target.
fn substituted(name: NameRef<'_>, owner_labels: usize, dname: &Rrset) -> Option<NameBuf> {
    let (suffix, _) = NameBuf::read(dname.target()?).ok()?;
    substitute(name, owner_labels, suffix.as_ref())
}

/// Writes a referral: the name servers, and their addresses if the zone has them. If the glue does
/// not fit, the response is truncated (RFC 9471 section 3.1).
fn refer(
    zone: &Zone,
    ns: &Rrset,
    cut: NameRef<'_>,
    filter: Option<&Filter<'_>>,
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
