//! Writes denials.

use std::time::SystemTime;

use jiff::{Timestamp, Unit};

use crate::{
    dns::{
        Ede, Query, Rcode, ReplyWriter,
        reply::{OwnerName, Section},
    },
    policy::{Denial, DenialReason, DenyWith, RuleId},
};

use super::{
    outcome::{Outcome, Reason},
    query_run::QueryRun,
    rejection::Rejection,
    snapshot::Snapshot,
    step::{FollowUp, Step},
};

/// Writes a denial in the form that the rule, the group or the policy specifies.
pub(super) fn deny(
    query: &Query<'_>,
    snapshot: &Snapshot,
    denial: Denial<'_>,
    writer: &mut ReplyWriter<'_>,
    mut outcome: Outcome,
) -> Step {
    outcome.rule = denial.rule;
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
