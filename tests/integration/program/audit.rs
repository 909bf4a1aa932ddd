//! `dnsgate audit`, from the reference configuration and a recorded log to a tighter file that `diff` finds equal.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::running::{PROGRAM, Running, installed, skipped};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/reference.yaml");
const LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit/queries.jsonl");
const SCHEMA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/sarif-schema-2.1.0.json"
);

/// Runs a verb: exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(PROGRAM).args(args).output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an end"), text(stdout), text(stderr))
}

#[test]
fn a_tighter_reference_decides_a_recorded_log_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let tight = dir.path().join("tight.yaml");
    let tight = tight.to_str().expect("UTF-8");
    let (code, _, told) = run(&[
        "audit",
        "--config",
        REFERENCE,
        "--replay",
        LOG,
        "--tighten",
        tight,
    ]);
    assert_eq!(code, 1, "it has warnings: {told}");
    assert!(
        told.contains("none that was used is denied, none is newly allowed"),
        "{told}"
    );
    let (code, said, told) = run(&["diff", REFERENCE, tight, "--replay", LOG]);
    assert_eq!(code, 0, "{said}{told}");
    assert!(
        said.contains("0 of 10 questions get another verdict"),
        "{said}"
    );
    let (code, said, told) = run(&["check", tight]);
    assert_eq!(code, 0, "its tests still pass: {said}{told}");
    // Comments stay, but for those of the rule that is gone.
    let comments = |text: &str| {
        text.lines()
            .filter(|line| line.contains('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (old, new) = (fs::read_to_string(REFERENCE), fs::read_to_string(tight));
    let (old, new) = (
        comments(&old.expect("a text")),
        comments(&new.expect("a text")),
    );
    let lost: Vec<_> = old.iter().filter(|line| !new.contains(line)).collect();
    assert_eq!(lost.len(), 13, "{lost:#?}");
    // What is as tight as can be stays as it is.
    let (_, _, told) = run(&[
        "audit",
        "--config",
        tight,
        "--replay",
        LOG,
        "--tighten",
        tight,
    ]);
    assert!(told.contains("nothing to take away"), "{told}");
}

#[test]
fn the_exit_code_goes_by_the_level() {
    let audit = |more: &[&str]| {
        let args = ["audit", "--config", REFERENCE, "--replay", LOG];
        run(&[&args, more].concat()).0
    };
    assert_eq!(audit(&[]), 1);
    assert_eq!(audit(&["--fail-on", "note"]), 1);
    assert_eq!(audit(&["--fail-on", "error"]), 0);
    assert_eq!(audit(&["--fail-on", "never"]), 0);
    assert_eq!(audit(&["--fail-on", "often"]), 2);
}

#[test]
fn json_and_sarif_have_every_finding() {
    let (code, json, _) = run(&["audit", "--config", REFERENCE, "--replay", LOG, "--json"]);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    assert!(findings.len() >= 8, "{json:#}");
    for finding in findings {
        assert!(finding["line"].as_u64() > Some(0), "{finding}");
        assert_eq!(finding["file"], REFERENCE);
        assert!(!finding["edit"].as_str().expect("a text").is_empty());
    }
    let (_, sarif, _) = run(&["audit", "--config", REFERENCE, "--replay", LOG, "--sarif"]);
    let log: Value = serde_json::from_str(&sarif).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), findings.len());
    if installed(&["python3"]) {
        validate(&sarif);
    }
}

/// Holds a SARIF log to the schema of OASIS, from github.com/oasis-tcs/sarif-spec at commit e0583813964e,
/// sarif-2.1/schema/sarif-schema-2.1.0.json (2.1.0 with errata 01).
fn validate(sarif: &str) {
    const VALIDATE: &str = "import json, sys
try:
    import jsonschema
except ImportError:
    sys.exit(77)
schema = json.load(open(sys.argv[1]))
jsonschema.Draft4Validator.check_schema(schema)
jsonschema.Draft4Validator(schema).validate(json.load(sys.stdin))";
    let mut python = Command::new("python3")
        .args(["-W", "ignore", "-c", VALIDATE, SCHEMA])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut stdin = python.stdin.take().expect("a pipe");
    // Who does not read it has ended; that is seen below.
    let _ = stdin.write_all(sarif.as_bytes());
    drop(stdin);
    let status = python.wait().expect("an end");
    if status.code() == Some(77) {
        return skipped("no jsonschema for python3: SARIF is not held to its schema");
    }
    assert!(status.success(), "not valid SARIF: {sarif}");
}

#[test]
fn a_pruned_list_keeps_its_comments_and_what_was_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let write = |name: &str, text: &str| fs::write(path(name), text).expect("room");
    let config = "upstreams: { public: { servers: [udp://8.8.8.8] } }
rules: [{ name: ci, domains_file: ci.txt, forward: public }]\n";
    write("gate.yaml", config);
    write(
        "ci.txt",
        "# of CI\na.test # one\nb.test\n.c.test\n\nd.test\n",
    );
    let line = |name: &str| {
        format!("{{\"queryName\":\"{name}.\",\"queryType\":\"A\",\"sourceIP\":\"10.0.0.1\"}}\n")
    };
    write("log", &(line("a.test") + &line("x.c.test")));
    let (gate, log, out) = (path("gate.yaml"), path("log"), path("out.txt"));
    let args = [
        "audit", "--config", &gate, "--replay", &log, "--prune", &out,
    ];
    let (code, said, told) = run(&args);
    assert_eq!(code, 1, "{said}{told}");
    assert!(told.contains("ci.txt without 2 names"), "{told}");
    let pruned = fs::read_to_string(&out).expect("a list");
    assert_eq!(pruned, "# of CI\na.test # one\n.c.test\n\n");
    // Nothing is written where there is nothing to go by.
    let (code, _, told) = run(&["audit", "--config", &gate, "--prune", &path("none.txt")]);
    assert_eq!(code, 2);
    assert!(told.contains("there is no evidence"), "{told}");
    assert!(!Path::new(&path("none.txt")).exists());
}

#[test]
fn a_running_dnsgate_is_evidence() {
    if !installed(&["dig"]) {
        return;
    }
    let config = "google_apis: { vip: off }
rules:
  - { name: ci, domains: [.ci.test, x.test], records: [A 10.0.0.2] }
  - { name: old, domains: [old.test], records: [A 10.0.0.3] }\n";
    let dnsgate = Running::start(config);
    dnsgate.dig("a.ci.test");
    let file = dnsgate.dir().join("dnsgate.yaml");
    let file = file.to_str().expect("UTF-8");
    let admin = dnsgate.admin.to_string();
    let (code, said, told) = run(&["audit", "--config", file, "--admin", &admin]);
    assert_eq!(code, 1, "{told}");
    for line in [
        "rule old: not used since 20",
        "1 of 2 names never asked for since 20",
        "of `.ci.test` only 1 name asked for",
        "group cloud-dns: nobody of it has asked anything",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn bad_input_is_told_with_its_place_and_exit_code_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let write = |name: &str, text: &str| fs::write(path(name), text).expect("room");
    write("bad.yaml", "rules: [{ name: x }]\n");
    write("good.yaml", "deny_with: nxdomain\n");
    write("page", "{\"version\": 2}");
    write(
        "observed",
        "{\"generation\": 1, \"dropped\": 0, \"observed\": []}",
    );
    write("garbage", "\0\u{ff}no log\n{\"queryName\": 1}\n");
    let (bad, good) = (path("bad.yaml"), path("good.yaml"));
    for (args, why) in [
        (
            vec!["--config", &bad],
            "bad.yaml:1:9: error: a rule needs the key",
        ),
        (vec!["--config", "-"], "name its file"),
        (
            vec!["--config", &good, "--usage", &path("page")],
            "version 2 of the format; this dnsgate reads version 1",
        ),
        (
            vec!["--config", &good, "--usage", &path("observed")],
            "not the page /usage",
        ),
        (
            vec!["--config", &good, "--usage", &path("none")],
            "cannot be read",
        ),
        (
            vec!["--config", &good, "--replay", &path("garbage")],
            "the log has no question",
        ),
        (
            vec!["--config", &good, "--admin", "127.0.0.1:1"],
            "does not answer",
        ),
        (vec!["--config", &good, "--rule", "x"], "--prune"),
    ] {
        let (code, _, told) = run(&[&["audit"], &*args].concat());
        assert_eq!(code, 2, "{args:?}: {told}");
        assert!(told.contains(why), "{args:?}: {told}");
    }
    let none = path("none/tight.yaml");
    let (code, _, told) = run(&[
        "audit",
        "--config",
        REFERENCE,
        "--replay",
        LOG,
        "--tighten",
        &none,
    ]);
    assert_eq!(code, 2);
    assert!(told.contains("cannot be written"), "{told}");
}
