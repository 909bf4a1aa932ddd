//! The forwarding part of a rule: the upstream, the types forwarded, and the limits on the answer.

use super::{error::Faults, file::RuleEntry, given::At, upstreams::Upstreams, value::Label};
use dnsgate_core::{
    dns::RecordType,
    policy::{AnswerRanges, Forwarding, TypeSet},
};

/// The types forwarded by a rule that lists none: those that clients query to reach a name. Types that
/// carry arbitrary data, such as TXT and NULL, are left out: an allowed name should not become a
/// tunnel by default.
///
/// ANY is included so that this rule matches it: the engine answers ANY itself (RFC 8482) and never
/// forwards it.
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

/// The types of a rule that forwards and lists none.
#[must_use]
pub fn default_types() -> TypeSet {
    DEFAULT_TYPES.into_iter().collect()
}

/// The forwarding of a rule with `forward`.
pub(super) fn forwarding(
    entry: &RuleEntry,
    upstream: &At<Label>,
    upstreams: &Upstreams,
    faults: &mut Faults<'_>,
) -> Option<Forwarding> {
    let found = upstreams.find(upstream, faults);
    let answers = match &*entry.addresses {
        None if entry.addresses.is_bad => return None,
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
            // Sorted: the order in the file has no meaning, and rules are compared.
            let mut ranges: Vec<_> = ranges.map(|at| at.value.0).collect();
            ranges.sort_unstable();
            ranges.dedup();
            AnswerRanges::Within(ranges.into())
        }
    };
    Some(Forwarding {
        upstream: found?,
        answers,
        cname: entry.cname.into_value().unwrap_or_default(),
        budget: None,
    })
}

/// Reports keys that have no effect in a rule that does not forward.
pub(super) fn report_idle(entry: &RuleEntry, faults: &mut Faults<'_>) {
    const ANSWERS: &str = "answers";
    for (key, place, what) in [
        ("addresses", entry.addresses.place(), ANSWERS),
        ("cname", entry.cname.place(), ANSWERS),
        ("budget", entry.budget.place(), "is asked"),
    ] {
        if let Some(place) = place {
            let message =
                format!("`{key}` is for rules with `forward`: it is about what an upstream {what}");
            faults.push(place, message);
        }
    }
}
