//! What the policy says to a question.

use crate::dns::Rrset;

use super::{
    permit::Grant,
    rule::{DenyWith, RuleId},
};

/// A zone: its place in the snapshot's list of zones. The policy knows no more of zones than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'p, 'q> {
    /// The data of a zone answers it.
    Zone {
        /// Which zone.
        zone: ZoneId,
        /// The rule that stands for the zone.
        rule: RuleId,
    },
    /// A rule's records answer it: those of its type, and their absence is an answer, too.
    Answer {
        /// All records of the rule.
        records: &'p [Rrset],
        /// Which rule.
        rule: RuleId,
    },
    /// An upstream is asked.
    Forward(Grant<'p, 'q>),
    /// It is denied.
    Deny(Denial<'p>),
}

/// A denial, and all that its reply should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial<'p> {
    /// How to answer: as the rule says, else the group, else the policy. But not with NXDOMAIN
    /// where the name is more than a denied one: where it is allowed to this group in another
    /// type, or a name below it is allowed (to this group, or, where a rule spells the lower name
    /// out, to any). NXDOMAIN would deny those with it (RFC 8020), so NODATA takes its place. And
    /// what cannot exist in the public DNS is NXDOMAIN whatever the group and the policy say, unless
    /// the rule that denies says it.
    pub with: DenyWith,
    /// The rule that denies, if it is one, or the one that allows the name to others.
    pub rule: Option<RuleId>,
    /// Why.
    pub why: DenialReason,
    /// Why, for the client (the text of an extended DNS error).
    pub text: &'p str,
}

/// Why a question is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialReason {
    /// A rule denies it.
    Rule,
    /// A rule allows the name to other groups only.
    OtherGroup,
    /// A rule allows the name for other types only.
    OtherType,
    /// The rule that allowed it has ended.
    Expired,
    /// Nothing is about the name, and it cannot exist in the public DNS: a search list made it.
    Search,
    /// No rule allows it.
    Default,
    /// The client is in no group.
    UnknownClient,
}
