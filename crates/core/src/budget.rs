//! Counts what leaves through forwarding rules, and compares it with their budgets
//! ([`Budget`](crate::policy::Budget)).
//!
//! A rule over a subtree lets every client say something to whoever runs the name servers below it: each
//! name that nobody asked for before carries some bytes out. So for each party (a client, a group or
//! everybody), rule and registered domain this module counts the distinct names below the domain that
//! were sent upstream within a window, and the bytes of their labels.
//!
//! ```text
//!  question to be sent ─▶ learnt? ─▶ free
//!                            └─▶ counter of (rule, party, domain) ─▶ within │ over: report or deny
//! ```
//!
//! The idea is that of Information-based Heavy Hitters (NDSS 2024): the information that is sent to a
//! domain is the weighted number of distinct names below it, counted for each registered domain in
//! constant memory, with a list of names that are free because they are normal. Three things differ.
//! The sketch is bottom-k, not a weighted HyperLogLog, because it is exact for small numbers and gives
//! names and bytes at once. A counter is never given away before its window has ended, because the
//! rules bound the number of domains; if the table is full, names are counted in a shared counter
//! instead. And the list is not made beforehand, but learnt.
//!
//! Nothing here reads a clock: the caller passes a monotonic time, so a clock that is set does not
//! matter. A window begins with its first name. At most twice the budget can therefore leave in any
//! span as long as the window, and not more than the budget for each window in the long run.
//!
//! Not here: repeated questions for the same name, their order and their time. They carry
//! information, too, and cost nothing.

mod counter;
mod learnt;
mod sketch;
mod table;
#[cfg(test)]
mod tests;

pub use counter::{BudgetStanding, Charge, CountedDomain, CountedParty, Spending};
pub use learnt::{LEARNT_HOURS, LEARNT_NETWORKS};
pub use sketch::{BudgetCount, SKETCH_ENTRIES};
pub use table::{BudgetTable, MAX_DOMAINS};
