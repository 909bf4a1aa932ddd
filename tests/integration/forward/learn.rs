//! From observing to enforcing: a stream of queries in observe mode, the rules that `dnsgate learn` makes of it, and the same
//! stream under those rules alone.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

use super::unbound::Unbound;
use crate::running::{PROGRAM, Running, get, installed};

/// What the clients of this network ask for, before anybody has written a rule about it.
const STREAM: &[&str] = &[
    "www.corp.example A",
    "www.corp.example AAAA",
    "alias.corp.example A",
    "mail.corp.example MX",
    "text.corp.example TXT",
    "nothing.corp.example A",
    "WwW.Corp.Example A",
    "www.elsewhere.test A",
];

/// The configuration without its mode and rules.
fn config(upstream: &Unbound, rest: &str) -> String {
    format!(
        "upstreams: {{ corp: {{ servers: [\"udp://{}\"] }} }}\ncache: {{ size: 0 }}\nbuilt_in: {{ search: false }}\n{rest}",
        upstream.address
    )
}

/// The code of each reply.
fn ask(gate: &Running) -> BTreeMap<&'static str, String> {
    let codes = STREAM.iter().map(|question| {
        let said = gate.dig(question);
        let code = said.split_once("status: ").map(|(_, rest)| rest);
        let code = code.and_then(|rest| rest.split(',').next());
        (*question, code.unwrap_or(&said).to_owned())
    });
    codes.collect()
}

fn denied(gate: &Running) -> usize {
    let (_, metrics) = get(gate.admin, "/metrics");
    let denied = metrics.lines().filter(|line| {
        line.starts_with("dnsgate_queries_total{") && line.contains("verdict=\"denied\"")
    });
    denied.filter(|line| !line.ends_with(" 0")).count()
}

#[test]
fn learnt_rules_allow_what_was_observed() {
    if !installed(&["unbound", "dig"]) {
        return;
    }
    let unbound = Unbound::start();
    let observing = Running::start(&config(&unbound, "mode: { observe: corp }\n"));
    let wanted = ask(&observing);
    assert_eq!(denied(&observing), 0);
    let (status, page) = get(observing.admin, "/observed");
    let record: Value = serde_json::from_str(&page).expect("JSON");
    let observed = record["observed"].as_array().expect("a list");
    assert_eq!((status, observed.len()), (200, STREAM.len() - 1), "{page}");
    assert_eq!(observed[0]["name"], "www.corp.example");
    assert_eq!(observed[0]["count"], 2, "one name in whatever letters");

    // Nothing of it is allowed yet.
    let sealed = Running::start(&config(&unbound, ""));
    assert!(ask(&sealed).values().all(|code| code == "REFUSED"));

    let learnt = Command::new(PROGRAM)
        .args(["learn", "--upstream", "corp"])
        .arg(observing.admin.to_string())
        .output()
        .expect("the program runs");
    assert!(learnt.status.success(), "{learnt:?}");
    let learnt = String::from_utf8(learnt.stdout).expect("text");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("learnt.yaml");
    let enforced = config(&unbound, &format!("rules:\n{learnt}"));
    fs::write(&file, &enforced).expect("room for a file");
    let check = Command::new(PROGRAM).arg("check").arg(&file).output();
    let check = check.expect("the program runs");
    assert!(check.status.success(), "{check:?}\n{learnt}");

    let enforcing = Running::start(&enforced);
    assert_eq!(ask(&enforcing), wanted, "{learnt}");
    assert_eq!(denied(&enforcing), 0, "{learnt}");
    let other = enforcing.dig("unseen.corp.example A");
    assert!(other.contains("REFUSED"), "{other}\n{learnt}");
}
