//! Everything that is tested from outside, in one binary, so that the program's dependencies are linked once.
//!
//! Not here: `chaos`, which has the machine for itself, and `faults`, which needs a build of its own.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so; one that is skipped or measures says what"
)]

mod alerts;
mod budget;
#[cfg(target_os = "linux")]
// where all of 127.0.0.0/8 is loopback, so that each client group has addresses of its own
mod capture;
mod differential_nsd;
mod docs;
mod forward;
mod fuzz_corpus;
mod hostile;
mod import;
#[path = "../support/message.rs"]
mod message;
mod program;
mod prometheus;
mod reply;
mod resolvers;
#[path = "../support/running.rs"]
mod running;
mod scenarios;
mod verify;
mod watch;
