//! The signal that stops the listeners.

use std::time::Duration;

use tokio::sync::watch;

/// `None` while the listeners run; then the time left for messages in progress. A dropped sender
/// also means stop.
pub(super) type StopSignal = watch::Receiver<Option<Duration>>;

/// Whether the worker must stop. Costs one atomic load.
pub(super) fn stopped(stop: &StopSignal) -> bool {
    !matches!(stop.has_changed(), Ok(false))
}
