//! The budget of a question that is about to be sent upstream: counts it, logs the first one of a window
//! that is too much, and refuses it if the rule says so.

use std::time::SystemTime;

use serde_json::json;

use crate::{
    budgets::BudgetUse,
    clock::monotonic,
    telemetry::{LogSeverity, Telemetry},
};
use dnsgate_core::{
    budget::{BudgetStanding, Charge, Spending},
    dns::Failure,
    policy::OverBudget,
};

/// Counts a question toward the budget of its rule, if it has one.
///
/// # Errors
/// [`Failure::OverBudget`]: it must not be sent.
pub(super) fn pass(
    telemetry: &Telemetry,
    spending: Option<Spending<'_>>,
    now: SystemTime,
) -> Result<(), Failure> {
    let Some(spending) = spending else {
        return Ok(());
    };
    let Charge::Over(counted) = telemetry.budgets().charge(spending, monotonic()) else {
        return Ok(());
    };
    if counted.is_first {
        log(telemetry, &counted, now);
    }
    match counted.budget.over {
        OverBudget::Report => Ok(()),
        OverBudget::Deny => Err(Failure::OverBudget {
            until: now.checked_add(counted.left).unwrap_or(now),
        }),
    }
}

/// One line for each party, domain and window.
fn log(telemetry: &Telemetry, counted: &BudgetStanding, now: SystemTime) {
    let used = BudgetUse::of(counted, now);
    let message = match counted.budget.over {
        OverBudget::Report => {
            "a client has asked for more names of one domain than the budget of the rule allows: they \
             were sent, and it may be a tunnel"
        }
        OverBudget::Deny => {
            "a client asks for more names of one domain than the budget of the rule allows: further \
             ones are denied until the window ends"
        }
    };
    telemetry.event(
        LogSeverity::Warning,
        message,
        &[
            ("rule", json!(used.rule)),
            ("per", json!(used.per)),
            ("party", json!(used.party)),
            ("sourceIP", json!(used.client)),
            ("domain", json!(used.domain)),
            ("names", json!(used.names)),
            ("maxNames", json!(used.max_names)),
            ("bytes", json!(used.bytes)),
            ("maxBytes", json!(used.max_bytes)),
            ("exact", json!(used.exact)),
            ("over", json!(used.over)),
            ("windowEnds", json!(used.ends)),
        ],
    );
}
