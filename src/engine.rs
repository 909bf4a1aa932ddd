//! One query's path, pure: a packet, its source and the time in; a reply and an outcome out.
//!
//! ```text
//!  packet ─▶ parse ─▶ admit ─▶ decide ─┬─▶ answer (zone, rule) ─┐
//!              │        │              └─▶ deny ────────────────┼─▶ reply + Outcome
//!              └────────┴── reject, deny ───────────────────────┘
//! ```
//!
//! This is the only place where the order stands, and the order is the policy's backbone: what is
//! malformed never reaches the policy, a stranger's question never reaches a rule, and what no rule
//! allows is denied. [`begin`] reads like the list.
//!
//! Not here: sockets, tasks, clocks, metrics, and what to do with an outcome. So the same code
//! serves UDP and TCP, `explain`, tests and fuzzers. Nothing on this path allocates.

use std::{net::IpAddr, time::SystemTime};

use crate::{
    dns::{
        Ede, Malformed, Query, Rcode, RecordType, ReplyWriter, Transport,
        edns::{UDP_PAYLOAD, UDP_PAYLOAD_CLASSIC},
        query::CLASS_IN,
        reply::Section,
    },
    policy::{Denial, DenialReason, DenyWith, Verdict, ZoneId},
    zone::Zone,
};

mod answer;
pub mod outcome;
pub mod snapshot;
#[cfg(test)]
mod tests;

pub use crate::policy::{GroupId, Policy, RuleId};
pub use outcome::{Ending, Outcome, Reason};
pub use snapshot::Snapshot;

/// Who asks, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The source address of the packet or connection.
    pub source: IpAddr,
    /// What it came by.
    pub transport: Transport,
}

/// What to do about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the first `len` bytes of the buffer back.
    Reply {
        /// The reply's length in bytes.
        len: usize,
        /// What happened.
        outcome: Outcome,
    },
    /// Send nothing.
    Drop(Outcome),
}

impl Step {
    /// The reply's length in bytes; 0 when there is none.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Reply { len, .. } => *len,
            Self::Drop(_) => 0,
        }
    }

    /// Whether there is no reply.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What happened.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        match self {
            Self::Reply { outcome, .. } | Self::Drop(outcome) => outcome,
        }
    }
}

/// Takes one packet the whole way. The reply is written into `out`, which should hold
/// [`max_reply`] bytes of the transport; a shorter one makes shorter replies.
///
/// The order (a test holds each adjacent pair):
/// 1. Malformed packets are dropped or rejected ([`Malformed`]).
/// 2. Classes other than IN and types that are no data are refused.
/// 3. A client in no group is denied.
/// 4. The policy decides by name, type, group and time.
/// 5. The answer is written, or the denial.
#[must_use]
pub fn begin(
    packet: &[u8],
    client: Client,
    snapshot: &Snapshot,
    now: SystemTime,
    out: &mut [u8],
) -> Step {
    let query = match Query::parse(packet) {
        Ok(query) => query,
        Err(fault) => return reject_malformed(packet, fault, client.transport, out),
    };
    let turn = Turn {
        query: &query,
        snapshot,
        now,
    };
    let mut outcome = Outcome::new(Reason::NoRoom);
    outcome.qtype = Some(query.qtype());
    let max = reply_limit(&query, client.transport);
    let Some(mut writer) = ReplyWriter::new(&query, max, out) else {
        return Step::Drop(outcome);
    };

    if let Some(reason) = not_served(&query) {
        outcome.reason = reason;
        writer.set_rcode(Rcode::Refused);
        return sent(writer, None, outcome);
    }
    let Some(group) = snapshot.policy().admit(client.source) else {
        return turn.deny(snapshot.policy().deny_stranger(), writer, outcome);
    };
    outcome.group = Some(group);
    match snapshot
        .policy()
        .decide(group, query.name(), query.qtype(), now)
    {
        Verdict::Deny(denial) => turn.deny(denial, writer, outcome),
        verdict => turn.answer(group, verdict, writer, outcome),
    }
}

/// The reply to a packet whose handling failed by a fault of ours: SERVFAIL, with the question as
/// far as it can be read, or nothing where the packet deserves none. For the worker that caught a
/// panic.
#[must_use]
pub fn fail(packet: &[u8], transport: Transport, out: &mut [u8]) -> Step {
    let mut outcome = Outcome::new(Reason::Panic);
    let writer = match Query::parse(packet) {
        Ok(query) => {
            outcome.qtype = Some(query.qtype());
            ReplyWriter::new(&query, reply_limit(&query, transport), out)
        }
        Err(fault) if fault.rcode().is_some() => {
            ReplyWriter::for_malformed(packet, 0, false, classic_limit(transport), out)
        }
        Err(_) => None,
    };
    let Some(mut writer) = writer else {
        return Step::Drop(outcome);
    };
    writer.set_rcode(Rcode::ServFail);
    sent(writer, None, outcome)
}

/// The most bytes that any reply over this transport has: the size of buffer to offer.
#[must_use]
pub const fn max_reply(transport: Transport) -> usize {
    match transport {
        Transport::Udp => UDP_PAYLOAD as usize,
        Transport::Tcp => u16::MAX as usize,
    }
}

/// The most bytes of the reply to a client without EDNS.
const fn classic_limit(transport: Transport) -> usize {
    match transport {
        Transport::Udp => UDP_PAYLOAD_CLASSIC as usize,
        Transport::Tcp => max_reply(transport),
    }
}

/// The most bytes of the reply to this query: the client's limit and ours.
fn reply_limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns()) {
        (_, None) | (Transport::Tcp, _) => classic_limit(transport),
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_payload.min(UDP_PAYLOAD)),
    }
}

/// Whether no policy is asked because nobody is ever answered this.
fn not_served(query: &Query<'_>) -> Option<Reason> {
    if query.qclass() != CLASS_IN {
        Some(Reason::Class)
    } else if query.qtype().is_meta() {
        Some(Reason::MetaType)
    } else {
        None
    }
}

/// The reply that a malformed packet deserves, if any.
fn reject_malformed(packet: &[u8], fault: Malformed, transport: Transport, out: &mut [u8]) -> Step {
    let (reason, question, edns) = match fault {
        Malformed::Short => (Reason::Short, 0, false),
        Malformed::Response => (Reason::NotAQuery, 0, false),
        Malformed::Opcode => (Reason::Opcode, 0, false),
        Malformed::Format { question, edns } => (Reason::Format, question, edns),
        Malformed::Version { question } => (Reason::EdnsVersion, question, true),
    };
    let outcome = Outcome::new(reason);
    let max = classic_limit(transport);
    let writer = ReplyWriter::for_malformed(packet, question, edns, max, out);
    let (Some(rcode), Some(mut writer)) = (fault.rcode(), writer) else {
        return Step::Drop(outcome);
    };
    writer.set_rcode(rcode);
    sent(writer, None, outcome)
}

/// Ends the reply and notes its code.
fn sent(writer: ReplyWriter<'_>, ede: Option<(Ede, &str)>, mut outcome: Outcome) -> Step {
    outcome.rcode = Some(writer.rcode());
    Step::Reply {
        len: writer.finish(ede),
        outcome,
    }
}

/// One query with what it is decided by.
#[derive(Clone, Copy)]
struct Turn<'t> {
    query: &'t Query<'t>,
    snapshot: &'t Snapshot,
    now: SystemTime,
}

impl<'t> Turn<'t> {
    /// Writes a denial, in the form that the rule, the group or the policy asks for.
    fn deny(self, denial: Denial<'_>, mut writer: ReplyWriter<'_>, mut outcome: Outcome) -> Step {
        outcome.rule = denial.rule;
        let ede = match denial.why {
            DenialReason::Stranger => Ede::Prohibited,
            DenialReason::Rule | DenialReason::Default => Ede::Blocked,
        };
        outcome.reason = match denial.why {
            DenialReason::Rule => Reason::Blocked,
            DenialReason::Default => Reason::NoRule,
            DenialReason::Stranger => Reason::Stranger,
        };
        let rcode = match denial.with {
            DenyWith::Drop => return Step::Drop(outcome),
            DenyWith::Refused => Rcode::Refused,
            DenyWith::NoData => Rcode::NoError,
            // NXDOMAIN would say that there is nothing below, either (RFC 8020).
            DenyWith::NxDomain if denial.has_allowed_below => Rcode::NoError,
            DenyWith::NxDomain => Rcode::NxDomain,
        };
        writer.set_rcode(rcode);
        if rcode != Rcode::Refused {
            // A negative answer is ours to give, and for a time: without AA a forwarder in front
            // may take us for lame, without a SOA it asks again at once (RFC 2308 section 5).
            writer.set_authoritative();
            let soa = self.snapshot.denial_soa();
            if writer
                .rrset(Section::Authority, soa.owner(), soa.set())
                .is_err()
            {
                writer.truncate();
                outcome.truncated = true;
            }
        }
        sent(writer, Some((ede, denial.text)), outcome)
    }

    /// Writes the answer that the verdict leads to.
    fn answer(
        self,
        group: GroupId,
        verdict: Verdict<'t, '_>,
        mut writer: ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        (outcome.reason, outcome.rule) = match verdict {
            Verdict::Zone { rule, .. } => (Reason::Zone, Some(rule)),
            Verdict::Answer { rule, .. } => (Reason::Rule, Some(rule)),
            Verdict::Forward(_) | Verdict::Deny(_) => (Reason::NoRule, None),
        };
        match answer::write(self, group, verdict, &mut writer) {
            Ok(()) => {}
            Err(answer::Stop::Full) => {
                writer.truncate();
                outcome.truncated = true;
            }
            Err(answer::Stop::TooManyHops) => {
                writer.clear();
                writer.set_rcode(Rcode::ServFail);
                outcome.reason = Reason::ChainTooLong;
            }
        }
        sent(writer, None, outcome)
    }

    fn zone(self, id: ZoneId) -> Option<&'t Zone> {
        self.snapshot.zone(id)
    }

    fn qtype(self) -> RecordType {
        self.query.qtype()
    }
}
