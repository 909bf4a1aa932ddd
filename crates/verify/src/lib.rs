//! Proves, from the place of a workload, that its egress is limited: `dnsgate verify`.
//!
//! ```text
//!   configuration, arguments ─▶ plan ─▶ checks ─▶ probe ─▶ judge ─▶ report ─▶ table, JSON, metrics
//!                                                 (sockets)
//! ```
//!
//! A check passes only on positive evidence: a server that should answer must have answered, and a
//! target that should be unreachable must have been tried. Queries to dnsgate alone would prove that
//! dnsgate works, but not that nothing bypasses it.
//!
//! | file | what it does |
//! |---|---|
//! | `plan`, `check` | lists the checks: from the preset, and from the arguments |
//! | `resolv_conf`, `machine` | reads the machine's files and environment, and finds ways out in them |
//! | `run` | runs the checks in parallel |
//! | `probe`, `resolver`, `udp`, `connect`, `https`, `tls` | sends queries and requests, and opens connections |
//! | `listing`, `bucket` | lists the objects of a bucket through the JSON API |
//! | `answer`, `fault` | describes a reply, or why there is none |
//! | `judge` | turns observations into findings, each with a remedy |
//! | `report`, `export` | writes the findings for people, for programs and for Prometheus |
//!
//! Arguments, files, clocks and signals are in the program's `cli`.

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
mod check;
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
mod transport;

pub use check::{BadBucket, BadEndpoint, Bucket, EgressCheck, Endpoint};

pub use machine::{Machine, PROXY_VARIABLES, own_addresses};
pub use plan::{BYPASS, LITERALS, VerifyPlan, checks, not_tried};
pub use probe::{Ports, Probe};
pub use report::{CheckResult, Exporter, Finding, VerifyReport};
pub use resolv_conf::{Difference, HostsLine, ResolvConf, Surroundings, hosts, resolv_conf};
pub use resolver::Resolver;
pub use run::run;
pub use transport::{Roots, RootsError, TrustedRoots};
