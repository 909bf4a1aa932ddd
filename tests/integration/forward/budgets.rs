//! Budgets of the whole program: what reaches the upstream, what the client is told, and what metrics, log, `/usage` and
//! `explain` say of it.

#![expect(clippy::disallowed_methods, reason = "the shell of these tests")]

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::held::Held;
use crate::{
    message::good,
    reply::Reply,
    running::{PROGRAM, Running, SOON, installed},
};

/// An upstream that answers everything, and notes what it is asked.
struct Noting {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Noting {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            let mut packet = [0; 1232];
            while let Ok((len, from)) = socket.recv_from(&mut packet) {
                let query = &packet[..len];
                let label = query.get(13..13 + usize::from(query[12]));
                // The letter case of a question is random.
                let label = String::from_utf8_lossy(label.unwrap_or_default()).to_lowercase();
                noted.lock().expect("not poisoned").push(label);
                let _ = socket.send_to(&good(query), from);
            }
        });
        Self { address, asked }
    }

    /// The first labels that it was asked for, without probes, each once.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().expect("not poisoned").clone();
        asked.retain(|label| label.len() < 32);
        asked.dedup();
        asked
    }
}

fn start(upstream: SocketAddr, budget: &str) -> Running {
    Running::start(&config(upstream, budget))
}

fn config(upstream: SocketAddr, budget: &str) -> String {
    format!(
        "google_apis: {{ vip: off }}
upstreams: {{ u: {{ servers: [\"udp://{upstream}\"] }} }}
rules: [{{ name: sub, domains: [.t.example], forward: u, addresses: [0.0.0.0/0], budget: {budget} }}]
log: {{ format: json }}
"
    )
}

/// The entries of `/usage`.
fn usage(dnsgate: &Running) -> Vec<Value> {
    let (status, page) = dnsgate.get("/usage");
    assert_eq!(status, 200);
    let page: Value = serde_json::from_str(&page).expect("JSON");
    page["budgets"].as_array().expect("a list").clone()
}

/// The log lines about budgets until now.
fn logged(dnsgate: &Running) -> Vec<Value> {
    let lines = dnsgate.lines.try_iter();
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    events.filter(|event| event["maxNames"].is_u64()).collect()
}

#[test]
fn a_reporting_budget_counts_and_logs_and_lets_pass() {
    if !installed(&["dig"]) {
        return;
    }
    let upstream = Noting::start();
    let dnsgate = start(upstream.address, "{ names: 2, window: 1h }");
    assert_eq!(
        dnsgate.metric("dnsgate_budget_exceeded_total{rule=\"sub\",over=\"report\"}"),
        0
    );
    for name in ["a", "b", "a", "c", "d", "c"] {
        let reply = Reply::read(&dnsgate.dig(&format!("{name}.t.example")));
        assert_eq!((&*reply.status, &*reply.ede), ("NOERROR", ""), "{name}");
    }
    let exceeded = dnsgate.metric("dnsgate_budget_exceeded_total{rule=\"sub\",over=\"report\"}");
    assert_eq!(exceeded, 2, "c and d; answers from the cache cost nothing");
    assert_eq!(upstream.asked(), ["a", "b", "c", "d"]);
    let [used] = &usage(&dnsgate)[..] else {
        panic!("one client, one domain");
    };
    let shown = ["rule", "per", "party", "client", "domain", "over"].map(|key| used[key].as_str());
    let want = [
        "sub",
        "client",
        "127.0.0.1",
        "127.0.0.1",
        "t.example",
        "report",
    ];
    assert_eq!(shown, want.map(Some));
    let numbers = ["names", "maxNames", "bytes", "maxBytes"].map(|key| used[key].as_u64());
    assert_eq!(numbers, [4, 2, 8, 65_536].map(Some));
    assert_eq!([&used["exact"], &used["exceeded"]], [true, true]);
    // One line, from the first name that was too much.
    let found = logged(&dnsgate);
    let told: Vec<_> = found.iter().map(|line| &line["names"]).collect();
    assert_eq!(told, [3], "{found:?}");
    assert_eq!(found[0]["domain"], "t.example");
}

#[test]
fn a_denying_budget_denies_until_its_window_ends_and_a_reload_does_not_end_it() {
    if !installed(&["dig"]) {
        return;
    }
    let upstream = Noting::start();
    let budget = "{ names: 2, window: 5s, over: deny }";
    let dnsgate = start(upstream.address, budget);
    let began = Instant::now();
    let ask = |name: &str| Reply::read(&dnsgate.dig(&format!("{name}.t.example")));
    assert_eq!([ask("a").status, ask("b").status], ["NOERROR", "NOERROR"]);
    let denied = ask("c");
    // A machine that was busy for five seconds shows nothing.
    if began.elapsed() < Duration::from_secs(5) {
        let text = "15 (Blocked): (rule sub: its budget for this domain is used up until ";
        let ede = denied.ede.replace("): rule", "): (rule");
        assert!(ede.starts_with(text), "{denied:?}");
        assert_eq!(denied.status, "REFUSED");
        assert!(dnsgate.reload().status.success());
        let reply = ask("d");
        if began.elapsed() < Duration::from_secs(5) {
            assert_eq!(reply.status, "REFUSED", "the reload keeps what was counted");
            assert_eq!(upstream.asked(), ["a", "b"]);
            assert_eq!(ask("a").status, "NOERROR", "the cache has it");
        }
        let denied = dnsgate
            .metric("dnsgate_denied_total{group=\"vpc\",rule=\"sub\",reason=\"over_budget\"}");
        let exceeded = dnsgate.metric("dnsgate_budget_exceeded_total{rule=\"sub\",over=\"deny\"}");
        assert!(
            (1..=2).contains(&denied) && denied == exceeded,
            "{denied} {exceeded}"
        );
        assert_eq!(logged(&dnsgate).len(), 1);
    }
    while ask("e").status != "NOERROR" {
        assert!(began.elapsed() < SOON, "the window does not end");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn explain_shows_the_budget_and_what_is_left_of_it() {
    if !installed(&["dig"]) {
        return;
    }
    let upstream = Noting::start();
    let dnsgate = start(
        upstream.address,
        "{ names: 5, bytes: 1KiB, window: 1h, per: group }",
    );
    let explained = |name: &str| {
        let admin = dnsgate.admin.to_string();
        let mut explain = Command::new(PROGRAM);
        let output = explain.args(["explain", name, "--admin", &admin]).output();
        let output = output.expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let line = |what: &str| {
            text.lines()
                .find(|line| line.starts_with(what))
                .map(str::to_owned)
        };
        (line("budget"), line("left"))
    };
    let budget = "budget    5 names and 1KiB to one domain in 1h, per group; more is reported";
    let all = "left      all of it: no name has been sent in this window";
    let found = explained("a.t.example");
    assert_eq!(found, (Some(budget.to_owned()), Some(all.to_owned())));
    dnsgate.dig("a.t.example");
    dnsgate.dig("bb.t.example");
    let (_, left) = explained("c.t.example");
    let left = left.expect("something is left");
    assert!(
        left.starts_with("left      3 names and 1019 bytes to t.example, until 20"),
        "{left}"
    );
    assert!(left.ends_with("Z (2 and 5 of vpc are used)"), "{left}");
}

#[test]
fn questions_that_are_asked_once_for_two_clients_are_counted_once() {
    if !installed(&["dig"]) {
        return;
    }
    let held = Held::start();
    let dnsgate = start(held.address(), "{ names: 5 }");
    let port = dnsgate.port;
    let from = |client: &'static str| {
        thread::spawn(move || crate::running::dig(port, &format!("-b {client} a.t.example")))
    };
    let first = from("127.0.0.1");
    held.wait();
    let second = from("127.0.0.2");
    let joined = Instant::now();
    while dnsgate.metric("dnsgate_upstream_coalesced_total") == 0 {
        assert!(
            joined.elapsed() < SOON,
            "the second question does not wait for the first"
        );
        thread::sleep(Duration::from_millis(10));
    }
    held.answer(Ipv4Addr::new(192, 31, 196, 1));
    for asked in [first, second] {
        let reply = Reply::read(&asked.join().expect("no panic"));
        assert_eq!(reply.status, "NOERROR");
    }
    assert_eq!(usage(&dnsgate).len(), 1, "{:?}", usage(&dnsgate));
}
