//! Counters, and how `/metrics` shows them.
//!
//! ```text
//!  query ─▶ Key (family and labels as one number) ─▶ the thread's own counters ─┐
//!  connection, fault, reload ─▶ SharedCounters ─────────────────────────────────┤
//!  question to a server ─▶ UpstreamCounters ────────────────────────────────────┼─▶ exporter ─▶ /metrics
//!  cache, in flight ─▶ Reading, read at the scrape ─────────────────────────────┘
//! ```
//!
//! Labels are closed sets, or names of the configuration (`names`); never what a client sent.

pub(crate) mod duration;
pub(crate) mod exporter;
pub(crate) mod families;
mod forwarding_families;
pub(crate) mod key;
pub(crate) mod labels;
pub(crate) mod names;
pub(crate) mod reading;
mod series;
pub(crate) mod shared_counters;
pub(crate) mod thread_counters;
pub(crate) mod upstream_counters;
