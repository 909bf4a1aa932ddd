//! What must fail: names that resolve, servers that are reached, and servers that are not Google's.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    process::Command,
    thread,
};

use serde_json::Value;

use super::{NOBODY, SEALED, Vpc, failed, google::Authority, quiet, seen};
use crate::running::{PROGRAM, end, free_port};

#[test]
fn reports_every_leak() {
    let leaky = "  - { name: leak, domains: [www.example.com], records: [A 127.0.0.1] }";
    let vpc = Vpc::new(leaky);
    vpc.google.page("/", 200, "");
    let url = format!("https://www.example.com:{}/", vpc.google.port);
    let literal = format!("https://127.0.0.1:{}/", vpc.google.port);
    let (code, report) = vpc.verify(&["--expect-blocked", &url, "--expect-blocked", &literal]);
    let port = vpc.google.port;
    assert_eq!(code, Some(1));
    assert_eq!(report["check_connection"], true);
    assert_eq!(
        failed(&report),
        [
            "denied www.example.com".to_owned(),
            "data www.example.com".to_owned(),
            format!("unreachable www.example.com:{port}"),
            format!("unreachable 127.0.0.1:{port}"),
        ]
    );
    let denied = ("fail", "it resolves: 127.0.0.1");
    assert_eq!(seen(&report, "denied www.example.com"), denied);

    // A resolver at another address, on every way that is tried.
    let tcp = TcpListener::bind("127.0.0.3:0").expect("a port");
    let port = tcp.local_addr().expect("bound").port();
    let udp = UdpSocket::bind(("127.0.0.3", port)).expect("a port");
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((len, from)) = udp.recv_from(&mut packet) {
            let _ = udp.send_to(&packet[..len], from);
        }
    });
    let ports = format!("dns={port},dot={port},https={port},http={port}");
    let (_, report) = vpc.verify(&["--bypass", "127.0.0.3", "--ports", &ports]);
    for check in [
        "udp:53", "tcp:53", "tcp:853", "udp:853", "tcp:443", "udp:443", "tcp:80",
    ] {
        let (result, _) = seen(&report, &format!("bypass {check} 127.0.0.3"));
        assert_eq!(result, "fail", "{report}");
    }
}

#[test]
fn reports_a_record_type_that_a_rule_lets_through() {
    let leaky =
        "  - { name: leak, domains: [.www.example.com], types: [TXT], records: [TXT leaked] }";
    let vpc = Vpc::new(leaky);
    vpc.google.page("/", 200, "");
    let (code, report) = vpc.verify(&[]);
    assert_eq!(
        (code, failed(&report)),
        (Some(1), vec!["data www.example.com"])
    );
    let (_, told) = seen(&report, "data www.example.com");
    assert_eq!(told, "TXT has an answer: 1 record");
}

#[test]
fn reports_answers_that_differ_from_the_configuration() {
    let vpc = Vpc::new(SEALED);
    let port = vpc.dnsgate.port;
    let other = "google_apis: { vip: psc, addresses: [127.0.0.2] }";
    fs::write(&vpc.config, other).expect("room");
    let (code, report) = vpc.verify(&[]);
    assert_eq!(code, Some(1));
    let (result, told) = seen(&report, "name storage.googleapis.com");
    assert_eq!((result, told), ("fail", "127.0.0.1, none of psc"));
    assert_eq!(
        seen(&report, "vip 127.0.0.2"),
        ("fail", "connection: refused")
    );

    // Nobody answers: silence is no denial.
    let mut dead = vpc.dnsgate;
    end(&mut dead.child);
    let server = format!("127.0.0.1:{port}");
    let output = quiet(Command::new(PROGRAM).arg("verify"))
        .args(["--json", "--timeout", "200ms", "--config", &vpc.config])
        .args(["--server", &server, "--bypass", NOBODY])
        .args(["--ports", &format!("https={}", free_port(NOBODY))])
        .arg("--ca")
        .arg(vpc.dir.path().join("ca.pem"))
        .output()
        .expect("the program runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for check in [
        "name storage.googleapis.com",
        "denied www.example.com",
        "unreachable www.example.com:443",
    ] {
        assert_eq!(seen(&report, check).0, "fail", "{report}");
    }
    assert_eq!(report["check_connection"], false);
}

#[test]
fn rejects_a_server_without_googles_certificate() {
    let vpc = Vpc::new(SEALED);
    fs::write(vpc.dir.path().join("ca.pem"), Authority::new().pem()).expect("room");
    let (_, report) = vpc.verify(&[]);
    let (result, told) = seen(&report, "vip 127.0.0.1");
    assert_eq!(result, "fail");
    assert!(told.starts_with("TLS: invalid peer certificate"), "{told}");
    // A service is asked for by its own name, where that leads; the certificate is not for it.
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 200, "");
    let (_, report) = vpc.verify(&["--api", "run.googleapis.com"]);
    assert_eq!(failed(&report), ["api run.googleapis.com"]);
}
