//! The part of a rule that forwards: whom to ask, which questions, and what of the answer may pass.

use super::{error::Faults, file::RuleEntry, read::At, upstreams::Upstreams, value::Label};
use dnsgate_core::{
    dns::RecordType,
    policy::{AnswerRanges, Forwarding, TypeSet},
};

/// The questions that a rule forwards where it does not say: what clients ask to reach a name. Not
/// among them is what carries data at will both ways, such as TXT and NULL: a name that is let
/// through should not become a tunnel unasked.
///
/// ANY is here so that the rule wins it: the engine answers it by itself (RFC 8482) and no upstream
/// is ever asked.
const DEFAULT_TYPES: [RecordType; 11] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::SRV,
    RecordType::MX,
    RecordType::PTR,
    RecordType::NS,
    RecordType::SOA,
    RecordType::ANY,
];

/// The most ranges of one rule: each address of an answer is compared with all of them.
const MAX_RANGES: usize = 256;

/// The types of a rule that forwards and names none.
#[must_use]
pub fn default_types() -> TypeSet {
    DEFAULT_TYPES.into_iter().collect()
}

/// What a rule with `forward` does.
pub(super) fn forwarding(
    entry: &RuleEntry,
    upstream: &At<Label>,
    upstreams: &Upstreams,
    faults: &mut Faults<'_>,
) -> Option<Forwarding> {
    let found = upstreams.find(upstream, faults);
    let answers = match &entry.addresses {
        None => AnswerRanges::Public,
        Some(addresses) => {
            if addresses.value.is_empty() {
                faults.push_help(
                    addresses.place,
                    "`addresses` is empty, so no address could ever pass",
                    "leave `addresses` out for every public address".to_owned(),
                );
            }
            if let Some(range) = addresses.value.get(MAX_RANGES) {
                let message = format!("`addresses` has at most {MAX_RANGES} ranges");
                faults.push(range.place, message);
            }
            let ranges = addresses.value.iter().take(MAX_RANGES);
            // In one order, whatever that of the file is: it says nothing, and rules are compared.
            let mut ranges: Vec<_> = ranges.map(|at| at.value.0).collect();
            ranges.sort_unstable();
            ranges.dedup();
            AnswerRanges::Within(ranges.into())
        }
    };
    Some(Forwarding {
        upstream: found?,
        answers,
        cname: entry.cname.map(|at| at.value).unwrap_or_default(),
    })
}

/// Reports what has no meaning in a rule that does not forward.
pub(super) fn report_idle(entry: &RuleEntry, faults: &mut Faults<'_>) {
    let addresses = entry.addresses.as_ref().map(|addresses| addresses.place);
    let cname = entry.cname.map(|at| at.place);
    for (key, place) in [("addresses", addresses), ("cname", cname)] {
        if let Some(place) = place {
            let message = format!(
                "`{key}` is for rules with `forward`: it is about what an upstream answers"
            );
            faults.push(place, message);
        }
    }
}
