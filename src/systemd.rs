//! What systemd is told (`sd_notify(3)`), where it is systemd that started this process: nothing
//! happens otherwise. A message that is not taken is lost, and nothing hangs on it.

use std::time::Duration;

use sd_notify::NotifyState as State;
use tokio::time;

use crate::telemetry::Telemetry;

/// Everything is bound and answers; or a reload is over. `status` is for `systemctl status`.
pub(crate) fn ready(status: &str) {
    send(&[State::Ready, State::Status(one_line(status))]);
}

/// A reload has begun. [`ready`] must follow, whatever comes of it.
pub(crate) fn reloading() {
    // Without its time the manager takes the message for an older one, and waits for ever.
    if let Ok(now) = State::monotonic_usec_now() {
        send(&[State::Reloading, now]);
    }
}

/// The drain has begun.
pub(crate) fn stopping(status: &str) {
    send(&[State::Stopping, State::Status(one_line(status))]);
}

/// Tells again and again that this process works, at half of the time after which the unit's
/// `WatchdogSec=` restarts it; silent while a listener does not answer a query of our own. Never
/// ready.
pub(crate) async fn watchdog(telemetry: Telemetry) {
    let limit = sd_notify::watchdog_enabled().unwrap_or_default();
    if limit.is_zero() {
        return std::future::pending().await;
    }
    let mut times = time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        times.tick().await;
        if telemetry.health().silent().is_none() {
            send(&[State::Watchdog]);
        }
    }
}

fn send(state: &[State<'_>]) {
    let _ = sd_notify::notify(state);
}

/// A line break would begin another message.
fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("bad\nREADY=1"), "bad");
        assert_eq!(one_line("bad\r\nREADY=1"), "bad");
        assert_eq!(one_line(""), "");
    }
}
