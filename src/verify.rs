//! Proof that egress is limited, from where a workload stands: `dnsgate verify`.
//!
//! ```text
//!   configuration, arguments ─▶ plan ─▶ checks ─▶ probe ─▶ judge ─▶ report ─▶ table, JSON, metrics
//!                                                 (sockets)
//! ```
//!
//! A check passes for what was seen, never for want of it: what should answer must have answered,
//! and what should not be reachable must have been tried. Who only asked dnsgate would prove that
//! dnsgate works, not that there is no way round it.
//!
//! | file | |
//! |---|---|
//! | `plan`, `check` | what is checked: from the preset, and from the arguments |
//! | `judge`, `answer` | what was seen becomes a result, and what to do about it |
//! | `report`, `export` | the results: for people, for programs, for Prometheus |
//! | `probe`, `resolver`, `https`, `tls`, `bucket` | the way out, tried |
//!
//! Everything but the last row does no input or output. Not here: arguments, files, clocks and
//! signals, which are the verb's (`cli`).

mod answer;
mod bucket;
mod check;
pub mod export;
mod https;
mod judge;
mod plan;
mod probe;
mod report;
mod resolver;
#[cfg(test)]
mod tests;
mod tls;

pub use bucket::{BadBucket, Bucket};
pub use check::{BadUrl, Check, Target};
pub use plan::{BYPASS, Plan, checks};
pub use probe::{Ports, Probe, run};
pub use report::{Finding, Outcome, Report};
pub use resolver::{Resolver, name_servers};
pub use tls::{Roots, RootsError};
