//! Counters, and their export at `/metrics`.
//!
//! ```text
//!  query ─▶ Key (family and labels as one number) ─▶ the thread's own counters ─┐
//!  connection, fault, reload ─▶ SharedCounters ─────────────────────────────────┤
//!  query to a server ─▶ UpstreamCounters ───────────────────────────────────────┼─▶ exporter ─▶ /metrics
//!  cache, in flight ─▶ Reading, read at the scrape ─────────────────────────────┘
//! ```
//!
//! Labels are closed sets or names from the configuration (`labels`), never data from clients.

pub(crate) mod exporter;
pub(crate) mod families;
pub(crate) mod labels;
pub(crate) mod shared_counters;
pub(crate) mod thread_counters;
pub(crate) mod upstream_counters;
