//! placeholder
pub mod config;
pub mod dns;
pub mod engine;
pub mod policy;
pub mod zone;
