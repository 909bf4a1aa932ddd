//! Lookup tools: nslookup and host ask the next server, or say that they got nothing, if a reply does not say that recursion is
//! available.

use std::process::Command;

use crate::running::{Running, installed};

/// What a program says, both ways that it can speak.
fn says(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.expect("the client runs");
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&out[..], &err[..]].concat()).into_owned()
}

/// Sealed as without a configuration, and with an upstream that nothing is asked of.
const CONFIGS: [&str; 2] = [
    "",
    "upstreams: { public: { servers: [udp://127.0.0.1:1] } }\nmode: enforce\nlimits: { drain: 0s }\n",
];

#[test]
fn nslookup_and_host_accept_every_reply() {
    if !installed(&["nslookup", "host"]) {
        return;
    }
    for config in CONFIGS {
        let gate = Running::start(config);
        let port = gate.port.to_string();
        let nslookup = |name: &str| {
            let args = [
                &format!("-port={port}"),
                "-timeout=10",
                "-retry=1",
                name,
                "127.0.0.1",
            ];
            says("nslookup", &args.map(AsRef::as_ref))
        };
        let host = |name: &str| {
            says(
                "host",
                &["-p", &port, "-W", "10", "-R", "1", name, "127.0.0.1"],
            )
        };
        for said in [
            nslookup("storage.googleapis.com"),
            host("storage.googleapis.com"),
        ] {
            assert!(said.contains("199.36.153.4"), "{said}");
            assert!(said.contains("199.36.153.7"), "{said}");
            assert!(!said.contains("ecursion"), "{said}");
        }
        // A denial is told as what it is.
        for said in [nslookup("www.example.com"), host("www.example.com")] {
            assert!(said.contains("REFUSED"), "{said}");
            assert!(!said.contains("ecursion"), "{said}");
        }
        for said in [nslookup("printer.local"), host("printer.local")] {
            assert!(said.contains("NXDOMAIN"), "{said}");
            assert!(!said.contains("ecursion"), "{said}");
        }
    }
}

/// Each way in which a query can go wrong, as dig is made to send it; over UDP and over TCP.
#[test]
fn recursion_is_available_in_every_reply_to_an_admitted_client() {
    if !installed(&["dig"]) {
        return;
    }
    for config in CONFIGS {
        let gate = Running::start(config);
        for (args, status) in [
            ("storage.googleapis.com A", "NOERROR"),
            ("storage.googleapis.com A +norecurse", "NOERROR"),
            ("storage.googleapis.com MX", "NOERROR"),
            ("www.example.com A", "REFUSED"),
            ("printer.local A", "NXDOMAIN"),
            ("10.in-addr.arpa SOA", "NOERROR"),
            ("www.example.com A +edns=1 +noednsnegotiation", "BADVERS"),
            ("www.example.com A +opcode=STATUS", "NOTIMP"),
            ("www.example.com A +opcode=UPDATE", "NOTIMP"),
            ("version.bind TXT CH", "REFUSED"),
            ("www.example.com AXFR +noedns +tcp", "REFUSED"),
            ("www.example.com IXFR=1", "FORMERR"), // it has a record behind its question
            ("+header-only", "FORMERR"),
        ] {
            for over in ["+notcp", "+tcp"] {
                let said = gate.dig(&format!("{args} {over} +qr +comments"));
                let Some((_, reply)) = said.split_once("Got answer") else {
                    // A transfer is told in its own way, without a header.
                    assert!(said.contains("Transfer failed"), "{args} {over}: {said}");
                    continue;
                };
                assert!(
                    reply.contains(&format!("status: {status}")),
                    "{args} {over}: {said}"
                );
                let flags = reply.lines().find(|line| line.starts_with(";; flags:"));
                let flags = flags.unwrap_or_default();
                let flags = flags.split(';').nth(2).unwrap_or_default();
                assert!(
                    flags.split(' ').any(|flag| flag == "ra"),
                    "{args} {over}: {said}"
                );
            }
        }
    }
}

/// Who may not ask is not told that there is recursion to be had.
#[test]
fn unknown_client_gets_no_ra() {
    if !installed(&["dig"]) {
        return;
    }
    let gate = Running::start("clients: { vpc: { cidrs: [10.0.0.0/8] } }\nlimits: { drain: 0s }\n");
    for args in [
        "storage.googleapis.com",
        "x.com +edns=1 +noednsnegotiation",
        "x.com +opcode=STATUS",
    ] {
        let said = gate.dig(args);
        assert!(!said.contains(" ra;"), "{said}");
    }
}
