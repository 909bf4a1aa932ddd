//! Datagrams over real sockets.

use std::{io::ErrorKind, net::UdpSocket, sync::Arc, thread, time::Duration};

use crate::serve::testing::*;
use dnsgate_core::dns::{Transport, query::HEADER};

use super::*;

fn started(address: &str, workers: usize) -> Up {
    Up::start(&[(Transport::Udp, address)], workers, LIMITS)
}

/// The client's sockets are connected: a reply from any other address is not seen by them.
#[tokio::test]
async fn on_a_wildcard_address_replies_come_from_the_address_asked() {
    let cases = [
        (
            "0.0.0.0:0",
            "127.0.0.1:0",
            &["127.0.0.1", "127.0.0.2", "127.0.0.3"][..],
        ),
        // The second is there only where somebody has given it to the loopback interface.
        ("[::]:0", "[::1]:0", &["[::1]", "[fd53::2]"][..]),
    ];
    for (listen, from, asked) in cases {
        for workers in [1, 2] {
            let up = started(listen, workers);
            let port = up.address(0).port();
            for address in asked {
                if UdpSocket::bind(format!("{address}:0"))
                    .is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
                {
                    println!("skipped: this host has no address {address}");
                    continue;
                }
                let server = format!("{address}:{port}").parse().expect("an address");
                let client = udp_client(from, server);
                assert_eq!(udp_ask(&client, b"hello"), b"hello", "{server}");
                let later = udp_ask(&client, b"hello, later");
                assert_eq!(later, b"hello, later", "{server}");
            }
            up.running.shutdown(SOON).await.expect("well ended");
        }
    }
}

#[tokio::test]
async fn datagrams_of_every_size_are_handled() {
    let up = started("127.0.0.1:0", 1);
    let client = udp_client("127.0.0.1:0", up.address(0));
    let query: Vec<u8> = (0..65_507_u32).map(|at| at as u8).collect();
    for (len, reply) in [
        (0, 0),
        (1, 1),
        (REPLY, REPLY),
        (REPLY + 1, REPLY),
        (QUERY, REPLY),
        // Too long for a query: its header alone is handled.
        (QUERY + 1, HEADER),
        (65_507, HEADER),
        (40, 40),
    ] {
        assert_eq!(
            udp_ask(&client, &query[..len]),
            &query[..reply],
            "{len} bytes"
        );
    }
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn sends_nothing_where_the_handler_has_no_reply() {
    let up = started("127.0.0.1:0", 1);
    let client = udp_client("127.0.0.1:0", up.address(0));
    client.send(b"silence").expect("room");
    assert_eq!(udp_ask(&client, b"hello"), b"hello");
    up.running.shutdown(SOON).await.expect("well ended");
}

/// More than one batch holds, some without a reply: everybody gets their own.
#[tokio::test]
async fn replies_go_to_the_client_that_asked() {
    let server = bind(&[(Transport::Udp, "127.0.0.1:0")], 1, LIMITS);
    let address = server.addresses()[0].1;
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let client = udp_client("127.0.0.1:0", address);
            let silent = if number % 3 == 0 { " silence" } else { "" };
            client
                .send(format!("query {number}{silent}").as_bytes())
                .expect("room");
            client
                .send(format!("again {number}").as_bytes())
                .expect("room");
            client
        })
        .collect();
    let up = Up::serve(server);
    let mut reply = [0; 64];
    for (number, client) in clients.iter().enumerate() {
        if number % 3 != 0 {
            let len = client.recv(&mut reply).expect("a reply");
            assert_eq!(reply[..len], *format!("query {number}").as_bytes());
        }
        let len = client.recv(&mut reply).expect("a reply");
        assert_eq!(reply[..len], *format!("again {number}").as_bytes());
    }
    let batches = up.seen.lock().expect("no poison").batches;
    assert!(batches < 200, "200 datagrams in {batches} batches");
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn waiting_queries_do_not_delay_others() {
    let up = started("127.0.0.1:0", 1);
    let client = udp_client("127.0.0.1:0", up.address(0));
    let others = udp_client("127.0.0.1:0", up.address(0));
    for number in 0..100 {
        client
            .send(format!("{number} task").as_bytes())
            .expect("room");
    }
    assert_eq!(udp_ask(&others, b"hello"), b"hello");
    let mut reply = [0; 64];
    let mut replies: Vec<_> = (0..100)
        .map(|_| {
            let len = client.recv(&mut reply).expect("a reply");
            String::from_utf8_lossy(&reply[..len]).into_owned()
        })
        .collect();
    let mut all: Vec<_> = (0..100).map(|number| format!("{number} task")).collect();
    replies.sort();
    all.sort();
    assert_eq!(replies, all);
    // And back to where nobody waits.
    assert_eq!(udp_ask(&others, b"hello"), b"hello");
    assert_eq!(udp_ask(&client, b"a task"), b"a task");
    up.running.shutdown(SOON).await.expect("well ended");
}

#[tokio::test]
async fn answers_waiting_queries_before_it_ends() {
    let up = started("127.0.0.1:0", 1);
    let client = udp_client("127.0.0.1:0", up.address(0));
    client.send(b"the last task").expect("room");
    up.running.shutdown(SOON).await.expect("well ended");
    let mut reply = [0; 64];
    let len = client.recv(&mut reply).expect("a reply");
    assert_eq!(&reply[..len], b"the last task");
}

/// The fallback of other systems, which works here, too.
#[test]
fn the_plain_loop_answers_and_stops() {
    let seen = Arc::default();
    let handler = Echo::new(&seen);
    let (stop, stopped) = tokio::sync::watch::channel(None);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("bound");
    let socket = Socket::from(socket);
    socket
        .set_read_timeout(Some(STOP_CHECK))
        .expect("a time-out");
    let server = thread::spawn(move || plain::serve(&Arc::new(socket), handler, &stopped));
    let client = udp_client("127.0.0.1:0", address);
    assert_eq!(udp_ask(&client, b"hello"), b"hello");
    assert_eq!(udp_ask(&client, b"hello, later"), b"hello, later");
    assert_eq!(udp_ask(&client, &[7; QUERY]), [7; REPLY]);
    assert_eq!(udp_ask(&client, &[7; QUERY + 1]), [7; HEADER]);
    stop.send_replace(Some(Duration::ZERO));
    server.join().expect("no panic").expect("well ended");
}
