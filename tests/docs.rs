//! The documentation is executed: what it shows is what happens, and what it names exists.

mod running;

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/config.rs"]
mod config;
#[path = "docs/metrics.rs"]
mod metrics;
#[path = "docs/text.rs"]
mod text;
