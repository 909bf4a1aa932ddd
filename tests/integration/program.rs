//! The program as its users meet it: started as they start it, asked with their own clients, ended
//! with the signals that they send. Everything happens on loopback, on ports that were free.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped says why"
)]

mod running;

#[path = "program/answers.rs"]
mod answers;
#[path = "program/ipv6.rs"]
mod ipv6;
#[path = "program/learn.rs"]
mod learn;
#[path = "program/life.rs"]
mod life;
#[path = "program/log.rs"]
mod log;
#[path = "program/notify.rs"]
mod notify;
#[path = "program/quoting.rs"]
mod quoting;
#[path = "program/rate.rs"]
mod rate;
#[path = "program/reload.rs"]
mod reload;
#[path = "program/reply.rs"]
mod reply;
#[path = "program/signals.rs"]
mod signals;
#[path = "program/verbs.rs"]
mod verbs;
#[path = "program/watch.rs"]
mod watch;
