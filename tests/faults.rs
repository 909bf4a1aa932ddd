//! What a fault in dnsgate costs: one answer, one worker, or one reload. The real program is built so that some names, and some
//! words of a file, make it panic or hang: `cargo test --features faults --test faults`.

// Here and not as `required-features` in Cargo.toml: a target that is named there must exist wherever the crate is built,
// and the image is built without tests.
#![cfg(feature = "faults")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped says why"
)]

use std::{fs, net::UdpSocket, path::Path, thread};

use serde_json::Value;

use running::{Running, SOON, installed, signal};

#[expect(dead_code, reason = "the integration tests use more of it")]
#[path = "support/running.rs"]
mod running;
#[path = "faults/spoofing.rs"]
mod spoofing;

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
         - {{name: own, domains: [a.example], records: [A 10.0.0.5]}}\n\
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
fn panic_costs_one_answer() {
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
fn hung_worker_is_reported() {
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

/// A dnsgate whose reloads fail as the file `faults` beside its configuration says.
fn start_reloading(args: &[&str], policy: &str) -> Running {
    Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("gate.yaml"), policy).expect("room");
        // To print where it panicked may take longer than a reload has.
        command.env_remove("RUST_BACKTRACE");
        command.arg("--config").arg(dir.join("gate.yaml"));
        command.env("DNSGATE_FAULTS", dir.join("faults"));
        command.args(args);
    })
}

fn policy(number: u8) -> String {
    format!(
        "limits: {{reload_timeout: 5s, drain: 0s}}\n\
         rules: [{{name: own, domains: [a.example], records: [A 10.0.0.{number}]}}]\n"
    )
}

/// Replaces a file whole, so that nobody reads half of it.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("room");
    fs::rename(new, path).expect("renamed");
}

#[test]
fn reload_works_after_one_that_panicked_or_hung() {
    let dnsgate = start_reloading(&["--no-watch"], &policy(1));
    let (faults, config) = (
        dnsgate.dir().join("faults"),
        dnsgate.dir().join("gate.yaml"),
    );
    let rejected = || dnsgate.metric("dnsgate_config_rejected");
    let mut number = 1;
    for (fault, told) in [
        ("panic reading", "dnsgate panicked: this is a bug"),
        ("no thread", "the system refused a thread"),
        ("panic applying", "dnsgate panicked: this is a bug"),
        ("hang reading", "it was given up after 5s"),
        ("hang reading", "limits.reload_timeout"),
    ] {
        put(&faults, fault);
        put(&config, &policy(number + 1));
        let output = dnsgate.reload();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{fault}: {said}");
        assert!(said.contains(told), "{fault}: {said}");
        assert_eq!(rejected(), 1, "{fault}");
        let (status, page) = dnsgate.get("/readyz");
        assert!(status == 200 && page.contains("refused"), "{fault}: {page}");
        assert_eq!(
            dnsgate.metric("dnsgate_snapshot_generation"),
            u64::from(number)
        );
        // What hung hangs on, and holds nobody up.
        put(&faults, "");
        let output = dnsgate.reload();
        assert_eq!(output.status.code(), Some(0), "{fault}: {output:?}");
        number += 1;
        assert_eq!(
            dnsgate.metric("dnsgate_snapshot_generation"),
            u64::from(number)
        );
        assert_eq!(rejected(), 0, "{fault}");
        if installed(&["dig"]) {
            let printed = dnsgate.dig("+short a.example");
            assert_eq!(printed, format!("10.0.0.{number}\n"), "{fault}");
        }
    }
    // Nor does SIGHUP end it.
    put(&faults, "panic reading");
    signal(&dnsgate.child, "HUP");
    let refused = |event: &Value| {
        let message = event["message"].as_str().unwrap_or_default();
        message.starts_with("reload refused, ") && event["asked_by"] == "SIGHUP"
    };
    assert_eq!(logged(&dnsgate, refused)["severity"], "ERROR");
    assert_eq!(dnsgate.get("/livez").0, 200);
}

#[test]
fn hung_reloads_are_limited_and_hold_up_no_admin_page() {
    let dnsgate = start_reloading(&["--no-watch"], &policy(1).replace("5s", "1s"));
    let faults = dnsgate.dir().join("faults");
    put(&faults, "hang reading");
    let said = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let mut hung = 0;
    loop {
        let said = said(dnsgate.reload());
        if said.contains("still hang") {
            break;
        }
        assert!(said.contains("given up"), "{said}");
        hung += 1;
        assert!(hung < 20, "there is no end of them");
        assert_eq!(dnsgate.get("/readyz").0, 200);
    }
    assert!(hung > 1, "the next one may begin");
    put(&faults, "go on");
    // As soon as one of them has ended.
    while !dnsgate.reload().status.success() {
        thread::yield_now();
    }
}

#[test]
fn reload_on_request_works_if_watching_fails() {
    for fault in ["panic looking", "hang looking", "no thread"] {
        let dnsgate = start_reloading(&[], &policy(1));
        let (faults, config) = (
            dnsgate.dir().join("faults"),
            dnsgate.dir().join("gate.yaml"),
        );
        put(&faults, fault);
        if fault != "hang looking" {
            logged(&dnsgate, |event| {
                let message = event["message"].as_str().unwrap_or_default();
                message.contains("cannot be watched")
            });
            put(&faults, "");
        } else {
            // By now it looks, and hangs.
            thread::sleep(std::time::Duration::from_secs(5));
        }
        put(&config, &policy(2));
        let output = dnsgate.reload();
        assert_eq!(output.status.code(), Some(0), "{fault}: {output:?}");
        signal(&dnsgate.child, "HUP");
        logged(&dnsgate, |event| event["asked_by"] == "SIGHUP");
    }
}
