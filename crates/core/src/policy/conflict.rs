//! Conflicts that prevent building a policy from rules and groups.

use ipnet::IpNet;

use super::{
    name_index::MAX_RULES,
    pattern::Pattern,
    rule::{GroupId, MAX_GROUPS, RuleId},
};

/// The maximum number of listed conflicts; so many usually have one cause.
pub const MAX_CONFLICTS: usize = 100;
/// The maximum number of rules for one name. No official reference: it far exceeds any useful
/// number of groups × types, and comparing so many rules is fast.
pub const MAX_RULES_OF_NAME: usize = 1000;
/// A conflict between rules or groups. It refers to them by number; the caller knows their names
/// and positions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Two rules could win the same question.
    #[error(
        "two rules are about `{pattern}` for the same clients and types, and neither takes precedence; give them different groups or types, or remove one"
    )]
    TiedRules {
        /// The rule with the lower number.
        first: RuleId,
        /// The other rule.
        second: RuleId,
        /// The pattern of the second rule; the first has a pattern with the same name.
        pattern: Pattern,
    },
    /// Two groups claim the same CIDR.
    #[error("two client groups have the CIDR {cidr}; a client belongs to one group")]
    SameCidr {
        /// The CIDR, without host bits.
        cidr: IpNet,
        /// The group with the lower number.
        first: GroupId,
        /// The other group.
        second: GroupId,
    },
    /// One name has more than [`MAX_RULES_OF_NAME`] rules.
    #[error(
        "{count} rules are about `{pattern}`; {MAX_RULES_OF_NAME} are the most that one name may have"
    )]
    TooManyOfName {
        /// One of the patterns.
        pattern: Pattern,
        /// The number of rules.
        count: usize,
    },
    /// There are more than [`MAX_GROUPS`] groups.
    #[error("there are {count} client groups; {MAX_GROUPS} are the most")]
    TooManyGroups {
        /// The number of groups.
        count: usize,
    },
    /// There are more rules than numbers.
    #[error("there are {count} rules; {MAX_RULES} are the most")]
    TooManyRules {
        /// The number of rules.
        count: usize,
    },
    /// The names exceed the capacity of the tree.
    #[error("the rules have too many names: their labels do not fit into 4 GiB")]
    TooManyNames,
    /// There are more than [`MAX_CONFLICTS`] conflicts; only the first are listed.
    #[error("there are more conflicts like these; the first {MAX_CONFLICTS} are listed")]
    More,
}
