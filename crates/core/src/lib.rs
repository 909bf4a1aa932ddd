//! The decisions of dnsgate. This is the crate for a security review.
//!
//! Its inputs and outputs are packets and values; time is an argument. It has no socket, file,
//! clock, task or metric, so the same code serves UDP, TCP, `dnsgate explain`, policy tests and the
//! fuzzers.
//!
//! - [`dns`]: names, queries, responses, record sets. It imports no other module of this crate.
//! - [`policy`]: which clients may ask, and whether a question is answered, forwarded or denied.
//! - [`zone`]: the data of local zones.
//! - [`cache`]: the responses of upstreams, until they expire.
//! - [`budget`]: how much left through each rule.
//! - [`engine`]: the path of one query through these modules; it alone defines the order of the
//!   steps.
//!
//! # Invariants
//!
//! 1. Nothing is answered or forwarded that the policy in force does not allow; a fault inside the
//!    policy is a denial. No name reaches an upstream without a [`policy::Permit`] for that question,
//!    and no other part of a client's packet reaches an upstream.
//! 2. A query uses exactly one [`engine::Snapshot`], however long it waits.
//! 3. Every query has exactly one [`engine::Outcome`]; the sums of the counters derived from it
//!    equal the number of queries.
//! 4. The policy in force filters an upstream's data each time that it is sent, including from the
//!    cache.
//! 5. A configuration that is not fully valid changes nothing.
//! 6. Everything is bounded: each queue, table and loop has a named limit.
//! 7. The core never blocks or reads a clock, and does not allocate for a query that is answered,
//!    denied or found in the cache.
//! 8. No query stops the server: the worker catches a panic, counts and logs it, and answers
//!    SERVFAIL.

#![forbid(unsafe_code)]
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

pub mod budget;
pub mod cache;
pub mod dns;
pub mod engine;
pub mod policy;
pub mod zone;
