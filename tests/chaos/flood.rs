//! A flood of denied names from ten thousand addresses. At a pace that the machine can bear, every query is answered, those of
//! the flood as well. Beyond it, only datagrams that the kernel counts as dropped are lost.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use crate::{
    gate::Gate,
    load::{Load, OWN, PATIENCE, ZONES, lasting},
    tally::Tally,
    wire::{question, seen},
};

const SOURCES: u32 = 10_000;
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 128, 0, 1);
const FLOODERS: u32 = 2;
/// Queries of one flooder under way while it waits for replies.
const TOGETHER: usize = 50;
/// How long it does not wait for any.
const BEYOND: Duration = Duration::from_secs(1);
/// How a stub resolver asks.
const TRIES: usize = 3;
const RETRY: Duration = Duration::from_secs(1);

/// A socket at one of the addresses, which keeps its port: a firewall that follows flows has a place for each.
fn source(number: u32, ports: &mut HashMap<u32, u16>, server: u16) -> UdpSocket {
    let number = number % SOURCES;
    let address = Ipv4Addr::from_bits(FIRST.to_bits() + number);
    let kept = ports.get(&number).copied().unwrap_or_default();
    let socket = UdpSocket::bind((address, kept)).or_else(|_| UdpSocket::bind((address, 0)));
    let socket = socket.expect("an address of ours");
    ports.insert(number, socket.local_addr().expect("bound").port());
    socket.connect(("127.0.0.1", server)).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket
}

/// Every which address asks in turn, some at a time, and waits.
fn patient(first: u32, port: u16) -> Tally {
    let (mut tally, mut number, began) = (Tally::default(), first, Instant::now());
    let mut ports = HashMap::new();
    let mut reply = [0; 512];
    while number < SOURCES || began.elapsed() < lasting() {
        let mut under_way = Vec::with_capacity(TOGETHER);
        for _ in 0..TOGETHER {
            let (socket, name) = (
                source(number, &mut ports, port),
                format!("f{number}.flood.test"),
            );
            socket.send(&question(7, &name)).expect("sent");
            tally.sent += 1;
            under_way.push((socket, name, Instant::now()));
            number += FLOODERS;
        }
        for (socket, name, sent) in under_way {
            match socket.recv(&mut reply) {
                Ok(len) => {
                    tally.took(sent.elapsed());
                    match seen(&name, &reply[..len]) {
                        Some(line) if line == "REFUSED" => {
                            tally.count(&name, &line, Some("denied"))
                        }
                        Some(line) => tally.count(&name, &line, None),
                        None => tally.stray += 1,
                    }
                }
                Err(_) => tally.unanswered.push(sent),
            }
        }
    }
    tally
}

/// Sends as fast as it can from some of the addresses; how many.
fn impatient(first: u32, port: u16) -> u64 {
    let mut ports = HashMap::new();
    let sockets: Vec<UdpSocket> = (0..100)
        .map(|it| source(first + it, &mut ports, port))
        .collect();
    let (mut sent, began) = (0, Instant::now());
    while began.elapsed() < BEYOND {
        for socket in &sockets {
            let query = question(7, &format!("b{sent}.flood.test"));
            sent += u64::from(socket.send(&query).is_ok());
        }
    }
    sent
}

/// What became of a stub resolver's questions meanwhile.
#[derive(Default)]
struct Stub {
    sent: u64,
    asked: u64,
    answered: u64,
}

fn stub(port: u16) -> Stub {
    let (mut stub, began) = (Stub::default(), Instant::now());
    let mut reply = [0; 512];
    while began.elapsed() < BEYOND {
        let name = format!("s{}.any.zone.test", stub.asked);
        stub.asked += 1;
        for _ in 0..TRIES {
            // A port of its own for each try, as they have.
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            socket.connect(("127.0.0.1", port)).expect("connected");
            socket.set_read_timeout(Some(RETRY)).expect("set");
            socket.send(&question(7, &name)).expect("sent");
            stub.sent += 1;
            if let Ok(len) = socket.recv(&mut reply) {
                assert!(seen(&name, &reply[..len]).is_some_and(|it| it.contains("10.0.0.1")));
                stub.answered += 1;
                break;
            }
        }
    }
    stub
}

/// Datagrams that the kernel dropped for want of room at the sockets of this port.
fn dropped(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").expect("Linux");
    let local = format!("{:08X}:{port:04X}", u32::from_le_bytes([127, 0, 0, 1]));
    let ours = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1) == Some(&&*local));
    ours.filter_map(|fields| fields.last()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn flood_of_denied_names_costs_no_other_query() {
    let gate = Gate::start(&format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
clients:
  real: {{ cidrs: [127.0.0.0/24] }}
  flood: {{ cidrs: [127.128.0.0/9] }}
{ZONES}"
    ));
    let port = gate.port();
    let load = Load::both(port, OWN);
    let flooders: Vec<_> = (0..FLOODERS)
        .map(|first| thread::spawn(move || patient(first, port)))
        .collect();
    let tallies = flooders.into_iter().map(|it| it.join().expect("counted"));
    let flood = tallies.fold(Tally::default(), Tally::and);
    let real = load.stop();
    gate.holds("refused names from 10 000 addresses: the flood", &flood, "");
    gate.holds("the same: others meanwhile", &real, "");
    beyond(&gate);
}

/// More than can be borne: every datagram is accounted for, and afterwards all is as before.
fn beyond(gate: &Gate) {
    let port = gate.port();
    let of = |group| {
        gate.metric(&format!(
            "dnsgate_queries_total{{transport=\"udp\",group=\"{group}\""
        ))
    };
    let counted = || of("real") + of("flood");
    let (before, dropped_before) = (counted(), dropped(port));
    let flooders: Vec<_> = (0..FLOODERS)
        .map(|first| thread::spawn(move || impatient(first * SOURCES / FLOODERS, port)))
        .collect();
    let stub = stub(port);
    let sent: u64 = flooders
        .into_iter()
        .map(|it| it.join().expect("counted"))
        .sum();
    let sent = sent + stub.sent;
    let began = Instant::now();
    let (taken, lost) = loop {
        let (taken, lost) = (counted() - before, dropped(port) - dropped_before);
        if taken + lost == sent {
            break (taken, lost);
        }
        let waited = began.elapsed();
        assert!(
            waited < PATIENCE,
            "{sent} sent, {taken} counted, {lost} dropped"
        );
        thread::sleep(Duration::from_millis(20));
    };
    let note = format!(
        "{taken} of {sent} datagrams of {} s taken, {lost} dropped by the kernel; of {} questions of a stub resolver \
         {} answered in {TRIES} tries",
        BEYOND.as_secs(),
        stub.asked,
        stub.answered
    );
    let load = Load::both(port, OWN);
    thread::sleep(lasting() / 4);
    gate.holds("after more than can be borne", &load.stop(), &note);
}
