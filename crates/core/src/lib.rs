//! How dnsgate decides. A security reviewer reads this crate.
//!
//! Packets and values go in, packets and values come out; time is an argument. Nothing in here knows a socket, a file, a
//! clock, a task or a metric, so the same code serves UDP, TCP, `dnsgate explain`, policy tests and the fuzzers.
//!
//! - [`dns`]: names, queries, replies, record sets. Imports nothing of ours.
//! - [`policy`]: which clients may ask, and whether a question is answered, forwarded or denied.
//! - [`zone`]: the answers of our own zones.
//! - [`cache`]: the responses of upstreams, until they expire.
//! - [`engine`]: the path of one query through them; the order of its steps stands only there.
//!
//! # Invariants
//!
//! 1. Nothing is answered or forwarded that the policy in force does not allow; what fails inside
//!    the policy is a denial. No name reaches an upstream without a [`policy::Permit`] for that very
//!    question, and nothing of a client's packet but the question does.
//! 2. A query sees exactly one [`engine::Snapshot`], however long it waits.
//! 3. Every query has exactly one [`engine::Outcome`]; the counters derived from it sum to the
//!    number of queries.
//! 4. What an upstream said is filtered under the policy in force each time that it is sent, from
//!    the cache as well.
//! 5. A configuration that is not wholly valid changes nothing.
//! 6. Nothing is unbounded: each queue, table and loop has a named limit.
//! 7. The core never blocks or reads a clock, and allocates nothing for a query that is answered,
//!    denied or found in the cache.
//! 8. No query stops the server: a panic is caught where the query was taken, counted, logged and
//!    answered SERVFAIL.

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

pub mod cache;
pub mod dns;
pub mod engine;
pub mod policy;
pub mod zone;
