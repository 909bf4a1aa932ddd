//! The two clocks. The core gets the time as an argument; the rest of the program reads it here.

use std::time::{Instant, SystemTime};

/// The wall-clock time, for expiry dates and for the log.
#[expect(
    clippy::disallowed_methods,
    reason = "one of the two places that read a clock; the core is given this time"
)]
pub(crate) fn calendar() -> SystemTime {
    SystemTime::now()
}

/// The monotonic time, for durations and deadlines. It is tokio's clock, which equals the system's
/// except in tests that pause it.
pub(crate) fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}
