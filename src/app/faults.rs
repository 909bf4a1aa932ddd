//! Faults on demand, in a build with the feature `faults`: questions for some names make dnsgate panic
//! or hang, so that `tests/faults.rs` sees what that costs the real program.
//!
//! Whoever may ask such a build can stop it, so a build without debug assertions, as every release
//! is, cannot have the feature.

use std::thread;

use crate::dns::Query;

#[cfg(not(debug_assertions))]
compile_error!("the feature `faults` lets clients stop dnsgate: it is for its own tests alone");

/// Panics on its worker.
const PANIC: &str = "panic.dnsgate-test.example.";
/// Panics once an upstream has been asked.
const PANIC_LATER: &str = "panic-later.dnsgate-test.example.";
/// Keeps its worker for ever.
const HANG: &str = "hang.dnsgate-test.example.";

/// Where a query has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// With the worker that read it.
    Worker,
    /// With the task that waits for an upstream, which has answered.
    Later,
}

/// Does what the query's name says, if it says it of this place.
#[expect(clippy::panic, reason = "it is what the name asks for")]
pub(super) fn strike(at: At, packet: &[u8]) {
    let Ok(query) = Query::parse(packet) else {
        return;
    };
    match (at, query.name().to_string().as_str()) {
        (At::Worker, PANIC) | (At::Later, PANIC_LATER) => panic!("as the name says"),
        (At::Worker, HANG) => loop {
            thread::park();
        },
        _ => {}
    }
}
