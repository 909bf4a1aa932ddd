//! Whether dnsgate may be asked: starting, ready, draining. `/readyz` and `dnsgate_ready` tell it.

use std::sync::{Mutex, PoisonError};

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
pub struct Health {
    phase: Mutex<Phase>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            phase: Mutex::new(Phase::Starting(
                "the configuration is being loaded".to_owned(),
            )),
        }
    }
}

impl Health {
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
        self.phase
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, next: impl FnOnce(&Phase) -> Option<Phase>) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = next(&phase) {
            *phase = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_go_forward() {
        let health = Health::default();
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
}
