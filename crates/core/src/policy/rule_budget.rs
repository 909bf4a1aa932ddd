//! The budget of a forwarding rule: how much a client may say to the owner of one domain.
//!
//! Only the numbers are here. [`crate::budget`] counts, and the caller decides when.

use std::time::Duration;

/// How much may leave through a rule to one registered domain in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// The number of distinct names below the domain.
    pub names: u64,
    /// The bytes of their labels below the domain, as on the wire.
    pub bytes: u64,
    /// The length of a window. It begins with the first name that counts.
    pub window: Duration,
    /// Whose names are counted together.
    pub per: BudgetParty,
    /// What happens to a question beyond it.
    pub over: OverBudget,
}

/// Whose names are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BudgetParty {
    /// Those of one client.
    Client,
    /// Those of all clients of one group.
    Group,
    /// Those of all clients.
    Rule,
}

impl BudgetParty {
    /// The configuration keyword.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Group => "group",
            Self::Rule => "rule",
        }
    }
}

/// What happens to a question beyond its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverBudget {
    /// It is sent, counted and logged.
    Report,
    /// It is denied until the window ends.
    Deny,
}

impl OverBudget {
    /// Every variant, in the order of their discriminants (`as usize`).
    pub const ALL: [Self; 2] = [Self::Report, Self::Deny];

    /// The configuration keyword, and the label of the metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Deny => "deny",
        }
    }
}
