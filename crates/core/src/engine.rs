//! The path of one query, without I/O: it takes a packet, its source, the time and a snapshot, and returns a reply and an
//! outcome, or the permit to ask an upstream first.
//!
//! ```text
//!  packet ─▶ parse ─▶ admit ─▶ decide ─┬─▶ answer (zone, rule) ───────────────────────┐
//!              │        │              ├─▶ forward: cache ─▶ response filter ─────────┤
//!              │        │              │      └─▶ Forward(permit) … resume ─▶ ▲       │
//!              │        │              └─▶ deny ──────────────────────────────────────┼─▶ reply + Outcome
//!              └────────┴── reject, deny ─────────────────────────────────────────────┘
//! ```
//!
//! [`begin`] takes a query as far as it can. If an upstream must be asked, it returns [`Step::Forward`]; when the upstream
//! has answered, [`resume`] goes through the same steps again, with that answer at hand.
//!
//! The order of the steps stands only here, and the policy depends on it: a malformed packet never reaches the policy, the
//! question of an unknown client never reaches a rule, and a question that no rule allows is denied. [`resume`] reads like
//! that list.
//!
//! [`RateLimiter`] comes before all of it: it limits how much a client may send, and reads nothing of a packet.
//!
//! Not here: sockets, tasks, clocks, metrics, and what is done with an outcome. So the same code serves UDP, TCP, `explain`,
//! tests and fuzzers. A query that is answered, denied or found in the cache allocates nothing here; one that waits, fails
//! or is filtered out does.

use crate::{
    dns::{
        Malformed, Query, Rcode, ReplyWriter, Transport,
        edns::{UDP_PAYLOAD, UDP_PAYLOAD_CLASSIC},
        query::CLASS_IN,
    },
    policy::{Verdict, probe_token},
};

mod answer;
mod chain;
mod conclude;
mod context;
mod deny;
mod filter;
mod forward;
mod incomplete;
pub mod outcome;
mod query_run;
mod rate;
mod rejection;
pub mod snapshot;
mod step;
#[cfg(test)]
mod tests;
mod upstream_result;

pub use crate::policy::{GroupId, Permit, Policy, RuleId, UpstreamId};
pub use context::{CacheView, Client, Context};
pub use outcome::{Ending, Outcome, Reason};
pub use rate::{RATE_BUCKETS, RateLimit, RateLimiter, RateVerdict};
pub use rejection::FilterCheck;
pub use snapshot::{Partition, Snapshot};
pub use step::{FollowUp, Forward, Step};
pub use upstream_result::UpstreamResult;

use query_run::QueryRun;

/// Takes one packet as far as possible without asking an upstream. The reply is written into `out`, which should hold
/// [`max_reply`] bytes of the transport; a shorter buffer makes shorter replies.
///
/// The order (a test holds each adjacent pair):
/// 1. Malformed packets are dropped or rejected ([`Malformed`]).
/// 2. Classes other than IN and meta types are refused, and so are loop probes.
/// 3. A client in no group is denied.
/// 4. The policy decides by name, type, group and time.
/// 5. The denial is written, or the answer: from a zone, a rule, or an upstream's response. A client that does not desire
///    recursion gets nothing from an upstream.
/// 6. The response is looked up in the cache.
/// 7. If it is not there, the upstream must be asked.
/// 8. The response is filtered.
#[must_use]
pub fn begin(packet: &[u8], client: Client, context: &Context<'_>, out: &mut [u8]) -> Step {
    resume(packet, client, context, &[], out)
}

/// Takes a packet whose query has waited up again. `results` are the answers to each [`Step::Forward`] of this packet under
/// this snapshot; without any this is [`begin`].
///
/// It parses, admits and decides the packet a second time rather than carry the first decision across the wait, because that
/// is the stronger proof:
/// - A reply is only ever written under a verdict that was reached in the same call, from the packet that it answers. A stored
///   verdict would be authority that outlives the call that gave it, and could be paired with another packet or snapshot.
/// - A result counts only if this second walk asks for it again: its permit must match the grant in name, type, bits and
///   upstream. A result that was not asked for is never read.
/// - A chain of aliases is decided name by name, with what upstreams said. The answer to each name of it needs a decision in
///   either case; storing the first one would add a second path, not remove one.
///
/// The snapshot is the same, so the second walk decides the same. It costs a query that has waited for a network about as much
/// as a cache hit costs (`bench/instructions.budget`), and all other queries nothing.
#[must_use]
pub fn resume(
    packet: &[u8],
    client: Client,
    context: &Context<'_>,
    results: &[UpstreamResult],
    out: &mut [u8],
) -> Step {
    let policy = context.snapshot.policy();
    // Both the query and the writer are some hundred bytes: they stay where they were made.
    let mut query = Query::unread(packet);
    if let Err(fault) = query.read() {
        let admitted = fault.rcode().is_some() && policy.admit(client.source).is_some();
        return reject_malformed(packet, fault, client.transport, admitted, out);
    }
    let query = &query;
    let mut outcome = Outcome::new(Reason::NoRoom);
    outcome.qtype = Some(query.qtype());
    let max = reply_limit(query, client.transport);
    let mut writer = ReplyWriter::new(query, max, out);
    let Some(writer) = &mut writer else {
        return Step::Drop(outcome, None);
    };
    let group = policy.admit(client.source);
    if group.is_some() {
        // Whatever the reply is and wherever it comes from: clients such as nslookup and host throw
        // a reply without it away and ask another server.
        writer.set_recursion_available();
    }

    if let Some(reason) = not_served(query) {
        return Step::refuse(reason, writer, outcome);
    }
    let Some(group) = group else {
        let denial = policy.deny_unknown_client();
        return deny::deny(query, context.snapshot, denial, writer, outcome);
    };
    outcome.group = Some(group);
    let run = QueryRun {
        query,
        group,
        context,
        results,
    };
    match run.decide(query.name(), query.qtype()) {
        Verdict::Deny(denial) => deny::deny(query, context.snapshot, denial, writer, outcome),
        verdict => run.answer(verdict, writer, outcome),
    }
}

/// The token of the probe for loops that a packet is, if it is one.
#[must_use]
pub fn probe_of(packet: &[u8]) -> Option<u128> {
    probe_token(Query::parse(packet).ok()?.name())
}

/// The reply to a packet that could not be handled, for `reason`: SERVFAIL, with the question as far
/// as it can be read, or nothing where the packet deserves none. For the worker that caught a panic
/// or has no room for what must wait.
#[must_use]
pub fn fail(packet: &[u8], transport: Transport, reason: Reason, out: &mut [u8]) -> Step {
    let mut outcome = Outcome::new(reason);
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
        return Step::Drop(outcome, None);
    };
    // Only an admitted client's query comes so far, unless it made dnsgate panic.
    writer.set_recursion_available();
    writer.set_rcode(Rcode::ServFail);
    Step::reply(&mut writer, None, outcome)
}

/// What becomes of a datagram whose client is over its rate ([`RateLimiter`]), before anything else is done
/// about it: nothing, or where it `slips` an empty reply that asks the client to come back over TCP,
/// where its address is proven. A real client does, and the victim of a forged one gets no more than
/// was sent in its name.
#[must_use]
pub fn limited(packet: &[u8], slips: bool, out: &mut [u8]) -> Step {
    let mut outcome = Outcome::new(Reason::RateLimited);
    let query = slips.then(|| Query::parse(packet).ok()).flatten();
    let writer = query.as_ref().and_then(|query| {
        outcome.qtype = Some(query.qtype());
        ReplyWriter::new(query, reply_limit(query, Transport::Udp), out)
    });
    let Some(mut writer) = writer else {
        return Step::Drop(outcome, None);
    };
    // Who is not admitted either is told so over TCP.
    writer.set_recursion_available();
    writer.truncate();
    outcome.truncated = true;
    Step::reply(&mut writer, None, outcome)
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
    } else if probe_token(query.name()).is_some() {
        Some(Reason::LoopProbe)
    } else {
        None
    }
}

/// The reply that a malformed packet deserves, if any, from a client that is admitted or not.
fn reject_malformed(
    packet: &[u8],
    fault: Malformed,
    transport: Transport,
    admitted: bool,
    out: &mut [u8],
) -> Step {
    let (reason, question, edns) = match fault {
        Malformed::Short => (Reason::Short, 0, false),
        Malformed::Response => (Reason::NotAQuery, 0, false),
        Malformed::Opcode => (Reason::Opcode, 0, false),
        Malformed::Format { question, edns } => (Reason::Format, question, edns),
        Malformed::Version { question } => (Reason::EdnsVersion, question, true),
    };
    let outcome = Outcome::new(reason);
    let max = classic_limit(transport);
    // It stays where it was made: it is some hundred bytes.
    let mut writer = ReplyWriter::for_malformed(packet, question, edns, max, out);
    let (Some(rcode), Some(writer)) = (fault.rcode(), &mut writer) else {
        return Step::Drop(outcome, None);
    };
    if admitted {
        writer.set_recursion_available();
    }
    writer.set_rcode(rcode);
    Step::reply(writer, None, outcome)
}
