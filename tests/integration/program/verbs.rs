//! The verbs besides `serve`: what they print, and their exit codes.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::running::{PROGRAM, Running, free_port};

/// Runs the program: exit code, standard output, standard error.
pub(super) fn run(args: &[&str]) -> (i32, String, String) {
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
pub(super) fn stdout(args: &[&str]) -> String {
    let (code, stdout, stderr) = run(args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

pub(super) fn file(dir: &Path, text: &str) -> String {
    let path = dir.join("dnsgate.yaml");
    fs::write(&path, text).expect("room");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn check_summarises_a_valid_file_in_one_line() {
    let line = "config/default.yaml: ok: 2 client groups, 1 zone (googleapis.com), 0 rules, sealed (no upstreams), 3 tests passed\n";
    let built_in = "no FILE was given, so this is the built-in configuration\n";
    assert_eq!(stdout(&["check"]), format!("{line}{built_in}"));
    assert_eq!(stdout(&["check", "config/default.yaml"]), line);
}

pub(super) const POLICY: &str = "upstreams: { public: { servers: [udp://8.8.8.8] } }
clients: { all: { cidrs: [127.0.0.0/8] }, build: { cidrs: [10.0.0.0/8] } }
rules:
  - { name: github, domains: [.github.com], forward: public, groups: [build] }
  - { name: gists, domains: [gist.github.com], deny: nxdomain }
";

/// Runs the program with this text on standard input.
pub(super) fn run_with(args: &[&str], input: &str) -> (i32, String, String) {
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
fn dash_is_standard_input_wherever_a_file_is_named() {
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
fn admin_address_has_several_forms_and_may_be_off() {
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
fn check_reports_every_error_with_its_place() {
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
fn test_writes_junit_xml_to_standard_output_for_a_dash() {
    let (code, stdout, stderr) = run(&["test", "--junit", "-"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("<?xml "), "{stdout}");
    assert!(stdout.ends_with("</testsuites>\n"), "{stdout}");
    assert!(stderr.contains(" 0 failed"), "{stderr}");
}

#[test]
fn healthcheck_answers_by_its_exit_code() {
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
fn manual_pages_are_printed_for_the_program_and_for_every_verb() {
    let page = stdout(&["man"]);
    assert!(page.contains(".TH dnsgate 1"), "{page}");
    for verb in ["serve", "check", "explain", "verify", "completions"] {
        assert!(
            page.contains(&format!("dnsgate\\-{verb}(1)")),
            "{verb} in {page}"
        );
        let page = stdout(&["man", verb]);
        let title = format!(".TH dnsgate-{verb} 1");
        assert!(
            page.contains(&title) && page.contains(".SH DESCRIPTION"),
            "{page}"
        );
    }
    let (code, _, said) = run(&["man", "serves"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("there is no verb serves; `dnsgate help` lists them"),
        "{said}"
    );
}

#[test]
fn closed_standard_output_is_an_error_not_a_panic() {
    for args in [
        &["completions", "zsh"][..],
        &["man"],
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
fn nonsensical_arguments_exit_with_2() {
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
