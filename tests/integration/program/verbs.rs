//! The verbs besides `serve`: what they print, and their exit codes.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::running::{PROGRAM, Running, free_port};

/// Runs the program: exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(PROGRAM)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = status.code().expect("an end of its own");
    (code, text(stdout), text(stderr))
}

/// Standard output of a run that must go well and say nothing on standard error.
fn stdout(args: &[&str]) -> String {
    let (code, stdout, stderr) = run(args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

fn file(dir: &Path, text: &str) -> String {
    let path = dir.join("dnsgate.yaml");
    fs::write(&path, text).expect("room");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn explain_reads_well() {
    let answered = "\
question  storage.googleapis.com. A
client    10.1.2.3, which is in group vpc
policy    the built-in one; --config FILE reads another
rules     one is about this name:
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
policy    the built-in one; --config FILE reads another
rules     none is about this name
verdict   denied, because no rule allows the name

;; status: REFUSED, flags: qr rd ra
;; EDE: 15 (Blocked): no rule allows this name
";
    assert_eq!(stdout(&["explain", "example.com"]), denied);
    let unknown_client = "\
question  example.com. AAAA
client    192.0.2.1, which is in no group of: vpc, cloud-dns
policy    the built-in one; --config FILE reads another
verdict   denied, because the client is in no group

;; status: REFUSED, flags: qr rd
;; EDE: 18 (Prohibited): client is in no group
";
    let args = ["explain", "example.com", "AAAA", "--client", "192.0.2.1"];
    assert_eq!(stdout(&args), unknown_client);
}

#[test]
fn explain_shows_everybody_who_competed() {
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
rules     these are about this name, the one marked > decides:
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
            "rules     none of those about this name applies:",
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
fn explain_shows_where_a_question_would_go() {
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
rules     one is about this name:
          > github   github.com. and all below   forwards to public   wins
verdict   forwarded to `public` by `github`
upstream  public: udp://8.8.8.8:53 tls://8.8.4.4:853#dns.google, the fastest first
answers   public addresses only, to the end of an alias chain, whoever has the data
aliases   to every name that no rule denies (cname: any)
types     A NS CNAME SOA PTR MX AAAA SRV SVCB HTTPS ANY

;; the reply has what public says of api.github.com. A, as far as it may pass
"
    );
    let explain = |args: &[&str]| stdout(&[&["explain", "--config", &config], args].concat());
    assert_eq!(explain(&["api.github.com"]), forwarded);
    let filtered = "\
verdict   answered from its zone by `zone lab.example`
upstream  corp: tcp://10.0.0.53:53
answers   addresses within 10.0.0.0/8 only, to the end of an alias chain, whoever has the data
aliases   to allowed names only (cname: allowed)
types     A

;; the reply has what corp says of api.corp.example. A, as far as it may pass
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
fn explain_tells_what_is_observed_only() {
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
answers   public addresses only, to the end of an alias chain, whoever has the data
aliases   to every name that no rule denies (cname: any)

;; the reply has what public says of {name}. A, as far as it may pass
"
        );
        assert!(text.ends_with(&want), "{text}");
    }
}

/// A policy with something of each kind.
const POLICY: &str = "upstreams: { public: { servers: [udp://8.8.8.8] } }
clients: { all: { cidrs: [127.0.0.0/8] }, build: { cidrs: [10.0.0.0/8] } }
rules:
  - { name: github, domains: [.github.com], forward: public, groups: [build] }
  - { name: gists, domains: [gist.github.com], deny: nxdomain }
";

#[test]
fn explain_asks_the_running_dnsgate_and_is_told_the_same() {
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
fn explain_counts_what_a_log_asked_for() {
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

log: 15 questions, 1 line without one
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
fn check_prints_one_line_of_what_a_good_file_holds() {
    let line = "config/default.yaml: ok: 2 client groups, 1 zone (googleapis.com), 0 rules, sealed (no upstreams), 3 tests passed\n";
    let built_in = "this is the built-in configuration, as no FILE was named\n";
    assert_eq!(stdout(&["check"]), format!("{line}{built_in}"));
    assert_eq!(stdout(&["check", "config/default.yaml"]), line);
}

/// Runs the program with this text on standard input.
fn run_with(args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(PROGRAM)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // One that reads nothing of it may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("an end of its own");
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn a_dash_is_standard_input_wherever_a_file_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = file(dir.path(), "");
    for (args, want, code) in [
        (&["check", "-"][..], "<stdin>: ok: ", 0),
        (&["test", "-"], "-: no tests", 0),
        (&["diff", "-", &other], "- -> ", 1),
        (&["diff", &other, "-"], " -> -: ", 1),
        (&["diff", "-", "-"], "- -> -: nothing changed", 0),
        (
            &["explain", "gist.github.com", "--config", "-"],
            "denied by `gists`",
            0,
        ),
    ] {
        let (seen, stdout, stderr) = run_with(args, POLICY);
        assert!(stdout.contains(want), "{args:?}: {stdout}{stderr}");
        assert_eq!(seen, code, "{args:?}: {stdout}{stderr}");
    }
    let (code, _, stderr) = run_with(&["check", "-"], "lisen: []");
    assert_eq!(code, 1);
    assert!(stderr.starts_with("<stdin>:1:1: error: "), "{stderr}");
    // It cannot be two things at once.
    let (code, _, stderr) = run_with(&["explain", "--config", "-", "--replay", "-"], POLICY);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("standard input is the configuration"),
        "{stderr}"
    );
}

#[test]
fn a_log_may_be_an_array_of_entries() {
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
        stdout.ends_with("\nlog: 11 questions, 2 entries without one\n"),
        "{stdout}"
    );

    let none = [
        ("[]", "0 entries"),
        ("{}\nx\n", "2 lines"),
        ("", "0 lines"),
        ("[{}]", "1 entry"),
    ];
    for (log, others) in none {
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
            let want = format!("log: 0 questions, {others} without one\n");
            assert!(
                stderr.starts_with("dnsgate: there is no question to ") && stderr.ends_with(&want),
                "{stderr}"
            );
        }
    }
}

#[test]
fn the_admin_pages_may_be_nowhere_and_their_address_has_several_spellings() {
    let dnsgate = Running::start("");
    let port = dnsgate.admin.port();
    for admin in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}/"),
    ] {
        let answered = stdout(&["explain", "storage.googleapis.com", "--admin", &admin]);
        assert!(
            answered.contains("answered from its zone"),
            "{admin}: {answered}"
        );
        assert_eq!(stdout(&["healthcheck", &admin]), "", "{admin}");
        let (code, _, stderr) = run(&["reload", "--admin", &admin]);
        assert!(
            code == 1 && stderr.contains("there is no configuration file"),
            "{admin}: {stderr}"
        );
    }
    let listen = format!("127.0.0.1:{}", free_port("127.0.0.1"));
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--admin", "off", "--listen", &listen])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut lines = io::BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let ready = lines.find_map(|line| line.ok().filter(|line| line.contains("\"ready\"")));
    crate::running::end(&mut child);
    let ready = ready.expect("it starts");
    assert!(!ready.contains("9153"), "{ready}");
}

#[test]
fn check_prints_every_fault_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = file(
        dir.path(),
        "listn: [udp://127.0.0.1:0]\ndeny_with: refuse\n",
    );
    let (code, stdout, stderr) = run(&["check", &path]);
    let want = format!(
        "\
{path}:1:1: error: the configuration has no key `listn`
  listn: [udp://127.0.0.1:0]
  ^
  help: did you mean `listen`?
{path}:2:12: error: deny_with \"refuse\": write one of refused, nxdomain, nodata, drop
  deny_with: refuse
             ^
  help: did you mean refused?
"
    );
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (1, "", want.as_str())
    );

    let (code, _, stderr) = run(&["check", "/nowhere/dnsgate.yaml"]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("/nowhere/dnsgate.yaml: error: "),
        "{stderr}"
    );
}

#[test]
fn warnings_go_to_standard_error_and_do_not_fail() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = file(
        dir.path(),
        "rules: [{ name: old, domains: [old.example], records: [A 10.0.0.1], until: 2020-01-01 }]\n",
    );
    let (code, stdout, stderr) = run(&["check", &path]);
    assert_eq!(code, 0);
    assert!(
        stdout.starts_with(&format!("{path}: ok: ")) && stdout.lines().count() == 1,
        "{stdout}"
    );
    assert!(stderr.starts_with(&format!("{path}:1:")), "{stderr}");
    assert!(
        stderr.contains(": warning: rule `old` ended at"),
        "{stderr}"
    );
}

#[test]
fn healthcheck_says_it_with_its_exit_code() {
    let dnsgate = Running::start("limits: { drain: 300s }");
    let (admin, port) = (dnsgate.admin, dnsgate.port);
    for healthy in [
        format!("http://{admin}/readyz"),
        format!("http://{admin}/livez"),
        format!("127.0.0.1:{port}"),
        format!("udp://127.0.0.1:{port}"),
    ] {
        assert_eq!(stdout(&["healthcheck", &healthy]), "", "{healthy}");
    }
    let nobody = free_port("127.0.0.1");
    let fails = |target: &str, why: &str| {
        let (code, stdout, stderr) = run(&["healthcheck", target]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{target}: {stderr}");
        assert!(stderr.contains(target) && stderr.contains(why), "{stderr}");
    };
    fails(&format!("http://{admin}/nothing"), "404");
    fails(&format!("http://127.0.0.1:{nobody}/readyz"), "refused");
    fails(&format!("udp://127.0.0.1:{nobody}"), "refused");
    dnsgate.signal("TERM");
    dnsgate.wait_for("draining");
    fails(&format!("http://{admin}/readyz"), "503");
    assert_eq!(run(&["healthcheck", "localhost"]).0, 2);
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        for verb in ["serve", "check", "explain", "healthcheck", "completions"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
    }
}

#[test]
fn nobody_reading_is_a_failure_not_a_panic() {
    for args in [
        &["completions", "zsh"][..],
        &["check"],
        &["explain", "example.com"],
    ] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(PROGRAM)
            .args(args)
            .stdout(writer)
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            said.starts_with("dnsgate: ") && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn help_names_every_option() {
    for (args, words) in [
        (
            &["--help"][..],
            &[
                "serve",
                "check",
                "explain",
                "healthcheck",
                "completions",
                "--version",
            ][..],
        ),
        (
            &["serve", "--help"],
            &["--config", "--listen", "--admin", "SIGTERM"],
        ),
        (&["check", "--help"], &["[FILE]"]),
        (
            &["explain", "--help"],
            &[
                "[NAME]", "[TYPE]", "--client", "--config", "--admin", "--replay",
            ],
        ),
        (
            &["healthcheck", "--help"],
            &["[TARGET]", "http://127.0.0.1:9153/readyz"],
        ),
        (
            &["completions", "--help"],
            &["<SHELL>", "bash", "zsh", "fish"],
        ),
    ] {
        let help = stdout(args);
        for word in words {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
    let version = format!("dnsgate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&["--version"]), version);
}

#[test]
fn arguments_that_make_no_sense_end_with_2() {
    for (args, word) in [
        (&[][..], "Usage"),
        (&["surf"], "surf"),
        (&["serve", "--bogus"], "--bogus"),
        (&["serve", "--listen", "localhost:53"], "localhost:53"),
        (
            &["serve", "--listen", "tls://127.0.0.1:853"],
            "udp:// and tcp://",
        ),
        (&["serve", "--admin", "9153"], "9153"),
        (&["serve", "--admin", "127.0.0.1:09153"], "09153"),
        (&["serve", "--listen", "127.0.0.1:053"], "053"),
        (
            &["explain", "example.com", "--client", "010.0.0.1"],
            "010.0.0.1",
        ),
        (&["explain"], "NAME"),
        (&["explain", "a..b"], "a..b"),
        (&["explain", "example.com", "BOGUS"], "BOGUS"),
        (
            &["explain", "example.com", "--client", "10.0.0.0/8"],
            "10.0.0.0/8",
        ),
        (
            &["explain", "example.com", "--replay", "q.log"],
            "cannot be used with",
        ),
        (
            &["explain", "--replay", "q.log", "--admin", "http://[::1]:1"],
            "cannot be used with",
        ),
        (
            &[
                "explain",
                "a.b",
                "--config",
                "f",
                "--admin",
                "http://[::1]:1",
            ],
            "cannot be used with",
        ),
        (
            &["healthcheck", "https://127.0.0.1/"],
            "http://127.0.0.1:9153/readyz",
        ),
        (&["completions", "tcsh"], "bash"),
    ] {
        let (code, stdout, stderr) = run(args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
        assert!(stderr.contains(word), "{args:?}: {word:?} in {stderr}");
    }
}
