//! The disposition of a rule with a pattern for a name.

use std::fmt;

use super::decide::DenialReason;

/// The reason why a candidate wins or does not win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The rule decides.
    Wins,
    /// The rule is not for the client's group.
    OtherGroup,
    /// The rule is not for the question's type.
    OtherType,
    /// The rule has expired.
    Expired,
    /// The winner has a longer name.
    LongerNameWins,
    /// The winner has an exact pattern; this rule has a subtree pattern.
    ExactWins,
    /// The winner names the client's group; this rule is for every group.
    NamedGroupWins,
    /// The winner is configured; this rule is built in.
    ConfiguredWins,
    /// This rule is for names without any other rule, and the winner is another rule.
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
            Self::ConfiguredWins => "built in: a configured rule takes precedence",
            Self::OtherWins => "built in: any other matching rule takes precedence",
        })
    }
}
