//! Any bytes as the state file of usage, which is also the page `/usage`.
//!
//! Held: no panic; a page that is accepted is written and read again as it was; an audit by it ends,
//! quotes only lines that the configuration has, and writes SARIF.

use std::{path::Path, sync::LazyLock, time::SystemTime};

use dnsgate_config::Config;
use dnsgate_whatif::{
    audit::{Audited, Evidence, audit, sarif, tightened},
    usage::UsagePage,
};

const CONFIG: &str = "\
google_apis: { vip: off }
upstreams: { p: { servers: [udp://8.8.8.8] } }
clients: { vpc: { cidrs: [10.0.0.0/8] } }
rules:
  - { name: ci, domains: [.ci.test, x.test, y.test], forward: p, addresses: [10.0.0.0/8, 192.0.2.0/24] }
  - { name: no, domains: [no.test], deny: true }
";

static POLICY: LazyLock<Option<Config>> =
    LazyLock::new(|| dnsgate_config::parse(CONFIG, "fuzz.yaml", Path::new("")).ok());

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Ok(page) = UsagePage::parse(data) else {
        return;
    };
    if let Ok(written) = serde_json::to_vec(&page) {
        let again = UsagePage::parse(&written).ok();
        assert!(again.as_ref() == Some(&page), "it is read as another page");
    }
    let Some(config) = POLICY.as_ref() else {
        panic!("the configuration is not valid")
    };
    let audited = Audited {
        config,
        file: "fuzz.yaml",
        text: CONFIG,
        now: SystemTime::UNIX_EPOCH,
    };
    let mut evidence = Evidence::new(&config.policy);
    evidence.add_page(&page, "fuzz", &config.policy);
    let found = audit(&audited, &evidence);
    let lines = CONFIG.lines().count();
    for finding in &found.findings {
        assert!(finding.place.line as usize <= lines, "{finding:?}");
    }
    assert!(sarif(&found)["runs"][0]["results"].is_array());
    // It may be refused, and never writes what is not valid.
    if let Ok(tight) = tightened(&audited, &evidence) {
        let valid = dnsgate_config::parse(&tight.text, "fuzz.yaml", Path::new("")).is_ok();
        assert!(valid, "{}", tight.text);
    }
}
