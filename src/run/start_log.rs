//! The lifecycle log: start, drain, and the state of listeners.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::json;

use crate::telemetry::{LogSeverity, Telemetry};
use dnsgate_core::dns::Transport;

/// Logs the listeners and a summary of the configuration.
pub(super) fn ready(
    telemetry: &Telemetry,
    listen: &[(Transport, SocketAddr)],
    admin: Option<SocketAddr>,
    summary: &str,
) {
    let shown = |(transport, address): &(Transport, SocketAddr)| {
        format!("{}://{address}", transport.as_str())
    };
    let listen: Vec<String> = listen.iter().map(shown).collect();
    let admin = admin.map(|address| address.to_string());
    let digest = telemetry.shared().policy_digest();
    let digest = digest.map(|digest| digest.to_string());
    let fields = [
        ("listen", json!(listen)),
        ("admin", json!(admin)),
        ("configuration", json!(summary)),
        ("policy_digest", json!(digest)),
    ];
    telemetry.event(LogSeverity::Notice, "ready", &fields);
}

/// Logs a wildcard IPv6 listener that was skipped on a host without IPv6.
pub(super) fn without_ipv6(
    telemetry: &Telemetry,
    transport: Transport,
    address: SocketAddr,
    why: &io::Error,
) {
    let listener = format!("{}://{address}", transport.as_str());
    let message =
        format!("this host has no IPv6 ({why}): dnsgate runs without the listener {listener}");
    telemetry.event(
        LogSeverity::Warning,
        &message,
        &[("listen", json!(listener))],
    );
}

/// Logs that a worker of a UDP listener stopped answering, or answers again.
pub(super) fn answers(telemetry: &Telemetry, address: SocketAddr, answers: bool) {
    telemetry.health().answers(address, answers);
    let (severity, message) = if answers {
        (LogSeverity::Notice, "a worker answers again")
    } else {
        (LogSeverity::Error, "a worker does not answer")
    };
    let listener = format!("udp://{address}");
    telemetry.event(severity, message, &[("listen", json!(listener))]);
}

/// Logs that the drain has begun.
pub(super) fn draining(telemetry: &Telemetry, signal: &str, drain: Duration) {
    let fields = [
        ("signal", json!(signal)),
        ("seconds", json!(drain.as_secs_f64())),
    ];
    telemetry.event(LogSeverity::Notice, "draining", &fields);
}
