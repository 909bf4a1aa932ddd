//! One process for as long as the test lasts, with everything at once: valid and invalid reloads, clients that connect and leave,
//! names that are asked for once. Its memory must not grow with its age.

use std::{
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    gate::{Gate, write_config},
    load::{Load, OWN, Questions, ZONES, lasting},
    message::good,
    upstream::Upstream,
};

/// What it may grow by, in KiB, when it has seen everything once: caches of the allocator, a table that doubles.
const GROWTH: u64 = 12 << 10;
/// Time from one round of trouble to the next.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that come and go in a round.
const VISITORS: usize = 20;
/// After so many rounds it has seen everything.
const WARM: u32 = 10;

const ONCE: Questions = Questions {
    name: |number| format!("q{number}.once.test"),
    judge: |_, seen| (seen == "NOERROR 300 A 192.31.196.1").then_some("answered from upstreams"),
};

#[test]
fn long_life_with_reloads_loses_no_query_and_keeps_its_memory() {
    let upstream = Upstream::start(|query, socket, to| {
        // The asker may have gone.
        let _ = socket.send_to(&good(query), to);
    });
    let config = format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
upstreams: {{ far: {{ servers: [\"udp://{}\"] }} }}
rules: [{{ name: far, domains: [.once.test], forward: far }}]
{ZONES}",
        upstream.address
    );
    let gate = Gate::start_with(&config, "", |_, command| {
        command.arg("--no-watch");
    });
    let own = Load::both(gate.port(), OWN);
    let once = Load::udp(gate.port(), ONCE);
    let (began, mut round, mut young) = (Instant::now(), 0, 0);
    while round <= WARM || began.elapsed() < lasting() {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|_| TcpStream::connect(("127.0.0.1", gate.port())))
            .collect();
        let rest = if round % 2 == 0 {
            "# as it was\n"
        } else {
            "rules: ["
        };
        write_config(gate.running.dir(), &format!("{config}{rest}"));
        assert_eq!(gate.running.reload().status.success(), round % 2 == 0);
        thread::sleep(PAUSE);
        drop(visitors);
        if round == WARM {
            young = gate.resident();
        }
        round += 1;
    }
    let tally = own.stop().and(once.stop());
    let old = gate.resident();
    let note = format!("{round} reloads; {young} KiB when young, {old} KiB when old");
    gate.holds("everything at once, one process", &tally, &note);
    assert!(old <= young + GROWTH, "{note}");
}
