//! Upstreams over TLS and HTTPS, and which of their certificates are accepted.

use std::{fs, process::Command};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use super::unbound::{CORP, Certified, Unbound, have};
use crate::{
    reply::Reply,
    running::{PROGRAM, Running, SOON, free_port},
};

/// A certificate authority of the test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn certify(&self, names: &[&str]) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Certified {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// dnsgate with one upstream server, which must show a certificate by this authority.
fn start(server: &str, ca: &Authority) -> Running {
    start_with_ca(server, &ca.0.pem())
}

/// The same with this `ca_file`.
fn start_with_ca(server: &str, ca: &str) -> Running {
    Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("ca.pem"), ca).expect("room");
        let config = format!(
            "google_apis: {{ vip: off }}
upstreams: {{ corp: {{ servers: [\"{server}\"], ca_file: ca.pem }} }}
rules: [{{ name: corp, domains: [.corp.example], forward: corp }}]
log: {{ queries: all }}
"
        );
        fs::write(dir.join("gate.yaml"), config).expect("room");
        command.arg("--config").arg(dir.join("gate.yaml"));
    })
}

#[test]
fn asks_only_servers_with_a_trusted_certificate_for_their_name() {
    if !have(&["dig"]) {
        return;
    }
    let (ours, another) = (Authority::new(), Authority::new());
    let certified = ours.certify(&["ns.corp.example", "127.0.0.1"]);
    let unbound = Unbound::with(&[CORP], Some(&certified));
    let (tls, https) = (unbound.tls, unbound.https);
    let (name, issuer) = (Some("certificate_name"), Some("certificate_issuer"));
    for (server, ca, fault) in [
        (format!("tls://{tls}#ns.corp.example"), &ours, None),
        (format!("tls://{tls}"), &ours, None),
        (format!("tls://{tls}#other.corp.example"), &ours, name),
        (format!("tls://{tls}#ns.corp.example"), &another, issuer),
        (
            format!("https://{https}/dns-query#ns.corp.example"),
            &ours,
            None,
        ),
        (format!("https://{https}/dns-query"), &ours, None),
        (
            format!("https://{https}/dns-query#other.corp.example"),
            &ours,
            name,
        ),
        (
            format!("https://{https}/dns-query#ns.corp.example"),
            &another,
            issuer,
        ),
    ] {
        let dnsgate = start(&server, ca);
        for transport in ["+notcp", "+tcp"] {
            let printed = dnsgate.dig(&format!("deep.corp.example {transport}"));
            let reply = Reply::read(&printed);
            if fault.is_none() {
                assert_eq!(reply.status, "NOERROR", "{server}: {printed}");
                assert_eq!(reply.answer.len(), 4, "{server}: {printed}");
            } else {
                assert_eq!(reply.status, "SERVFAIL", "{server}: {printed}");
            }
        }
        let Some(fault) = fault else {
            // Large ones, names that do not exist, and names that nobody is asked for, too.
            for (ask, status) in [
                ("nothing.corp.example", "NXDOMAIN"),
                ("www.corp.example MX", "NOERROR"),
                ("priv.corp.example", "REFUSED"),
                ("elsewhere.example", "REFUSED"),
            ] {
                let printed = dnsgate.dig(ask);
                assert_eq!(Reply::read(&printed).status, status, "{server}: {printed}");
            }
            continue;
        };
        tells_of_failure(&dnsgate, fault);
    }
}

/// The events with these messages, whichever comes first.
fn wait_for_both(dnsgate: &Running, messages: [&str; 2]) -> [Value; 2] {
    let mut found = [Value::Null, Value::Null];
    while found.contains(&Value::Null) {
        let line = dnsgate.lines.recv_timeout(SOON).expect("both events");
        let event: Value = serde_json::from_str(&line).expect("a line of JSON");
        if let Some(at) = messages.iter().position(|it| event["message"] == *it) {
            found[at] = event;
        }
    }
    found
}

/// A name that was not asked for yet: its reply, the log and the metrics say what is wrong.
fn tells_of_failure(dnsgate: &Running, fault: &str) {
    let printed = dnsgate.dig("www.corp.example");
    let reply = Reply::read(&printed);
    assert_eq!(reply.status, "SERVFAIL", "{printed}");
    let kind = match fault {
        "certificate_name" => "the server's certificate is for another name",
        _ => "the server's certificate was issued by an authority that is not trusted",
    };
    let ede = format!("22 (No Reachable Authority): {kind}");
    assert_eq!(reply.ede, ede, "{printed}");
    let [failed, down] = wait_for_both(
        dnsgate,
        [
            "failed www.corp.example. A for 127.0.0.1: unreachable",
            "an upstream's server is down: it is probed, and not asked",
        ],
    );
    assert_eq!(failed["reason"], "unreachable", "{failed}");
    assert_eq!(failed["verdict"], "failed", "{failed}");
    assert_eq!(down["reason"], fault, "{down}");
    let detail = down["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with(kind), "{down}");
    let (_, metrics) = dnsgate.get("/metrics");
    let failed = metrics
        .lines()
        .any(|line| line.starts_with("dnsgate_queries_total{") && line.contains("\"failed\""));
    assert!(failed, "{metrics}");
    let result = format!("result=\"{fault}\"}} ");
    let counted = metrics
        .lines()
        .any(|line| line.contains(&result) && !line.ends_with(" 0"));
    assert!(counted, "{metrics}");
}

#[test]
fn self_signed_certificate_of_openssl_can_be_the_ca() {
    if !have(&["dig", "openssl"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let [key, certificate] = ["key.pem", "cert.pem"].map(|file| dir.path().join(file));
    let made = Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ns.corp.example".split(' '))
        .args(["-addext", "subjectAltName=DNS:ns.corp.example"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    let made = made.expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    let certified = Certified {
        certificate: fs::read_to_string(&certificate).expect("a certificate"),
        key: fs::read_to_string(&key).expect("a key"),
    };
    let unbound = Unbound::with(&[CORP], Some(&certified));
    for (name, status) in [
        ("ns.corp.example", "NOERROR"),
        ("other.example", "SERVFAIL"),
    ] {
        for server in [
            format!("tls://{}#{name}", unbound.tls),
            format!("https://{}/dns-query#{name}", unbound.https),
        ] {
            let dnsgate = start_with_ca(&server, &certified.certificate);
            let printed = dnsgate.dig("deep.corp.example");
            assert_eq!(Reply::read(&printed).status, status, "{server}: {printed}");
        }
    }
}

#[test]
fn check_asks_each_server_once_on_request() {
    if !have(&[]) {
        return;
    }
    let authority = Authority::new();
    let unbound = Unbound::with(&[CORP], Some(&authority.certify(&["ns.corp.example"])));
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("ca.pem"), authority.0.pem()).expect("room");
    let file = dir.path().join("gate.yaml");
    let closed = free_port("127.0.0.1");
    let (udp, tls, https) = (unbound.address, unbound.tls, unbound.https);
    let good = format!(
        "\"udp://{udp}\", \"tcp://{udp}\", \"tls://{tls}#ns.corp.example\", \"https://{https}/dns-query#ns.corp.example\""
    );
    let bad = format!("\"tls://{tls}#other.example\", \"tcp://127.0.0.1:{closed}\"");
    let check = |servers: &str, probe: &[&str]| {
        let text = format!("upstreams: {{ corp: {{ servers: [{servers}], ca_file: ca.pem }} }}\n");
        fs::write(&file, text).expect("room");
        let run = Command::new(PROGRAM)
            .arg("check")
            .args(probe)
            .arg(&file)
            .output();
        let output = run.expect("the program runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<_> = printed.lines().skip(1).map(str::to_owned).collect();
        (output.status.code(), lines)
    };
    let (code, lines) = check(&good, &["--probe"]);
    assert_eq!((code, lines.len()), (Some(0), 4), "{lines:#?}");
    for line in &lines {
        assert!(line.contains(": ok, NXDOMAIN after "), "{line}");
    }
    let (code, lines) = check(&format!("{good}, {bad}"), &["--probe"]);
    assert_eq!((code, lines.len()), (Some(1), 6), "{lines:#?}");
    let failed = format!("corp tls://{tls}#other.example: failed, certificate_name: ");
    assert!(lines[4].starts_with(&failed), "{lines:#?}");
    let failed = format!("corp tcp://127.0.0.1:{closed}: failed, refused: ");
    assert!(lines[5].starts_with(&failed), "{lines:#?}");
    // Without it nobody is asked.
    assert_eq!(check(&format!("{good}, {bad}"), &[]), (Some(0), vec![]));
}
