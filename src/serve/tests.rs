//! The server as a whole: binding, panics, workers, the end.

use std::{
    io::ErrorKind,
    net::{TcpListener, UdpSocket},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{testing::*, *};
use dnsgate_core::engine::Outcome;

const UDP: (Transport, &str) = (Transport::Udp, "127.0.0.1:0");
const TCP: (Transport, &str) = (Transport::Tcp, "127.0.0.1:0");

/// A query for `panic.` with a proper question, which the echo handler panics over.
const POISON: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x05panic";
const POISON_WITH_QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\
    \x01x\0\0\x01\0\x01\0\0\x29\x10\0\0\0\0\0\0\x09\0\x0a\0\x05panic";

#[test]
fn every_address_is_bound_or_none() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound");
    let listen = [
        (Transport::Tcp, "127.0.0.1:0".parse().expect("an address")),
        (Transport::Udp, taken),
    ];
    for workers in [1, 2] {
        let workers = NonZeroUsize::new(workers).expect("not zero");
        let error = Server::bind(&listen, workers, LIMITS).err().expect("taken");
        assert_eq!(error.error.kind(), ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot listen on udp://{taken}: "))
                && text.contains("systemd-resolved"),
            "{text}"
        );
    }
}

#[test]
fn a_second_server_on_the_same_address_is_refused() {
    for first in [UDP, TCP] {
        let server = bind(&[first], 2, LIMITS);
        let again = Server::bind(server.addresses(), NonZeroUsize::MIN, LIMITS);
        assert!(again.is_err(), "{first:?} with one worker");
        let two = NonZeroUsize::new(2).expect("not zero");
        let again = Server::bind(server.addresses(), two, LIMITS);
        assert!(again.is_err(), "{first:?} with two workers");
    }
}

#[test]
fn errors_of_binding_say_what_to_do() {
    let cases = [
        (ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
        (ErrorKind::AddrInUse, "another server has it"),
        (ErrorKind::AddrNotAvailable, "no interface of this host"),
    ];
    for (kind, want) in cases {
        let error = BindError {
            transport: Transport::Tcp,
            address: "[::1]:53".parse().expect("an address"),
            error: kind.into(),
        };
        let text = error.to_string();
        assert!(
            text.starts_with("cannot listen on tcp://[::1]:53: ") && text.contains(want),
            "{text}"
        );
    }
}

#[test]
fn an_address_of_nobody_here_is_refused() {
    let listen = [(Transport::Udp, "192.0.2.1:0".parse().expect("an address"))];
    let error = Server::bind(&listen, NonZeroUsize::MIN, LIMITS)
        .err()
        .expect("TEST-NET-1 is nobody's");
    assert_eq!(error.error.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn both_families_share_a_port() {
    let first = bind(
        &[(Transport::Udp, "0.0.0.0:0"), (Transport::Tcp, "0.0.0.0:0")],
        1,
        LIMITS,
    );
    for (transport, address) in first.addresses() {
        let listen = [(
            *transport,
            format!("[::]:{}", address.port())
                .parse()
                .expect("an address"),
        )];
        Server::bind(&listen, NonZeroUsize::MIN, LIMITS).expect("the other family");
    }
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    let up = Up::start(&[UDP, TCP], 1, LIMITS);
    let client = udp_client("127.0.0.1:0", up.address(0));
    let servfail = b"\x12\x34\x81\x82\0\0\0\0\0\0\0\0";
    assert_eq!(udp_ask(&client, POISON), servfail);
    let with_question = udp_ask(&client, POISON_WITH_QUESTION);
    assert_eq!(
        with_question[..12],
        *b"\x12\x34\x81\x82\0\x01\0\0\0\0\0\x01"
    );
    assert_eq!(with_question[12..19], *b"\x01x\0\0\x01\0\x01");
    assert_eq!(udp_ask(&client, b"and on"), b"and on");

    let mut stream = TcpStream::connect(up.address(1)).await.expect("accepted");
    for (query, reply) in [(POISON, &servfail[..]), (b"and on", b"and on")] {
        stream.write_u16(query.len() as u16).await.expect("open");
        stream.write_all(query).await.expect("open");
        let mut got = vec![0; usize::from(stream.read_u16().await.expect("a reply"))];
        stream.read_exact(&mut got).await.expect("a reply");
        assert_eq!(got, reply);
    }
    assert_eq!(up.seen.lock().expect("no poison").panics, 3);
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn workers_share_the_load_of_one_port() {
    let up = Up::start(&[UDP, TCP], 2, LIMITS);
    // The kernel chooses a worker by a hash of addresses and ports: 64 clients all on one side
    // would be a coin with one face. Handlers 0 and 1 are UDP's, 2 and 3 TCP's.
    for _ in 0..64 {
        let client = udp_client("127.0.0.1:0", up.address(0));
        assert_eq!(udp_ask(&client, b"hello"), b"hello");
        let mut stream = TcpStream::connect(up.address(1)).await.expect("accepted");
        stream.write_all(b"\0\x02hi").await.expect("open");
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).await.expect("a reply");
    }
    let handled = up.seen.lock().expect("no poison").handled.clone();
    assert_eq!(handled.len(), 4);
    assert!(handled.iter().all(|count| *count > 0), "{handled:?}");
    assert_eq!(handled.iter().sum::<usize>(), 128);
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn what_was_received_is_answered_before_the_end() {
    // Bound, not yet served: the kernel keeps the datagrams.
    let server = bind(&[UDP], 2, LIMITS);
    let address = server.addresses()[0].1;
    let clients: Vec<_> = (0..100_u8)
        .map(|number| {
            let client = udp_client("127.0.0.1:0", address);
            client.send(&[number]).expect("room");
            client
        })
        .collect();
    let up = Up::serve(server);
    up.running.shutdown(SOON).await.expect("well ended");
    for (number, client) in clients.iter().enumerate() {
        let mut reply = [0; 16];
        assert_eq!(client.recv(&mut reply).expect("a reply"), 1);
        assert_eq!(usize::from(reply[0]), number);
    }
    UdpSocket::bind(address).expect("the address is free again");
}

#[tokio::test]
async fn messages_in_progress_are_finished() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let address = up.address(0);
    let mut idle = TcpStream::connect(address).await.expect("accepted");
    idle.write_all(b"\0\x02hi").await.expect("open");
    idle.read_exact(&mut [0; 4]).await.expect("a reply");
    // One message, and the beginning of another: with the reply to the first, it has been read.
    let mut busy = TcpStream::connect(address).await.expect("accepted");
    busy.write_all(b"\0\x03one\0\x03t").await.expect("open");
    let mut reply = [0; 5];
    busy.read_exact(&mut reply).await.expect("a reply");
    assert_eq!(&reply, b"\0\x03one");

    let end = tokio::spawn(up.running.shutdown(SOON));
    assert_eq!(idle.read(&mut [0; 1]).await.expect("closed in order"), 0);
    busy.write_all(b"wo").await.expect("open");
    busy.read_exact(&mut reply).await.expect("a reply");
    assert_eq!(&reply, b"\0\x03two");
    assert_eq!(busy.read(&mut [0; 1]).await.expect("closed in order"), 0);
    end.await.expect("no panic").expect("well ended");
    TcpListener::bind(address).expect("the address is free again");
}

#[tokio::test]
async fn the_end_waits_no_longer_than_it_may() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut slow = TcpStream::connect(up.address(0)).await.expect("accepted");
    slow.write_all(b"\0\x02hi\0").await.expect("open");
    slow.read_exact(&mut [0; 4]).await.expect("a reply");
    let begun = Instant::now();
    let drain = Duration::from_millis(100);
    timeout(SOON, up.running.shutdown(drain))
        .await
        .expect("an end")
        .expect("well ended");
    assert!(begun.elapsed() >= drain);
    assert_eq!(
        up.seen
            .lock()
            .expect("no poison")
            .count(ListenerEvent::ConnectionClosed),
        1
    );
}

#[tokio::test]
async fn a_worker_that_ends_is_told_of() {
    struct Broken;
    impl Handler for Broken {
        fn begin_batch(&mut self) {
            panic!("not at the edge of a query");
        }
        fn handle(
            &mut self,
            _: ClientMessage<'_>,
            _: &mut [u8],
            _: &dyn Responder,
        ) -> Option<usize> {
            None
        }
        fn panicked(&mut self, _: ClientMessage<'_>, _: Outcome, _: &[u8]) {}
        fn observe(&mut self, _: ListenerEvent) {}
    }
    let server = bind(&[UDP, UDP], 1, LIMITS);
    let mut running = server.start(|| Broken).expect("threads start");
    let pending = timeout(Duration::from_millis(1), running.worker_ended()).await;
    assert!(pending.is_err(), "nothing has happened yet");
    let client = udp_client("127.0.0.1:0", running.addresses()[1].1);
    client.send(b"hello").expect("room");
    timeout(SOON, running.worker_ended()).await.expect("told");
    let errors = running
        .shutdown(SOON)
        .await
        .expect_err("one did not end well");
    let [WorkerError::Panicked { name }] = &errors[..] else {
        panic!("{errors:?}");
    };
    assert_eq!(name, "udp-1");
}

#[tokio::test]
async fn a_server_without_listeners_ends_too() {
    let up = Up::start(&[], 2, LIMITS);
    up.running.shutdown(SOON).await.expect("well ended");
}

#[test]
fn positions_are_indexes() {
    for (at, event) in ListenerEvent::ALL.iter().enumerate() {
        assert_eq!(*event as usize, at);
    }
}
