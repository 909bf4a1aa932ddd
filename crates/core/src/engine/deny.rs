//! Denials as they look on the wire.

use crate::{
    dns::{
        Ede, Rcode, ReplyWriter,
        reply::{OwnerName, Section},
    },
    policy::{Denial, DenialReason, DenyWith, GroupId},
};

use super::{FollowUp, Outcome, QueryRun, Reason, Step, filter::Rejection, sent};

impl QueryRun<'_> {
    /// Writes a denial, in the form that the rule, the group or the policy asks for.
    pub(super) fn deny(
        self,
        denial: Denial<'_>,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        outcome.rule = denial.rule;
        let ede = match denial.why {
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
        self.deny_with(denial.with, (ede, denial.text), writer, outcome)
    }

    /// Writes the denial of an answer that may not pass.
    pub(super) fn deny_filtered(
        self,
        group: GroupId,
        rejection: Rejection,
        writer: &mut ReplyWriter<'_>,
        mut outcome: Outcome,
    ) -> Step {
        outcome.reason = Reason::Filtered;
        outcome.check = Some(rejection.check);
        let with = match self.context.snapshot.policy().deny_with(group) {
            // The name is an allowed one: another type of it may well pass.
            DenyWith::NxDomain => DenyWith::NoData,
            with => with,
        };
        // The record is withheld: only the log has it, whether there is a reply or not.
        let text = rejection.text(self.context.snapshot.policy());
        let mut step = self.deny_with(with, (Ede::Filtered, &text), writer, outcome);
        if let Step::Reply { more, .. } | Step::Drop(_, more) = &mut step {
            *more = Some(Box::new(FollowUp {
                refresh: None,
                rejected: Some(rejection.record),
            }));
        }
        step
    }

    fn deny_with(
        self,
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
            // A negative answer is ours to give, and for a time: without AA a forwarder in front
            // may take us for lame, without a SOA it asks again at once (RFC 2308 section 5).
            writer.set_authoritative();
            let soa = self.context.snapshot.denial_soa();
            let owner = OwnerName::question(self.query.name());
            let written = writer.rrset(Section::Authority, owner, soa);
            if written.is_err() {
                writer.truncate();
                outcome.truncated = true;
            }
        }
        sent(writer, Some(ede), outcome)
    }
}
