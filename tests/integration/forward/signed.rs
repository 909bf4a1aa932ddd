//! Authoritative servers as upstreams: NSD with a zone and with one that it delegates, and with a signed zone whose
//! answers delv validates behind dnsgate.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::unbound::Unbound;
use crate::{
    differential_nsd::nsd::{self, Nsd, ZoneFile},
    reply::Reply,
    running::{Running, dig, installed},
};

fn zone(folder: &Path, origin: &str, text: &str) -> ZoneFile {
    let path = folder.join(format!("{origin}.zone"));
    fs::write(&path, text).expect("room for a file");
    ZoneFile {
        origin: origin.parse().expect("a name"),
        path,
    }
}

fn start(zones: &[ZoneFile], folder: &Path) -> Nsd {
    let program = nsd::find().expect("it was looked for");
    nsd::start(&program, zones, folder)
}

#[test]
fn alias_into_a_delegated_zone_is_followed() {
    if !installed(&["dig", "nsd"]) {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let head = "$TTL 300\n@ SOA ns h 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n";
    let parent = format!(
        "{head}www CNAME host.sub\nlost CNAME nobody.sub\nsub NS ns.sub\nns.sub A 192.0.2.54\n"
    );
    let child = format!("{head}host A 192.0.2.1\n");
    let parent = start(
        &[zone(dirs[0].path(), "corp.example", &parent)],
        dirs[0].path(),
    );
    let child = start(
        &[zone(dirs[1].path(), "sub.corp.example", &child)],
        dirs[1].path(),
    );
    let dnsgate = Running::start(&format!(
        "google_apis: {{ vip: off }}
upstreams:
  parent: {{ servers: [\"udp://{}\"] }}
  child: {{ servers: [\"udp://{}\"] }}
rules:
  - {{ name: parent, domains: [.corp.example], forward: parent, addresses: [192.0.2.0/24] }}
  - {{ name: child, domains: [.sub.corp.example], forward: child, addresses: [192.0.2.0/24] }}
",
        parent.address, child.address
    ));
    for (ask, status, answer) in [
        (
            "www.corp.example",
            "NOERROR",
            &[
                "www.corp.example. 300 IN CNAME host.sub.corp.example.",
                "host.sub.corp.example. 300 IN A 192.0.2.1",
            ][..],
        ),
        (
            "lost.corp.example",
            "NXDOMAIN",
            &["lost.corp.example. 300 IN CNAME nobody.sub.corp.example."],
        ),
    ] {
        let reply = Reply::read(&dnsgate.dig(ask));
        assert_eq!(reply.status, status, "{ask} {reply:?}");
        assert_eq!(reply.answer, answer, "{ask} {reply:?}");
    }
}

/// A zone with a DNAME, wildcards and an alias by one of them.
const SIGNED: &str = "$TTL 300
@ SOA ns h 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.53
www A 192.0.2.1
host.new A 192.0.2.2
old DNAME new
*.wild A 192.0.2.3
*.alias CNAME www
";

/// Signs the zone with a key of its own, and returns the signed file, the trust anchor as delv reads it, and the key.
fn sign(folder: &Path) -> (PathBuf, PathBuf, String) {
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program)
            .args(args)
            .current_dir(folder)
            .output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    fs::write(folder.join("plain"), SIGNED).expect("room for a file");
    let keygen = ["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "signed.example"];
    let key = run("dnssec-keygen", &keygen);
    run(
        "dnssec-signzone",
        &[
            "-q",
            "-S",
            "-z",
            "-x",
            "-o",
            "signed.example",
            "-f",
            "signed.zone",
            "plain",
        ],
    );
    let key = fs::read_to_string(folder.join(format!("{key}.key"))).expect("a key");
    let record = key
        .lines()
        .find(|line| !line.starts_with(';'))
        .expect("a record")
        .to_owned();
    let (_, key) = record.split_once("DNSKEY ").expect("a DNSKEY");
    let mut fields = key.splitn(4, ' ');
    let numbers: Vec<&str> = fields.by_ref().take(3).collect();
    let data: String = fields
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let anchor = format!(
        "trust-anchors {{ \"signed.example.\" static-key {} \"{data}\"; }};\n",
        numbers.join(" ")
    );
    let file = folder.join("anchor");
    fs::write(&file, anchor).expect("room for a file");
    (folder.join("signed.zone"), file, record)
}

#[test]
fn validator_behind_dnsgate_accepts_signed_answers() {
    if !installed(&[
        "nsd",
        "dig",
        "delv",
        "unbound",
        "dnssec-keygen",
        "dnssec-signzone",
    ]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (path, anchor, key) = sign(dir.path());
    let origin = "signed.example".parse().expect("a name");
    let nsd = start(&[ZoneFile { origin, path }], dir.path());
    let dnsgate = Running::start(&format!(
        "google_apis: {{ vip: off }}
upstreams: {{ signed: {{ servers: [\"udp://{}\"] }} }}
rules:
  - name: signed
    domains: [.signed.example]
    forward: signed
    types: [A, MX, CNAME, DNAME, DS, DNSKEY]
    addresses: [192.0.2.0/24]
",
        nsd.address
    ));
    let delv = anchor.to_str().expect("a path of letters");
    let unbound = Unbound::validating("signed.example", dnsgate.port, &key);
    for (ask, denial) in [
        ("www.signed.example A", false),
        ("host.old.signed.example A", false),
        ("host.old.signed.example CNAME", false),
        ("x.wild.signed.example A", false),
        ("x.alias.signed.example A", false),
        ("nothing.signed.example A", true),
        ("www.signed.example MX", true),
        ("nothing.old.signed.example A", true),
    ] {
        let printed = dnsgate.client(
            "delv",
            &format!("@127.0.0.1 -a {delv} +root=signed.example {ask}"),
        );
        assert!(printed.contains("fully validated"), "{ask}:\n{printed}");
        // Unbound takes no answer to a question for the CNAME that follows from a DNAME.
        if ask.ends_with("CNAME") {
            continue;
        }
        let reply = Reply::read(&dig(unbound.address.port(), &format!("+dnssec {ask}")));
        let denies = !reply.answer.iter().any(|it| it.contains(" IN A "));
        assert!(reply.flags.contains("ad"), "{ask}: {reply:?}");
        assert_eq!(denies, denial, "{ask}: {reply:?}");
    }
}
