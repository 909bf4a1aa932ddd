//! The queries of one client group are never answered: the upstream is dead, or silent to these names over TCP, or slow where
//! there are few descriptors. Other groups and upstreams lose no query.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    gate::Gate,
    load::{Load, OWN, Questions, ZONES, lasting},
    message::good,
    upstream::Upstream,
    wire::question,
};

/// Where the flood comes from: a group of its own.
const FLOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const FLOODERS: u64 = 2;
/// Queries of one flooder that were sent of late and are not answered: no buffer overflows by them.
const WINDOW: usize = 64;
/// After so long an answer is not waited for: many more of them wait than there is room for.
const OF_LATE: Duration = Duration::from_millis(50);
/// How long to wait for what must come about.
const SOON: Duration = Duration::from_secs(30);

/// Names that are answered, at once.
const HEALTHY: Questions = Questions {
    name: |number| format!("q{number}.good.test"),
    judge: |_, seen| (seen == "NOERROR 300 A 192.31.196.1").then_some("answered from upstreams"),
};

/// A flood of names that nobody answers.
struct Flood {
    over: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    flooders: Vec<JoinHandle<u64>>,
}

impl Flood {
    fn start(port: u16) -> Self {
        let (over, failed) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let flooder = |number| {
            let (over, failed) = (Arc::clone(&over), Arc::clone(&failed));
            thread::spawn(move || flood(port, number, &over, &failed))
        };
        Self {
            flooders: (0..FLOODERS).map(flooder).collect(),
            over,
            failed,
        }
    }

    /// How many of its names have failed.
    fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Ends it; how many names it asked for.
    fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let flooders = self.flooders.into_iter();
        flooders.map(|it| it.join().expect("counted")).sum()
    }
}

fn flood(port: u16, flooder: u64, over: &AtomicBool, failed: &AtomicU64) -> u64 {
    let socket = UdpSocket::bind((FLOOD, 0)).expect("an address of ours");
    socket.connect(("127.0.0.1", port)).expect("connected");
    let wait = Some(Duration::from_millis(1));
    socket.set_read_timeout(wait).expect("set");
    let mut waiting: HashMap<u16, Instant> = HashMap::new();
    let mut reply = [0; 512];
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        waiting.retain(|_, since| since.elapsed() < OF_LATE);
        while waiting.len() < WINDOW {
            let id = (sent & 0xffff) as u16;
            let name = format!("f{flooder}x{sent}.slow.test");
            // Whatever the kernel does not take was not asked.
            let _ = socket.send(&question(id, &name));
            waiting.insert(id, Instant::now());
            sent += 1;
        }
        while let Ok(len) = socket.recv(&mut reply) {
            let id = reply[..len].first_chunk().map(|&id| u16::from_be_bytes(id));
            if id.is_some_and(|id| waiting.remove(&id).is_some()) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            if waiting.len() < WINDOW / 2 {
                break;
            }
        }
    }
    sent
}

/// A server over TCP that answers what is not slow, on each of its connections. It ends with the process.
fn silent_to_some() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer_some(stream));
        }
    });
    address
}

fn answer_some(mut stream: TcpStream) {
    let mut len = [0; 2];
    while stream.read_exact(&mut len).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        if is_slow(&query) {
            continue;
        }
        let reply = good(&query);
        let len = u16::try_from(reply.len()).expect("a short reply");
        if stream
            .write_all(&[&len.to_be_bytes()[..], &reply].concat())
            .is_err()
        {
            return;
        }
    }
}

fn is_slow(query: &[u8]) -> bool {
    query
        .windows(5)
        .any(|label| label.eq_ignore_ascii_case(b"\x04slow"))
}

/// Two groups: the flood's, which may ask for slow names, and everybody's.
fn config(limits: &str, slow: &str, good: &str) -> String {
    format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
clients: {{ flood: {{ cidrs: [{FLOOD}/32] }}, all: {{ cidrs: [127.0.0.0/8] }} }}
limits: {{ upstream_timeout: 1s, {limits} }}
upstreams: {{ slow: {{ servers: [\"{slow}\"] }}, good: {{ servers: [\"{good}\"] }} }}
rules:
  - {{ name: slow, domains: [.slow.test], forward: slow, groups: [flood] }}
  - {{ name: good, domains: [.good.test], forward: good, groups: [all] }}
{ZONES}"
    )
}

/// Waits until a counter has risen.
fn until(what: &str, counts: impl Fn() -> bool) {
    let began = Instant::now();
    while !counts() {
        assert!(began.elapsed() < SOON, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn dead_upstream_costs_a_healthy_one_no_query() {
    let dead = Upstream::start(|_, _, _| {});
    let healthy = Upstream::start(|query, socket, to| {
        let _ = socket.send_to(&good(query), to);
    });
    let text = config(
        "in_flight: 1000, coalesced: 1000",
        &format!("udp://{}", dead.address),
        &format!("udp://{}", healthy.address),
    );
    let gate = Gate::start(&text);
    let load = Load::udp(gate.port(), HEALTHY);
    let flood = Flood::start(gate.port());
    // First the room fills up, as nobody knows yet; then it is known.
    let refused = "dnsgate_upstream_refused_total{upstream=\"slow\",why=\"down\"}";
    until("it is not known to be down", || gate.metric(refused) > 0);
    let (began, before) = (Instant::now(), flood.failed());
    thread::sleep(lasting());
    let fast = (flood.failed() - before) as f64 / began.elapsed().as_secs_f64();
    let waiting = gate.metric("dnsgate_in_flight");
    let (asked, tally) = (flood.stop(), load.stop());
    let shed = gate.metric("dnsgate_shed_total{why=\"in_flight\"}");
    assert!(shed > 0, "there was room enough for all of the flood");
    assert!(
        waiting < 500,
        "{waiting} wait for one that is known to be down"
    );
    let note = format!("{asked} names for the dead one, {fast:.0} a second failed at once");
    gate.holds("a dead upstream beside a healthy one", &tally, &note);
}

#[test]
fn slow_names_of_one_group_cost_others_no_query() {
    let server = format!("tcp://{}", silent_to_some());
    let text = config("upstream_connections: 1", &server, &server)
        .replace("forward: slow", "forward: good")
        // Longer than the pauses of a busy machine.
        .replace("upstream_timeout: 1s", "upstream_timeout: 3s");
    let gate = Gate::start(&text);
    // The flood leaves a fifth of the connection's 512 slots. A load that needs more on a slow machine may be shed.
    let load = Load::udp_in_flight(gate.port(), HEALTHY, 40);
    let flood = Flood::start(gate.port());
    let full = "dnsgate_shed_total{why=\"upstream_pipeline\"}";
    until("there are places for all of it", || gate.metric(full) > 0);
    thread::sleep(lasting());
    let (asked, tally) = (flood.stop(), load.stop());
    let note = format!("{asked} slow names, {} without a place", gate.metric(full));
    gate.holds("slow names of one group over TCP", &tally, &note);
}

#[test]
fn stays_ready_and_reloads_with_1024_descriptors() {
    let slow = Upstream::start(|query, socket, to| {
        // Probes are answered: it lives.
        if !is_slow(query) {
            let _ = socket.send_to(&good(query), to);
        }
    });
    let address = format!("udp://{}", slow.address);
    let text = config("drain: 5s", &address, &address);
    let gate = Gate::start_with(&text, "ulimit -n 1024 &&", |_, _| {});
    let load = Load::both(gate.port(), OWN);
    let flood = Flood::start(gate.port());
    let full = "dnsgate_shed_total{why=\"in_flight\"}";
    until("there is room for all of it", || gate.metric(full) > 0);
    let (began, mut most, mut reloads) = (Instant::now(), 0, 0);
    while began.elapsed() < lasting() || reloads == 0 {
        let (status, body) = gate.running.get("/readyz");
        assert_eq!(status, 200, "{body}");
        most = most.max(gate.metric("process_open_fds"));
        let output = gate.running.reload();
        assert!(output.status.success(), "{output:?}");
        reloads += 1;
    }
    assert_eq!(gate.metric("process_max_fds"), 1024);
    // Queries share the sockets toward an upstream, so even a flood takes few descriptors.
    assert!(most < 512, "{most} descriptors");
    let (asked, tally) = (flood.stop(), load.stop());
    let note = format!("{asked} slow names, {most} descriptors at most, {reloads} reloads");
    gate.holds("1024 descriptors: zones and denials", &tally, &note);
}

#[test]
fn soft_descriptor_limit_is_raised_to_the_hard_one() {
    let gate = Gate::start_with("", "ulimit -Sn 256 && ulimit -Hn 4096 &&", |_, _| {});
    assert_eq!(gate.metric("process_max_fds"), 4096);
}
