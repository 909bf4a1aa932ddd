//! Queries that wait for an upstream while dnsgate ends or reloads.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use super::held::Held;
use crate::{
    reply::Reply,
    running::{Running, dig, installed},
};

fn config(server: SocketAddr) -> String {
    format!(
        "google_apis: {{ vip: off }}
upstreams: {{ corp: {{ servers: [\"udp://{server}\"] }} }}
rules: [{{ name: corp, domains: [.corp.example], forward: corp }}]
limits: {{ drain: 0s }}
"
    )
}

/// The address that dig was told.
fn address_of(printed: &str) -> String {
    let reply = Reply::read(printed);
    assert_eq!(reply.answer.len(), 1, "{printed}");
    reply.answer[0]
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn drain_answers_the_queries_that_wait() {
    if !installed(&["dig"]) {
        return;
    }
    for transport in ["+notcp", "+tcp"] {
        let slow = Held::start();
        let dnsgate = Running::start(&config(slow.address()));
        let port = dnsgate.port;
        let client = thread::spawn(move || dig(port, &format!("www.corp.example {transport}")));
        slow.wait();
        dnsgate.signal("TERM");
        // The drain lasts for no time, so that it is the query that the end waits for.
        dnsgate.wait_for("draining");
        slow.answer(Ipv4Addr::new(192, 31, 196, 1));
        let printed = client.join().expect("dig ends");
        assert_eq!(address_of(&printed), "192.31.196.1", "{transport}");
        let (status, lines) = dnsgate.ended();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
    }
}

#[test]
fn reload_asks_the_new_servers_and_forgets_old_answers() {
    if !installed(&["dig"]) {
        return;
    }
    let (old, new) = (Held::start(), Held::start());
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("gate.yaml"), config(old.address())).expect("room");
        command
            .arg("--no-watch")
            .arg("--config")
            .arg(dir.join("gate.yaml"));
    });
    let ask = |name: &'static str| {
        let port = dnsgate.port;
        thread::spawn(move || address_of(&dig(port, name)))
    };
    let told = |client: thread::JoinHandle<String>| client.join().expect("dig ends");

    let cached = ask("cached.corp.example");
    old.wait();
    old.answer(Ipv4Addr::new(192, 31, 196, 1));
    assert_eq!(told(cached), "192.31.196.1");
    let in_flight = ask("www.corp.example");
    old.wait();

    fs::write(dnsgate.dir().join("gate.yaml"), config(new.address())).expect("room");
    let output = dnsgate.reload();
    assert!(output.status.success(), "{output:?}");

    for name in ["cached.corp.example", "www.corp.example"] {
        let later = ask(name);
        new.wait();
        new.answer(Ipv4Addr::new(192, 31, 196, 2));
        assert_eq!(told(later), "192.31.196.2", "{name}");
    }
    old.answer(Ipv4Addr::new(192, 31, 196, 3));
    assert_eq!(
        told(in_flight),
        "192.31.196.3",
        "who asked before is not lost"
    );
    for name in ["cached.corp.example", "www.corp.example"] {
        assert_eq!(told(ask(name)), "192.31.196.2", "{name}, from the cache");
    }
}
