//! The two clocks. The core is given the time as an argument; everything else of the program reads it here.

use std::time::{Instant, SystemTime};

/// The time by the calendar: for expiry dates and for the log.
#[expect(
    clippy::disallowed_methods,
    reason = "one of the two places that read a clock; the core is given this time"
)]
pub(crate) fn calendar() -> SystemTime {
    SystemTime::now()
}

/// The time for durations and deadlines. It is tokio's clock, which is the system's but for tests that
/// stop it.
pub(crate) fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}
