//! The documentation is executed: what it shows is what happens, and what it names exists.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped says why"
)]

mod running;

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/config.rs"]
mod config;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/text.rs"]
mod text;
