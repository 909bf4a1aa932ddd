//! Whether dnsgate may be asked: starting, ready, draining. `/readyz` and `dnsgate_ready` tell it.
//! Beside that, what is wrong without being a reason not to ask: a configuration that was refused
//! (`/readyz` adds it), a listener that has fallen silent (`/livez` fails). Nothing that an upstream or a
//! client sends is a reason.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dnsgate_config::Unquoted;

/// The phases of a process's life; they only go forward, but for the reason of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet: what is still missing.
    Starting(String),
    /// Every listener is bound, the configuration is loaded, a query of our own was answered.
    Ready,
    /// No more: why. Queries are still answered for a while.
    Draining(String),
}

/// The phase, shared.
#[derive(Debug)]
pub struct ProcessHealth {
    phase: Mutex<Phase>,
    /// Why the last reload was refused.
    refused: Mutex<Option<String>>,
    /// UDP listeners that do not answer a query of our own.
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
    /// Says what is still missing. Nothing happens once it was ready.
    pub fn starting(&self, missing: &str) {
        self.change(|phase| match phase {
            Phase::Starting(_) => Some(Phase::Starting(missing.to_owned())),
            Phase::Ready | Phase::Draining(_) => None,
        });
    }

    /// Says that dnsgate may be asked. Nothing happens once it drains.
    pub fn ready(&self) {
        self.change(|phase| match phase {
            Phase::Starting(_) => Some(Phase::Ready),
            Phase::Ready | Phase::Draining(_) => None,
        });
    }

    /// Says that dnsgate is about to stop; there is no way back.
    pub fn draining(&self, why: &str) {
        self.change(|phase| match phase {
            Phase::Starting(_) | Phase::Ready => Some(Phase::Draining(why.to_owned())),
            Phase::Draining(_) => None,
        });
    }

    /// The phase at this moment.
    #[must_use]
    pub fn phase(&self) -> Phase {
        locked(&self.phase).clone()
    }

    /// Keeps the first line of why a reload was refused, until the next one; `None` for one that was
    /// not. It quotes no file: whoever may see `/readyz` need not be one who may read that.
    pub fn reloaded(&self, refused: Option<&Unquoted>) {
        *locked(&self.refused) = refused.map(|why| why.first_line().to_string());
    }

    /// Why the last reload was refused.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        locked(&self.refused).clone()
    }

    /// Says whether the UDP listener at `address` answers a query of our own.
    pub fn answers(&self, address: SocketAddr, answers: bool) {
        let mut silent = locked(&self.silent);
        if answers {
            silent.remove(&address);
        } else {
            silent.insert(address);
        }
    }

    /// A UDP listener that does not answer.
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

/// What a panic elsewhere left behind is whole: each is written in one step.
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
