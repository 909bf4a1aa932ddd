//! The differences between the two servers that are allowed, with the reasons.
//!
//! An entry applies only if its reason explains every difference. Both servers follow chains from zone to zone, and NSD sends
//! minimal responses, so neither of these needs an entry.

use dnsgate_core::dns::RecordType;

use super::wire::{Question, Record, Reply};

const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const YXDOMAIN: u8 = 6;

/// One difference that is no fault of ours.
pub(crate) struct Accepted {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) holds: fn(&Both<'_>) -> bool,
}

/// A question and both replies to it.
pub(crate) struct Both<'b> {
    pub(crate) question: &'b Question,
    pub(crate) nsd: &'b Reply,
    pub(crate) ours: &'b Reply,
}

pub(crate) const ACCEPTED: &[Accepted] = &[
    Accepted {
        name: "ANY at a name with data",
        reason: "one HINFO record (RFC 8482 section 4.2), where NSD gives all that it has",
        holds: any,
    },
    Accepted {
        name: "ANY below a DNAME",
        reason: "the CNAME is the answer, as a stored one is (RFC 8482 section 4.2); NSD goes on",
        holds: any_below_dname,
    },
    Accepted {
        name: "loop of aliases",
        reason: "an error (RFC 1034 section 3.6.2), where NSD stops at some point and leaves it to the client",
        holds: endless,
    },
    Accepted {
        name: "glue does not fit",
        reason: "truncated (RFC 9471 section 3.1), where NSD 4.6 leaves out what does not fit",
        holds: glue_cut_off,
    },
    Accepted {
        name: "contents of a truncated reply",
        reason: "a client ignores them (RFC 2181 section 9); NSD leaves in what fits, dnsgate nothing",
        holds: truncated,
    },
    Accepted {
        name: "code of a truncated chain",
        reason: "a client ignores it, too; NSD goes to the chain's end, dnsgate to where it was cut off",
        holds: truncated_chain,
    },
    Accepted {
        name: "records of a signed zone",
        reason: "dnsgate serves no signatures, so it leaves them out, with what speaks of them",
        holds: of_signed_zone,
    },
    Accepted {
        name: "TTLs of one set",
        reason: "the least of them counts (RFC 2181 section 5.2), where NSD gives each record its own",
        holds: ttls,
    },
];

/// Code, AA and TC.
fn head(reply: &Reply) -> (u8, bool, bool) {
    (reply.rcode, reply.authoritative, reply.truncated)
}

/// All sections are empty.
fn is_bare(reply: &Reply) -> bool {
    reply.answer.is_empty() && reply.authority.is_empty() && reply.additional.is_empty()
}

/// NSD's reply without what speaks of signatures is ours; where that was its whole answer, we say that there is none.
fn of_signed_zone(both: &Both<'_>) -> bool {
    let left_out = [
        RecordType::RRSIG,
        RecordType::NSEC,
        RecordType::NSEC3,
        RecordType::NSEC3PARAM,
        RecordType::DNSKEY,
        RecordType::CDS,
        RecordType::CDNSKEY,
        RecordType::ZONEMD,
    ];
    let Both {
        question,
        nsd,
        ours,
    } = both;
    let kept = |records: &[Record], also: Option<RecordType>| -> Vec<Record> {
        let goes = |record: &&Record| {
            left_out
                .iter()
                .chain(&also)
                .any(|rtype| rtype.0 == record.rtype)
        };
        records
            .iter()
            .filter(|record| !goes(record))
            .cloned()
            .collect()
    };
    let answer = kept(&nsd.answer, None);
    let nothing_left = answer.is_empty() && !nsd.answer.is_empty();
    let within = question
        .name
        .to_ascii_lowercase()
        .ends_with(b"\x06signed\x04test\0");
    within
        && head(nsd) == head(ours)
        && answer == ours.answer
        // The DS of a referral, or that there is none, is for those who validate (RFC 4035 section 3.1.4).
        && (nothing_left || kept(&nsd.authority, Some(RecordType::DS)) == ours.authority)
}

fn any(both: &Both<'_>) -> bool {
    let Both {
        question,
        nsd,
        ours,
    } = both;
    let [hinfo] = &*ours.answer else {
        return false;
    };
    let at_name = |record: &Record| record.owner == question.lower_name();
    question.qtype == RecordType::ANY.0
        && head(ours) == (NOERROR, true, false)
        && (hinfo.rtype, &*hinfo.rdata) == (RecordType::HINFO.0, b"\x07RFC8482\0")
        && at_name(hinfo)
        && ours.authority.is_empty()
        && (nsd.rcode, nsd.authoritative) == (NOERROR, true)
        && (nsd.truncated || !nsd.answer.is_empty())
        && nsd.answer.iter().all(at_name)
}

fn any_below_dname(both: &Both<'_>) -> bool {
    let Both {
        question,
        nsd,
        ours,
    } = both;
    let count = |rtype: RecordType| {
        let records = ours.answer.iter();
        records.filter(|record| record.rtype == rtype.0).count()
    };
    question.qtype == RecordType::ANY.0
        && head(ours) == (NOERROR, true, false)
        && ours.answer.len() == 2
        && (count(RecordType::DNAME), count(RecordType::CNAME)) == (1, 1)
        && ours.authority.is_empty()
        && nsd.authoritative
        && (nsd.truncated || ours.answer.iter().all(|own| nsd.answer.contains(own)))
}

/// NSD's answer is aliases only, and each leads to one of them.
fn endless(both: &Both<'_>) -> bool {
    let Both {
        question,
        nsd,
        ours,
    } = both;
    // To a name that is an alias, or below one that is a DNAME (at it, where the one that leads there is one, too).
    let leads_on = |alias: &Record| {
        nsd.answer.iter().any(|next| match RecordType(next.rtype) {
            RecordType::CNAME => alias.rdata == next.owner,
            RecordType::DNAME => alias.rdata.ends_with(&next.owner),
            _ => false,
        })
    };
    // Over UDP the reply may be full before the circle closes; the client then hears of the error over TCP.
    let full = !question.over_tcp && head(ours) == (NOERROR, true, true);
    (full || head(ours) == (SERVFAIL, true, false))
        && is_bare(ours)
        && nsd.authoritative
        && [NOERROR, YXDOMAIN].contains(&nsd.rcode)
        && nsd.authority.is_empty()
        && !nsd.answer.is_empty()
        && nsd.answer.iter().all(leads_on)
}

fn glue_cut_off(both: &Both<'_>) -> bool {
    // What one more address would take: a pointer, the fixed fields, an IPv6 address.
    const RECORD: usize = 2 + 10 + 16;
    let Both {
        question,
        nsd,
        ours,
    } = both;
    let limit = question.edns.map_or(512, |(size, _)| size.min(1232));
    !question.over_tcp
        && head(nsd) == (NOERROR, false, false)
        && nsd.refers()
        && nsd.answer.is_empty()
        && nsd.len() + RECORD > usize::from(limit)
        && head(ours) == (NOERROR, false, true)
        && is_bare(ours)
}

fn truncated(both: &Both<'_>) -> bool {
    let Both {
        question,
        nsd,
        ours,
    } = both;
    !question.over_tcp && head(nsd) == head(ours) && ours.truncated && is_bare(ours)
}

fn truncated_chain(both: &Both<'_>) -> bool {
    let Both {
        question,
        nsd,
        ours,
    } = both;
    !question.over_tcp
        && [NXDOMAIN, YXDOMAIN].contains(&nsd.rcode)
        && (nsd.authoritative, nsd.truncated) == (true, true)
        && head(ours) == (NOERROR, true, true)
        && is_bare(ours)
}

fn ttls(both: &Both<'_>) -> bool {
    let Both { nsd, ours, .. } = both;
    let least = nsd.answer.iter().map(|record| record.ttl).min();
    let mut lowered = nsd.answer.clone();
    for record in &mut lowered {
        record.ttl = least.unwrap_or_default();
    }
    lowered.sort();
    head(nsd) == head(ours) && ours.answer == lowered && nsd.authority == ours.authority
}
