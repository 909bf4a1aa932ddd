//! dnsgate: the guarded way out of a VPC, for DNS.
//!
//! Workloads that may talk to Google APIs and to nothing else need a name server that answers
//! `*.googleapis.com` with the restricted VIP, forwards the names of an allowlist and denies every
//! other one, with a reason. This library is that server; the program is a thin shell around [`cli`].
//!
//! # One query's path
//!
//! ```text
//!  client ─▶ server ──▶ engine::begin(packet, source, snapshot, cache, now) ─▶ reply ──▶ client
//!              │              parse · admit · decide · answer or deny · cache · screen
//!              │                └─▶ Ask(permit) ─▶ upstream::resolve ─▶ cache ─┐
//!              ◀── reply ◀── engine::finish: the same path once more ◀─────────┘
//!              └─▶ telemetry: one Outcome, counted once, perhaps logged
//! ```
//!
//! # The layers
//!
//! The **core** decides and knows no socket, task, clock, file or metric; time is an argument.
//!
//! - [`dns`]: names, queries, replies, record sets. Imports nothing of ours.
//! - [`policy`]: which client may ask, and what becomes of a question.
//! - [`zone`]: what our own data says to a name and type.
//! - [`cache`]: what upstreams said, for as long as it is true.
//! - [`engine`]: one query's path through them, in the order that stands nowhere else.
//!
//! The **shell** does the rest.
//!
//! - [`config`]: the file becomes types, a policy and zones, or a report of everything wrong in it.
//! - [`rehearsal`]: what a configuration would do: policy tests, differences of two, explanations.
//! - [`reload`]: the snapshot in force.
//! - [`upstream`]: the way to the servers that allowed names are forwarded to.
//! - [`server`]: UDP and TCP listeners.
//! - [`telemetry`]: counters, log, `/metrics`, `/livez`, `/readyz`.
//! - [`verify`]: proof, from a workload's place, that egress is limited.
//! - [`app`]: start and stop, in order. [`cli`]: the verbs.
//!
//! Who may import whom is a table in `ARCHITECTURE.md`.
//!
//! # Invariants
//!
//! 1. Nothing is answered or forwarded that the policy in force does not allow; what fails inside
//!    the policy is a denial. No name reaches an upstream without a [`policy::Permit`] for that very
//!    question, and nothing of a client's packet but the question does.
//! 2. A query sees exactly one [`engine::Snapshot`], however long it waits.
//! 3. Every query has exactly one [`engine::Outcome`]; the counters derived from it sum to the
//!    number of queries.
//! 4. What an upstream said is screened under the policy in force each time that it is sent, from
//!    the cache as well.
//! 5. A configuration that is not wholly valid changes nothing.
//! 6. Nothing is unbounded: each queue, table and loop has a named limit.
//! 7. The core never blocks or reads a clock, and allocates nothing for a query that is answered,
//!    denied or found in the cache.
//! 8. No query stops the server: a panic is caught at the worker's edge, counted, logged and
//!    answered SERVFAIL.

pub mod app;
pub mod cache;
pub mod cli;
pub mod config;
pub mod dns;
pub mod engine;
pub mod policy;
pub mod rehearsal;
pub mod reload;
pub mod server;
pub mod telemetry;
pub mod upstream;
pub mod verify;
pub mod zone;
