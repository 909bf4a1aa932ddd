//! Writes the response to a decided query: its answer, its denial, or why there is no answer.

use std::time::SystemTime;

use jiff::{Timestamp, Unit};

use crate::{
    dns::{
        Ede, Failure, Query, Rcode, RecordType, ReplyWriter, Rrset,
        reply::{OwnerName, Section},
    },
    policy::{Denial, DenialReason, DenyWith, RuleId, Verdict},
};

use super::{
    answer,
    incomplete::{Incomplete, Rejection},
    outcome::{Outcome, Reason, UsedEntries},
    query_run::{CnameChain, FollowUp, Forward, QueryRun, Step},
    snapshot::Snapshot,
};

/// The text of a stale response.
const STALE: &str = "no upstream answers";
/// The text of a stale response that replaces a denial.
const BRIDGES: &str = "the upstream now denies that the record exists";
/// The text of a response with an endless chain:
/// [`MAX_ALIASES`](crate::dns::response::MAX_ALIASES).
const ENDLESS: &str = "aliases (CNAME) in a circle, or more than 10 of them";

impl<'t> QueryRun<'t> {
    /// Writes the answer for the verdict.
    pub(super) fn answer(
        self,
        verdict: Verdict<'t, '_>,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        if let Verdict::Answer {
            records,
            rule,
            entry,
        } = verdict
            && let Some(set) = records.iter().find(|set| set.rtype() == self.qtype())
        {
            outcome.used.question = entry.map(|entry| (rule, entry));
            return self.answer_at_once(rule, set, writer, outcome);
        }
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
        let question = verdict.used();
        let written = answer::write(self, verdict, writer, &mut chain);
        outcome.upstream = chain.upstream;
        outcome.used = UsedEntries {
            question,
            ..chain.used
        };
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
            Err(incomplete) => return self.end_incomplete(incomplete, writer, outcome),
        }
        let text = if chain.bridges { BRIDGES } else { STALE };
        let ede = chain.stale.then_some((Ede::StaleAnswer, text));
        let mut step = Step::reply(writer, ede, outcome);
        if let (Step::Reply { more, .. }, Some(permit)) = (&mut step, chain.refresh) {
            *more = Some(Box::new(FollowUp {
                refresh: Some(permit),
                rejected: None,
            }));
        }
        step
    }

    /// Writes the answer if a rule has the records, so that there is no chain to follow.
    fn answer_at_once(
        self,
        rule: RuleId,
        set: &Rrset,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        (outcome.reason, outcome.rule) = (Reason::Rule, Some(rule));
        writer.set_authoritative();
        let owner = OwnerName::question(self.query.name());
        if writer.rrset(Section::Answer, owner, set).is_err() {
            writer.truncate();
            outcome.truncated = true;
        }
        Step::reply(writer, None, outcome)
    }

    /// Ends an incomplete answer.
    fn end_incomplete(
        self,
        incomplete: Incomplete,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        writer.clear();
        match incomplete {
            Incomplete::Forward {
                permit,
                stale,
                rule,
            } => Step::Forward(Box::new(Forward {
                permit,
                stale,
                rule,
                outcome,
            })),
            Incomplete::OverBudget { rule, until } => {
                deny_over_budget(self, (rule, until), writer, outcome)
            }
            Incomplete::Filtered(rejection) => deny_filtered(self, rejection, writer, outcome),
            Incomplete::NoRecursion => Step::refuse(Reason::NoRecursion, writer, outcome),
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
                Step::reply(writer, Some((ede, &text)), outcome)
            }
            Incomplete::Endless | Incomplete::Full => {
                writer.set_rcode(Rcode::ServFail);
                outcome.reason = match outcome.upstream {
                    Some(_) => Reason::UpstreamChain,
                    None => Reason::ChainTooLong,
                };
                Step::reply(writer, Some((Ede::Other, ENDLESS)), outcome)
            }
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
        // Written as a denial before.
        Failure::OverBudget { .. } => Reason::OverBudget,
    }
}

/// Writes a denial in the form that the rule, the group or the policy specifies.
pub(super) fn deny(
    query: &Query<'_>,
    snapshot: &Snapshot,
    denial: Denial<'_>,
    writer: &mut ReplyWriter<'_>,
    mut outcome: Outcome,
) -> Step {
    outcome.rule = denial.rule;
    outcome.used.question = denial.rule.zip(denial.entry);
    let code = match denial.why {
        DenialReason::UnknownClient => Ede::Prohibited,
        _ => Ede::Blocked,
    };
    outcome.reason = match denial.why {
        DenialReason::Rule => Reason::Blocked,
        DenialReason::OtherGroup => Reason::OtherGroup,
        DenialReason::OtherType => Reason::OtherType,
        DenialReason::Expired => Reason::Expired,
        DenialReason::Search => Reason::Search,
        DenialReason::Default => Reason::NoRule,
        DenialReason::UnknownClient => Reason::UnknownClient,
    };
    let ede = (code, denial.text);
    write(query, snapshot, denial.with, ede, writer, outcome)
}

/// Writes the denial of an answer that the response filter rejected.
pub(super) fn deny_filtered(
    run: QueryRun<'_>,
    rejection: Rejection,
    writer: &mut ReplyWriter<'_>,
    mut outcome: Outcome,
) -> Step {
    outcome.reason = Reason::Filtered;
    outcome.check = Some(rejection.check);
    let snapshot = run.context.snapshot;
    let with = match snapshot.policy().deny_with(run.group) {
        // The name is allowed, and another type of it may pass.
        DenyWith::NxDomain => DenyWith::NoData,
        with => with,
    };
    // The response does not contain the record; only the log does, even without a response.
    let text = rejection.text(snapshot.policy());
    let ede = (Ede::Filtered, text.as_str());
    let mut step = write(run.query, snapshot, with, ede, writer, outcome);
    if let Step::Reply { more, .. } | Step::Drop(_, more) = &mut step {
        *more = Some(Box::new(FollowUp {
            refresh: None,
            rejected: Some(rejection.record),
        }));
    }
    step
}

/// Writes the denial of a question that the budget of a rule does not allow until then.
pub(super) fn deny_over_budget(
    run: QueryRun<'_>,
    (rule, until): (Option<RuleId>, SystemTime),
    writer: &mut ReplyWriter<'_>,
    mut outcome: Outcome,
) -> Step {
    outcome.reason = Reason::OverBudget;
    outcome.rule = rule;
    let snapshot = run.context.snapshot;
    let policy = snapshot.policy();
    let with = match policy.deny_with(run.group) {
        // The name is allowed, and may exist.
        DenyWith::NxDomain => DenyWith::NoData,
        with => with,
    };
    let name = rule.and_then(|id| policy.rule(id)).map(|rule| &*rule.name);
    let end = Timestamp::try_from(until).and_then(|end| end.round(Unit::Second));
    let end = end.map_or_else(|_| "its window ends".to_owned(), |end| end.to_string());
    let text = format!(
        "rule {}: its budget for this domain is used up until {end}",
        name.unwrap_or_default()
    );
    write(
        run.query,
        snapshot,
        with,
        (Ede::Blocked, &text),
        writer,
        outcome,
    )
}

fn write(
    query: &Query<'_>,
    snapshot: &Snapshot,
    with: DenyWith,
    ede: (Ede, &str),
    writer: &mut ReplyWriter<'_>,
    mut outcome: Outcome,
) -> Step {
    let rcode = match with {
        DenyWith::Drop => return Step::Drop(outcome, None),
        DenyWith::Refused => Rcode::Refused,
        DenyWith::NoData => Rcode::NoError,
        DenyWith::NxDomain => Rcode::NxDomain,
    };
    writer.set_rcode(rcode);
    if rcode != Rcode::Refused {
        // Without AA a downstream forwarder may treat this server as lame, and without an SOA it
        // repeats the query immediately (RFC 2308 section 5).
        writer.set_authoritative();
        let owner = OwnerName::question(query.name());
        let written = writer.rrset(Section::Authority, owner, snapshot.denial_soa());
        if written.is_err() {
            writer.truncate();
            outcome.truncated = true;
        }
    }
    Step::reply(writer, Some(ede), outcome)
}
