//! The limit on the queries of one client: below it, above it, and which addresses count as one client.

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::running::{PROGRAM, Running, SOON, dig, installed};

/// `storage.googleapis.com A`, RD, without an id.
const QUERY: &[u8] = b"\x01\0\0\x01\0\0\0\0\0\0\x07storage\x0agoogleapis\x03com\0\0\x01\0\x01";
/// What dnsgate says to a query over the limit, up to the question.
const COME_BACK: &[u8] = b"\x83\x80\0\x01\0\0\0\0\0\0";
/// The sockets that a flood comes from, as the kernel hands one client's to all workers.
const SOCKETS: usize = 10;

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "what may pass depends on how long the machine takes"
    )]
    Instant::now()
}

fn start(limits: &str) -> Running {
    Running::start(&format!("workers: 2\nlimits: {{{limits}}}\n"))
}

fn from(source: [u8; 4], port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::from(source), 0)).expect("127/8 is ours");
    socket.connect(("127.0.0.1", port)).expect("an address");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    socket
}

fn send(socket: &UdpSocket, id: u16) {
    let query = [&id.to_be_bytes(), QUERY].concat();
    socket.send(&query).expect("room");
}

/// The next reply: whether it is an answer. Otherwise it sends the client to TCP.
fn is_answer(socket: &UdpSocket) -> bool {
    let mut reply = [0; 1232];
    let len = socket.recv(&mut reply).expect("a reply");
    if reply[2] & 2 == 0 {
        return true;
    }
    assert_eq!(reply[2..12], *COME_BACK, "nothing but the question");
    assert_eq!(reply[12..len], QUERY[10..]);
    false
}

/// Asks that often, one after the other, and is answered each time.
fn all_answered(socket: &UdpSocket, queries: u16) {
    for id in 0..queries {
        send(socket, id);
        assert!(is_answer(socket), "query {id}");
    }
}

/// Reads what is there without waiting for more: answers, and replies that send to TCP.
fn replies(sockets: &[UdpSocket]) -> (u64, u64) {
    let (mut answers, mut slips) = (0, 0);
    for socket in sockets {
        socket.set_nonblocking(true).expect("set");
        while socket.peek(&mut [0; 1]).is_ok() {
            *(if is_answer(socket) {
                &mut answers
            } else {
                &mut slips
            }) += 1;
        }
        socket.set_nonblocking(false).expect("set");
    }
    (answers, slips)
}

/// Stops a flood when a test ends, however it does: a thread that goes on would hold the test for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends from `source` until told to stop.
fn flood(source: [u8; 4], port: u16, over: &AtomicBool) {
    let sockets: Vec<_> = (0..SOCKETS).map(|_| from(source, port)).collect();
    while !over.load(Ordering::Relaxed) {
        sockets.iter().for_each(|socket| send(socket, 1));
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn without_a_limit_every_query_is_answered() {
    let dnsgate = start("");
    all_answered(&from([127, 0, 0, 2], dnsgate.port), 2_000);
    assert_eq!(dnsgate.metric("dnsgate_shed_total"), 0);
}

#[test]
fn queries_over_the_limit_are_dropped_or_truncated() {
    // No more than the kernel keeps for one worker.
    const SENT: u64 = 400;
    for slip in [0, 1, 2, 3] {
        let dnsgate = start(&format!("per_client_qps: 50, per_client_slip: {slip}"));
        let begun = now();
        let client: Vec<_> = (0..SOCKETS)
            .map(|_| from([127, 0, 0, 2], dnsgate.port))
            .collect();
        let neighbour = from([127, 0, 0, 3], dnsgate.port);
        all_answered(&client[0], 40);
        for id in 0..SENT as u16 {
            send(&client[usize::from(id) % SOCKETS], id);
        }
        // Others have limits of their own.
        all_answered(&neighbour, 50);
        // What was sent has been taken when as much has been counted.
        let udp = "dnsgate_queries_total{transport=\"udp\"";
        while dnsgate.metric(udp) < SENT + 90 {
            assert!(begun.elapsed() < SOON, "queries were lost on the way");
            thread::sleep(Duration::from_millis(10));
        }
        let most = 50 + 50 * (begun.elapsed().as_secs() + 1);
        let shed = dnsgate.metric("dnsgate_shed_total{why=\"per_client_qps\"}");
        assert!(shed >= (SENT + 40).saturating_sub(most), "{shed} of {SENT}");
        let (answers, slips) = replies(&client);
        assert_eq!(answers, SENT - shed, "what was not shed was answered");
        assert_eq!(slips, shed.checked_div(slip).unwrap_or(0), "slip {slip}");
        let truncated = dnsgate.metric("dnsgate_truncated_total{transport=\"udp\"}");
        assert_eq!(truncated, slips);
        let silent = udp.to_owned() + ",group=\"none\",verdict=\"rejected\",rcode=\"none\"";
        if slips < shed {
            assert_eq!(dnsgate.metric(&silent), shed - slips);
        }
    }
}

#[test]
fn client_over_the_limit_gets_its_answers_over_tcp() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = start("per_client_qps: 1, per_client_slip: 1");
    let (port, over) = (dnsgate.port, AtomicBool::new(false));
    thread::scope(|scope| {
        let stop = Stop(&over);
        scope.spawn(|| flood([127, 0, 0, 2], port, &over));
        let back = "dnsgate_queries_total{transport=\"tcp\",group=\"vpc\",verdict=\"answered\"";
        let by_tcp = (0..20).any(|_| {
            let printed = dig(port, "-b 127.0.0.2 storage.googleapis.com");
            assert!(printed.contains("199.36.153.4"), "{printed}");
            dnsgate.metric(back) > 0
        });
        drop(stop);
        assert!(by_tcp, "it was sent to TCP");
    });
}

#[test]
fn clients_are_told_apart_by_the_configured_prefix_length() {
    let limits = "per_client_qps: 1, per_client_slip: 1, per_client_ipv4_prefix: 24";
    let dnsgate = start(limits);
    let (port, over) = (dnsgate.port, AtomicBool::new(false));
    thread::scope(|scope| {
        let stop = Stop(&over);
        scope.spawn(|| flood([127, 0, 7, 1], port, &over));
        let neighbour = from([127, 0, 7, 2], port);
        let held_back = (0..20).any(|id| {
            send(&neighbour, id);
            !is_answer(&neighbour)
        });
        let other = from([127, 0, 8, 1], port);
        send(&other, 1);
        let answered = is_answer(&other);
        drop(stop);
        assert!(
            (held_back, answered) == (true, true),
            "{held_back} {answered}"
        );
    });
}

#[test]
fn flood_from_this_machine_does_not_block_the_own_probe() {
    let dnsgate = start("per_client_qps: 1, per_client_slip: 0");
    let (port, over) = (dnsgate.port, AtomicBool::new(false));
    thread::scope(|scope| {
        let stop = Stop(&over);
        scope.spawn(|| flood([127, 0, 0, 1], port, &over));
        let shed = || dnsgate.metric("dnsgate_shed_total{why=\"per_client_qps\"}");
        let begun = now();
        while shed() == 0 && begun.elapsed() < SOON {
            thread::sleep(Duration::from_millis(10));
        }
        let address = format!("127.0.0.1:{port}");
        let healthy = (0..20).all(|_| {
            let mut healthcheck = Command::new(PROGRAM);
            let run = healthcheck.args(["healthcheck", &address]).status();
            run.expect("the program runs").success()
        });
        drop(stop);
        assert!(healthy && shed() > 0);
    });
    assert_eq!(dnsgate.get("/livez").0, 200);
}
