//! Fault injection, in a build with the feature `faults`. Queries for certain names make dnsgate
//! panic or hang, so that `tests/faults.rs` can observe the effect on the real program; the content
//! of a file makes a reload fail like a bug or a machine fault.
//!
//! Any client of such a build can stop it. The feature therefore does not compile without debug
//! assertions, that is, in any release build.

use std::{env, fs, io, thread, time::Duration};

use crate::upstream::SocketLimits;
use dnsgate_core::dns::Query;

#[cfg(not(debug_assertions))]
compile_error!("the feature `faults` lets clients stop dnsgate: it is for its own tests alone");

/// Panics on its worker.
const PANIC: &str = "panic.dnsgate-test.example.";
/// Panics after an upstream has answered.
const PANIC_LATER: &str = "panic-later.dnsgate-test.example.";
/// Blocks its worker forever.
const HANG: &str = "hang.dnsgate-test.example.";

/// Names the file that says how reloads fail. It is read at each possible fault.
const RELOADS: &str = "DNSGATE_FAULTS";

/// Makes replies of upstreams easy to forge, if set: one port that never changes, IDs that count, no
/// random letter case, no limit of wrong replies. So a test can see that its attacker would succeed.
const SPOOFABLE: &str = "DNSGATE_SPOOFABLE";

/// Whether replies of upstreams are easy to forge.
pub(crate) fn is_spoofable() -> bool {
    static SET: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *SET.get_or_init(|| env::var_os(SPOOFABLE).is_some())
}

/// The limits of sockets, without effect if replies are to be easy to forge.
pub(crate) fn spoofable(limits: SocketLimits) -> SocketLimits {
    match is_spoofable() {
        true => SocketLimits {
            sockets: 1,
            questions: usize::MAX,
            lifetime: Duration::from_secs(3600),
            near_misses: usize::MAX,
        },
        false => limits,
    }
}

/// The stage of a reload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloading {
    /// On the thread that reads the files.
    Reading,
    /// When the new configuration replaces the current one.
    Applying,
    /// On the thread that checks for changes.
    Looking,
}

/// Panics or hangs at this stage, if the file says so.
#[expect(clippy::panic, reason = "it is what the file asks for")]
pub(crate) fn reload(at: Reloading) {
    match (at, word().as_str()) {
        (Reloading::Reading, "panic reading")
        | (Reloading::Applying, "panic applying")
        | (Reloading::Looking, "panic looking") => panic!("as the file says"),
        // Until the file says otherwise; later work need not hang.
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

/// The stage of a query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// On the worker that received it.
    Worker,
    /// In the task that waits for an upstream, after its answer.
    Later,
}

/// Injects the fault that the query's name selects, if it applies to this stage.
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
