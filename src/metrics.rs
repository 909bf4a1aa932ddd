//! Counters and how `/metrics` shows them.

pub(crate) mod block;
pub(crate) mod exporter;
pub(crate) mod families;
pub(crate) mod forwarding_families;
pub(crate) mod labels;
pub(crate) mod ledger;
pub(crate) mod reading;
pub(crate) mod series;
pub(crate) mod shared_counters;
pub(crate) mod totals;
pub(crate) mod upstream_counters;
