//! What keeps rules and groups from being a policy.

use ipnet::IpNet;

use super::{
    name_index::MAX_RULES,
    pattern::Pattern,
    rule::{GroupId, MAX_GROUPS, RuleId},
};

/// The most conflicts that are listed: who sees so many has one cause to find, not as many.
pub const MAX_CONFLICTS: usize = 100;
/// The most rules with one name that are compared with each other. No official reference: far above
/// groups × types that anybody tells apart, and low enough that comparing all of them takes no time.
pub const MAX_RULES_OF_NAME: usize = 1000;
/// Why rules and groups are no policy. Rules and groups go by number: who knows the file knows
/// their names and places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Two rules could win the same question.
    #[error(
        "two rules are about `{pattern}` for the same clients and types, and neither takes precedence; give them different groups or types, or remove one"
    )]
    TiedRules {
        /// The one with the lower number.
        first: RuleId,
        /// The other.
        second: RuleId,
        /// The pattern as the second has it; the first has one of the same name.
        pattern: Pattern,
    },
    /// Two groups claim the same CIDR.
    #[error("two client groups have the CIDR {cidr}; a client belongs to one group")]
    SameCidr {
        /// What both have, without host bits.
        cidr: IpNet,
        /// The one with the lower number.
        first: GroupId,
        /// The other.
        second: GroupId,
    },
    /// More rules about one name than [`MAX_RULES_OF_NAME`].
    #[error(
        "{count} rules are about `{pattern}`; {MAX_RULES_OF_NAME} are the most that one name may have"
    )]
    TooManyOfName {
        /// One of them.
        pattern: Pattern,
        /// How many there are.
        count: usize,
    },
    /// More groups than [`MAX_GROUPS`].
    #[error("there are {count} client groups; {MAX_GROUPS} are the most")]
    TooManyGroups {
        /// How many there are.
        count: usize,
    },
    /// More rules than can be numbered.
    #[error("there are {count} rules; {MAX_RULES} are the most")]
    TooManyRules {
        /// How many there are.
        count: usize,
    },
    /// More names than the tree can hold.
    #[error("the rules have too many names: their labels do not fit into 4 GiB")]
    TooManyNames,
    /// There are more conflicts than [`MAX_CONFLICTS`]; these are the first.
    #[error("there are more conflicts like these; the first {MAX_CONFLICTS} are listed")]
    More,
}
