//! SIGTERM under load: queries are answered until the end of the drain, and the process exits with 0.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    gate::Gate,
    load::{Load, Questions, ZONES},
    message::good,
    running::SOON,
    upstream::Upstream,
};

/// How long it answers on.
const DRAIN: Duration = Duration::from_secs(3);

/// A third of them waits for an upstream, so that always some are under way.
const MIXED: Questions = Questions {
    name: |number| match number % 3 {
        0 => format!("q{number}.any.zone.test"),
        1 => format!("q{number}.denied.test"),
        _ => format!("q{number}.slow.test"),
    },
    judge: |name, seen| match (name.rsplit('.').nth(1)?, seen) {
        ("zone", "NOERROR 60 A 10.0.0.1") => Some("answered"),
        ("denied", "REFUSED") => Some("denied"),
        ("slow", "NOERROR 300 A 192.31.196.1") => Some("answered from upstreams"),
        _ => None,
    },
};

#[test]
fn drain_under_load_loses_no_query() {
    let upstream = Upstream::start(|query, socket, to| {
        let (socket, reply) = (socket.try_clone().expect("a descriptor"), good(query));
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            // The asker may have gone.
            let _ = socket.send_to(&reply, to);
        });
    });
    let mut gate = Gate::start(&format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
limits: {{ drain: {}s }}
upstreams: {{ slow: {{ servers: [\"udp://{}\"] }} }}
rules: [{{ name: slow, domains: [.slow.test], forward: slow }}]
{ZONES}",
        DRAIN.as_secs(),
        upstream.address,
    ));
    let load = Load::both(gate.port(), MIXED);
    thread::sleep(DRAIN / 2);
    // It cannot begin to stop before this.
    let end = Instant::now() + DRAIN;
    gate.signal("TERM");
    let mut lines = gate.running.lines.iter();
    assert!(lines.any(|line| line.contains("draining")), "it says so");
    assert_eq!(gate.running.get("/readyz").0, 503);
    let peak = gate.peak();
    let status = gate.ended(DRAIN + SOON);
    assert_eq!(status.code(), Some(0), "{status}");
    let mut tally = load.stop();
    tally.end = Some(end);
    let after = tally.unanswered.len() - tally.lost();
    let note = format!("exit code 0; {after} more were sent when it was over");
    gate.judge("SIGTERM, a drain of 3 s", &tally, peak, &note);
}
