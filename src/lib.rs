//! placeholder
pub mod dns;
pub mod engine;
pub mod policy;
pub mod server;
