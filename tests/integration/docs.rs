//! Runs the documentation: commands print what it shows, and what it names exists.

mod commands;
mod config;
mod metrics;
mod text;
