//! dnsgate: the guarded way out of a VPC, for DNS.
//!
//! Workloads that may talk to Google APIs and to nothing else need a name server that answers
pub mod dns;
pub mod engine;
pub mod policy;
pub mod zone;
