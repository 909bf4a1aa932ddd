//! What a fault of ours costs: one answer, or one worker. The real program, built so that some names
//! make it panic or hang: `cargo test --features faults --test faults`.

// Here and not as `required-features` in Cargo.toml: a target that is named there must exist wherever the crate is built,
// and the image is built without tests.
#![cfg(feature = "faults")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped says why"
)]

use std::{net::UdpSocket, thread};

use serde_json::Value;

use running::{Running, SOON, installed};

#[expect(dead_code, reason = "the tests of the program use more of it")]
mod running;

/// Faults of each kind and transport: enough clients to come to every worker, so that one that was
/// lost to a panic would be missed.
const TIMES: u64 = 12;

/// A name server that says of every name that it has no address.
fn upstream() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("bound").port();
    // It ends with the process of this test.
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, client)) = socket.recv_from(&mut packet) {
            packet[2] |= 0x80;
            packet[3] |= 0x80;
            let _ = socket.send_to(&packet[..len], client);
        }
    });
    port
}

fn start(workers: usize) -> Running {
    Running::start(&format!(
        "workers: {workers}\n\
         cache: {{size: 0}}\n\
         upstreams: {{one: {{servers: [\"udp://127.0.0.1:{}\"]}}}}\n\
         rules:\n\
         - {{name: own, domains: [a.example], answer: [A 10.0.0.5]}}\n\
         - {{name: theirs, domains: [.dnsgate-test.example], forward: one}}\n",
        upstream()
    ))
}

/// The next line of the log for which this holds. What Rust prints of a panic stands between them.
fn logged(dnsgate: &Running, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = dnsgate.lines.recv_timeout(SOON).expect("a line");
        if let Ok(event) = serde_json::from_str(&line)
            && wanted(&event)
        {
            return event;
        }
    }
}

#[test]
fn a_panic_costs_one_answer() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = start(2);
    let asked = |transport: &str, name: &str, want: &str| {
        let printed = dnsgate.dig(&format!("{transport} {name}"));
        assert!(printed.contains(want), "{transport} {name}: {printed}");
    };
    for transport in ["+notcp", "+tcp"] {
        for _ in 0..TIMES {
            asked(transport, "panic.dnsgate-test.example", "SERVFAIL");
            asked(transport, "a.example", "10.0.0.5");
            asked(transport, "panic-later.dnsgate-test.example", "SERVFAIL");
            asked(transport, "b.dnsgate-test.example", "NOERROR");
        }
    }
    assert_eq!(dnsgate.metric("dnsgate_panics_total"), 4 * TIMES);
    assert_eq!(dnsgate.metric("dnsgate_in_flight"), 0);
    let failed = "dnsgate_query_duration_seconds_count{verdict=\"failed\"}";
    assert_eq!(dnsgate.metric(failed), 4 * TIMES);
    for name in ["panic", "panic-later"] {
        let of_it = |event: &Value| {
            let asked = event["queryName"].as_str().unwrap_or_default();
            asked.starts_with(&format!("{name}.dnsgate-test"))
        };
        let event = logged(&dnsgate, of_it);
        assert_eq!(
            (&event["severity"], &event["reason"]),
            (&Value::from("ERROR"), &Value::from("panic")),
            "{event}"
        );
    }
    assert_eq!(dnsgate.get("/livez").0, 200);
    assert_eq!(dnsgate.get("/readyz").0, 200);
}

#[test]
fn a_worker_that_hangs_is_noticed() {
    let dnsgate = start(1);
    assert_eq!(dnsgate.get("/livez").0, 200);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let question =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04hang\x0cdnsgate-test\x07example\0\0\x01\0\x01";
    let sent = socket.send_to(question, ("127.0.0.1", dnsgate.port));
    sent.expect("room");
    let event = logged(&dnsgate, |event| {
        event["message"] == "a worker does not answer"
    });
    assert_eq!(event["severity"], "ERROR");
    let (status, page) = dnsgate.get("/livez");
    assert_eq!(status, 503, "{page}");
    let listener = format!("udp://127.0.0.1:{}", dnsgate.port);
    assert!(page.contains(&listener), "{page}");
    // What hangs is one worker over UDP: streams have their own.
    if installed(&["dig"]) {
        let printed = dnsgate.dig("+tcp a.example");
        assert!(printed.contains("10.0.0.5"), "{printed}");
    }
}
