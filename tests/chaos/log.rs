//! Nobody reads the log: lines that cannot be written are dropped and counted, and neither queries nor the exit wait for it.

use std::{thread, time::Instant};

use crate::{
    gate::Gate,
    load::{Load, OWN, PATIENCE, ZONES, lasting},
    running::SOON,
};

/// Lines that may wait.
const QUEUE: u64 = 100;

#[test]
fn unread_log_holds_up_no_query() {
    let mut gate = Gate::start_unread(&format!(
        "google_apis: {{ vip: off }}
log: {{ queries: all, format: json }}
cache: {{ size: 1MiB }}
limits: {{ log_queue: {QUEUE}, drain: 0s }}
{ZONES}"
    ));
    let dropped = || gate.metric("dnsgate_log_dropped_total");
    let load = Load::both(gate.port(), OWN);
    let began = Instant::now();
    while began.elapsed() < lasting() || dropped() == 0 {
        assert!(
            began.elapsed() < lasting() + PATIENCE * 3,
            "none is dropped"
        );
        thread::sleep(lasting() / 10);
    }
    let tally = load.stop();
    let dropped = dropped();
    assert!(
        dropped < tally.sent,
        "as many as the pipe holds were written"
    );
    let note = format!("{dropped} lines dropped and counted, exit code 0 all the same");
    gate.holds("the log's pipe is stuck", &tally, &note);
    gate.signal("TERM");
    let status = gate.ended(SOON);
    assert_eq!(status.code(), Some(0), "{status}");
}
