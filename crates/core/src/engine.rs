//! One query's path, pure: a packet, its source and the time in; a reply and an outcome out, or the
//! permit to ask an upstream first.
//!
//! ```text
//!  packet ─▶ parse ─▶ admit ─▶ decide ─┬─▶ answer (zone, rule) ──────────────┐
//!              │        │              ├─▶ forward: responses ─▶ response filter ─────────┤
//!              │        │              │      └─▶ Forward(permit) … resume ─▶ ▲  │
//!              │        │              └─▶ deny ─────────────────────────────┼─▶ reply + Outcome
//!              └────────┴── reject, deny ────────────────────────────────────┘
//! ```
//!
//! [`begin`] takes a query as far as it goes. Where an upstream's responses are missing it ends with
//! [`Step::Forward`]; when they have come, [`resume`] takes it the same way once more, with them at hand.
//!
//! This is the only place where the order stands, and the order is the policy's backbone: what is
//! malformed never reaches the policy, a unknown client's question never reaches a rule, and what no rule
//! allows is denied. [`begin`] reads like the list.
//!
//! Before it stands [`RateLimiter`], where a client may send only so much: it reads nothing of a packet.
//!
//! Not here: sockets, tasks, clocks, metrics, and what to do with an outcome. So the same code
//! serves UDP and TCP, `explain`, tests and fuzzers. Nothing on this path allocates for a query that
//! is answered, denied or found in the cache; one that must wait, fails or is filtered out does.

use crate::{
    dns::{
        Ede, Failure, Malformed, NameBuf, NameRef, Prefetch, Query, Rcode, RecordType, ReplyWriter,
        Transport,
        edns::{UDP_PAYLOAD, UDP_PAYLOAD_CLASSIC},
        query::{CLASS_IN, HEADER},
    },
    policy::{Grant, QueryBits, RuleOrigin, Verdict, ZoneId, probe_token},
    zone::Zone,
};

mod answer;
mod context;
mod deny;
mod filter;
mod forward;
pub mod outcome;
mod rate;
pub mod snapshot;
mod step;
#[cfg(test)]
mod tests;

pub use crate::policy::{GroupId, Permit, Policy, RuleId, UpstreamId};
pub use context::{CacheView, Client, Context};
pub use filter::FilterCheck;
pub use forward::UpstreamResult;
pub use outcome::{Ending, Outcome, Reason};
pub use rate::{RATE_BUCKETS, RateLimit, RateLimiter, RateVerdict};
pub use snapshot::{Partition, Snapshot};
pub use step::{FollowUp, Forward, Step};

use answer::Incomplete;
use forward::CnameChain;

/// What a reply says that is past its time.
const STALE: &str = "no upstream answers";
/// The same, where it stands in for a denial.
const BRIDGES: &str = "the upstream says now that there is none";
/// What a reply says whose chain of aliases has no end: [`MAX_ALIASES`](crate::dns::responses::MAX_ALIASES).
const ENDLESS: &str = "aliases (CNAME) in a circle, or more than 10 of them";

/// Takes one packet as far as it goes. A reply is written into `out`, which should hold
/// [`max_reply`] bytes of the transport; a shorter one makes shorter replies.
///
/// The order (a test holds each adjacent pair):
/// 1. Malformed packets are dropped or rejected ([`Malformed`]).
/// 2. Classes other than IN and types that are no data are refused, and so is a probe for loops.
/// 3. A client in no group is denied.
/// 4. The policy decides by name, type, group and time.
/// 5. The denial is written, or the answer: from a zone, a rule, or an upstream's responses. Who does
///    not desire recursion gets nothing of the last.
/// 6. Response are looked for in the cache.
/// 7. What is not there must be asked for.
/// 8. What was found is filtered.
#[must_use]
pub fn begin(packet: &[u8], client: Client, context: &Context<'_>, out: &mut [u8]) -> Step {
    resume(packet, client, context, &[], out)
}

/// The same for a packet whose query has waited, with all that has results since for it, each the
/// answer to a [`Step::Forward`] of this very packet under the same snapshot.
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
        return reject_malformed(packet, fault, (client.transport, admitted), out);
    }
    let query = &query;
    let run = QueryRun {
        query,
        context,
        results,
    };
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
        return refuse(reason, writer, outcome);
    }
    let Some(group) = group else {
        return run.deny(policy.deny_unknown_client(), writer, outcome);
    };
    outcome.group = Some(group);
    match run.decide(group, query.name(), query.qtype()) {
        Verdict::Deny(denial) => run.deny(denial, writer, outcome),
        verdict => run.answer(group, verdict, writer, outcome),
    }
}

/// Notes what the decision about a packet will read, as [`Policy::prefetch`]: before a batch of them
/// is taken up one by one.
pub fn prefetch(packet: &[u8], snapshot: &Snapshot, prefetch: &mut Prefetch) -> bool {
    // A query's question begins with the name, right behind the header.
    let question = packet.get(HEADER..).unwrap_or_default();
    snapshot.policy().prefetch(question, prefetch)
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
    sent(&mut writer, None, outcome)
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
    sent(&mut writer, None, outcome)
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
    (transport, admitted): (Transport, bool),
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
    let writer = ReplyWriter::for_malformed(packet, question, edns, max, out);
    let (Some(rcode), Some(mut writer)) = (fault.rcode(), writer) else {
        return Step::Drop(outcome, None);
    };
    if admitted {
        writer.set_recursion_available();
    }
    writer.set_rcode(rcode);
    sent(&mut writer, None, outcome)
}

fn refuse(reason: Reason, writer: &mut ReplyWriter<'_>, mut outcome: Outcome) -> Step {
    outcome.reason = reason;
    writer.set_rcode(Rcode::Refused);
    sent(writer, None, outcome)
}

/// Ends the reply and notes its code.
fn sent(writer: &mut ReplyWriter<'_>, ede: Option<(Ede, &str)>, mut outcome: Outcome) -> Step {
    outcome.rcode = Some(writer.rcode());
    Step::Reply {
        len: writer.finish(ede),
        outcome,
        more: None,
    }
}

/// One query with what it is decided by.
#[derive(Clone, Copy)]
struct QueryRun<'t> {
    query: &'t Query<'t>,
    context: &'t Context<'t>,
    results: &'t [UpstreamResult],
}

impl<'t> QueryRun<'t> {
    /// Writes the answer that the verdict leads to.
    fn answer(
        self,
        group: GroupId,
        verdict: Verdict<'t, '_>,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        let mut chain = CnameChain::default();
        let (reason, rule) = match &verdict {
            Verdict::Zone { rule, .. } => (Some(Reason::Zone), Some(*rule)),
            Verdict::Answer { rule, .. } => (Some(Reason::Rule), Some(*rule)),
            Verdict::Forward(grant) if self.qtype() == RecordType::ANY => {
                (Some(Reason::Any), grant.rule())
            }
            Verdict::Forward(grant) if grant.is_observed() => {
                (Some(Reason::Observed), grant.rule())
            }
            Verdict::Forward(grant) => (None, grant.rule()),
            Verdict::Deny(_) => (Some(Reason::NoRule), None),
        };
        outcome.rule = rule;
        let written = answer::write(self, group, verdict, writer, &mut chain);
        outcome.upstream = chain.upstream;
        outcome.reason = reason.unwrap_or(chain.reason());
        if reason.is_none() {
            outcome.rule = chain.observed.or(rule);
        }
        match written {
            Ok(()) => {}
            Err(Incomplete::Full) => {
                writer.truncate();
                outcome.truncated = true;
            }
            Err(stop) => return self.stop(group, stop, writer, outcome),
        }
        let text = if chain.bridges { BRIDGES } else { STALE };
        let ede = chain.stale.then_some((Ede::StaleAnswer, text));
        let mut step = sent(writer, ede, outcome);
        if let (Step::Reply { more, .. }, Some(permit)) = (&mut step, chain.refresh) {
            *more = Some(Box::new(FollowUp {
                refresh: Some(permit),
                rejected: None,
            }));
        }
        step
    }

    /// Ends an answer that could not be completed.
    fn stop(
        self,
        group: GroupId,
        stop: Incomplete,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        writer.clear();
        match stop {
            Incomplete::Forward { permit, stale } => Step::Forward(Box::new(Forward {
                permit,
                stale,
                outcome,
            })),
            Incomplete::Filtered(rejection) => {
                self.deny_filtered(group, rejection, writer, outcome)
            }
            Incomplete::NoRecursion => refuse(Reason::NoRecursion, writer, outcome),
            Incomplete::Failed { failure, cached } => {
                outcome.reason = failed(failure);
                writer.set_rcode(Rcode::ServFail);
                let text = failure.to_string();
                let ede = match failure {
                    _ if cached => Ede::CachedError,
                    Failure::Code(_) | Failure::Malformed | Failure::Looping => Ede::NetworkError,
                    Failure::Server(fault) if fault.is_answer() => Ede::NetworkError,
                    _ => Ede::NoReachableAuthority,
                };
                sent(writer, Some((ede, &text)), outcome)
            }
            Incomplete::Endless | Incomplete::Full => {
                writer.set_rcode(Rcode::ServFail);
                outcome.reason = match outcome.upstream {
                    Some(_) => Reason::UpstreamChain,
                    None => Reason::ChainTooLong,
                };
                sent(writer, Some((Ede::Other, ENDLESS)), outcome)
            }
        }
    }

    fn decide<'q>(self, group: GroupId, name: NameRef<'q>, qtype: RecordType) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(group, name, qtype, self.context.now);
        match verdict {
            Verdict::Zone { zone, rule } if qtype == RecordType::DS => {
                let zone = self
                    .zone(zone)
                    .filter(|zone| self.is_parents(rule, zone, name));
                zone.and_then(|_| self.ask_parent(group, name))
                    .map_or(verdict, Verdict::Forward)
            }
            verdict => verdict,
        }
    }

    /// Whether the question is for the DS at the top of a built-in zone: a DS stands on the parent's
    /// side of the cut (RFC 4035 section 3.1.4.1), and those zones know nothing of theirs. Where the
    /// policy forwards what is below the parent, the upstream is asked; otherwise there is none.
    fn is_parents(self, rule: RuleId, zone: &Zone, name: NameRef<'_>) -> bool {
        let policy = self.context.snapshot.policy();
        self.qtype() == RecordType::DS
            && name == zone.origin()
            && policy
                .rule(rule)
                .is_some_and(|rule| rule.origin == RuleOrigin::BuiltIn)
    }

    /// Leave to ask for the DS of `name`, if a name beside it would be forwarded.
    fn ask_parent<'q>(self, group: GroupId, name: NameRef<'q>) -> Option<Grant<'t, 'q>> {
        let mut beside = NameBuf::new();
        beside.push_label(b"*").ok()?;
        beside.push_name(name.parent()?).ok()?;
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(group, beside.as_ref(), RecordType::DS, self.context.now);
        match verdict {
            Verdict::Forward(grant) if self.may_be_forwarded() => grant.beside(name),
            _ => None,
        }
    }

    fn zone(self, id: ZoneId) -> Option<&'t Zone> {
        self.context.snapshot.zone(id)
    }

    fn qtype(self) -> RecordType {
        self.query.qtype()
    }

    /// Whether what is forwarded may be answered: recursion is desired, or nobody would be asked
    /// for it anyway.
    fn may_be_forwarded(self) -> bool {
        self.query.recursion_desired() || self.qtype() == RecordType::ANY
    }

    fn cache_view(self) -> Option<CacheView<'t>> {
        self.context.cache_view
    }

    /// The bits that travel with the question to an upstream.
    fn bits(self) -> QueryBits {
        QueryBits {
            dnssec_ok: self.query.edns().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: self.query.checking_disabled(),
        }
    }
}

/// The reason of a failure.
const fn failed(failure: Failure) -> Reason {
    match failure {
        Failure::Timeout => Reason::Timeout,
        Failure::Unreachable | Failure::Server(_) => Reason::Unreachable,
        Failure::Code(_) => Reason::UpstreamError,
        Failure::Malformed => Reason::UpstreamMalformed,
        Failure::Shed => Reason::Shed,
        Failure::Down => Reason::UpstreamDown,
        Failure::Looping => Reason::UpstreamLooping,
    }
}
