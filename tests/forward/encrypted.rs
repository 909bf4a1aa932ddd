//! Upstreams over TLS and HTTPS, and who of them is believed.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::{
    reply::Reply,
    running::Running,
    unbound::{CORP, Certified, Unbound, have},
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
    Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("ca.pem"), ca.0.pem()).expect("room");
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
fn a_server_is_asked_if_its_certificate_is_by_whom_we_trust_and_for_its_name() {
    if !have(&["dig"]) {
        return;
    }
    let (ours, another) = (Authority::new(), Authority::new());
    let certified = ours.certify(&["ns.corp.example", "127.0.0.1"]);
    let unbound = Unbound::with(&[CORP], Some(&certified));
    let (tls, https) = (unbound.tls, unbound.https);
    for (server, ca, trusted) in [
        (format!("tls://{tls}#ns.corp.example"), &ours, true),
        (format!("tls://{tls}"), &ours, true),
        (format!("tls://{tls}#other.corp.example"), &ours, false),
        (format!("tls://{tls}#ns.corp.example"), &another, false),
        (
            format!("https://{https}/dns-query#ns.corp.example"),
            &ours,
            true,
        ),
        (format!("https://{https}/dns-query"), &ours, true),
        (
            format!("https://{https}/dns-query#other.corp.example"),
            &ours,
            false,
        ),
        (
            format!("https://{https}/dns-query#ns.corp.example"),
            &another,
            false,
        ),
    ] {
        let dnsgate = start(&server, ca);
        for transport in ["+notcp", "+tcp"] {
            let printed = dnsgate.dig(&format!("deep.corp.example {transport}"));
            let reply = Reply::read(&printed);
            if trusted {
                assert_eq!(reply.status, "NOERROR", "{server}: {printed}");
                assert_eq!(reply.answer.len(), 4, "{server}: {printed}");
            } else {
                assert_eq!(reply.status, "SERVFAIL", "{server}: {printed}");
            }
        }
        if trusted {
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
        } else {
            tells_of_failure(&dnsgate);
        }
    }
}

/// A name that was not asked for yet: its reply, the log and the metrics say what is wrong.
fn tells_of_failure(dnsgate: &Running) {
    let printed = dnsgate.dig("www.corp.example");
    let reply = Reply::read(&printed);
    assert_eq!(reply.status, "SERVFAIL", "{printed}");
    assert!(reply.ede.starts_with("22 "), "{printed}");
    let event = dnsgate.wait_for("failed www.corp.example. A for 127.0.0.1: unreachable");
    assert_eq!(event["reason"], "unreachable", "{event}");
    assert_eq!(event["verdict"], "failed", "{event}");
    let (_, metrics) = dnsgate.get("/metrics");
    let failed = metrics
        .lines()
        .any(|line| line.starts_with("dnsgate_queries_total{") && line.contains("\"failed\""));
    assert!(failed, "{metrics}");
}
