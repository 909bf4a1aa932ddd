//! Faults and load from outside that must not cost a query, while a load counts every query and every reply. Each test is one
//! kind of trouble and prints one row of the table in `docs/reliability.md`. `scripts/soak` repeats them.
//!
//! The tests run one after the other, because each is about one dnsgate with the whole machine. That process may have 64 MiB; a
//! control group enforces it where one can be made.
//!
//! Not here: speed (`bench`), and single messages (`hostile`, `fuzz`).

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; each prints its row, and a load knows when it sent what"
)]

mod clock;
mod descriptors;
mod drain;
mod flood;
mod gate;
mod group;
mod idle;
mod lifetime;
mod load;
mod log;
mod memory;
#[expect(dead_code, reason = "the integration tests use more of it")]
#[path = "../support/message.rs"]
mod message;
mod neighbours;
mod reload;
#[expect(dead_code, reason = "the integration tests use more of it")]
#[path = "../support/running.rs"]
mod running;
mod siege;
mod tally;
mod unread;
mod upstream;
mod upstreams;
mod wire;
