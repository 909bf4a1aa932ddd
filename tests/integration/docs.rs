//! The documentation is executed: what it shows is what happens, and what it names exists.

mod commands;
mod config;
mod metrics;
mod text;
