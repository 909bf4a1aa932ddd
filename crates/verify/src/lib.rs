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
//! | `resolv_conf`, `machine` | what the machine's files and environment say, and which of it leads out |
//! | `judge`, `answer` | what was seen becomes a result, and what to do about it |
//! | `report`, `export` | the results: for people, for programs, for Prometheus |
//! | `probe`, `resolver`, `udp`, `https`, `tls`, `bucket` | the way out, tried |
//!
//! Everything but the last row does no input or output. Not here: arguments, files, clocks and
//! signals, which are the verb's (`cli`).

#![forbid(unsafe_code)]

mod answer;
mod bucket;
mod check;
pub mod export;
mod https;
mod judge;
mod machine;
mod plan;
mod probe;
mod report;
mod resolv_conf;
mod resolver;
#[cfg(test)]
mod tests;
mod tls;
mod udp;

pub use bucket::{BadBucket, Bucket};
pub use check::{BadUrl, Check, Target};
pub use machine::{Machine, PROXY_VARIABLES, own_addresses};
pub use plan::{BYPASS, LITERALS, Plan, checks, not_tried};
pub use probe::{Ports, Probe, run};
pub use report::{Finding, Outcome, Report};
pub use resolv_conf::{Difference, HostsLine, ResolvConf, Surroundings, hosts, resolv_conf};
pub use resolver::Resolver;
pub use tls::{Roots, RootsError, TrustedRoots};
