//! The order to the listeners to stop.

use std::time::Duration;

use tokio::sync::watch;

/// `None` while the listeners run; then the time that messages in progress still have. A sender that is gone
/// is an order to stop, too.
pub(super) type StopSignal = watch::Receiver<Option<Duration>>;

/// Whether the worker is to stop. One atomic load.
pub(super) fn stopped(stop: &StopSignal) -> bool {
    !matches!(stop.has_changed(), Ok(false))
}
