//! The digest of the policy: the same before a start, in the log, on the admin pages and in the metrics.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    reload::{put, start, text},
    verbs::{file, run, stdout},
};
use crate::running::{PROGRAM, Running, SOON, end, free_port, lines_of};

const ONE: &str = "rules: [{name: x, domains: [x.test, y.test], deny: nxdomain}]\n";
/// The same in other words.
const SAME: &str = "# why\ndeny_with: refused\nrules:\n  - deny: nxdomain\n    domains: [Y.test., x.test]\n    name: x\n";
const OTHER: &str = "rules: [{name: x, domains: [x.test], deny: nxdomain}]\n";

/// What `dnsgate check --digest` prints.
fn checked(config: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let path = file(dir.path(), config);
    let said = stdout(&["check", "--digest", &path]);
    let digest = said.strip_suffix('\n').expect("a line");
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(digest.len() == 64 && digest.chars().all(is_hex), "{digest}");
    digest.to_owned()
}

/// What a running dnsgate says in all places.
fn in_force(dnsgate: &Running) -> String {
    let (_, ready) = dnsgate.get("/readyz");
    let told = ready.lines().find_map(|line| line.strip_prefix("policy "));
    let digest = told.expect("a line about the policy").to_owned();
    let (_, page) = dnsgate.get("/metrics");
    let info = page
        .lines()
        .filter(|line| line.starts_with("dnsgate_policy_info{"));
    let want = format!("dnsgate_policy_info{{digest=\"{digest}\"}} 1");
    assert_eq!(info.collect::<Vec<_>>(), [want]);
    assert!(dnsgate.get("/").1.contains(&digest), "for a person as well");
    digest
}

#[test]
fn every_place_shows_the_digest_of_the_policy_in_force() {
    let (one, other) = (checked(ONE), checked(OTHER));
    assert_ne!(one, other);
    assert_eq!(one, checked(SAME));
    let dnsgate = start(&[("dnsgate.yaml", ONE)], &["--no-watch"]);
    assert_eq!(in_force(&dnsgate), one);
    let config = dnsgate.dir().join("dnsgate.yaml");
    for (new, digest) in [(SAME, &one), (OTHER, &other), (ONE, &one)] {
        put(&config, new);
        assert!(dnsgate.reload().status.success());
        let event = dnsgate.wait_for("reloaded");
        assert_eq!(event["policy_digest"], *digest, "{event}");
        assert_eq!(in_force(&dnsgate), *digest);
    }
    // What is refused does not come into force.
    put(&config, "rules: [");
    let refused = dnsgate.reload();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert_eq!(in_force(&dnsgate), one);
}

#[test]
fn a_start_logs_the_digest_and_check_prints_that_of_a_valid_file_only() {
    let listen = format!("127.0.0.1:{}", free_port("127.0.0.1"));
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--admin", "off", "--listen", &listen])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let lines = lines_of(&mut child);
    let started: Value = loop {
        let line = lines.recv_timeout(SOON).expect("it becomes ready");
        let event: Value = serde_json::from_str(&line).expect("a line of JSON");
        if event["message"] == "ready" {
            break event;
        }
    };
    end(&mut child);
    assert_eq!(started["policy_digest"], checked(""), "{started}");
    assert_eq!(stdout(&["check", "--digest"]).trim_end(), checked(""));

    let dir = tempfile::tempdir().expect("a directory");
    for (bad, told) in [
        ("rules: [", "error: "),
        (
            "tests: [{ask: x.test, from: 10.0.0.1, expect: {verdict: answered}}]\n",
            "1 of 1 policy tests failed",
        ),
    ] {
        let (code, stdout, stderr) = run(&["check", "--digest", &file(dir.path(), bad)]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{bad}");
        assert!(stderr.contains(told), "{stderr}");
    }
    let (code, stdout, _) = run(&["check", "--digest", "--probe"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
}
