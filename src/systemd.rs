//! Notifies systemd (`sd_notify(3)`), if systemd started this process. A message that cannot be
//! delivered is lost.

use std::time::Duration;

use sd_notify::NotifyState as State;
use tokio::time;

use crate::telemetry::Telemetry;

/// Reports that all listeners answer, or that a reload has ended. `systemctl status` shows
/// `status`.
pub(crate) fn ready(status: &str) {
    send(&[State::Ready, State::Status(one_line(status))]);
}

/// Reports that a reload has begun. [`ready`] must follow, whatever the result.
pub(crate) fn reloading() {
    // Without its time, systemd treats the message as an older one and waits forever.
    if let Ok(now) = State::monotonic_usec_now() {
        send(&[State::Reloading, now]);
    }
}

/// Reports that the drain has begun.
pub(crate) fn stopping(status: &str) {
    send(&[State::Stopping, State::Status(one_line(status))]);
}

/// Notifies systemd's watchdog at half of the unit's `WatchdogSec=`, except while a listener does
/// not answer dnsgate's own query. Never ready.
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

/// Only the first line, because a line break would begin another message.
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
