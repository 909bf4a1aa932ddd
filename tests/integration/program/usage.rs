//! What a running dnsgate tells about the use of its rules: at `/usage`, in metrics, and in its state file.

use std::{fs, path::Path};

use serde_json::Value;

use crate::running::{Running, installed};

const CONFIG: &str = "google_apis: { vip: off }
limits: { drain: 0s }
rules:
  - { name: ci, domains: [.ci.test, x.test, y.test], records: [A 10.0.0.2] }
  - { name: no, domains: [no.test], deny: nodata }
";

/// A dnsgate that keeps its state in this directory.
fn start(state: &Path) -> Running {
    Running::start_with("127.0.0.1", |dir, command| {
        let file = dir.join("dnsgate.yaml");
        fs::write(&file, CONFIG).expect("room for a file");
        command.arg("--config").arg(file);
        command.arg("--state-dir").arg(state);
    })
}

fn page(dnsgate: &Running) -> Value {
    let (status, page) = dnsgate.get("/usage");
    assert_eq!(status, 200, "{page}");
    serde_json::from_str(&page).expect("JSON")
}

fn rule(page: &Value, name: &str) -> Value {
    let rules = page["rules"].as_array().expect("rules").iter();
    let mut named = rules.filter(|rule| rule["rule"] == name);
    named
        .next()
        .unwrap_or_else(|| panic!("no {name}: {page}"))
        .clone()
}

fn stopped(dnsgate: Running) {
    dnsgate.signal("TERM");
    let (status, lines) = dnsgate.ended();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
}

#[test]
fn usage_has_rules_names_and_groups_and_survives_a_restart() {
    if !installed(&["dig"]) {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let dnsgate = start(state.path());
    for name in ["A.ci.test", "a.ci.test", "b.ci.test", "x.test", "no.test"] {
        dnsgate.dig(name);
    }
    let first = page(&dnsgate);
    let ci = rule(&first, "ci");
    assert_eq!(ci["used"], serde_json::json!([".ci.test", "x.test"]));
    assert_eq!(ci["patterns"], 3);
    let names = serde_json::json!([{ "name": "a.ci.test", "count": 2 }, { "name": "b.ci.test", "count": 1 }]);
    assert_eq!((&ci["names"], &ci["distinctNames"]), (&names, &2.into()));
    assert_eq!(rule(&first, "no")["queries"][0]["verdict"], "denied");
    assert_eq!(first["groups"][1]["group"], "vpc");
    assert_eq!(
        dnsgate
            .metric("dnsgate_rule_queries_total{rule=\"ci\",group=\"vpc\",verdict=\"answered\"}"),
        4
    );
    let last = dnsgate.metric("dnsgate_rule_last_used_timestamp_seconds{rule=\"ci\"}");
    assert!(last > 1_700_000_000, "{last}");
    stopped(dnsgate);
    assert!(state.path().join("usage.json").is_file());
    assert!(
        !state.path().join("usage.json.new").exists(),
        "it is replaced whole"
    );

    let dnsgate = start(state.path());
    dnsgate.dig("y.test");
    let again = page(&dnsgate);
    assert_eq!(again["since"], first["since"]);
    let ci = rule(&again, "ci");
    assert_eq!(
        ci["used"],
        serde_json::json!([".ci.test", "x.test", "y.test"])
    );
    assert_eq!(
        (&ci["names"], &ci["queries"][0]["count"]),
        (&names, &5.into())
    );
    // Metrics are counters of the process.
    assert_eq!(dnsgate.metric("dnsgate_rule_queries_total{rule=\"ci\""), 1);
}

#[test]
fn a_state_file_that_cannot_be_used_is_told_and_kept_aside() {
    for content in ["{\"version\": 7}", "no JSON \u{1b}[31m", ""] {
        let state = tempfile::tempdir().expect("a directory");
        fs::write(state.path().join("usage.json"), content).expect("room");
        // The warning comes before the line that says ready, so only its effect is seen here.
        let dnsgate = Running::start_with("127.0.0.1", |_, command| {
            command.arg("--state-dir").arg(state.path());
        });
        let aside = state.path().join("usage.json.unreadable");
        let kept = fs::read_to_string(&aside).expect("kept aside");
        assert_eq!(kept, content);
        let page = page(&dnsgate);
        assert_eq!(page["version"], 1);
        assert!(
            page["rules"]
                .as_array()
                .is_some_and(|rules| !rules.is_empty())
        );
    }
}

#[test]
fn a_directory_that_cannot_be_written_does_not_stop_it() {
    let dnsgate = Running::start_with("127.0.0.1", |_, command| {
        command.args(["--state-dir", "/proc/no/such/directory"]);
    });
    assert_eq!(dnsgate.get("/usage").0, 200);
    dnsgate.signal("TERM");
    let event = dnsgate.wait_for("draining");
    assert_eq!(event["signal"], "SIGTERM");
    dnsgate.signal("TERM");
    let (status, lines) = dnsgate.ended();
    assert_eq!(status.code(), Some(0));
    let told = "the state file of /usage cannot be written";
    assert!(lines.iter().any(|line| line.contains(told)), "{lines:#?}");
}

#[test]
fn usage_is_for_the_hosts_that_the_admin_port_knows() {
    use std::io::{Read as _, Write as _};
    let dnsgate = Running::start("");
    let mut stream = std::net::TcpStream::connect(dnsgate.admin).expect("a connection");
    write!(stream, "GET /usage HTTP/1.0\r\nHost: evil.example\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a page");
    assert!(answer.starts_with("HTTP/1.0 403"), "{answer}");
}
