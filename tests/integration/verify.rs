//! `dnsgate verify` against a dnsgate and a Google of this test, all on loopback: what passes, and
//! that each kind of check can fail.

mod google;
mod leaks;

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use dnsgate_verify::{BYPASS, Exporter, LITERALS, PROXY_VARIABLES};

use crate::running::{PROGRAM, Running, SOON, end, free_port, installed, signal, try_get};
use google::{Authority, Fake};

/// An address of loopback at which nobody listens.
const NOBODY: &str = "127.0.0.2";
/// No more rules.
const SEALED: &str = "";

/// A dnsgate that leads Google's names to a Google of this test.
struct Vpc {
    dnsgate: Running,
    google: Fake,
    metadata: Fake,
    dir: TempDir,
    config: String,
}

impl Vpc {
    /// With more rules.
    fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let google = Fake::over_tls(&authority, "storage.googleapis.com");
        fs::write(dir.path().join("ca.pem"), authority.pem()).expect("room");
        // Only the metadata server's name is answered beside the preset.
        let rules =
            "  - { name: metadata, domains: [metadata.google.internal], records: [A 127.0.0.1] }";
        let config = format!(
            "google_apis: {{ vip: psc, addresses: [127.0.0.1] }}\nrules:\n{rules}\n{more}\n"
        );
        let file = dir.path().join("gate.yaml");
        fs::write(&file, &config).expect("room");
        Self {
            dnsgate: Running::start(&config),
            google,
            metadata: Fake::plain(),
            config: file.to_str().expect("UTF-8").to_owned(),
            dir,
        }
    }

    /// The arguments of every run: nothing outside loopback is asked.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        let ca = self.dir.path().join("ca.pem");
        let closed = free_port(NOBODY);
        let ports = format!(
            "https={},metadata={},dns={closed},dot={closed},http={closed}",
            self.google.port, self.metadata.port
        );
        command
            .args(["verify", "--config", &self.config, "--ports", &ports])
            .args(["--server", &format!("127.0.0.1:{}", self.dnsgate.port)])
            .arg("--ca")
            .arg(ca)
            .args(args);
        quiet(&mut command);
        if !args.contains(&"--bypass") {
            command.args(["--bypass", NOBODY]);
        }
        command
    }

    /// Runs it: the exit code, and the report.
    fn verify(&self, args: &[&str]) -> (Option<i32>, Value) {
        let run = self.command(args).arg("--json").output();
        let Output {
            status,
            stdout,
            stderr,
        } = run.expect("the program runs");
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(stderr, "", "{args:?}");
        let report = serde_json::from_slice(&stdout).expect("JSON");
        (status.code(), report)
    }
}

/// Nothing outside loopback is tried, and the caller's proxies are not ours.
fn quiet(command: &mut Command) -> &mut Command {
    for variable in PROXY_VARIABLES {
        command.env_remove(variable);
    }
    command.args(["--literal", NOBODY])
}

/// What a check came to and what was seen.
fn seen<'r>(report: &'r Value, check: &str) -> (&'r str, &'r str) {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|it| it["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check}: {report}"));
    let text = |key: &str| found[key].as_str().expect("a text");
    (text("result"), text("seen"))
}

/// The checks that failed.
fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("checks");
    let failed = checks.iter().filter(|it| it["result"] == "fail");
    failed.filter_map(|it| it["check"].as_str()).collect()
}

#[test]
fn passes_where_egress_is_limited() {
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 400, "");
    vpc.metadata.page(
        "/computeMetadata/v1/instance/service-accounts/default/token",
        200,
        r#"{"access_token":"secret","expires_in":3599,"token_type":"Bearer"}"#,
    );
    let first = "/storage/v1/b/bucket/o?fields=items(name)%2CnextPageToken";
    // The first try fails, as it may.
    vpc.google.page(first, 503, "");
    vpc.google.page(
        first,
        200,
        r#"{"items":[{"name":"one"},{"name":"two"}],"nextPageToken":"a/b"}"#,
    );
    let second = format!("{first}&pageToken=a%2Fb");
    vpc.google
        .page(&second, 200, r#"{"items":[{"name":"three"}]}"#);

    let (code, report) = vpc.verify(&["--bucket", "bucket"]);
    assert_eq!(
        (code, &report["passed"]),
        (Some(0), &Value::Bool(true)),
        "{report}"
    );
    assert_eq!(report["bucket"], "bucket");
    assert_eq!(
        report["file_names"],
        serde_json::json!(["one", "two", "three"])
    );
    assert_eq!(report["check_connection"], false);
    for (check, want) in [
        ("name storage.googleapis.com", ("pass", "127.0.0.1")),
        ("vip 127.0.0.1", ("pass", "HTTP 400 from Fake")),
        ("bucket bucket", ("pass", "3 objects, 2 pages")),
        (
            "denied www.example.com",
            ("pass", "REFUSED, EDE 15: no rule allows this name"),
        ),
        (
            "unreachable www.example.com:443",
            ("pass", "no address to connect to"),
        ),
        ("bypass udp:53 127.0.0.2", ("pass", "DNS: refused")),
        ("bypass tcp:853 127.0.0.2", ("pass", "connection: refused")),
        ("bypass udp:443 127.0.0.2", ("pass", "QUIC: refused")),
        (
            "data www.example.com",
            ("pass", "REFUSED, EDE 15: no rule allows this name"),
        ),
        ("proxy environment", ("pass", "no proxy variable is set")),
        (
            "name rep.googleapis.com",
            (
                "skipped",
                "regional endpoints are not on this address; add a zone or rule with the endpoint's",
            ),
        ),
    ] {
        assert_eq!(seen(&report, check), want, "{report}");
    }
    let asked = vpc.google.asked();
    let with_token = asked
        .iter()
        .filter(|it| it.contains("authorization: Bearer secret"));
    assert_eq!(with_token.count(), 3, "{asked:?}");
    assert!(vpc.metadata.asked()[0].contains("metadata-flavor: Google"));
}

#[test]
fn failed_checks_say_what_to_do() {
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 403, "");
    let output = vpc.command(&[]).output().expect("the program runs");
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{table}");
    for part in [
        "FAIL     vip 127.0.0.1                    HTTP 403 from Fake: not served by the psc VIP\n         -> ",
        "pass     denied www.example.com           REFUSED, EDE 15: no rule allows this name\n",
        " passed, 1 failed, 2 skipped\nnot tried: ICMP; NTP (udp:123); ",
        "; the name servers of /etc/resolv.conf (--server was given)\n",
    ] {
        assert!(table.contains(part), "{part}\nis not in\n{table}");
    }
}

#[test]
fn fails_if_the_bucket_cannot_be_listed() {
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 200, "");
    let token = vpc.dir.path().join("token");
    fs::write(&token, "from-a-file\n").expect("room");
    let list = "/storage/v1/b/bucket/o?fields=items(name)%2CnextPageToken";
    let args = [
        "--bucket",
        "bucket",
        "--token-file",
        token.to_str().expect("UTF-8"),
    ];
    for (status, body, want) in [
        (200, "{}", "the listing is empty"),
        (403, r#"{"error":{"message":"denied"}}"#, "HTTP 403: denied"),
        (404, "", "HTTP 404"),
        (200, "<html>", "the listing is cut off, or is not JSON"),
        (500, "", "HTTP 500"),
        (
            200,
            r#"{"items":[],"nextPageToken":"x"}"#,
            "the pages of the listing form a loop",
        ),
    ] {
        vpc.google.page(list, status, body);
        vpc.google
            .page(&format!("{list}&pageToken=x"), status, body);
        let before = vpc.google.asked().len();
        let (code, report) = vpc.verify(&args);
        assert_eq!(code, Some(1));
        assert_eq!(seen(&report, "bucket bucket"), ("fail", want));
        assert_eq!(failed(&report), ["bucket bucket"]);
        let asked = vpc.google.asked().split_off(before);
        let tries = asked
            .iter()
            .filter(|it| it.starts_with(&format!("GET {list} ")));
        assert_eq!(
            tries.count(),
            if status == 500 { 3 } else { 1 },
            "{asked:?}"
        );
        vpc.google.forget();
        vpc.google.page("/", 200, "");
    }
    // Without a file the token is the metadata server's, which has none here.
    let (_, report) = vpc.verify(&["--bucket", "bucket"]);
    let want = (
        "fail",
        "no token: metadata.google.internal: HTTP 404 from Fake",
    );
    assert_eq!(seen(&report, "bucket bucket"), want);
}

#[test]
fn tries_the_proxies_of_the_environment() {
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 200, "");
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = proxy.local_addr().expect("bound");
    let closed = format!("{NOBODY}:{}", free_port(NOBODY));
    let output = vpc
        .command(&["--json"])
        .env("https_proxy", format!("http://me:secret@{open}/"))
        .env("ALL_PROXY", format!("socks5://{closed}"))
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.contains("secret"), "{text}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(failed(&report), ["proxy https_proxy"]);
    let refused = format!("{closed}: connection: refused");
    assert_eq!(seen(&report, "proxy ALL_PROXY"), ("pass", &*refused));
}

#[test]
fn reads_a_file_from_standard_input() {
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 200, "");
    let list = "/storage/v1/b/bucket/o?fields=items(name)%2CnextPageToken";
    vpc.google.page(list, 200, r#"{"items":[{"name":"one"}]}"#);
    let mut child = vpc
        .command(&["--json", "--bucket", "bucket", "--token-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"by-a-pipe\n").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(failed(&report), [""; 0], "{report}");
    let asked = vpc.google.asked();
    let token = |it: &String| it.contains("authorization: Bearer by-a-pipe");
    assert!(asked.iter().any(token), "{asked:?}");
}

#[test]
fn nonsensical_arguments_exit_with_2() {
    for (args, said) in [
        (&["--ca", "/nonexistent"][..], "/nonexistent cannot be read"),
        (&["--token-file", "x"], "--bucket"),
        (
            &["--bucket", "abc", "--token-file", "-", "--ca", "-"],
            "write `-` once",
        ),
        (&["--metrics", "127.0.0.1:0"], "--watch"),
        (&["--expect-blocked", "www.example.com"], "write a URL"),
        (&["--bucket", "gs://x"], "without gs://"),
        (&["--config", "/nonexistent"], "/nonexistent"),
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(["verify", "--server", "127.0.0.1:1", "--bypass", NOBODY]);
        let output = command.args(args).output().expect("the program runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}

#[test]
fn watches_until_a_signal_stops_it() {
    if !installed(&["promtool"]) {
        return;
    }
    let vpc = Vpc::new(SEALED);
    vpc.google.page("/", 200, "");
    let address = format!("127.0.0.1:{}", free_port("127.0.0.1"));
    let mut child = vpc
        .command(&["--watch", "50ms", "--metrics", &address])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    let address = address.parse().expect("an address");
    let passed = "dnsgate_verify_passed 1";
    let page = wait(|| try_get(address, "/metrics").filter(|(_, page)| page.contains(passed)));
    let Some((200, page)) = page else {
        end(&mut child);
        panic!("no page: {page:?}");
    };
    let before = timestamp(&page);
    let later = wait(|| {
        let (_, page) = try_get(address, "/metrics")?;
        (timestamp(&page) > before).then_some(page)
    });
    // What was there is not there any more.
    vpc.google.forget();
    vpc.google.page("/", 403, "");
    let failed = "dnsgate_verify_check{check=\"vip 127.0.0.1\"} 0";
    let worse = wait(|| try_get(address, "/metrics").filter(|(_, page)| page.contains(failed)));
    signal(&child, "TERM");
    let status = child.wait().expect("it ends");
    assert!(later.is_some() && worse.is_some());
    assert_eq!(status.code(), Some(0));
    let (ok, said) = promtool(&page);
    assert!(ok && said.is_empty(), "{said}\n{page}");
}

#[test]
fn readme_states_the_defaults_and_the_metrics() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Prove it\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let exporter = Exporter::new().expect("families that agree");
    let page = exporter.page().expect("a page");
    let page = String::from_utf8(page).expect("UTF-8");
    let families = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    // Without a result there is no series of it.
    let families: Vec<&str> = families.chain(["dnsgate_verify_check"]).collect();
    assert_eq!(families.len(), 4, "{page}");
    for family in families {
        assert!(section.contains(&format!("`{family}`")), "{family}");
    }
    for address in BYPASS.into_iter().chain(LITERALS) {
        assert!(section.contains(&address.to_string()), "{address}");
    }
}

fn timestamp(page: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("dnsgate_verify_last_run_timestamp_seconds "));
    line.and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Looks until there is something to see.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let pause = Duration::from_millis(20);
    (0..SOON.as_millis() / pause.as_millis()).find_map(|_| {
        let found = look();
        if found.is_none() {
            thread::sleep(pause);
        }
        found
    })
}

fn promtool(page: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(page.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
