//! One query on its way through the engine: what it asks, what it is decided by, and what the policy says to the
//! names that it leads to.

use crate::{
    dns::{NameBuf, NameRef, Query, RecordType},
    policy::{Grant, GroupId, QueryBits, RuleId, RuleOrigin, Verdict, ZoneId},
    zone::Zone,
};

use super::{
    context::{CacheView, Context},
    upstream_result::UpstreamResult,
};

/// One query with what it is decided by.
#[derive(Clone, Copy)]
pub(super) struct QueryRun<'t> {
    pub(super) query: &'t Query<'t>,
    /// The client's group.
    pub(super) group: GroupId,
    pub(super) context: &'t Context<'t>,
    pub(super) results: &'t [UpstreamResult],
}

impl<'t> QueryRun<'t> {
    /// What the policy says to a name, in this query.
    #[inline]
    pub(super) fn decide<'q>(self, name: NameRef<'q>, qtype: RecordType) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        if qtype == RecordType::DS {
            return self.decide_ds(name);
        }
        policy.decide(self.group, name, qtype, self.context.now)
    }

    /// The same for a DS, which stands on the parent's side of a zone cut.
    #[cold]
    fn decide_ds<'q>(self, name: NameRef<'q>) -> Verdict<'t, 'q> {
        let policy = self.context.snapshot.policy();
        let verdict = policy.decide(self.group, name, RecordType::DS, self.context.now);
        let Verdict::Zone { zone, rule } = verdict else {
            return verdict;
        };
        let zone = self
            .zone(zone)
            .filter(|zone| self.is_parents(rule, zone, name));
        zone.and_then(|_| self.ask_parent(name))
            .map_or(verdict, Verdict::Forward)
    }

    /// Whether the question is for the DS at the top of a built-in zone: a DS stands on the parent's
    /// side of the cut (RFC 4035 section 3.1.4.1), and those zones know nothing of theirs. Where the
    /// policy forwards what is below the parent, the upstream is asked; otherwise there is none.
    pub(super) fn is_parents(self, rule: RuleId, zone: &Zone, name: NameRef<'_>) -> bool {
        let policy = self.context.snapshot.policy();
        self.qtype() == RecordType::DS
            && name == zone.origin()
            && policy
                .rule(rule)
                .is_some_and(|rule| rule.origin == RuleOrigin::BuiltIn)
    }

    /// Leave to ask for the DS of `name`, if a name beside it would be forwarded.
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

    /// Whether what is forwarded may be answered: recursion is desired, or nobody would be asked
    /// for it anyway.
    pub(super) fn may_be_forwarded(self) -> bool {
        self.query.recursion_desired() || self.qtype() == RecordType::ANY
    }

    pub(super) fn cache_view(self) -> Option<CacheView<'t>> {
        self.context.cache_view
    }

    /// The bits that travel with the question to an upstream.
    pub(super) fn bits(self) -> QueryBits {
        QueryBits {
            dnssec_ok: self.query.edns().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: self.query.checking_disabled(),
        }
    }
}
