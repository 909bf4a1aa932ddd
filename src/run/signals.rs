//! The signals of a server, from the first line of `main` on.
//!
//! ```text
//! main ─▶ catch_signals ──────────▶ Signals::watch ─────▶ started ───────▶ the end
//!         SIGTERM, SIGINT: exit 0 at once                 SIGTERM, SIGINT: drain
//!         SIGHUP: kept, a reload once ready               SIGHUP: reload
//! ```
//!
//! Before dnsgate is ready no client uses it. A stop signal therefore ends the process in the
//! signal handler, whatever the start is doing: the configuration may come from a pipe that nobody
//! writes to. The program cannot control how the kernel handles a signal before `main`.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// State of the signal handlers. There is one per process.
static EARLY: OnceLock<Early> = OnceLock::new();

struct Early {
    /// Whether a stop signal ends the process at once.
    starting: Arc<AtomicBool>,
    /// SIGHUP was received.
    hangup: Arc<AtomicBool>,
}

/// Installs the signal handlers of a server that is about to start. Call it first in `main`.
/// Further calls do nothing.
///
/// # Errors
/// The system refuses the handlers.
pub fn catch_signals() -> io::Result<()> {
    if EARLY.get().is_some() {
        return Ok(());
    }
    let early = Early {
        starting: Arc::new(AtomicBool::new(true)),
        hangup: Arc::default(),
    };
    for stop in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(stop, 0, Arc::clone(&early.starting))?;
    }
    flag::register(SIGHUP, Arc::clone(&early.hangup))?;
    // If another thread was faster, its handlers do the same.
    let _ = EARLY.set(early);
    Ok(())
}

/// From now on [`Signals`], which must already be watching, handles stop signals.
pub(super) fn started() {
    if let Some(early) = EARLY.get() {
        early.starting.store(false, Ordering::SeqCst);
    }
}

/// Whether SIGHUP was received during the start. Returns true once.
pub(super) fn hung_up_early() -> bool {
    let early = EARLY.get();
    early.is_some_and(|early| early.hangup.swap(false, Ordering::SeqCst))
}

/// SIGTERM, SIGINT and SIGHUP, from [`Signals::watch`] on.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// The request that a signal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// Stop, with the name of the signal.
    Stop(&'static str),
    /// Reload the configuration.
    Reload,
}

impl Signals {
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::Stop("SIGTERM"),
            _ = self.interrupt.recv() => SignalRequest::Stop("SIGINT"),
            _ = self.hangup.recv() => SignalRequest::Reload,
        }
    }
}
