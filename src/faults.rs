//! Faults on demand, in a build with the feature `faults`: questions for some names make dnsgate panic
//! or hang, so that `tests/faults.rs` sees what that costs the real program; and the words of a file
//! make a reload fail as a bug or a machine would make it fail.
//!
//! Whoever may ask such a build can stop it, so a build without debug assertions, as every release
//! is, cannot have the feature.

use std::{env, fs, io, thread, time::Duration};

use dnsgate_core::dns::Query;

#[cfg(not(debug_assertions))]
compile_error!("the feature `faults` lets clients stop dnsgate: it is for its own tests alone");

/// Panics on its worker.
const PANIC: &str = "panic.dnsgate-test.example.";
/// Panics once an upstream has been asked.
const PANIC_LATER: &str = "panic-later.dnsgate-test.example.";
/// Keeps its worker for ever.
const HANG: &str = "hang.dnsgate-test.example.";

/// Names the file that says how reloads fail; it is read at each place where one could.
const RELOADS: &str = "DNSGATE_FAULTS";

/// Where a reload has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloading {
    /// On its thread, where files are read.
    Reading,
    /// Where what was read takes the place of what is in force.
    Applying,
    /// On the thread that looks for changes.
    Looking,
}

/// Panics or hangs there, if the file says so.
#[expect(clippy::panic, reason = "it is what the file asks for")]
pub(crate) fn reload(at: Reloading) {
    match (at, word().as_str()) {
        (Reloading::Reading, "panic reading")
        | (Reloading::Applying, "panic applying")
        | (Reloading::Looking, "panic looking") => panic!("as the file says"),
        // Until it says otherwise; what begins meanwhile need not hang.
        (Reloading::Reading, "hang reading") | (Reloading::Looking, "hang looking") => {
            while word() != "go on" {
                thread::sleep(Duration::from_millis(10));
            }
        }
        _ => {}
    }
}

/// Refuses a thread, if the file says so.
pub(crate) fn thread() -> io::Result<()> {
    match word().as_str() {
        "no thread" => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

fn word() -> String {
    let text = env::var_os(RELOADS).and_then(|path| fs::read_to_string(path).ok());
    text.unwrap_or_default().trim().to_owned()
}

/// Where a query has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// With the worker that read it.
    Worker,
    /// With the task that waits for an upstream, which has answered.
    Later,
}

/// Does what the query's name says, if it says it of this place.
#[expect(clippy::panic, reason = "it is what the name asks for")]
pub(crate) fn strike(at: FaultPoint, packet: &[u8]) {
    let Ok(query) = Query::parse(packet) else {
        return;
    };
    match (at, query.name().to_string().as_str()) {
        (FaultPoint::Worker, PANIC) | (FaultPoint::Later, PANIC_LATER) => {
            panic!("as the name says")
        }
        (FaultPoint::Worker, HANG) => loop {
            thread::park();
        },
        _ => {}
    }
}
