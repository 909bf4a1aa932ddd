//! dnsgate: the guarded way out of a VPC, for DNS.
pub mod config;
pub mod dns;
pub mod engine;
pub mod policy;
pub mod server;
pub mod telemetry;
pub mod zone;
