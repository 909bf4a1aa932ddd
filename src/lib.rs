//! dnsgate: a DNS forwarder that controls a VPC's egress by an allowlist. This crate is the
//! program.
//!
//! `dnsgate-core` makes the decisions and uses no socket, task, clock, file or metric.
//! `dnsgate-config` reads the configuration file, `dnsgate-whatif` shows what a configuration would
//! do, and `dnsgate-verify` checks it from a workload's point of view.
//!
//! - `run`: start and stop, in order. `cli`: the subcommands.
//! - `serve`: the data plane: UDP and TCP listeners, workers, in-flight queries.
//! - `upstream`: the client of the servers that allowed names are forwarded to.
//! - `reload`: replaces the configuration.
//! - [`telemetry`]: the handle that all of them use to count and log; [`metrics`], [`querylog`]:
//!   the counters and the log.
//! - `usage`: which rules and names are in use: `/usage` and its state file.
//! - [`admin`]: `/metrics`, `/livez`, `/readyz` and the rest of the admin port.

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

pub mod admin;
pub(crate) mod budgets;
pub mod cli;
mod clock;
#[cfg(feature = "faults")]
mod faults;
pub(crate) mod health;
pub mod metrics;
pub mod querylog;
pub(crate) mod reload;
pub mod run;
pub(crate) mod serve;
mod systemd;
pub mod telemetry;
pub(crate) mod upstream;
pub(crate) mod usage;
