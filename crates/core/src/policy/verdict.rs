//! The verdict on a question, and the disposition of each rule that has a pattern for its name.

use std::fmt;

use crate::dns::Rrset;

use super::{
    entry::EntryId,
    permit::Grant,
    rule::{DenyWith, RuleId},
};

/// A zone: its index in the snapshot's list of zones. The policy holds no other data about zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);

/// The verdict on a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'p, 'q> {
    /// The data of a zone answers the question.
    Zone {
        /// The zone.
        zone: ZoneId,
        /// The rule of the zone.
        rule: RuleId,
        /// The entry that matches the name.
        entry: Option<EntryId>,
    },
    /// The records of a rule answer the question. If none has the type, the answer is negative.
    Answer {
        /// All records of the rule.
        records: &'p [Rrset],
        /// The rule.
        rule: RuleId,
        /// The entry that matches the name.
        entry: Option<EntryId>,
    },
    /// The question may be forwarded to an upstream.
    Forward(Grant<'p, 'q>),
    /// The question is denied.
    Deny(Denial<'p>),
}

impl Verdict<'_, '_> {
    /// The rule and the entry that decided, if any: not a rule that only would have.
    #[must_use]
    pub const fn used(&self) -> Option<(RuleId, EntryId)> {
        let (rule, entry) = match self {
            Self::Zone { rule, entry, .. } | Self::Answer { rule, entry, .. } => {
                (Some(*rule), *entry)
            }
            Self::Forward(grant) => (grant.rule(), grant.entry()),
            Self::Deny(denial) => (denial.rule, denial.entry),
        };
        match (rule, entry) {
            (Some(rule), Some(entry)) => Some((rule, entry)),
            _ => None,
        }
    }
}

/// A denial, with all inputs for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial<'p> {
    /// How to answer: as the rule specifies, else the group, else the policy. There are two
    /// exceptions. NODATA replaces NXDOMAIN if this group may query the name with another type, or
    /// if a name below it is allowed (for this group or, if a rule names the lower name, for any
    /// group), because NXDOMAIN would also deny those (RFC 8020). A name that cannot exist in the
    /// public DNS gets NXDOMAIN regardless of group and policy, unless the denying rule specifies
    /// otherwise.
    pub with: DenyWith,
    /// The rule that denies, or that allows the name for others; `None` if there is neither.
    pub rule: Option<RuleId>,
    /// The entry that denies; `None` if the name is denied for want of a rule.
    pub entry: Option<EntryId>,
    /// The reason.
    pub why: DenialReason,
    /// The reason as text for the client, in an extended DNS error.
    pub text: &'p str,
}

/// The reason of a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialReason {
    /// A rule denies the question.
    Rule,
    /// A rule allows the name for other groups only.
    OtherGroup,
    /// A rule allows the name for other types only.
    OtherType,
    /// The rule that allowed the question has expired.
    Expired,
    /// No rule matches the name, and it cannot exist in the public DNS; a search list created it.
    Search,
    /// No rule allows the question.
    Default,
    /// The client is in no group.
    UnknownClient,
}

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
