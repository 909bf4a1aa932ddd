//! What becomes of a rule that has a pattern for a name.

use std::fmt;

use super::verdict::DenialReason;

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
            Self::ConfiguredWins => "built in: a configured rule takes precedence",
            Self::OtherWins => "built in: any other matching rule takes precedence",
        })
    }
}
