//! Why a question is decided as it is: what [`Policy::decide`] saw, written down.
//!
//! It reads the same entries in the same order and asks each the same question, so that what it
//! says won did win. It allocates, and nobody's query waits for it.

use std::{fmt, time::SystemTime};

use super::{
    AskedBy, DenialReason, GroupId, Pattern, Policy, Rule, RuleId,
    name_index::{Coverage, NamePosition, PatternEntry, Rank},
};
use crate::dns::{Name, NameRef, RecordType};

/// A rule that has a pattern for a name, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'p> {
    /// The rule's number.
    pub id: RuleId,
    /// The rule.
    pub rule: &'p Rule,
    /// The pattern that matches the name.
    pub pattern: Pattern,
    /// What came of it.
    pub disposition: Disposition,
}

/// Why a candidate wins or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It decides.
    Wins,
    /// It is not for the client's group.
    OtherGroup,
    /// It is not for the type asked for.
    OtherType,
    /// It has ended.
    Expired,
    /// The winner has a longer name.
    LongerNameWins,
    /// The winner is for exactly the name, this one for a subtree.
    ExactWins,
    /// The winner names the client's group, this one is for everybody.
    NamedGroupWins,
    /// The winner is the operator's, this one is built in.
    ConfiguredWins,
    /// It is for names that no other rule is for, and the winner is.
    OtherWins,
}

impl Disposition {
    /// How near a rule that does not apply is to one that does: the higher the nearer.
    pub(super) const fn nearness(self) -> u8 {
        match self {
            Self::Expired => 2,
            Self::OtherType => 1,
            _ => 0,
        }
    }

    /// Why a question is denied that only such a rule would have allowed.
    pub(super) const fn denial(self) -> DenialReason {
        match self {
            Self::Expired => DenialReason::Expired,
            Self::OtherType => DenialReason::OtherType,
            _ => DenialReason::OtherGroup,
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wins => "wins",
            Self::OtherGroup => "is for other groups",
            Self::OtherType => "is for other types",
            Self::Expired => "has ended",
            Self::LongerNameWins => "loses to a longer name",
            Self::ExactWins => "loses to the exact name",
            Self::NamedGroupWins => "loses to a rule that names the group",
            Self::ConfiguredWins => "is built in, loses to a configured rule",
            Self::OtherWins => "is built in, for what no other rule is for",
        })
    }
}

/// A rule that is about names close to a denied one, and what it would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// Its pattern that comes closest.
    pub pattern: Pattern,
    /// The pattern that would be about the name.
    pub would_cover: Pattern,
}

impl Policy {
    /// Every rule with a pattern for the name, best first, and what came of it. When none wins, the
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
        let position = self.names.find(name);
        let mut winner: Option<(PatternEntry, &Rule)> = None;
        let mut candidates: Vec<_> = self
            .contest(position, Coverage::Name)
            .map(|(entry, rule)| Candidate {
                id: entry.rule,
                rule,
                pattern: entry.kind.pattern(suffix(name, entry.labels)),
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

    /// The rule about names that search lists leave behind, if the name is one.
    fn last_resort(
        &self,
        position: NamePosition,
        name: NameRef<'_>,
    ) -> Option<(RuleId, &Rule, Pattern)> {
        let listed = self.search_entry(position).map(|entry| {
            let pattern = entry.kind.pattern(suffix(name, entry.labels));
            (entry.rule, pattern)
        });
        let single = self.single_label.filter(|_| position.is_single_label());
        let single = single.map(|id| (id, Pattern::Exact(name.to_name())));
        let (id, pattern) = listed.or(single)?;
        Some((id, self.rule(id)?, pattern))
    }

    /// Of the operator's rules that would apply to this question if they were about its name, the one
    /// whose names come closest, if any come close: the longest name above it, a wildcard that leaves
    /// it out, or a name below it.
    #[must_use]
    pub fn near_miss(
        &self,
        group: GroupId,
        name: NameRef<'_>,
        qtype: RecordType,
        now: SystemTime,
    ) -> Option<NearMiss<'_>> {
        let asked = AskedBy { group, qtype, now };
        let position = self.names.find(name);
        let above = self.names.entries(position).find_map(|entry| {
            let rule = self.near(asked, entry.rule)?;
            let own = suffix(name, entry.labels);
            // An exact name says nothing of those below it, nor a `*.x` of x: what covers both is .x.
            (!entry.reaches(Coverage::Name)).then(|| NearMiss {
                rule,
                pattern: entry.kind.pattern(own),
                would_cover: Pattern::Subtree(own.to_name()),
            })
        });
        above.or_else(|| self.near_below(asked, name, position))
    }

    /// The shortest name below one that such a rule allows.
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
            let entries = self.names.entries(self.names.find(below.as_ref()));
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

    /// The rule, if it is the operator's, lets something through, and is for the question.
    fn near(&self, asked: AskedBy, id: RuleId) -> Option<&Rule> {
        self.rule(id).filter(|rule| {
            !rule.origin.is_built_in() && rule.action.allows() && asked.obstacle(rule).is_none()
        })
    }
}

/// Why `loser`, which applies as well, does not win against `winner`.
fn disposition_against(winner: (PatternEntry, &Rule), loser: (PatternEntry, &Rule)) -> Disposition {
    if loser.0.labels < winner.0.labels {
        return Disposition::LongerNameWins;
    }
    Rank::of(winner.0.kind, winner.1).disposition_of(Rank::of(loser.0.kind, loser.1))
}

/// The last `labels` labels of a name.
fn suffix(name: NameRef<'_>, labels: usize) -> NameRef<'_> {
    let starts = name.label_starts();
    let starts = starts.as_slice();
    let first = starts
        .len()
        .checked_sub(labels)
        .and_then(|at| starts.get(at));
    first.map_or(NameRef::ROOT, |&start| name.from_label(start))
}
