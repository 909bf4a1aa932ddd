//! The documentation is executed: what it shows is what happens, and what it names exists.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped says why"
)]

#[expect(dead_code, reason = "the tests of the program use more of it")]
mod running;

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/config.rs"]
mod config;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/text.rs"]
mod text;
