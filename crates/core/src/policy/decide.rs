//! Decides a question: its verdict is the action of the best applicable rule for its name, or a
//! denial and its reason.

use std::time::SystemTime;

use crate::dns::{NameRef, RecordType};

use super::{
    Policy,
    entry::{Coverage, PatternKind},
    name_index::{NamePosition, PatternEntry},
    permit::Grant,
    rule::{Action, DenyWith, GroupId, Rule, RuleId, RuleOrigin},
    verdict::{Denial, DenialReason, Disposition, Verdict},
};

/// The text of a denial for a name without a rule.
const NO_RULE: &str = "no rule allows this name";

/// The result of one walk over the rules for a name.
#[derive(Clone, Copy, Default)]
struct RuleMatch<'p> {
    /// The rule that decides, and its entry.
    winner: Option<(PatternEntry, &'p Rule)>,
    /// If no rule decides: the rule that would allow the question, and why it does not apply. A
    /// rule for the group takes precedence over one for other groups, and an expired rule over one
    /// for other types.
    missed: Option<(RuleId, Disposition)>,
    /// If no rule decides: the rule for names that search lists create.
    search: Option<RuleId>,
}

/// The group, type and time of a question, which determine whether a rule applies.
#[derive(Clone, Copy)]
pub(super) struct AskedBy {
    pub(super) group: GroupId,
    pub(super) qtype: RecordType,
    pub(super) now: SystemTime,
}

impl Policy {
    /// Decides a question.
    #[must_use]
    pub fn decide<'q>(
        &self,
        group: GroupId,
        name: NameRef<'q>,
        qtype: RecordType,
        now: SystemTime,
    ) -> Verdict<'_, 'q> {
        let asked = AskedBy { group, qtype, now };
        let position = self.names.lookup(name);
        // For most names there is no rule, or the first one decides.
        let Some(entry) = self.names.first(position) else {
            return self.denied(name, asked, position, &self.unmentioned(position));
        };
        if entry.reaches(Coverage::Name)
            && let Some(rule) = self.rule(entry.rule)
            && asked.obstacle(rule).is_none()
        {
            let winner = (entry, rule);
            return self.allowed(name, qtype, entry, rule).unwrap_or_else(|| {
                let mut found = self.unmentioned(position);
                found.winner = Some(winner);
                self.denied(name, asked, position, &found)
            });
        }
        self.contested(name, asked, position)
    }

    /// Decides a question that the first rule for its name does not decide.
    #[inline(never)]
    fn contested<'q>(
        &self,
        name: NameRef<'q>,
        asked: AskedBy,
        position: NamePosition,
    ) -> Verdict<'_, 'q> {
        let found = self.found(asked, position);
        let allowed = found.winner;
        let allowed =
            allowed.and_then(|(entry, rule)| self.allowed(name, asked.qtype, entry, rule));
        allowed.unwrap_or_else(|| self.denied(name, asked, position, &found))
    }

    /// The verdict for a question that no rule allows.
    #[inline(never)]
    fn denied<'q>(
        &self,
        name: NameRef<'q>,
        asked: AskedBy,
        position: NamePosition,
        found: &RuleMatch<'_>,
    ) -> Verdict<'_, 'q> {
        let winner = found.winner;
        let built_in = winner.is_some_and(|(_, rule)| rule.origin == RuleOrigin::BuiltIn);
        match &self.observe {
            Some(forwarding) if !built_in => {
                let by = winner.map(|(entry, _)| (entry.rule, entry.id));
                let by = by.map_or((None, None), |(rule, entry)| (Some(rule), entry));
                let ranges = self.rule_ranges.observed();
                Verdict::Forward(Grant::new(name, asked.qtype, forwarding, ranges, by, true))
            }
            _ => Verdict::Deny(self.denial(asked, position, found)),
        }
    }

    /// The verdict for a question that a rule wins, unless the rule denies it.
    #[inline]
    fn allowed<'p, 'q>(
        &'p self,
        name: NameRef<'q>,
        qtype: RecordType,
        by: PatternEntry,
        rule: &'p Rule,
    ) -> Option<Verdict<'p, 'q>> {
        let (id, entry) = (by.rule, by.id);
        Some(match &rule.action {
            &Action::Zone(zone) => Verdict::Zone {
                zone,
                rule: id,
                entry,
            },
            Action::Answer(records) => Verdict::Answer {
                records,
                rule: id,
                entry,
            },
            Action::Forward(forwarding) => {
                let ranges = self.rule_ranges.of_rule(id);
                let by = (Some(id), entry);
                Verdict::Forward(Grant::new(name, qtype, forwarding, ranges, by, false))
            }
            Action::Deny => return None,
        })
    }

    /// The rules that match the name (or the unmentioned names below it), best first.
    pub(super) fn contest(
        &self,
        position: NamePosition,
        reach: Coverage,
    ) -> impl Iterator<Item = (PatternEntry, &Rule)> {
        self.names
            .entries(position)
            .filter(move |entry| entry.reaches(reach))
            // Every entry has a rule. If one were missing, later rules must not win instead.
            .map_while(|entry| Some((entry, self.rule(entry.rule)?)))
    }

    fn winner(
        &self,
        asked: AskedBy,
        position: NamePosition,
        reach: Coverage,
    ) -> Option<(RuleId, &Rule)> {
        self.contest(position, reach)
            .find(|(_, rule)| asked.obstacle(rule).is_none())
            .map(|(entry, rule)| (entry.rule, rule))
    }

    /// Matches the rules for a name against a question in one walk.
    fn found(&self, asked: AskedBy, position: NamePosition) -> RuleMatch<'_> {
        let mut found = self.unmentioned(position);
        let single_label = found.search.take();
        for entry in self.names.entries(position) {
            if entry.kind == PatternKind::Search {
                found.search = found.search.or(Some(entry.rule));
            }
            if !entry.reaches(Coverage::Name) {
                continue;
            }
            // Every entry has a rule. If one were missing, later rules must not win instead.
            let Some(rule) = self.rule(entry.rule) else {
                break;
            };
            let Some(obstacle) = asked.obstacle(rule) else {
                found.winner = Some((entry, rule));
                break;
            };
            let is_nearer =
                |(_, other): (RuleId, Disposition)| obstacle.nearness() > other.nearness();
            if asked.would_be_allowed_elsewhere(rule, obstacle)
                && found.missed.is_none_or(is_nearer)
            {
                found.missed = Some((entry.rule, obstacle));
            }
        }
        found.search = found.search.or(single_label);
        found
    }

    /// The match for a name without a rule.
    #[inline]
    fn unmentioned(&self, position: NamePosition) -> RuleMatch<'_> {
        RuleMatch {
            search: self.single_label.filter(|_| position.is_single_label()),
            ..RuleMatch::default()
        }
    }

    /// The entry of the rule for names that search lists create, if the name is one.
    pub(super) fn search_entry(&self, position: NamePosition) -> Option<PatternEntry> {
        let mut entries = self.names.entries(position);
        entries.find(|entry| entry.kind == PatternKind::Search)
    }

    fn denial(&self, asked: AskedBy, position: NamePosition, found: &RuleMatch<'_>) -> Denial<'_> {
        let (why, rule) = match *found {
            RuleMatch {
                winner: Some((entry, _)),
                ..
            } => (DenialReason::Rule, Some(entry.rule)),
            RuleMatch {
                missed: Some((id, obstacle)),
                ..
            } => (obstacle.denial(), Some(id)),
            RuleMatch {
                search: Some(id), ..
            } => (DenialReason::Search, Some(id)),
            _ => (DenialReason::Default, None),
        };
        let by_rule = found.winner.and_then(|(_, rule)| rule.deny_with);
        let with = by_rule.unwrap_or_else(|| {
            let by_group = self.deny_with(asked.group);
            // The walk ended at the winner, so a rule for search list names may be further up.
            let above = || found.winner.is_some() && self.search_entry(position).is_some();
            let searched = || found.search.is_some() || above();
            match by_group {
                DenyWith::NxDomain => by_group,
                _ if searched() => DenyWith::NxDomain,
                _ => by_group,
            }
        });
        let with = match with {
            DenyWith::NxDomain if self.allows_more(asked, position) => DenyWith::NoData,
            with => with,
        };
        let texts = rule.and_then(|id| self.texts.get(id.0 as usize));
        Denial {
            with,
            rule,
            entry: found.winner.and_then(|(entry, _)| entry.id),
            why,
            text: texts.map_or(NO_RULE, |texts| texts.of_denial(why)),
        }
    }

    /// Whether a denied name is allowed with another type, or names below it are allowed. For the
    /// root this is always true: a client that receives NXDOMAIN for the root would treat every
    /// name as nonexistent.
    fn allows_more(&self, asked: AskedBy, position: NamePosition) -> bool {
        position.is_root()
            || self.names.has_allowed_below(position)
            || self.allows_some_type(asked, position, Coverage::Name)
            || self.allows_some_type(asked, position, Coverage::Below)
    }

    /// Whether the group may query any type at the name or at the unmentioned names below it.
    fn allows_some_type(&self, asked: AskedBy, position: NamePosition, reach: Coverage) -> bool {
        // The first rule usually applies to every type, so no later rule can win.
        if let Some(entry) = self.names.first(position)
            && entry.reaches(reach)
            && let Some(rule) = self.rule(entry.rule)
            && rule.is_for(asked.group)
            && !rule.has_expired(asked.now)
            && rule.types.listed().is_none()
        {
            return rule.action.allows();
        }
        self.allows_any_type(asked, position, reach)
    }

    fn allows_any_type(&self, asked: AskedBy, position: NamePosition, reach: Coverage) -> bool {
        for (_, rule) in self.contest(position, reach) {
            if !rule.is_for(asked.group) || rule.has_expired(asked.now) {
                continue;
            }
            match rule.types.listed() {
                // No type passes this rule, and some types always reach it.
                None => return rule.action.allows(),
                // Better rules may have denied all the types listed here.
                Some(types) if rule.action.allows() => {
                    let allows = |&qtype: &RecordType| {
                        self.winner(AskedBy { qtype, ..asked }, position, reach)
                            .is_some_and(|(_, rule)| rule.action.allows())
                    };
                    if types.iter().any(allows) {
                        return true;
                    }
                }
                Some(_) => {}
            }
        }
        false
    }
}

impl AskedBy {
    /// Whether a rule that does not apply for this reason allows the name to others, or allowed it
    /// before it expired. An expired rule for others does neither.
    fn would_be_allowed_elsewhere(self, rule: &Rule, obstacle: Disposition) -> bool {
        rule.action.allows() && (obstacle == Disposition::Expired || !rule.has_expired(self.now))
    }

    /// The reason why a rule does not apply; `None` if it applies.
    pub(super) fn obstacle(self, rule: &Rule) -> Option<Disposition> {
        if !rule.is_for(self.group) {
            Some(Disposition::OtherGroup)
        } else if !rule.types.contains(self.qtype) {
            Some(Disposition::OtherType)
        } else if rule.has_expired(self.now) {
            Some(Disposition::Expired)
        } else {
            None
        }
    }
}
