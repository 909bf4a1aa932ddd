//! One query in the engine: its question, the inputs of its decision, and the policy's verdicts on
//! the names of its chain.

use crate::{
    dns::{NameBuf, NameRef, Query, RecordType},
    policy::{Grant, GroupId, QueryBits, RuleId, RuleOrigin, Verdict, ZoneId},
    zone::Zone,
};

use super::{
    context::{CacheView, Context},
    upstream_result::UpstreamResult,
};

/// One query with the inputs of its decision.
#[derive(Clone, Copy)]
pub(super) struct QueryRun<'t> {
    pub(super) query: &'t Query<'t>,
    /// The client's group.
    pub(super) group: GroupId,
    pub(super) context: &'t Context<'t>,
    pub(super) results: &'t [UpstreamResult],
}

impl<'t> QueryRun<'t> {
    /// The policy's verdict on a name in this query.
    #[inline]
    pub(super) fn decide<'q>(self, name: NameRef<'q>, qtype: RecordType) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        if qtype == RecordType::DS {
            return self.decide_ds(name);
        }
        policy.decide(self.group, name, qtype, self.context.now)
    }

    /// The verdict on a DS question, whose records are on the parent side of a zone cut.
    #[cold]
    fn decide_ds<'q>(self, name: NameRef<'q>) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(self.group, name, RecordType::DS, self.context.now);
        let Verdict::Zone { zone, rule, .. } = verdict else {
            return verdict;
        };
        let zone = self
            .zone(zone)
            .filter(|zone| self.is_parents(rule, zone, name));
        zone.and_then(|_| self.ask_parent(name))
            .map_or(verdict, Verdict::Forward)
    }

    /// Whether the question is for the DS at the origin of a built-in zone. A DS belongs to the
    /// parent side of the cut (RFC 4035 section 3.1.4.1), and these zones do not have their own. If
    /// the policy forwards names below the parent, the upstream is asked; otherwise there is no DS.
    pub(super) fn is_parents(self, rule: RuleId, zone: &Zone, name: NameRef<'_>) -> bool {
        let policy = self.context.snapshot.policy();
        self.qtype() == RecordType::DS
            && name == zone.origin()
            && policy
                .rule(rule)
                .is_some_and(|rule| rule.origin == RuleOrigin::BuiltIn)
    }

    /// A grant to ask for the DS of `name`, if a sibling name would be forwarded.
    fn ask_parent<'q>(self, name: NameRef<'q>) -> Option<Grant<'t, 'q>> {
        let mut beside = NameBuf::new();
        beside.push_label(b"*").ok()?;
        beside.push_name(name.parent()?).ok()?;
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(
            self.group,
            beside.as_ref(),
            RecordType::DS,
            self.context.now,
        );
        match verdict {
            Verdict::Forward(grant) if self.may_be_forwarded() => grant.beside(name),
            _ => None,
        }
    }

    pub(super) fn zone(self, id: ZoneId) -> Option<&'t Zone> {
        self.context.snapshot.zone(id)
    }

    pub(super) fn qtype(self) -> RecordType {
        self.query.qtype()
    }

    /// Whether a forwarded question may be answered: recursion is desired, or no upstream would be
    /// asked anyway.
    pub(super) fn may_be_forwarded(self) -> bool {
        self.query.recursion_desired() || self.qtype() == RecordType::ANY
    }

    pub(super) fn cache_view(self) -> Option<CacheView<'t>> {
        self.context.cache_view
    }

    /// The query bits that are forwarded to an upstream.
    pub(super) fn bits(self) -> QueryBits {
        QueryBits {
            dnssec_ok: self.query.edns().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: self.query.checking_disabled(),
        }
    }
}
