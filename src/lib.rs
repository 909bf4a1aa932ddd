//! dnsgate: the guarded way out of a VPC, for DNS. This is the program: what runs.
//!
//! What decides is in `dnsgate-core`, and knows no socket, task, clock, file or metric. What the file says is in
//! `dnsgate-config`, what a configuration would do in `dnsgate-whatif`, and the proof from a workload's place in
//! `dnsgate-verify`.
//!
//! - `run`: start and stop, in order. `cli`: the verbs.
//! - `serve`: the data plane: UDP and TCP listeners, workers, queries that wait for an upstream.
//! - `upstream`: the way to the servers that allowed names are forwarded to.
//! - `reload`: another configuration takes the place of the one in force.
//! - [`telemetry`]: the handle that all of them count and log by; [`metrics`], [`querylog`]: what it counts and logs with.
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
