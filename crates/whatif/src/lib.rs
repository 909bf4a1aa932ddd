//! What a configuration would do, found out by asking it: policy tests, what would change between
//! two configurations, and why a question gets the answer that it gets.
//!
//! A question becomes a packet and goes through [`engine::begin`], as a client's would; nothing is
//! decided here. So a test cannot pass for a reason that does not hold in the server.
//!
//! No upstream is asked either: a question that one would have to answer ends with leave to ask it,
//! and what is known of its answer is where it may come from and what it may hold.
//!
//! Not here: files, logs, clocks and output, which are the verbs' (`cli`), and what happens to a
//! configuration whose tests fail (`app`, `reload`).

#![forbid(unsafe_code)]

use std::{fmt, net::IpAddr, time::SystemTime};

use dnsgate_config::{Case, Unquoted, Upstream};
use dnsgate_core::{
    dns::{Name, NameRef, RecordType, Transport},
    engine::{
        self, Client, Context, Forward, Outcome, Partition, Policy, Snapshot, Step, UpstreamId,
    },
    policy::{Forwarding, Verdict},
    zone::Zone,
};

mod answer;
pub mod diff;
pub mod explain;
#[cfg(test)]
mod tests;
mod trial;

pub use diff::Diff;
pub use trial::{Tried, run};

/// The most failures that are told at a start or a reload; more are counted.
const MAX_TOLD: usize = 20;

/// The question as a packet with EDNS, so that the reply has room for its reason.
#[must_use]
fn packet(name: NameRef<'_>, rtype: RecordType) -> Vec<u8> {
    const HEADER: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    const IN: [u8; 2] = [0, 1];
    [HEADER, name.wire(), &rtype.0.to_be_bytes(), &IN, OPT].concat()
}

/// A configuration that can be asked.
#[derive(Clone, Debug)]
pub struct Subject<'s> {
    snapshot: &'s Snapshot,
    /// By number.
    upstreams: Vec<&'s Upstream>,
}

impl<'s> Subject<'s> {
    /// A snapshot, and the upstreams that it knows by their numbers.
    pub fn new(snapshot: &'s Snapshot, upstreams: impl IntoIterator<Item = &'s Upstream>) -> Self {
        Self {
            snapshot,
            upstreams: upstreams.into_iter().collect(),
        }
    }

    /// The name of the upstream that has a part in an outcome.
    fn upstream_of(&self, outcome: &Outcome) -> Option<&'s str> {
        Some(&self.upstream(outcome.upstream?)?.name)
    }

    /// The operator's name for an upstream.
    fn name_of(&self, id: UpstreamId) -> &'s str {
        self.upstream(id)
            .map_or("nobody", |upstream| &upstream.name)
    }

    fn upstream(&self, id: UpstreamId) -> Option<&'s Upstream> {
        self.upstreams.get(usize::from(id.0)).copied()
    }
}

/// A snapshot to be asked and never put in force: there is nothing in its upstreams' partitions.
#[must_use]
pub fn snapshot(policy: Policy, zones: Vec<Zone>, upstreams: usize) -> Snapshot {
    let partitions = (0..).map(Partition).take(upstreams).collect();
    Snapshot::new(1, policy, zones).with_upstreams(partitions)
}

/// One question, and who asks it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The name.
    pub name: NameRef<'q>,
    /// The type.
    pub rtype: RecordType,
    /// Who asks.
    pub source: IpAddr,
    /// What it comes by.
    pub transport: Transport,
}

/// What came of a question.
struct Seen {
    outcome: Outcome,
    /// Empty when there is none.
    reply: Vec<u8>,
    /// What an upstream would have to be asked for.
    asks: Option<Asks>,
}

/// What is known of an answer that an upstream has to give.
#[derive(PartialEq, Eq)]
struct Asks {
    name: Name,
    /// Who is asked, and what of the answer may pass.
    forwarding: Forwarding,
}

impl Asks {
    /// What a permit was given for: the same decision once more.
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
fn ask(question: Question<'_>, snapshot: &Snapshot, now: SystemTime) -> Seen {
    let Question {
        source, transport, ..
    } = question;
    let client = Client { source, transport };
    let packet = packet(question.name, question.rtype);
    let mut reply = vec![0; engine::max_reply(transport)];
    let step: Step = engine::begin(&packet, client, &Context::new(snapshot, now), &mut reply);
    reply.truncate(step.len());
    let asks = match &step {
        Step::Forward(ask) => Asks::of(ask, snapshot, now),
        Step::Reply { .. } | Step::Drop(..) => None,
    };
    Seen {
        outcome: *step.outcome(),
        reply,
        asks,
    }
}

/// The name of the rule that decided.
fn rule_of<'p>(outcome: &Outcome, policy: &'p Policy) -> Option<&'p str> {
    let rule = policy.rule(outcome.rule?)?;
    Some(&rule.name)
}

/// The tests of a configuration that fail: why it is not put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    tests: usize,
    /// The first [`MAX_TOLD`] of them, a line each.
    told: Vec<String>,
    failed: usize,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tests,
            told,
            failed,
        } = self;
        write!(f, "{failed} of {tests} policy tests failed")?;
        for line in told {
            write!(f, "\n{line}")?;
        }
        match failed.saturating_sub(told.len()) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl Failures {
    /// How many failed: what they ask and expect is told by the verbs and the log.
    #[must_use]
    pub fn unquoted(&self) -> Unquoted {
        Unquoted::from("")
            .and_number(self.failed as u64)
            .and(" of ")
            .and_number(self.tests as u64)
            .and(" policy tests failed; the log of dnsgate says which, and so does `dnsgate test`")
    }
}

impl std::error::Error for Failures {}

/// Holds a configuration to its own tests.
///
/// # Errors
/// Those that fail.
pub fn check(cases: &[Case], subject: &Subject<'_>, now: SystemTime) -> Result<(), Failures> {
    let mut failures = Failures {
        tests: cases.len(),
        told: Vec::new(),
        failed: 0,
    };
    for tried in run(cases, subject, now) {
        let Some(failure) = &tried.failure else {
            continue;
        };
        failures.failed += 1;
        if failures.told.len() < MAX_TOLD {
            failures.told.push(format!("{tried}: {failure}"));
        }
    }
    match failures.failed {
        0 => Ok(()),
        _ => Err(failures),
    }
}
