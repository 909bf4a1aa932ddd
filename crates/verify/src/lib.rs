//! Proof that egress is limited, from where a workload stands: `dnsgate verify`.
//!
//! ```text
//!   configuration, arguments ─▶ plan ─▶ checks ─▶ probe ─▶ judge ─▶ report ─▶ table, JSON, metrics
//!                                                 (sockets)
//! ```
//!
//! A check passes for what was seen, never because nothing was seen: what should answer must have
//! answered, and what should not be reachable must have been tried. Asking dnsgate alone would prove
//! that dnsgate works, not that there is no way round it.
//!
//! | file | what it does |
//! |---|---|
//! | `plan`, `check` | which checks there are: from the preset, and from the arguments |
//! | `resolv_conf`, `machine` | what the machine's files and environment say, and what in them leads out |
//! | `run` | does the checks, all side by side |
//! | `probe`, `resolver`, `udp`, `connect`, `https`, `tls` | the tries: questions, connections, requests |
//! | `listing`, `bucket` | the objects of a bucket, through the JSON API |
//! | `answer`, `fault` | what came back, and why nothing did |
//! | `judge` | what was seen becomes a finding, with what to do about it |
//! | `report`, `export` | the findings: for people, for programs, for Prometheus |
//!
//! Not here: arguments, files, clocks and signals, which are in the program's `cli`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

mod answer;
mod bucket;
mod check;
mod connect;
pub mod export;
mod fault;
mod https;
mod judge;
mod listing;
mod machine;
mod plan;
mod probe;
mod report;
mod resolv_conf;
mod resolver;
mod run;
#[cfg(test)]
mod testing;
mod tls;
mod udp;

pub use bucket::{BadBucket, Bucket};
pub use check::{BadEndpoint, EgressCheck, Endpoint};

pub use machine::{Machine, PROXY_VARIABLES, own_addresses};
pub use plan::{BYPASS, LITERALS, VerifyPlan, checks, not_tried};
pub use probe::{Ports, Probe};
pub use report::{CheckResult, Finding, VerifyReport};
pub use resolv_conf::{Difference, HostsLine, ResolvConf, Surroundings, hosts, resolv_conf};
pub use resolver::Resolver;
pub use run::run;
pub use tls::{Roots, RootsError, TrustedRoots};
