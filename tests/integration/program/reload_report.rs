//! What a reload reports: the changes, what was refused, and what holds from then on.

use std::process::Command;

use serde_json::Value;

use super::reload::{ask, client, policy, put, start, text, zone};
use crate::running::{PROGRAM, Running, SOON};

#[test]
fn report_states_the_old_and_new_value_of_each_change() {
    let dnsgate = start(&[("dnsgate.yaml", "deny_with: refused\n")], &["--no-watch"]);
    let config = dnsgate.dir().join("dnsgate.yaml");
    for (new, told) in [
        ("deny_with: drop\n", "changed deny_with"),
        ("", "changed deny_with"),
        (
            "built_in: {doh_canaries: false}\n",
            "changed built_in (doh_canaries)",
        ),
        ("built_in: {doh_canaries: false} # why\n", "nothing changed"),
    ] {
        put(&config, new);
        // Whoever may ask for a reload need not be one who may read the file: the values are in the log.
        let said = text(&dnsgate.reload().stdout);
        assert!(
            said.lines().next().is_some_and(|line| line.ends_with(told)),
            "{told}: {said}"
        );
    }
    let changes: Vec<Value> = (0..3)
        .map(|_| dnsgate.wait_for_start_of("reloaded")["changes"].clone())
        .collect();
    assert_eq!(
        changes,
        [
            "changed deny_with (refused -> drop)",
            "changed deny_with (drop -> refused)",
            "changed built_in (doh_canaries: true -> false)"
        ]
    );
    let (old, new) = (
        dnsgate.dir().join("old.yaml"),
        dnsgate.dir().join("new.yaml"),
    );
    put(&old, "deny_with: refused\n");
    put(&new, "deny_with: drop\nworkers: 3\n");
    let diff = Command::new(PROGRAM)
        .arg("diff")
        .args([&old, &new])
        .output();
    let said = text(&diff.expect("it runs").stdout);
    let head = "changed deny_with (refused -> drop), workers (one a core -> 3)";
    assert!(
        said.lines().next().is_some_and(|line| line.ends_with(head)),
        "{said}"
    );
}

#[test]
fn config_rejected_is_1_until_the_file_is_in_force() {
    let files = [("dnsgate.yaml", &*policy(1)), ("corp.zone", &zone(1))];
    // Watched: putting the file back is enough.
    let dnsgate = start(&files, &[]);
    let config = dnsgate.dir().join("dnsgate.yaml");
    let rejected = || dnsgate.metric("dnsgate_config_rejected");
    assert_eq!(rejected(), 0);
    for bad in ["rules: [", "workers: 77\n"] {
        put(&config, bad);
        dnsgate.wait_for_start_of("reload refused, ");
        assert_eq!(rejected(), 1, "{bad}");
        put(&config, &policy(1));
        dnsgate.wait_for("reloaded");
        assert_eq!(rejected(), 0, "{bad}");
    }
    // Asked for only.
    drop(dnsgate);
    let dnsgate = start(&files, &["--no-watch"]);
    let config = dnsgate.dir().join("dnsgate.yaml");
    let rejected = || dnsgate.metric("dnsgate_config_rejected");
    put(&config, "rules: [");
    assert_eq!(rejected(), 0, "nobody has read it");
    assert!(!dnsgate.reload().status.success());
    put(&config, &policy(1));
    assert_eq!(rejected(), 1, "nobody has read it");
    assert!(dnsgate.reload().status.success());
    assert_eq!(rejected(), 0);
    // There is nothing to be mended where there is no file.
    drop(dnsgate);
    let built_in = Running::start("");
    assert!(!built_in.reload().status.success());
    assert_eq!(built_in.metric("dnsgate_config_rejected"), 0);
}

#[test]
fn reload_changes_which_queries_are_logged() {
    let with = |log: &str| format!("{}log: {log}\n", policy(1));
    let denied = with("{queries: denied}");
    let files = [("dnsgate.yaml", &*denied), ("corp.zone", &zone(1))];
    let dnsgate = start(&files, &["--no-watch"]);
    let config = dnsgate.dir().join("dnsgate.yaml");
    let socket = client(&dnsgate);
    // The next line about an answer, if any is written before the next reload is told.
    let logged = |log: &str| -> Vec<Value> {
        for id in 0..40 {
            ask(&socket, id, "a.test");
        }
        put(&config, &with(log));
        let output = dnsgate.reload();
        assert!(output.status.success(), "{log}: {output:?}");
        let mut queries = Vec::new();
        loop {
            let line = dnsgate.lines.recv_timeout(SOON).expect("a line");
            let event: Value = serde_json::from_str(&line).expect("a line of JSON");
            if event["message"] == "reloaded" {
                return queries;
            }
            if event["queryName"] == "a.test." {
                queries.push(event);
            }
        }
    };
    assert_eq!(logged("{queries: all}").len(), 0, "denials alone");
    let all = logged("{queries: all, sample: 10}");
    assert_eq!(all.len(), 40, "all");
    assert!(all.iter().all(|line| line["sampleRate"].is_null()));
    let sampled = logged("{queries: none}");
    assert_eq!(sampled.len(), 4, "one in ten");
    assert!(sampled.iter().all(|line| line["sampleRate"] == 10));
    assert_eq!(logged("{queries: all}").len(), 0, "none");
}

#[test]
fn expiry_of_a_rule_is_a_metric() {
    let rules = |until: &str| {
        format!(
            "rules: [{{name: vendor, domains: [a.test], deny: true, until: {until}}}, {{name: ever, domains: [b.test], deny: true}}]\n"
        )
    };
    let dnsgate = start(
        &[("dnsgate.yaml", &rules("2099-01-01T00:00:00Z"))],
        &["--no-watch"],
    );
    let ends = || -> Vec<String> {
        let (_, page) = dnsgate.get("/metrics");
        let lines = page
            .lines()
            .filter(|it| it.starts_with("dnsgate_rule_expires"));
        lines.map(str::to_owned).collect()
    };
    let line =
        |seconds| format!("dnsgate_rule_expires_timestamp_seconds{{rule=\"vendor\"}} {seconds}");
    assert_eq!(ends(), [line("4070908800")]);
    put(
        &dnsgate.dir().join("dnsgate.yaml"),
        &rules("2001-09-09T01:46:40Z"),
    );
    assert!(dnsgate.reload().status.success());
    assert_eq!(
        ends(),
        [line("1000000000")],
        "that it has ended is told as well"
    );
    put(&dnsgate.dir().join("dnsgate.yaml"), "");
    assert!(dnsgate.reload().status.success());
    assert_eq!(ends(), [""; 0]);
}
