//! Forwarding as its users meet it: dnsgate in front of real name servers, asked by real clients. Every server is
//! started by the test on ports of 127.0.0.1 that were free, and ended by its process id.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped or measures says what"
)]

mod running;

#[path = "forward/answers.rs"]
mod answers;
#[path = "differential_nsd/client.rs"]
mod client;
#[path = "forward/direct.rs"]
mod direct;
#[path = "forward/encrypted.rs"]
mod encrypted;
#[path = "forward/failover.rs"]
mod failover;
#[path = "forward/held.rs"]
mod held;
#[path = "forward/learn.rs"]
mod learn;
#[path = "forward/life.rs"]
mod life;
#[path = "forward/loops.rs"]
mod loops;
#[path = "forward/naive.rs"]
mod naive;
#[expect(dead_code, reason = "the differential test uses more of it")]
#[path = "differential_nsd/nsd.rs"]
mod nsd;
#[path = "differential_nsd/questions.rs"]
mod questions;
#[path = "program/reply.rs"]
mod reply;
#[path = "forward/signed.rs"]
mod signed;
#[path = "forward/stale.rs"]
mod stale;
#[path = "forward/time.rs"]
mod time;
#[path = "forward/unbound.rs"]
mod unbound;
#[path = "program/watch.rs"]
mod watch;
#[expect(dead_code, reason = "the differential test uses more of it")]
#[path = "differential_nsd/wire.rs"]
mod wire;
