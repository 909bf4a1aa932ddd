//! The process from its start to its end.

use std::{
    fs,
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Command, Output},
};

use crate::running::{PROGRAM, Running, installed};

#[test]
fn drain_is_not_ready_and_still_answers() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = Running::start("limits: { drain: 300s }");
    assert_eq!(dnsgate.get("/readyz").0, 200);
    dnsgate.signal("TERM");
    let event = dnsgate.wait_for("draining");
    assert_eq!(event["signal"], "SIGTERM");
    assert_eq!(event["seconds"], 300.0);
    let (status, body) = dnsgate.get("/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("SIGTERM"), "{body}");
    assert_eq!(dnsgate.get("/livez").0, 200);
    assert!(dnsgate.get("/metrics").1.contains("\ndnsgate_ready 0\n"));
    for transport in ["+notcp", "+tcp"] {
        let printed = dnsgate.dig(&format!("{transport} storage.googleapis.com"));
        assert!(printed.contains("199.36.153.7"), "{printed}");
    }
    // The drain would last longer than this test waits.
    dnsgate.signal("TERM");
    let (status, lines) = dnsgate.ended();
    assert_eq!(status.code(), Some(0));
    assert!(
        lines
            .last()
            .is_some_and(|line| line.contains("\"stopped\""))
    );
}

#[test]
fn sigterm_and_sigint_exit_with_0() {
    for (signal, config) in [
        ("TERM", "limits: { drain: 200ms }"),
        ("INT", "limits: { drain: 200ms }"),
        ("TERM", "limits: { drain: 0s }"),
    ] {
        let dnsgate = Running::start(config);
        // A client that stays connected does not hold the end up for ever.
        let _idle = TcpStream::connect(("127.0.0.1", dnsgate.port)).expect("room");
        dnsgate.signal(signal);
        assert_eq!(
            dnsgate.wait_for("draining")["signal"],
            format!("SIG{signal}")
        );
        let (status, lines) = dnsgate.ended();
        assert_eq!(status.code(), Some(0), "SIG{signal}: {lines:#?}");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("\"stopped\""), "{lines:#?}");
    }
}

/// `dnsgate serve` with these arguments, to its end, which comes by itself.
fn serve(args: &[&str]) -> Output {
    let run = Command::new(PROGRAM).arg("serve").args(args).output();
    run.expect("the program runs")
}

fn fails_with(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in words {
        assert_eq!(said.matches(word).count(), 1, "{word:?} in {said}");
    }
}

#[test]
fn names_the_port_that_is_in_use() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let taken = udp.local_addr().expect("bound").to_string();
    let output = serve(&[
        "--listen",
        &format!("udp://{taken}"),
        "--admin",
        "127.0.0.1:0",
    ]);
    let message = format!("dnsgate: cannot listen on udp://{taken}: ");
    fails_with(&output, &[&message, "in use", "another server has it"]);

    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = tcp.local_addr().expect("bound").to_string();
    let output = serve(&[
        "--listen",
        &format!("tcp://{taken}"),
        "--admin",
        "127.0.0.1:0",
    ]);
    fails_with(
        &output,
        &[&format!("cannot listen on tcp://{taken}: "), "in use"],
    );
    let output = serve(&["--listen", "127.0.0.1:0", "--admin", &taken]);
    fails_with(&output, &[&format!("admin pages on {taken}: "), "in use"]);
}

#[test]
fn second_process_does_not_share_the_port() {
    let first = Running::start("");
    let listen = format!("127.0.0.1:{}", first.port);
    let output = serve(&["--listen", &listen, "--admin", "127.0.0.1:0"]);
    fails_with(&output, &["cannot listen on", &listen]);
    assert_eq!(first.get("/readyz").0, 200);
}

#[test]
fn invalid_configuration_binds_no_port() {
    // The port is taken: a program that binds before it has read everything would say so.
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let taken = udp.local_addr().expect("bound");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bad.yaml");
    fs::write(&file, format!("listen: [udp://{taken}]\ndeny_wiht: drop\n")).expect("room");
    let file = file.to_str().expect("UTF-8");
    let output = serve(&["--config", file]);
    fails_with(
        &output,
        &[&format!("{file}:2:1: error: "), "did you mean `deny_with`?"],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("cannot listen"), "{said}");
    assert!(said.starts_with(file), "{said}");
}

#[test]
fn prints_the_memory_at_rest() {
    let dnsgate = Running::start("");
    let status = fs::read_to_string(format!("/proc/{}/status", dnsgate.child.id()));
    let status = status.unwrap_or_default();
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
    {
        println!("{line}");
    }
}
