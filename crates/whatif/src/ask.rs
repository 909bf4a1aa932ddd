//! Asks a configuration one question: encodes it as a packet and passes it through the engine, like
//! a client's query. No upstream is asked; the result states which upstream it would be, and what
//! its answer may contain. hickory-proto decodes the answer, so that no code checks its own output.

use std::{net::IpAddr, time::SystemTime};

use hickory_proto::{op::Message, rr};

use dnsgate_config::Upstream;
use dnsgate_core::{
    dns::{Name, NameBuf, NameRef, RecordType, Transport, rrset::wire_rdata},
    engine::{
        self, Client, Context, Forward, Outcome, Partition, Policy, Snapshot, Step, UpstreamId,
    },
    policy::{Forwarding, Verdict},
    zone::Zone,
};

/// The question as a packet with EDNS, so that the reply has room for the reason.
#[must_use]
pub(super) fn packet(name: NameRef<'_>, rtype: RecordType) -> Vec<u8> {
    const HEADER: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    const IN: [u8; 2] = [0, 1];
    [HEADER, name.wire(), &rtype.0.to_be_bytes(), &IN, OPT].concat()
}

/// A configuration to ask.
#[derive(Clone, Debug)]
pub struct Subject<'s> {
    pub(super) snapshot: &'s Snapshot,
    /// The upstreams, by number.
    upstreams: Vec<&'s Upstream>,
}

impl<'s> Subject<'s> {
    /// Combines a snapshot with its upstreams, in the order of their numbers.
    pub fn new(snapshot: &'s Snapshot, upstreams: impl IntoIterator<Item = &'s Upstream>) -> Self {
        Self {
            snapshot,
            upstreams: upstreams.into_iter().collect(),
        }
    }

    /// The name of the upstream in an outcome, if it has one.
    pub(super) fn upstream_of(&self, outcome: &Outcome) -> Option<&'s str> {
        Some(&self.upstream(outcome.upstream?)?.name)
    }

    /// The name that the operator gave to an upstream.
    pub(super) fn name_of(&self, id: UpstreamId) -> &'s str {
        self.upstream(id)
            .map_or("nobody", |upstream| &upstream.name)
    }

    pub(super) fn upstream(&self, id: UpstreamId) -> Option<&'s Upstream> {
        self.upstreams.get(usize::from(id.0)).copied()
    }
}

/// A snapshot that is only asked and never put into force: its upstreams' cache partitions are empty.
#[must_use]
pub fn snapshot(policy: Policy, zones: Vec<Zone>, upstreams: usize) -> Snapshot {
    let partitions = (0..).map(Partition).take(upstreams).collect();
    Snapshot::new(1, policy, zones).with_upstreams(partitions)
}

/// One question with its client.
#[derive(Clone, Copy, Debug)]
pub struct ClientQuestion<'q> {
    /// The name.
    pub name: NameRef<'q>,
    /// The type.
    pub rtype: RecordType,
    /// The address of the client.
    pub source: IpAddr,
    /// The transport of the query.
    pub transport: Transport,
}

/// The engine's decision about a question.
pub(super) struct Decided {
    pub(super) outcome: Outcome,
    /// The reply; empty if there is none.
    pub(super) reply: Vec<u8>,
    /// The question for an upstream, if one would be asked.
    pub(super) asks: Option<ForwardedTo>,
}

/// A question that an upstream would have to answer.
#[derive(PartialEq, Eq)]
pub(super) struct ForwardedTo {
    pub(super) name: Name,
    /// The upstream, and the limits on its answer.
    pub(super) forwarding: Forwarding,
}

impl ForwardedTo {
    /// The forwarding for a permit: repeats the policy's decision.
    fn of(ask: &Forward, snapshot: &Snapshot, now: SystemTime) -> Option<Self> {
        let policy = snapshot.policy();
        let (name, qtype) = (ask.permit.name(), ask.permit.qtype());
        match policy.decide(ask.outcome.group?, name, qtype, now) {
            Verdict::Forward(grant) => Some(Self {
                name: name.to_name(),
                forwarding: grant.forwarding().clone(),
            }),
            _ => None,
        }
    }
}

/// Asks one question.
pub(super) fn ask(question: ClientQuestion<'_>, snapshot: &Snapshot, now: SystemTime) -> Decided {
    let ClientQuestion {
        source, transport, ..
    } = question;
    let client = Client { source, transport };
    let packet = packet(question.name, question.rtype);
    let mut reply = vec![0; engine::max_reply(transport)];
    let step: Step = engine::begin(&packet, client, &Context::new(snapshot, now), &mut reply);
    reply.truncate(step.len());
    let asks = match &step {
        Step::Forward(ask) => ForwardedTo::of(ask, snapshot, now),
        Step::Reply { .. } | Step::Drop(..) => None,
    };
    Decided {
        outcome: *step.outcome(),
        reply,
        asks,
    }
}

/// The name of the rule that decided.
pub(super) fn rule_of<'p>(outcome: &Outcome, policy: &'p Policy) -> Option<&'p str> {
    let rule = policy.rule(outcome.rule?)?;
    Some(&rule.name)
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AnswerRecord {
    pub(super) owner: String,
    pub(super) rtype: RecordType,
    pub(super) rdata: Vec<u8>,
    /// Type and data in zone-file form.
    pub(super) shown: String,
}

impl AnswerRecord {
    /// Whether this is the given record. The TTL is ignored, and so is the case of letters if the data
    /// is a name.
    pub(super) fn is(&self, owner: &Name, rtype: RecordType, rdata: &[u8]) -> bool {
        let same_data = match rtype {
            RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => {
                self.rdata.eq_ignore_ascii_case(rdata)
            }
            _ => self.rdata == rdata,
        };
        same_data && self.rtype == rtype && self.owner == owner.to_string()
    }

    /// The address of an A or AAAA record.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            RecordType::A => <[u8; 4]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            _ => None,
        }
    }
}

/// The records in the answer section of a reply; none if there is no reply.
pub(super) fn records(reply: &[u8]) -> Vec<AnswerRecord> {
    // hickory-proto can read everything that the engine writes: tests/scenarios checks that.
    let answers = Message::from_vec(reply).map_or_else(|_| Vec::new(), |message| message.answers);
    answers.iter().filter_map(record).collect()
}

fn record(record: &rr::Record) -> Option<AnswerRecord> {
    let mut owner = NameBuf::new();
    for label in record.name.iter() {
        owner.push_label(label).ok()?;
    }
    let rdata = wire_rdata(&record.data).ok()?;
    let rtype = RecordType(u16::from(record.record_type()));
    let data = match NameBuf::read(&rdata) {
        // hickory-proto cannot display DNAME, and does not escape all names unambiguously.
        Ok((name, _)) if matches!(rtype, RecordType::CNAME | RecordType::DNAME) => {
            name.as_ref().to_string()
        }
        _ => record.data.to_string(),
    };
    Some(AnswerRecord {
        owner: owner.as_ref().to_string(),
        rtype,
        rdata,
        shown: format!("{rtype} {data}"),
    })
}

/// Whether two answers have the same records, in any order.
pub(super) fn are_same(one: &[AnswerRecord], other: &[AnswerRecord]) -> bool {
    let sorted = |records: &[AnswerRecord]| {
        let mut records = records.to_vec();
        records.sort();
        records
    };
    sorted(one) == sorted(other)
}

/// Records as text.
pub(super) fn shown(records: &[AnswerRecord]) -> String {
    let texts: Vec<_> = records.iter().map(|record| &*record.shown).collect();
    if texts.is_empty() {
        "no records".to_owned()
    } else {
        texts.join(", ")
    }
}
