//! One of two servers goes away while dnsperf asks: no query fails.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use super::unbound::{Unbound, have};
use crate::running::Running;

/// How long the load lasts, in seconds, unless `DNSGATE_FAILOVER_SECONDS` says otherwise.
const SECONDS: usize = 5;
/// Queries per second: a load that a busy machine can bear.
const RATE: usize = 400;
/// Different names, so that each server has things to look for in its own zone.
const NAMES: usize = 500;

#[test]
fn killed_first_server_fails_no_query() {
    load_during("ordered", "KILL");
}

#[test]
fn silent_server_fails_no_query() {
    load_during("ordered", "STOP");
}

#[test]
fn silent_fastest_server_fails_no_query() {
    load_during("fastest", "STOP");
}

/// A load in the middle of which the first server gets a signal.
fn load_during(strategy: &str, signal: &str) {
    if !have(&["dnsperf"]) {
        return;
    }
    let (first, second) = (Unbound::start(), Unbound::start());
    let config = format!(
        "google_apis: {{ vip: off }}
upstreams: {{ corp: {{ servers: [\"udp://{}\", \"udp://{}\"], strategy: {strategy} }} }}
rules: [{{ name: corp, domains: [.corp.example], forward: corp }}]
cache: {{ size: 0 }}
",
        first.address, second.address
    );
    let dnsgate = Running::start(&config);
    let seconds = env::var("DNSGATE_FAILOVER_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let report = dnsperf(&dnsgate, seconds, || first.signal(signal));
    println!(
        "{strategy}, SIG{signal}: {} queries, median {} ms, p99 {} ms, most {} ms",
        report.latencies.len(),
        report.percentile(50),
        report.percentile(99),
        report.percentile(100),
    );
    let said = &report.said;
    assert!(said.contains("Queries lost:         0 "), "{said}");
    let codes = said.lines().find(|line| line.contains("Response codes:"));
    let codes = codes.unwrap_or_default();
    assert!(
        codes.contains("NOERROR") && codes.ends_with("(100.00%)"),
        "{said}"
    );
    metrics_tell(&dnsgate, [&first, &second]);
    if signal == "STOP" {
        first.signal("CONT");
        dnsgate.wait_for("an upstream's server answers");
        let up = format!("dnsgate_upstream_up{{{}}}", labels(&first));
        assert_eq!(dnsgate.metric(&up), 1);
    }
}

/// The first server is down, and others than it have answered.
fn metrics_tell(dnsgate: &Running, [first, second]: [&Unbound; 2]) {
    let down = dnsgate.wait_for("an upstream's server is down: it is probed, and not asked");
    assert_eq!(down["server"], format!("udp://{}", first.address), "{down}");
    let up = |server| dnsgate.metric(&format!("dnsgate_upstream_up{{{}}}", labels(server)));
    assert_eq!((up(first), up(second)), (0, 1));
    let asked = |server, result: &str| {
        let labels = labels(server);
        dnsgate.metric(&format!(
            "dnsgate_upstream_queries_total{{{labels},result=\"{result}\"}}"
        ))
    };
    assert!(asked(first, "answered") > 0, "before");
    assert!(asked(second, "answered") > 0, "after");
    let unanswered = asked(first, "refused") + asked(first, "timeout");
    assert!(unanswered > 0, "in between");
}

/// Those of a server's metrics.
fn labels(server: &Unbound) -> String {
    format!("upstream=\"corp\",server=\"udp://{}\"", server.address)
}

/// What dnsperf found.
struct Report {
    /// Of each reply, in seconds, the least first.
    latencies: Vec<f64>,
    /// All but the replies.
    said: String,
}

impl Report {
    /// In milliseconds, as text.
    fn percentile(&self, of_100: usize) -> String {
        let last = self.latencies.len() - 1;
        format!("{:.1}", self.latencies[last * of_100 / 100] * 1000.0)
    }
}

/// Runs dnsperf, and does something when half of the queries are answered.
fn dnsperf(dnsgate: &Running, seconds: usize, halfway: impl FnOnce()) -> Report {
    let questions = dnsgate.dir().join("questions");
    let mut text = String::new();
    for name in 0..NAMES {
        let _ = writeln!(text, "n{name}.wild.corp.example A");
    }
    fs::write(&questions, text).expect("room for a file");
    let mut dnsperf = Command::new("dnsperf")
        .args(["-s", "127.0.0.1", "-p", &dnsgate.port.to_string(), "-v"])
        .args(["-l", &seconds.to_string(), "-Q", &RATE.to_string(), "-d"])
        .arg(&questions)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("dnsperf runs");
    let mut halfway = Some(halfway);
    let (mut latencies, mut said) = (Vec::new(), String::new());
    let stdout = BufReader::new(dnsperf.stdout.take().expect("a pipe"));
    for line in stdout.lines().map_while(Result::ok) {
        let Some(reply) = line.strip_prefix("> ") else {
            said += &(line + "\n");
            continue;
        };
        let latency = reply.rsplit(' ').next().and_then(|last| last.parse().ok());
        latencies.push(latency.unwrap_or(f64::INFINITY));
        if latencies.len() >= seconds * RATE / 2
            && let Some(halfway) = halfway.take()
        {
            halfway();
        }
    }
    assert!(
        dnsperf.wait().is_ok_and(|status| status.success()),
        "{said}"
    );
    assert!(halfway.is_none(), "too few queries: {said}");
    latencies.sort_by(f64::total_cmp);
    Report { latencies, said }
}
