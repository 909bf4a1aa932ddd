//! Writes denials.

use crate::{
    dns::{
        Ede, Query, Rcode, ReplyWriter,
        reply::{OwnerName, Section},
    },
    policy::{Denial, DenialReason, DenyWith},
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
