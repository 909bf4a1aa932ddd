//! Which questions and which records a configuration of these tests allows, in the simplest way: by the patterns of the naive
//! policy, and by lists.

use dnsgate_core::dns::RecordType;
use dnsgate_naive::{Pattern, wire_labels};

use super::unbound::CORP;
use crate::differential_nsd::wire::{Question, Record};

/// Zones besides that of most tests, each with the types that may be asked for; none: those that a rule without types has.
pub(crate) const ZONES: [(&str, &str, &[&str]); 3] = [
    (
        "types.test",
        "types.zone",
        &[
            "A",
            "AAAA",
            "TXT",
            "CAA",
            "NAPTR",
            "TLSA",
            "SSHFP",
            "HTTPS",
            "SVCB",
            "TYPE65280",
        ],
    ),
    ("names.test", "names.zone", &[]),
    (
        "aliases.test",
        "aliases.zone",
        // Not CNAME: below a DNAME, Unbound says now that the name exists and now that it does not.
        &["A", "AAAA", "TXT", "MX", "DNAME"],
    ),
];
/// What a rule without types is for.
const DEFAULT: [&str; 10] = [
    "A", "AAAA", "CNAME", "HTTPS", "SVCB", "SRV", "MX", "PTR", "NS", "SOA",
];
/// Whether a rule allows the question: the name by the naive policy's pattern, the type by the list.
pub(crate) fn is_allowed(question: &Question) -> bool {
    let qtype = RecordType(question.qtype).to_string();
    let name = wire_labels(&question.lower_name());
    let is_below = |origin: &str| Pattern::read(&format!(".{origin}")).matches(&name);
    let corp = [(CORP.0, &DEFAULT[..])];
    let others = ZONES.map(|(origin, _, types)| {
        (
            origin,
            if types.is_empty() {
                &DEFAULT[..]
            } else {
                types
            },
        )
    });
    corp.into_iter()
        .chain(others)
        .any(|(origin, types)| is_below(origin) && types.contains(&&*qtype))
}

/// Whether a record holds no address of a network of our own, as far as the zones have any.
pub(crate) fn may_pass(record: &Record) -> bool {
    let private = |at: &[u8]| {
        matches!(
            at,
            [0 | 10 | 127 | 224.., ..]
                | [192, 168, ..]
                | [169, 254, ..]
                | [172, 16..=31, ..]
                | [192, 0, 0 | 2, ..]
                | [198, 18 | 19, ..]
                | [198, 51, 100, ..]
                | [203, 0, 113, ..]
                | [100, 64..=127, ..]
        )
    };
    match RecordType(record.rtype) {
        RecordType::A => !private(&record.rdata),
        RecordType::AAAA => {
            let documentation = record.rdata.starts_with(&[0x20, 0x01, 0x0d, 0xb8]);
            let mapped = record.rdata.starts_with(&[0; 10]);
            let unicast = record.rdata[0] >> 5 == 1 && !documentation;
            unicast || mapped && !private(&record.rdata[12..])
        }
        RecordType::HTTPS | RecordType::SVCB => !record
            .rdata
            .windows(5)
            .any(|hint| hint[..4] == [0, 4, 0, 4] && private(&hint[4..])),
        _ => true,
    }
}
