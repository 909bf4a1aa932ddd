//! `dnsgate explain`: what would become of a question, and why.

use std::fs;

use super::verbs::{POLICY, file, run, run_with, stdout};
use crate::running::{Running, free_port};

#[test]
fn explain_prints_question_policy_rules_and_reply() {
    let answered = "\
question  storage.googleapis.com. A
client    10.1.2.3, which is in group vpc
policy    built-in; give another with --config FILE
rules     one rule matches this name:
          > google_apis googleapis.com   googleapis.com. and all below   answers from its zone   wins
verdict   answered from its zone by `google_apis googleapis.com`

;; status: NOERROR, flags: qr aa rd ra

;; ANSWER SECTION:
storage.googleapis.com. 300 IN CNAME restricted.googleapis.com.
restricted.googleapis.com. 300 IN A 199.36.153.4
restricted.googleapis.com. 300 IN A 199.36.153.5
restricted.googleapis.com. 300 IN A 199.36.153.6
restricted.googleapis.com. 300 IN A 199.36.153.7
";
    let args = ["explain", "storage.googleapis.com", "--client", "10.1.2.3"];
    assert_eq!(stdout(&args), answered);
    let denied = "\
question  example.com. A
client    127.0.0.1, which is in group vpc
policy    built-in; give another with --config FILE
rules     no rule matches this name
verdict   denied, because no rule allows the name

;; status: REFUSED, flags: qr rd ra
;; EDE: 15 (Blocked): no rule allows this name
";
    assert_eq!(stdout(&["explain", "example.com"]), denied);
    let unknown_client = "\
question  example.com. AAAA
client    192.0.2.1, which is in no group of: vpc, cloud-dns
policy    built-in; give another with --config FILE
verdict   denied, because the client is in no group

;; status: REFUSED, flags: qr rd
;; EDE: 18 (Prohibited): client is in no group
";
    let args = ["explain", "example.com", "AAAA", "--client", "192.0.2.1"];
    assert_eq!(stdout(&args), unknown_client);
}

#[test]
fn explain_lists_every_rule_about_the_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = file(
        dir.path(),
        "clients: { all: { cidrs: [127.0.0.0/8] }, build: { cidrs: [10.0.0.0/8] } }
zones: [{ origin: corp.example, records: [\"db A 10.0.0.1\"] }]
rules:
  - { name: no-db, domains: [.db.corp.example], deny: nxdomain, groups: [build], reason: SEC-1 }
  - { name: old-db, domains: [db.corp.example], records: [A 10.0.0.2], until: 2020-01-01 }
  - { name: v6, domains: [v6.example], records: [AAAA fd00::1], types: [AAAA] }
  - { name: silent, domains: [.drop.example], deny: drop }",
    );
    let explain = |name: &str, client: &str| {
        stdout(&["explain", name, "--client", client, "--config", &config])
    };
    let text = explain("db.corp.example", "10.1.1.1");
    let want = format!(
        "\
question  db.corp.example. A
client    10.1.1.1, which is in group build
policy    {config}
rules     these rules match this name; the one marked > decides:
            old-db              exactly db.corp.example.         answers with its records   has ended
          > no-db               db.corp.example. and all below   denies                     wins (SEC-1)
            zone corp.example   corp.example. and all below      answers from its zone      loses to a longer name
verdict   denied by `no-db`

;; status: NXDOMAIN, flags: qr aa rd ra
;; EDE: 15 (Blocked): rule no-db: SEC-1

;; AUTHORITY SECTION:
db.corp.example. 60 IN SOA dnsgate.invalid. nobody.invalid. 1 3600 600 86400 60
"
    );
    assert_eq!(text, want);
    for (name, client, want) in [
        (
            "db.corp.example",
            "127.0.0.1",
            "is for other groups (SEC-1)",
        ),
        ("db.corp.example", "127.0.0.1", "> zone corp.example"),
        (
            "v6.example",
            "127.0.0.1",
            "rules     these rules match this name, but none applies:",
        ),
        ("v6.example", "127.0.0.1", "is for other types"),
        (
            "a.drop.example",
            "127.0.0.1",
            "verdict   denied by `silent`",
        ),
        ("a.drop.example", "127.0.0.1", ";; no reply is sent"),
    ] {
        let text = explain(name, client);
        assert!(text.contains(want), "{want:?} in {text}");
    }
}

#[test]
fn explain_shows_the_upstream_of_a_forwarded_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "upstreams: { public: { servers: [udp://8.8.8.8, \"tls://8.8.4.4#dns.google\"] }, corp: { servers: [tcp://10.0.0.53] } }
zones: [{ origin: lab.example, records: [\"api CNAME api.corp.example.\"] }]
rules:
  - { name: github, domains: [.github.com], forward: public }
  - { name: corp, domains: [.corp.example], forward: corp, types: [A], addresses: [10.0.0.0/8], cname: allowed }
  - { name: gists, domains: [gist.github.com], deny: nxdomain }
";
    let config = file(dir.path(), text);
    let forwarded = format!(
        "\
question  api.github.com. A
client    127.0.0.1, which is in group vpc
policy    {config}
rules     one rule matches this name:
          > github   github.com. and all below   forwards to public   wins
verdict   forwarded to `public` by `github`
upstream  public: udp://8.8.8.8:53 tls://8.8.4.4:853#dns.google, the fastest first
answers   public addresses only, along the whole alias chain, whoever answers
aliases   to every name that no rule denies (cname: any)
types     A NS CNAME SOA PTR MX AAAA SRV SVCB HTTPS ANY
budget    1000 names and 64KiB to one domain in 1d, per client; more is reported

;; the reply holds what public says of api.github.com. A, as far as the response filter lets it pass
"
    );
    let explain = |args: &[&str]| stdout(&[&["explain", "--config", &config], args].concat());
    assert_eq!(explain(&["api.github.com"]), forwarded);
    let filtered = "\
verdict   answered from its zone by `zone lab.example`
upstream  corp: tcp://10.0.0.53:53
answers   addresses within 10.0.0.0/8 only, along the whole alias chain, whoever answers
aliases   to allowed names only (cname: allowed)
types     A
budget    1000 names and 64KiB to one domain in 1d, per client; more is reported

;; the reply holds what corp says of api.corp.example. A, as far as the response filter lets it pass
";
    let text = explain(&["api.lab.example"]);
    assert!(text.ends_with(filtered), "{text}");
    let any = explain(&["github.com", "ANY"]);
    assert!(
        any.contains("no upstream is asked for ANY\n\n;; status: NOERROR"),
        "{any}"
    );
}

#[test]
fn explain_marks_what_only_observe_mode_forwards() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = file(
        dir.path(),
        "upstreams: { public: { servers: [udp://8.8.8.8] } }
mode: { observe: public }
rules: [{ name: gists, domains: [gist.github.com], deny: nxdomain }]",
    );
    for (name, why) in [
        ("example.com", "because no rule allows the name"),
        ("gist.github.com", "by `gists`"),
    ] {
        let text = stdout(&["explain", name, "--config", &config]);
        let want = format!(
            "
verdict   would be denied {why}; observed only: forwarded to `public`
upstream  public: udp://8.8.8.8:53
answers   public addresses only, along the whole alias chain, whoever answers
aliases   to every name that no rule denies (cname: any)

;; the reply holds what public says of {name}. A, as far as the response filter lets it pass
"
        );
        assert!(text.ends_with(&want), "{text}");
    }
}

/// A policy with something of each kind.
#[test]
fn explain_of_the_running_process_equals_explain_of_its_file() {
    let dnsgate = Running::start(POLICY);
    let config = dnsgate.dir().join("dnsgate.yaml");
    let config = config.to_str().expect("UTF-8");
    let admin = format!("http://{}", dnsgate.admin);
    let both = |args: &[&str]| {
        let by_file = stdout(&[&["explain", "--config", config], args].concat());
        let by_running = stdout(&[&["explain", "--admin", &admin], args].concat());
        (by_file, by_running)
    };
    let in_force = |text: &str, generation: u32| {
        let line = format!("policy    {config}\n");
        assert!(text.contains(&line), "{text}");
        text.replace(
            &line,
            &format!("policy    {config}, generation {generation}, in force\n"),
        )
    };
    for args in [
        &["api.github.com", "AAAA", "--client", "10.0.0.1"][..],
        &["gist.github.com"],
        &["a\\.b/c&d%.example", "TYPE65"],
        &["example.com", "--client", "fd00::1"],
    ] {
        let (by_file, by_running) = both(args);
        // What is left of a budget only the process knows.
        let is_left = |line: &&str| !line.starts_with("left ");
        let by_running: String = by_running.split_inclusive('\n').filter(is_left).collect();
        assert_eq!(by_running, in_force(&by_file, 1), "{args:?}");
    }
    // A file that is not in force yet is none of its business, and one that is, is.
    fs::write(config, POLICY.replace("name: gists", "name: no-gists")).expect("room");
    assert!(dnsgate.reload().status.success());
    let (by_file, by_running) = both(&["gist.github.com"]);
    assert!(by_running.contains("denied by `no-gists`"), "{by_running}");
    assert_eq!(by_running, in_force(&by_file, 2));

    let (status, page) = dnsgate.get("/explain?name=example.com");
    assert_eq!(status, 403, "{page}");
    drop(dnsgate);
    let nobody = format!("http://127.0.0.1:{}", free_port("127.0.0.1"));
    let (code, _, stderr) = run(&["explain", "example.com", "--admin", &nobody]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains(&format!("{nobody}/ does not answer")),
        "{stderr}"
    );
}

#[test]
fn explain_counts_the_questions_of_a_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = file(dir.path(), POLICY);
    let line = |name: &str, client: &str, more: &str| {
        format!("{{\"queryName\":\"{name}\",\"queryType\":\"A\",\"sourceIP\":\"{client}\"{more}}}")
    };
    let log = [
        "{\"message\":\"ready\"}".to_owned(),
        line("gist.github.com.", "127.0.0.1", ""),
        line("api.github.com.", "10.0.0.1", ",\"sampleRate\":10"),
        line("API.github.com", "10.0.0.2", ""),
        format!(
            "{{\"jsonPayload\":{}}}",
            line("gist.github.com.", "127.0.0.2", "")
        ),
        line("api.github.com.", "127.0.0.1", ""),
        line("x.example.", "192.0.2.1", ""),
    ];
    let path = dir.path().join("queries.log");
    fs::write(&path, log.join("\n")).expect("room");
    let path = path.to_str().expect("UTF-8");
    let text = stdout(&["explain", "--config", &config, "--replay", path]);
    let want = "     count  question            group  verdict
        11  api.github.com. A   build  forwarded to `public` by `github`
         2  gist.github.com. A  all    denied by `gists`
         1  api.github.com. A   all    denied, because `github` is for other groups
         1  x.example. A        none   denied, because the client is in no group

log: 15 questions (Cloud DNS), 1 line without a question
";
    assert_eq!(text, want);
    let (code, _, stderr) = run(&["explain", "--replay", "/nowhere/q.log"]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("dnsgate: /nowhere/q.log cannot be read: "),
        "{stderr}"
    );
}

#[test]
fn explain_reads_a_log_that_is_a_json_array() {
    let entry = |name: &str, rate: &str| {
        format!(
            "  {{\n    \"insertId\": \"x\",\n    \"jsonPayload\": {{\n      \"queryName\": \"{name}\",\n      \"queryType\": \"A\",\n      \"sampleRate\": {rate},\n      \"sourceIP\": \"127.0.0.1\"\n    }},\n    \"severity\": \"INFO\"\n  }}"
        )
    };
    let chaos = entry("version.bind.", "1")
        .replace("\"queryType\"", "\"queryClass\": \"CH\", \"queryType\"");
    let other = "  {\n    \"textPayload\": \"started }\"\n  }".to_owned();
    let entries = [
        other,
        entry("storage.googleapis.com.", "10.0"),
        entry("x.example.", "1"),
        chaos,
    ];
    let log = format!("[\n{}\n]\n", entries.join(",\n"));
    let (code, stdout, stderr) = run_with(&["explain", "--replay", "-"], &log);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.contains("        10  storage.googleapis.com. A"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("\nlog: 11 questions (Cloud DNS), 2 entries without a question\n"),
        "{stdout}"
    );

    const JSON: &str = "JSON with other fields than a query log's";
    let none = [
        ("[]", "0 entries", JSON),
        ("{}\nx\n", "2 lines", JSON),
        ("", "0 lines", "an empty file"),
        ("[{}]", "1 entry", JSON),
    ];
    for (log, others, looks) in none {
        for args in [
            &["explain", "--replay", "-"][..],
            &[
                "diff",
                "config/default.yaml",
                "config/default.yaml",
                "--replay",
                "-",
            ],
        ] {
            let (code, stdout, stderr) = run_with(args, log);
            assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
            let want =
                format!("log: 0 questions, {others} without a question; it looks like {looks}\n");
            assert!(
                stderr.starts_with("dnsgate: the log has no question to ")
                    && stderr.ends_with(&want),
                "{stderr}"
            );
        }
    }
}
