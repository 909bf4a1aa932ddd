//! What a running dnsgate tells of its own life, in its log and its metrics.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use serde_json::json;

use crate::{
    reload::{Applied, Numbered, Refused},
    telemetry::{Labels, Reload, Severity, Telemetry},
};
use dnsgate_config::{Notice, Unquoted};
use dnsgate_core::{dns::Transport, engine::Snapshot};

/// How the report of a refused reload begins.
const REFUSED: &str = "reload refused, the old configuration stays in force: ";

/// Makes the names of groups and rules known. Before the first query can be counted under them.
pub(super) fn labels(telemetry: &Telemetry, snapshot: &Snapshot, upstreams: &Numbered) {
    let policy = snapshot.policy();
    let groups = policy.groups().iter().map(|group| group.name.to_string());
    let rules = policy.rules().iter().map(|rule| rule.name.to_string());
    let labels = Labels {
        groups: groups.collect(),
        rules: rules.collect(),
        upstreams: upstreams
            .iter()
            .map(|(_, upstream)| upstream.name.to_string())
            .collect(),
    };
    telemetry.loaded(snapshot.generation(), labels, now());
    let ending = policy.rules().iter();
    let ending = ending.filter_map(|rule| Some((rule.name.to_string(), rule.until?)));
    telemetry.shared().rules_expire(ending.collect());
}

/// What in the configuration was perhaps not meant.
pub(super) fn warnings(telemetry: &Telemetry, warnings: &[Notice]) {
    for warning in warnings {
        telemetry.event(Severity::Warning, &warning.to_string(), &[]);
    }
}

/// Where it listens, and what it serves.
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
    let fields = [
        ("listen", json!(listen)),
        ("admin", json!(admin)),
        ("configuration", json!(summary)),
    ];
    telemetry.event(Severity::Notice, "ready", &fields);
}

/// A listener for every IPv6 address of a host that has none.
pub(super) fn without_ipv6(
    telemetry: &Telemetry,
    transport: Transport,
    address: SocketAddr,
    why: &io::Error,
) {
    let listener = format!("{}://{address}", transport.as_str());
    let message = format!(
        "this host has no IPv6, so nobody can ask at {listener} ({why}): dnsgate goes on without it"
    );
    telemetry.event(Severity::Warning, &message, &[("listen", json!(listener))]);
}

/// A configuration that takes the place of another. Returns the report for whoever asked, which quotes
/// no file; the log does.
pub(super) fn reloaded(telemetry: &Telemetry, applied: &Applied, asked_by: &str) -> Unquoted {
    telemetry.shared().reloaded(Reload::Success);
    telemetry.shared().config_rejected(false);
    telemetry.health().reloaded(None);
    warnings(telemetry, &applied.warnings);
    let generation = applied.generation;
    let changes = applied.changes.to_string();
    let mut report = Unquoted::from("reloaded, generation ")
        .and_number(generation)
        .and(": ")
        .and_changes(&applied.changes);
    for warning in &applied.warnings {
        report = report.and("\n").and_all(&warning.unquoted());
    }
    let fields = [
        ("generation", json!(generation)),
        ("changes", json!(changes)),
        ("asked_by", json!(asked_by)),
    ];
    telemetry.event(Severity::Notice, "reloaded", &fields);
    report
}

/// A reload that changed nothing. Returns the report for whoever asked, which quotes no file; the log
/// does.
pub(super) fn refused(telemetry: &Telemetry, why: &Refused, asked_by: &str) -> Unquoted {
    telemetry.shared().reloaded(Reload::Rejected);
    if why.leaves_a_difference() {
        telemetry.shared().config_rejected(true);
    }
    let told = why.unquoted();
    telemetry.health().reloaded(Some(&told));
    let event = format!("{REFUSED}{why}");
    telemetry.event(Severity::Error, &event, &[("asked_by", json!(asked_by))]);
    Unquoted::from(REFUSED).and_all(&told)
}

/// That changes of files are not seen, or are again.
pub(super) fn watching(telemetry: &Telemetry, fault: Option<&str>) {
    match fault {
        Some(why) => {
            let fields = [("error", json!(why))];
            let message = "the files of the configuration cannot be watched: changes are not seen, SIGHUP and `dnsgate reload` still work";
            telemetry.event(Severity::Error, message, &fields);
        }
        None => {
            let message = "the files of the configuration are watched again";
            telemetry.event(Severity::Notice, message, &[]);
        }
    }
}

/// A UDP listener of which a worker fell silent, or answers again.
pub(super) fn answers(telemetry: &Telemetry, address: SocketAddr, answers: bool) {
    telemetry.health().answers(address, answers);
    let (severity, message) = if answers {
        (Severity::Notice, "a worker answers again")
    } else {
        (Severity::Error, "a worker does not answer")
    };
    let listener = format!("udp://{address}");
    telemetry.event(severity, message, &[("listen", json!(listener))]);
}

/// That the end has begun.
pub(super) fn draining(telemetry: &Telemetry, signal: &str, drain: Duration) {
    let fields = [
        ("signal", json!(signal)),
        ("seconds", json!(drain.as_secs_f64())),
    ];
    telemetry.event(Severity::Notice, "draining", &fields);
}

/// The time of an event of our own life.
pub(super) fn now() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of an event of our own life; no client's query is decided by it"
    )]
    SystemTime::now()
}
