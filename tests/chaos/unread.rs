//! Many connections ask for large answers and read none: the bytes that are held for them are limited.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    gate::{Gate, many_descriptors},
    load::{Load, OWN, PATIENCE, lasting},
    wire::framed,
};

const CROWD: usize = 200;
const SOURCES: usize = 4;
/// Questions that each of them asks at once.
const QUESTIONS: usize = 100;
/// The bytes of replies that may be held, of which the crowd would have more.
const HELD_MIB: u64 = 4;
/// Records of 250 bytes that make an answer of some 60 KiB.
const RECORDS: usize = 230;
const TXT: [u8; 2] = [0, 16];
const LOOK: Duration = Duration::from_millis(50);

/// A connection from one of the sources that has asked, and has room for hardly anything.
fn connection(number: usize, port: u16, questions: &[u8]) -> TcpStream {
    let last = u8::try_from(2 + number % SOURCES).expect("few sources");
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor");
    socket.set_recv_buffer_size(4096).expect("set");
    socket.bind(&source.into()).expect("an address of ours");
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket
        .connect_timeout(&server.into(), PATIENCE)
        .expect("accepted");
    socket.set_nonblocking(true).expect("set");
    let mut stream = TcpStream::from(socket);
    // What it does not take now, it need not.
    let _ = stream.write(questions);
    stream
}

fn config() -> String {
    let text = "x".repeat(240);
    let mut records = String::new();
    for number in 0..RECORDS {
        let _ = write!(records, "'@ 60 IN TXT \"{number:03}{text}\"', ");
    }
    format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
limits: {{ tcp_message_timeout: 60s, tcp_unread: {HELD_MIB}MiB, tcp_unread_per_connection: 64KiB }}
zones: [{{ origin: zone.test, records: [\"*.any 60 IN A 10.0.0.1\"] }}, {{ origin: big.test, records: [{records}] }}]
"
    )
}

#[test]
fn clients_that_do_not_read_cost_no_other_query() {
    if !many_descriptors(CROWD as u64 + 500) {
        return;
    }
    let gate = Gate::start(&config());
    let load = Load::both(gate.port(), OWN);
    let mut question = framed(7, "big.test");
    let at = question.len() - 4;
    question[at..at + 2].copy_from_slice(&TXT);
    let questions = question.repeat(QUESTIONS);
    let mut crowd = Vec::new();
    let closed = || gate.metric("dnsgate_tcp_limited_total{limit=\"tcp_unread\"}");
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < lasting() || closed() == 0 {
        assert!(
            began.elapsed() < lasting() + PATIENCE * 3,
            "nobody made room"
        );
        if crowd.len() >= CROWD {
            // Those that made room come again.
            crowd.drain(..CROWD / 4);
        }
        for number in crowd.len()..CROWD {
            crowd.push(connection(number, gate.port(), &questions));
        }
        let held = gate.metric("dnsgate_tcp_unread_bytes");
        most = most.max(held);
        thread::sleep(LOOK);
    }
    // A reply that is there at once is counted before others make room for it.
    assert!(most <= (HELD_MIB << 20) + (1 << 18), "{most} bytes held");
    let closed = closed();
    let tally = load.stop();
    let note = format!("{most} bytes held at most, {closed} closed to make room");
    gate.holds("clients that do not read", &tally, &note);
}
