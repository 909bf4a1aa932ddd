//! The signals that a server listens to, from the first line of `main` on.
//!
//! ```text
//! main ─▶ catch_signals ──────────▶ Signals::watch ─────▶ started ───────▶ the end
//!         SIGTERM, SIGINT: exit 0 at once                 SIGTERM, SIGINT: drain
//!         SIGHUP: kept, a reload once ready               SIGHUP: reload
//! ```
//!
//! Before dnsgate is ready nobody has been told to ask it, so an order to stop ends the process in
//! the signal's handler, whatever the start is doing: a configuration may be read from a pipe that
//! nobody writes to. What the kernel does with a signal before `main` is out of a program's hands.

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

/// What the handlers know; there is one process, and so one of these.
static EARLY: OnceLock<Early> = OnceLock::new();

struct Early {
    /// Whether an order to stop ends the process at once.
    starting: Arc<AtomicBool>,
    /// SIGHUP came.
    hangup: Arc<AtomicBool>,
}

/// Takes the signals of a server that is about to start. The first thing that `main` does; again,
/// it does nothing.
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
    // Somebody else was as quick: his handlers do the same.
    let _ = EARLY.set(early);
    Ok(())
}

/// From now on an order to stop is for [`Signals`], which must have been watching for a while.
pub(super) fn started() {
    if let Some(early) = EARLY.get() {
        early.starting.store(false, Ordering::SeqCst);
    }
}

/// Whether SIGHUP came since the start, and this is the first to ask.
pub(super) fn hung_up_early() -> bool {
    let early = EARLY.get();
    early.is_some_and(|early| early.hangup.swap(false, Ordering::SeqCst))
}

/// SIGTERM, SIGINT and SIGHUP, from the moment of [`Signals::watch`] on.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// To stop; by which signal.
    Stop(&'static str),
    /// To read the configuration again.
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

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::Stop("SIGTERM"),
            _ = self.interrupt.recv() => SignalRequest::Stop("SIGINT"),
            _ = self.hangup.recv() => SignalRequest::Reload,
        }
    }
}
