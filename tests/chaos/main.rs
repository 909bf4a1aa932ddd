//! Hostile weather: what must not cost a query, while a load runs that counts every query and every reply. Each test is
//! one kind of it and prints one row of the table in `docs/reliability.md`; `scripts/soak` runs them again and again.
//!
//! They take turns, because each is about what one dnsgate does with the whole machine. That process may have 64 MiB,
//! which a control group holds it to where there is one to be had.
//!
//! Not here: how fast it is (`bench`), and what single messages do (`hostile`, `fuzz`).

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; each prints its row, and a load knows when it sent what"
)]

#[path = "chaos/clock.rs"]
mod clock;
#[path = "chaos/descriptors.rs"]
mod descriptors;
#[path = "chaos/drain.rs"]
mod drain;
#[path = "chaos/flood.rs"]
mod flood;
#[path = "chaos/gate.rs"]
mod gate;
#[path = "chaos/group.rs"]
mod group;
#[path = "chaos/idle.rs"]
mod idle;
#[path = "chaos/lifetime.rs"]
mod lifetime;
#[path = "chaos/load.rs"]
mod load;
#[path = "chaos/log.rs"]
mod log;
#[path = "chaos/memory.rs"]
mod memory;
#[expect(dead_code, reason = "the hostile test uses more of it")]
#[path = "hostile/message.rs"]
mod message;
#[path = "chaos/neighbours.rs"]
mod neighbours;
#[path = "chaos/reload.rs"]
mod reload;
#[expect(dead_code, reason = "this test needs less of it than others")]
mod running;
#[path = "chaos/siege.rs"]
mod siege;
#[path = "chaos/tally.rs"]
mod tally;
#[path = "chaos/unread.rs"]
mod unread;
#[path = "chaos/upstream.rs"]
mod upstream;
#[path = "chaos/upstreams.rs"]
mod upstreams;
#[path = "chaos/wire.rs"]
mod wire;
