//! The process state (starting, ready, draining) for `/readyz` and `dnsgate_ready`. Also faults
//! that do not affect readiness: a refused configuration (`/readyz` mentions it) and a listener
//! that stopped answering (`/livez` fails). Data from clients and upstreams do not affect any of
//! it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dnsgate_config::Unquoted;

/// The phases of a process. They change only in this order; the text of `Starting` may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Starting; contains the missing step.
    Starting(String),
    /// Every listener is bound, the configuration is loaded, and dnsgate's own query was answered.
    Ready,
    /// Stopping; contains the reason. Queries are still answered for a while.
    Draining(String),
}

/// The shared state of the process.
#[derive(Debug)]
pub struct ProcessHealth {
    phase: Mutex<Phase>,
    /// Why the last reload was refused.
    refused: Mutex<Option<String>>,
    /// UDP listeners that do not answer dnsgate's own query.
    silent: Mutex<BTreeSet<SocketAddr>>,
}

impl Default for ProcessHealth {
    fn default() -> Self {
        Self {
            phase: Mutex::new(Phase::Starting(
                "the configuration is being loaded".to_owned(),
            )),
            refused: Mutex::default(),
            silent: Mutex::default(),
        }
    }
}

impl ProcessHealth {
    /// Sets the missing step. Has no effect once ready.
    pub fn starting(&self, missing: &str) {
        self.change(|phase| match phase {
            Phase::Starting(_) => Some(Phase::Starting(missing.to_owned())),
            Phase::Ready | Phase::Draining(_) => None,
        });
    }

    /// Sets the phase to ready. Has no effect while draining.
    pub fn ready(&self) {
        self.change(|phase| match phase {
            Phase::Starting(_) => Some(Phase::Ready),
            Phase::Ready | Phase::Draining(_) => None,
        });
    }

    /// Sets the phase to draining, which is final.
    pub fn draining(&self, why: &str) {
        self.change(|phase| match phase {
            Phase::Starting(_) | Phase::Ready => Some(Phase::Draining(why.to_owned())),
            Phase::Draining(_) => None,
        });
    }

    /// The current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        locked(&self.phase).clone()
    }

    /// Stores the first line of the reason for a refused reload; `None` clears it. It contains no
    /// text from files, because readers of `/readyz` may not be allowed to read those.
    pub fn reloaded(&self, refused: Option<&Unquoted>) {
        *locked(&self.refused) = refused.map(|why| why.first_line().to_string());
    }

    /// Why the last reload was refused.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        locked(&self.refused).clone()
    }

    /// Records whether the UDP listener at `address` answers dnsgate's own query.
    pub fn answers(&self, address: SocketAddr, answers: bool) {
        let mut silent = locked(&self.silent);
        if answers {
            silent.remove(&address);
        } else {
            silent.insert(address);
        }
    }

    /// A UDP listener that does not answer, if any.
    #[must_use]
    pub fn silent(&self) -> Option<SocketAddr> {
        locked(&self.silent).first().copied()
    }

    fn change(&self, next: impl FnOnce(&Phase) -> Option<Phase>) {
        let mut phase = locked(&self.phase);
        if let Some(next) = next(&phase) {
            *phase = next;
        }
    }
}

/// A poisoned value is still complete, because each value is written in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_go_forward() {
        let health = ProcessHealth::default();
        assert!(matches!(health.phase(), Phase::Starting(_)));
        health.starting("udp://0.0.0.0:53 is not bound");
        assert_eq!(
            health.phase(),
            Phase::Starting("udp://0.0.0.0:53 is not bound".to_owned())
        );
        health.ready();
        health.starting("never mind");
        assert_eq!(health.phase(), Phase::Ready);
        health.draining("SIGTERM");
        health.ready();
        health.draining("again");
        assert_eq!(health.phase(), Phase::Draining("SIGTERM".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_kept_until_it_is_right() {
        let health = ProcessHealth::default();
        health.reloaded(Some(&Unquoted::from("gate.yaml:1:1: error: no\nmore")));
        assert_eq!(
            health.refused().as_deref(),
            Some("gate.yaml:1:1: error: no")
        );
        health.reloaded(None);
        assert_eq!(health.refused(), None);

        let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        health.answers(two, false);
        health.answers(one, false);
        health.answers(one, false);
        assert_eq!(health.silent(), Some(one));
        health.answers(one, true);
        assert_eq!(health.silent(), Some(two));
        health.answers(two, true);
        assert_eq!(health.silent(), None);
    }
}
