//! Why a question is decided as it is: what [`Policy::decide`] saw, written down.
//!
//! It reads the same entries in the same order and asks each the same question, so that what it
//! says won did win. It allocates, and nobody's query waits for it.

use std::{fmt, time::SystemTime};

use super::{
    Asked, GroupId, Pattern, Policy, Rule, RuleId,
    names::{Entry, Rank, Reach},
};
use crate::dns::{NameRef, RecordType};

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
    pub fate: Fate,
}

/// Why a candidate wins or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
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
}

impl fmt::Display for Fate {
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
        })
    }
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
        let asked = Asked { group, qtype, now };
        let mut winner: Option<(Entry, &Rule)> = None;
        self.contest(self.names.find(name), Reach::Name)
            .map(|(entry, rule)| Candidate {
                id: entry.rule,
                rule,
                pattern: entry.kind.pattern(suffix(name, entry.labels)),
                fate: match (asked.obstacle(rule), winner) {
                    (Some(obstacle), _) => obstacle,
                    (None, Some(winner)) => fate_against(winner, (entry, rule)),
                    (None, None) => {
                        winner = Some((entry, rule));
                        Fate::Wins
                    }
                },
            })
            .collect()
    }
}

/// Why `loser`, which applies as well, does not win against `winner`.
fn fate_against(winner: (Entry, &Rule), loser: (Entry, &Rule)) -> Fate {
    if loser.0.labels < winner.0.labels {
        return Fate::LongerNameWins;
    }
    Rank::of(winner.0.kind, winner.1).fate_of(Rank::of(loser.0.kind, loser.1))
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
