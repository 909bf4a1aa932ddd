//! Explains the decision of [`Policy::decide`] for a question.
//!
//! It reads the same entries in the same order and applies the same checks, so the rule that it
//! reports as winner did win. It allocates, because no query waits for it.

use std::time::SystemTime;

use super::{
    GroupId, Pattern, Policy, Rule, RuleId,
    decide::AskedBy,
    entry::Coverage,
    name_index::{NamePosition, PatternEntry, Rank},
    verdict::Disposition,
};
use crate::dns::{Name, NameRef, RecordType};

/// A rule with a pattern for a name, and its disposition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'p> {
    /// The rule's number.
    pub id: RuleId,
    /// The rule.
    pub rule: &'p Rule,
    /// The pattern that matches the name.
    pub pattern: Pattern,
    /// The disposition of the rule.
    pub disposition: Disposition,
}

/// A rule for names close to a denied one, and the pattern that would match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// Its closest pattern.
    pub pattern: Pattern,
    /// The pattern that would match the name.
    pub would_cover: Pattern,
}

impl Policy {
    /// Every rule with a pattern for the name, best first, with its disposition. If none wins, the
    /// question is denied.
    #[must_use]
    pub fn explain(
        &self,
        group: GroupId,
        name: NameRef<'_>,
        qtype: RecordType,
        now: SystemTime,
    ) -> Vec<Candidate<'_>> {
        let asked = AskedBy { group, qtype, now };
        let position = self.names.lookup(name);
        let mut winner: Option<(PatternEntry, &Rule)> = None;
        let mut candidates: Vec<_> = self
            .contest(position, Coverage::Name)
            .map(|(entry, rule)| Candidate {
                id: entry.rule,
                rule,
                pattern: entry.kind.pattern(name.last_labels(entry.labels)),
                disposition: match (asked.obstacle(rule), winner) {
                    (Some(obstacle), _) => obstacle,
                    (None, Some(winner)) => disposition_against(winner, (entry, rule)),
                    (None, None) => {
                        winner = Some((entry, rule));
                        Disposition::Wins
                    }
                },
            })
            .collect();
        let is_decided = winner.is_some();
        let last = self.last_resort(position, name);
        candidates.extend(last.map(|(id, rule, pattern)| Candidate {
            id,
            rule,
            pattern,
            disposition: match is_decided {
                true => Disposition::OtherWins,
                false => Disposition::Wins,
            },
        }));
        candidates
    }

    /// The rule for names that search lists create, if the name is one.
    fn last_resort(
        &self,
        position: NamePosition,
        name: NameRef<'_>,
    ) -> Option<(RuleId, &Rule, Pattern)> {
        let listed = self.search_entry(position).map(|entry| {
            let pattern = entry.kind.pattern(name.last_labels(entry.labels));
            (entry.rule, pattern)
        });
        let single = self.single_label.filter(|_| position.is_single_label());
        let single = single.map(|id| (id, Pattern::Exact(name.to_name())));
        let (id, pattern) = listed.or(single)?;
        Some((id, self.rule(id)?, pattern))
    }

    /// The closest configured rule that would apply to this question if it matched the name: a rule
    /// for the longest ancestor, for a wildcard that excludes the name, or for a name below it.
    #[must_use]
    pub fn near_miss(
        &self,
        group: GroupId,
        name: NameRef<'_>,
        qtype: RecordType,
        now: SystemTime,
    ) -> Option<NearMiss<'_>> {
        let asked = AskedBy { group, qtype, now };
        let position = self.names.lookup(name);
        let above = self.names.entries(position).find_map(|entry| {
            let rule = self.near(asked, entry.rule)?;
            let own = name.last_labels(entry.labels);
            // An exact pattern does not match names below it, and `*.x` does not match x; `.x`
            // matches both.
            (!entry.reaches(Coverage::Name)).then(|| NearMiss {
                rule,
                pattern: entry.kind.pattern(own),
                would_cover: Pattern::Subtree(own.to_name()),
            })
        });
        above.or_else(|| self.near_below(asked, name, position))
    }

    /// The shortest name below this one that such a rule allows.
    fn near_below(
        &self,
        asked: AskedBy,
        name: NameRef<'_>,
        position: NamePosition,
    ) -> Option<NearMiss<'_>> {
        if position.is_root() || !self.names.has_allowed_below(position) {
            return None;
        }
        let rank = |below: &Name| (below.as_ref().label_count(), below.clone());
        let mut nearest: Option<(Name, NearMiss<'_>)> = None;
        for below in self.names.names() {
            let is_below = below.as_ref() != name && below.as_ref().is_within(name);
            let is_nearer = |(other, _): &(Name, NearMiss<'_>)| rank(&below) < rank(other);
            if !is_below || !nearest.as_ref().is_none_or(is_nearer) {
                continue;
            }
            let labels = below.as_ref().label_count();
            let entries = self.names.entries(self.names.lookup(below.as_ref()));
            let mut own = entries.take_while(|entry| entry.labels == labels);
            let miss = own.find_map(|entry| {
                Some(NearMiss {
                    rule: self.near(asked, entry.rule)?,
                    pattern: entry.kind.pattern(below.as_ref()),
                    would_cover: Pattern::Exact(name.to_name()),
                })
            });
            nearest = miss.map(|miss| (below, miss)).or(nearest);
        }
        nearest.map(|(_, miss)| miss)
    }

    /// The rule, if it is configured, allows names and applies to the question.
    fn near(&self, asked: AskedBy, id: RuleId) -> Option<&Rule> {
        self.rule(id).filter(|rule| {
            !rule.origin.is_built_in() && rule.action.allows() && asked.obstacle(rule).is_none()
        })
    }
}

/// The reason why `loser`, which also applies, does not win against `winner`.
fn disposition_against(winner: (PatternEntry, &Rule), loser: (PatternEntry, &Rule)) -> Disposition {
    if loser.0.labels < winner.0.labels {
        return Disposition::LongerNameWins;
    }
    Rank::of(winner.0.kind, winner.1).disposition_of(Rank::of(loser.0.kind, loser.1))
}
