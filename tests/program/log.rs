//! The log: one line a record, whatever was asked.

use std::{collections::BTreeSet, net::UdpSocket};

use serde_json::Value;

use crate::running::{Running, SOON};

/// Labels that would break a line, end a string, or move a cursor.
const HOSTILE: &[&[u8]] = &[
    b"a\nb",
    b"a\r\n{\"severity\":\"NOTICE\"}",
    b"\"quoted\"",
    b"back\\slash",
    b"\x1b[2J\x1b[31m",
    b"\x00\x01\x7f",
    b"\xff\xfe\xc3\x28",
    "\u{202e}\u{2028}".as_bytes(),
    b"with.dot and space",
    b"${jndi:ldap://x}%n%s",
];

/// Asks for `label.example A` and waits for the refusal.
fn ask(dnsgate: &Running, label: &[u8]) {
    let len = u8::try_from(label.len()).expect("a label");
    let packet = [
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0",
        &[len][..],
        label,
        b"\x07example\0\0\x01\0\x01",
    ]
    .concat();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    socket
        .connect(("127.0.0.1", dnsgate.port))
        .expect("an address");
    socket.send(&packet).expect("room");
    let mut reply = [0; 512];
    let len = socket.recv(&mut reply).expect("a reply");
    assert!(len > 12 && reply[3] & 15 == 5, "REFUSED");
}

/// Everything logged from "ready" to the end.
fn log_of(dnsgate: Running) -> Vec<String> {
    dnsgate.signal("TERM");
    let (status, lines) = dnsgate.ended();
    assert_eq!(status.code(), Some(0));
    lines
}

#[test]
fn a_denied_query_is_one_line_of_json() {
    let dnsgate = Running::start("limits: { drain: 0s }");
    ask(&dnsgate, b"name");
    let lines = log_of(dnsgate);
    assert_eq!(lines.len(), 3, "denied, draining, stopped: {lines:#?}");
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    let keys: BTreeSet<&str> = line
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let want = BTreeSet::from([
        "severity",
        "message",
        "time",
        "logging.googleapis.com/labels",
        "queryName",
        "queryType",
        "responseCode",
        "sourceIP",
        "protocol",
        "serverLatency",
        "verdict",
        "reason",
        "group",
        "generation",
    ]);
    assert_eq!(keys, want, "no rule and no rdata: there was none");
    for (key, value) in [
        ("queryName", "name.example."),
        ("queryType", "A"),
        ("responseCode", "REFUSED"),
        ("sourceIP", "127.0.0.1"),
        ("protocol", "UDP"),
        ("verdict", "denied"),
        ("reason", "no_rule"),
        ("group", "vpc"),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(line["serverLatency"].as_f64().is_some_and(|ms| ms >= 0.0));
    assert_eq!(line["generation"], 1);
}

#[test]
fn a_rule_is_named_and_who_asks_for_every_query_gets_every_query() {
    let dnsgate = Running::start(
        "limits: { drain: 0s }
log: { queries: all }
rules:
  - { name: no-names, domains: [.name.example], deny: refused, reason: SEC-1234 }
  - { name: yes, domains: [yes.example], answer: [A 10.0.0.1] }",
    );
    ask(&dnsgate, b"name");
    dnsgate.dig("yes.example");
    let lines = log_of(dnsgate);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["rule"], "no-names");
    assert_eq!(lines[0]["reason"], "blocked");
    assert_eq!(lines[1]["verdict"], "answered");
    assert_eq!(lines[1]["rule"], "yes");
    assert!(
        lines[1]["rdata"]
            .as_str()
            .is_some_and(|rdata| rdata.contains("10.0.0.1"))
    );
    assert_eq!(lines.len(), 4, "two queries, draining, stopped: {lines:#?}");
}

#[test]
fn no_queries_are_logged_where_none_are_wanted() {
    let dnsgate = Running::start("limits: { drain: 0s }\nlog: { queries: none }");
    ask(&dnsgate, b"name");
    let lines = log_of(dnsgate);
    assert_eq!(lines.len(), 2, "draining, stopped: {lines:#?}");
}

#[test]
fn hostile_names_stay_within_their_lines() {
    for (format, is_json) in [("auto", true), ("json", true), ("text", false)] {
        let dnsgate = Running::start(&format!(
            "limits: {{ drain: 0s }}\nlog: {{ format: {format} }}"
        ));
        for label in HOSTILE {
            ask(&dnsgate, label);
        }
        let lines = log_of(dnsgate);
        assert_eq!(lines.len(), HOSTILE.len() + 2, "{lines:#?}");
        for line in &lines {
            assert!(
                line.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                "{line:?}"
            );
            assert_eq!(
                serde_json::from_str::<Value>(line).is_ok(),
                is_json,
                "{line}"
            );
        }
        let denied = lines
            .iter()
            .filter(|line| line.contains("denied") && line.contains("no_rule"));
        assert_eq!(denied.count(), HOSTILE.len(), "{lines:#?}");
    }
}
