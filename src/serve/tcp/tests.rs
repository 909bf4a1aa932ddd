//! Streams: framing, deadlines, caps.

use std::{net::Ipv4Addr, sync::Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::TcpSocket,
    sync::watch,
    time::{Instant, timeout},
};

use crate::serve::testing::*;
use dnsgate_core::dns::Transport;

use super::{deadlined::*, *};

const TCP: (Transport, &str) = (Transport::Tcp, "127.0.0.1:0");

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("short enough");
    [&length.to_be_bytes(), message].concat()
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) {
    stream.write_all(&framed(message)).await.expect("open");
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let length = stream.read_u16().await.expect("a reply");
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.expect("a reply");
    message
}

async fn ask(stream: &mut TcpStream, message: &[u8]) {
    send(stream, message).await;
    let reply = timeout(SOON, receive(stream)).await.expect("in time");
    assert_eq!(reply, message);
}

/// Waits for the other side to close, in order or not.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let read = timeout(SOON, stream.read(&mut [0; 1])).await;
    assert!(
        matches!(read.expect("closed"), Ok(0) | Err(_)),
        "not closed"
    );
}

/// A connection without a socket, whose pipe holds `size` bytes each way, and its client's end.
/// For tests in a `LocalSet`.
fn piped(size: usize, limits: StreamLimits) -> (DuplexStream, Arc<Mutex<Seen>>) {
    let (client, server) = duplex(size);
    let seen = Arc::default();
    let worker = Rc::new(TcpWorker {
        state: RefCell::new(HandlerState {
            handler: Echo::new(&seen),
            out: vec![0; MESSAGE].into(),
        }),
        connections: Arc::new(Connections::new(&limits)),
        limits,
    });
    tokio::task::spawn_local(async move {
        let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let (permit, _) = worker.connections.admit(source.ip()).expect("the first");
        let (_stop, stopped) = watch::channel(None);
        connection::serve(server, source, permit, worker, stopped).await;
    });
    (client, seen)
}

#[tokio::test]
async fn messages_may_come_byte_by_byte() {
    LocalSet::new()
        .run_until(async {
            // A pipe of one byte: each read finds one.
            let (mut client, _) = piped(1, LIMITS);
            for message in [&b"a"[..], b"a query", &[7; 3000]] {
                send(&mut client, message).await;
                assert_eq!(receive(&mut client).await, message);
            }
        })
        .await;
}

/// A client that has said all it wants and reads on gets what comes later, too.
#[tokio::test]
async fn replies_may_come_later_and_after_the_last_query() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    let mut wanted = Vec::new();
    // More than one connection may have waiting at once.
    for number in 0..3 * LIMITS.pipeline {
        let message = format!("{number} later").into_bytes();
        send(&mut stream, &message).await;
        wanted.push(message);
    }
    send(&mut stream, b"at once").await;
    wanted.push(b"at once".to_vec());
    stream.shutdown().await.expect("open");
    let mut got = Vec::new();
    for _ in &wanted {
        let reply = timeout(SOON, receive(&mut stream)).await;
        got.push(reply.expect("in time"));
    }
    closed(&mut stream).await;
    wanted.sort();
    got.sort();
    assert_eq!(got, wanted);
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn messages_may_be_split_anywhere() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    stream.set_nodelay(true).expect("a socket");
    let message = b"the first query";
    let two = [framed(message), framed(b"another")].concat();
    for at in 0..=two.len() {
        let (head, tail) = two.split_at(at);
        stream.write_all(head).await.expect("open");
        if at >= message.len() + 2 {
            assert_eq!(receive(&mut stream).await, message);
        }
        stream.write_all(tail).await.expect("open");
        if at < message.len() + 2 {
            assert_eq!(receive(&mut stream).await, message);
        }
        assert_eq!(receive(&mut stream).await, b"another");
    }
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn messages_may_be_as_long_as_their_length_can_say() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    for len in [1, 512, 1023, 1024, 5000, 65_535] {
        let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
        ask(&mut stream, &message).await;
    }
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn a_thousand_pipelined_queries_are_answered_in_order() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    let queries: Vec<_> = (0..1000_u16)
        .flat_map(|number| framed(&number.to_be_bytes()))
        .collect();
    stream.write_all(&queries).await.expect("open");
    // Nothing more will come; the replies still do.
    stream.shutdown().await.expect("open");
    for number in 0..1000_u16 {
        assert_eq!(receive(&mut stream).await, number.to_be_bytes());
    }
    closed(&mut stream).await;
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn silence_leaves_the_connection_open() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    send(&mut stream, b"silence").await;
    ask(&mut stream, b"hello").await;
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn a_message_without_bytes_closes_the_connection() {
    let up = Up::start(&[TCP], 1, LIMITS);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    ask(&mut stream, b"hello").await;
    send(&mut stream, b"").await;
    closed(&mut stream).await;
    up.running.shutdown(SOON).await.expect("well ended");
}

/// The time that passes from a client's last byte until the connection is closed, for clients who
/// send `bytes` one at a time, one each second, and what was told of it. The clock is the runtime's:
/// nobody waits.
async fn closed_after(bytes: &[u8], limits: StreamLimits) -> (u128, Vec<ListenerEvent>) {
    LocalSet::new()
        .run_until(async {
            let (mut client, seen) = piped(1000, limits);
            let begun = Instant::now();
            let mut ended = false;
            for byte in bytes {
                ended = client.write_all(&[*byte]).await.is_err();
                if ended {
                    break;
                }
                time::sleep(Duration::from_secs(1)).await;
            }
            let mut replies = Vec::new();
            let read = client.read_to_end(&mut replies).await;
            assert!(ended || read.is_ok());
            let after = begun.elapsed().as_millis();
            // The end of the connection itself is told last, and perhaps not yet.
            let events = seen.lock().expect("no poison").events.clone();
            let of_end = |event: &ListenerEvent| {
                !matches!(
                    event,
                    ListenerEvent::ConnectionOpened | ListenerEvent::ConnectionClosed
                )
            };
            (after, events.into_iter().filter(of_end).collect())
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn clients_that_send_nothing_or_too_slowly_are_closed() {
    let limits = StreamLimits {
        idle: Duration::from_millis(10_500),
        message: Duration::from_millis(4_500),
        ..LIMITS
    };
    use ListenerEvent::{ConnectionIdle as Idle, ConnectionSlow as Slow};
    let cases: &[(&str, &[u8], u128, ListenerEvent)] = &[
        ("nothing", b"", 10_500, Idle),
        ("a byte", b"\0", 4_500, Slow),
        // Closed at 4.5 s; the sixth byte, at 5 s, is the one that finds out.
        ("a byte a second", b"\0\x08abcdefgh", 5_000, Slow),
        // Complete at 3 s, and then idle.
        ("one message", b"\0\x02hi", 3_000 + 10_500, Idle),
        // The second begins at 4 s.
        ("half of another", b"\0\x02hi\0\x02", 4_000 + 4_500, Slow),
    ];
    for (what, bytes, want, why) in cases {
        let (after, events) = closed_after(bytes, limits).await;
        assert_eq!((after, &*events), (*want, &[*why][..]), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_closed() {
    let deadlines = Deadlines {
        idle: Duration::from_secs(100),
        message: Duration::from_secs(100),
        write: Duration::from_secs(5),
    };
    // One byte read each second does not make it last longer.
    for reads in [false, true] {
        let (mut client, server) = duplex(10);
        let (mut server, _progress) = Deadlined::new(server, deadlines);
        let begun = Instant::now();
        let reader = tokio::spawn(async move {
            while reads && client.read(&mut [0; 1]).await.is_ok_and(|len| len > 0) {
                time::sleep(Duration::from_secs(1)).await;
            }
            // Kept open until the end.
            time::sleep(Duration::from_secs(100)).await;
        });
        let error = server.write_all(&[0; 1000]).await.expect_err("too late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 5);
        reader.abort();
    }
}

#[tokio::test]
async fn a_client_that_asks_without_reading_is_closed() {
    let limits = StreamLimits {
        write: Duration::from_millis(100),
        ..LIMITS
    };
    let up = Up::start(&[TCP], 1, limits);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    let query = framed(&[0; 60_000]);
    timeout(SOON, async {
        while stream.write_all(&query).await.is_ok() {}
    })
    .await
    .expect("closed");
    let mut other = TcpStream::connect(up.address(0)).await.expect("accepted");
    ask(&mut other, b"hello").await;
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn a_full_pipeline_is_told_each_time() {
    let limits = StreamLimits {
        pipeline: 1,
        ..LIMITS
    };
    let up = Up::start(&[TCP], 1, limits);
    let mut stream = TcpStream::connect(up.address(0)).await.expect("accepted");
    for (message, times) in [("at once", 0), ("one later", 1), ("and one later", 2)] {
        ask(&mut stream, message.as_bytes()).await;
        let seen = up.seen.lock().expect("no poison");
        assert_eq!(seen.count(ListenerEvent::PipelineFull), times, "{message}");
    }
    up.running.shutdown(SOON).await.expect("well ended");
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("127/8 is ours");
    socket.connect(to).await.expect("accepted")
}

#[tokio::test]
async fn many_idle_connections_keep_nobody_out() {
    let limits = StreamLimits {
        connections: 100,
        per_client: 60,
        ..LIMITS
    };
    // One worker accepts in the order in which clients connect, which makes the test exact.
    let up = Up::start(&[TCP, (Transport::Udp, "127.0.0.1:0")], 1, limits);
    let mut used = connect(Ipv4Addr::new(127, 0, 0, 2), up.address(0)).await;
    ask(&mut used, b"hello").await;
    let mut idle = Vec::new();
    for number in 0..300_u16 {
        let client = Ipv4Addr::new(127, 0, 1, (number / 50) as u8);
        let mut stream = connect(client, up.address(0)).await;
        if number % 2 == 0 {
            // Not idle altogether: the first byte of a message that never comes.
            stream.write_all(b"\0").await.expect("open");
        }
        idle.push(stream);
        // Served all the time: who uses their connection, who makes a new one, UDP.
        ask(&mut used, b"hello").await;
    }
    let mut new = connect(Ipv4Addr::new(127, 0, 0, 3), up.address(0)).await;
    ask(&mut new, b"hello").await;
    let client = udp_client("127.0.0.1:0", up.address(1));
    assert_eq!(udp_ask(&client, b"hello"), b"hello");
    for stream in &mut idle[..200] {
        closed(stream).await;
    }
    let seen = Arc::clone(&up.seen);
    up.running
        .shutdown(Duration::ZERO)
        .await
        .expect("well ended");
    let seen = seen.lock().expect("no poison");
    assert_eq!(seen.count(ListenerEvent::ConnectionOpened), 302);
    assert_eq!(seen.count(ListenerEvent::ConnectionClosed), 302);
    assert_eq!(seen.count(ListenerEvent::ConnectionEvicted), 202);
    assert_eq!(seen.count(ListenerEvent::ConnectionRefused), 0);
}

#[tokio::test]
async fn one_client_has_so_many_connections_and_no_more() {
    let limits = StreamLimits {
        per_client: 3,
        ..LIMITS
    };
    let up = Up::start(&[TCP], 2, limits);
    let greedy = Ipv4Addr::new(127, 0, 0, 2);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(greedy, up.address(0)).await;
        ask(&mut stream, b"hello").await;
        streams.push(stream);
    }
    closed(&mut connect(greedy, up.address(0)).await).await;
    let mut other = connect(Ipv4Addr::new(127, 0, 0, 3), up.address(0)).await;
    ask(&mut other, b"hello").await;
    for stream in &mut streams {
        ask(stream, b"still here").await;
    }
    assert_eq!(
        up.seen
            .lock()
            .expect("no poison")
            .count(ListenerEvent::ConnectionRefused),
        1
    );
    up.running.shutdown(SOON).await.expect("well ended");
}
