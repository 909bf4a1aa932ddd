//! The upstreams of a scenario. The scenario lists what they answer; any other question to them is an error.

use std::sync::Arc;

use dnsgate_core::{
    dns::{Failure, Name, Rcode, RecordType, Response, upstream_query},
    engine::Permit,
    zone::parse_record,
};
use serde::Deserialize;

/// What one upstream says to one question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Says {
    /// `name type`, and what the query has besides: `do`, `cd`.
    to: String,
    /// Which upstream, by its place in the configuration.
    #[serde(default)]
    of: u16,
    /// From which second on; what stands later in the list takes the place of what stands before.
    #[serde(default)]
    from: u64,
    #[serde(default = "noerror")]
    status: String,
    /// Instead of an answer: `timeout`.
    fails: Option<String>,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    authority: String,
}

fn noerror() -> String {
    "NOERROR".to_owned()
}

/// What the upstreams say to a question.
pub(crate) fn resolve(all: &[Says], permit: &Permit, at: u64) -> Result<Arc<Response>, Failure> {
    let asked = shown(permit);
    let said = |says: &&Says| {
        says.of == permit.upstream().0 && says.from <= at && squeezed(&says.to) == asked
    };
    let says = all.iter().rev().find(said);
    let says = says.unwrap_or_else(|| {
        panic!(
            "upstream {} was not to be asked for {asked}",
            permit.upstream().0
        )
    });
    if says.fails.is_some() {
        return Err(Failure::Timeout);
    }
    let bits = permit.bits();
    Response::parse(
        &message(says, permit),
        permit.name(),
        permit.qtype(),
        bits.dnssec_ok,
    )
    .map(Arc::new)
}

/// A question as [`Says::to`] has it.
pub(crate) fn shown(permit: &Permit) -> String {
    let name = permit.name().to_string();
    let bits = permit.bits();
    let mut text = format!("{} {}", name.trim_end_matches('.'), permit.qtype());
    text.push_str(if bits.dnssec_ok { " do" } else { "" });
    text.push_str(if bits.checking_disabled { " cd" } else { "" });
    text
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The reply, its names uncompressed.
fn message(says: &Says, permit: &Permit) -> Vec<u8> {
    let bits = permit.bits();
    let (name, qtype) = (permit.name(), permit.qtype());
    let mut message =
        upstream_query::encode(7, name, qtype, bits.dnssec_ok, bits.checking_disabled);
    message.truncate(12 + name.wire().len() + 4);
    let rcode = Rcode::ALL.into_iter().find(|it| it.as_str() == says.status);
    let rcode = rcode.expect("a code").number();
    message[2..4].copy_from_slice(&(0x8180 | rcode).to_be_bytes());
    message[10..12].fill(0);
    for (at, section) in [(6, &says.answer), (8, &says.authority)] {
        let count = section.lines().filter(|line| !line.is_empty()).count();
        message[at..at + 2].copy_from_slice(&(count as u16).to_be_bytes());
        for line in section.lines().filter(|line| !line.is_empty()) {
            message.extend(record(line));
        }
    }
    message
}

fn record(line: &str) -> Vec<u8> {
    let record = parse_record(line, &Name::root()).unwrap_or_else(|fault| panic!("{fault:?}"));
    let class: u16 = 1;
    let mut wire = record.owner.as_ref().wire().to_vec();
    let RecordType(rtype) = record.rtype;
    wire.extend([rtype, class].iter().flat_map(|field| field.to_be_bytes()));
    wire.extend(record.ttl.to_be_bytes());
    wire.extend((record.rdata.len() as u16).to_be_bytes());
    wire.extend(record.rdata);
    wire
}
