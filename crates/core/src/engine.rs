//! Processes one query without I/O. It takes a packet, its source, the time and a snapshot, and
//! returns a response and an outcome, or the permit to ask an upstream first.
//!
//! ```text
//!  packet ─▶ parse ─▶ admit ─▶ decide ─┬─▶ answer (zone, rule) ───────────────────────┐
//!              │        │              ├─▶ forward: cache ─▶ response filter ─────────┤
//!              │        │              │      └─▶ Forward(permit) … resume ─▶ ▲       │
//!              │        │              └─▶ deny ──────────────────────────────────────┼─▶ reply + Outcome
//!              └────────┴── reject, deny ─────────────────────────────────────────────┘
//! ```
//!
//! [`begin`] processes a query as far as possible. If an upstream must be asked, it returns
//! [`Step::Forward`]. When the upstream has answered, [`resume`] repeats the same steps with that
//! answer.
//!
//! Only this module defines the order of the steps, and the policy depends on it: a malformed
//! packet never reaches the policy, a question of an unknown client never reaches a rule, and a
//! question that no rule allows is denied. The code of [`resume`] follows that order.
//!
//! [`RateLimiter`] precedes all steps: it limits the queries of a client without reading their
//! packets.
//!
//! This module has no sockets, tasks, clocks or metrics, and does not use the outcome. So the same
//! code serves UDP, TCP, `explain`, tests and fuzzers. A query that is answered, denied or found in
//! the cache does not allocate here; one that waits, fails or is filtered does.

use crate::{
    dns::{
        Ede, Failure, Malformed, Query, Rcode, ReplyWriter, Transport,
        query::{CLASS_IN, UDP_PAYLOAD, UDP_PAYLOAD_CLASSIC},
    },
    policy::{Verdict, probe_token},
};

mod answer;
mod conclude;
mod filter;
mod forward;
mod incomplete;
pub mod outcome;
mod query_run;
mod rate;
pub mod snapshot;
#[cfg(test)]
mod tests;

pub use crate::policy::{EntryId, GroupId, Permit, Policy, RuleId, UpstreamId};
pub use incomplete::FilterCheck;
pub use outcome::{Ending, Outcome, Reason, UsedEntries};
pub use query_run::{CacheView, Client, Context, FollowUp, Forward, Step, UpstreamResult};
pub use rate::{RATE_BUCKETS, RateLimit, RateLimiter, RateVerdict};
pub use snapshot::{Partition, Snapshot};

use query_run::QueryRun;

/// Processes a packet as far as possible without an upstream. It writes the response into `out`,
/// which should hold [`max_reply`] bytes of the transport; a shorter buffer gives shorter
/// responses.
///
/// The order (a test checks each adjacent pair):
/// 1. Drop or reject a malformed packet ([`Malformed`]).
/// 2. Refuse classes other than IN, meta types and loop probes.
/// 3. Deny a client in no group.
/// 4. Let the policy decide by name, type, group and time.
/// 5. Write the denial or the answer: from a zone, a rule, or an upstream's response. A client that
///    does not desire recursion gets no data of an upstream.
/// 6. Look up the response in the cache.
/// 7. If it is not there, request it from the upstream.
/// 8. Filter the response.
#[must_use]
pub fn begin(packet: &[u8], client: Client, context: &Context<'_>, out: &mut [u8]) -> Step {
    resume(packet, client, context, &[], out)
}

/// Processes a packet again after its query has waited. `results` are the answers to each
/// [`Step::Forward`] of this packet under this snapshot; without results this is [`begin`].
///
/// It parses, admits and decides the packet again instead of storing the first decision, because
/// this gives stronger guarantees:
/// - Every response is written under a verdict reached in the same call, from the packet that it
///   answers. A stored verdict would be authority that outlives its call, and could be paired with
///   another packet or snapshot.
/// - A result counts only if this pass requests it again: its permit must match the grant in name,
///   type, bits and upstream. Other results are never read.
/// - The policy decides each name of a CNAME chain, including names from upstreams. The answer to
///   each name needs a decision in any case; storing the first one would add a second path, not
///   remove one.
///
/// The snapshot is the same, so the second pass reaches the same verdicts. For a query that has
/// waited for the network, it costs about as much as a cache hit (`bench/instructions.budget`);
/// other queries pay nothing.
#[must_use]
pub fn resume(
    packet: &[u8],
    client: Client,
    context: &Context<'_>,
    results: &[UpstreamResult],
    out: &mut [u8],
) -> Step {
    let policy = context.snapshot.policy();
    // The query and the writer are a few hundred bytes each, so they are not moved.
    let mut query = Query::unread(packet);
    if let Err(fault) = query.read() {
        let admitted = fault.rcode().is_some() && policy.admit(client.source).is_some();
        return reject_malformed(packet, fault, client.transport, admitted, out);
    }
    let query = &query;
    let mut outcome = Outcome::new(Reason::NoRoom);
    outcome.qtype = Some(query.qtype());
    outcome.name_len = query.name().wire().len().to_le_bytes()[0]; // at most 255
    let max = reply_limit(query, client.transport);
    let mut writer = ReplyWriter::new(query, max, out);
    let Some(writer) = &mut writer else {
        return Step::Drop(outcome, None);
    };
    let group = policy.admit(client.source);
    if group.is_some() {
        // Every response to an admitted client sets RA: clients such as nslookup and host discard a
        // response without it and ask another server.
        writer.set_recursion_available();
    }

    if let Some(reason) = not_served(query) {
        return Step::refuse(reason, writer, outcome);
    }
    let Some(group) = group else {
        let denial = policy.deny_unknown_client();
        return conclude::deny(query, context.snapshot, denial, writer, outcome);
    };
    outcome.group = Some(group);
    let run = QueryRun {
        query,
        group,
        context,
        results,
    };
    match run.decide(query.name(), query.qtype()) {
        Verdict::Deny(denial) => conclude::deny(query, context.snapshot, denial, writer, outcome),
        verdict => run.answer(verdict, writer, outcome),
    }
}

/// The token of a loop probe, if the packet is one.
#[must_use]
pub fn probe_of(packet: &[u8]) -> Option<u128> {
    probe_token(Query::parse(packet).ok()?.name())
}

/// The response to a packet that could not be handled, for `reason`: SERVFAIL with the readable
/// part of the question, or no response if the packet must not get one. It serves a worker that
/// caught a panic or has no room for a waiting query. The latter gets an extended error.
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
    // Only queries of admitted clients reach this, apart from panics.
    writer.set_recursion_available();
    writer.set_rcode(Rcode::ServFail);
    let shed = (reason == Reason::Shed).then(|| Failure::Shed.to_string());
    let ede = shed
        .as_deref()
        .map(|text| (Ede::NoReachableAuthority, text));
    Step::reply(&mut writer, ede, outcome)
}

/// Handles a datagram of a client over its rate ([`RateLimiter`]), before any other step. It drops
/// the datagram or, if `slips` is set, sends an empty truncated response, so that the client
/// retries over TCP, which proves its address. A real client does so. The victim of a forged
/// address receives no more bytes than were sent in its name.
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
    // A client that is not admitted gets its denial over TCP.
    writer.set_recursion_available();
    writer.truncate();
    outcome.truncated = true;
    Step::reply(&mut writer, None, outcome)
}

/// The maximum size of a response over this transport in bytes: the size of buffer to offer.
#[must_use]
pub const fn max_reply(transport: Transport) -> usize {
    match transport {
        Transport::Udp => UDP_PAYLOAD as usize,
        Transport::Tcp => u16::MAX as usize,
    }
}

/// The maximum size of a response to a client without EDNS, in bytes.
const fn classic_limit(transport: Transport) -> usize {
    match transport {
        Transport::Udp => UDP_PAYLOAD_CLASSIC as usize,
        Transport::Tcp => max_reply(transport),
    }
}

/// The maximum size of the response to this query in bytes: the lower of the client's limit and
/// ours.
fn reply_limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns()) {
        (_, None) | (Transport::Tcp, _) => classic_limit(transport),
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_payload.min(UDP_PAYLOAD)),
    }
}

/// The reason if the query is of a kind that is never served, so that no policy applies.
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

/// Writes the response to a malformed packet, if any, for an admitted or unknown client.
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
    // The writer is a few hundred bytes, so it is not moved.
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
