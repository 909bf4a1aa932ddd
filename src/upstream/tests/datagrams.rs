//! Over UDP: what is taken for a reply, and what follows a truncated one.

use tokio::net::{TcpListener, UdpSocket};

use super::{
    fake::{Stream, answer, answer_all, bare, error, read, with, write},
    *,
};
use dnsgate_core::dns::upstream_query;

type Script = fn(&[u8]) -> Vec<Vec<u8>>;

/// (what is sent, what comes of it, how much is ignored)
const CASES: [(&str, Script, Result<u16, Failure>, usize); 18] = [
    ("an answer", |q| vec![answer(q)], Ok(0), 0),
    ("no such name", |q| vec![error(q, 3)], Ok(3), 0),
    ("a code", |q| vec![error(q, 2)], Err(Failure::Code(2)), 0),
    (
        "another id first",
        |q| vec![with(answer(q), |r| r[0] ^= 1), answer(q)],
        Ok(0),
        1,
    ),
    (
        "another name first",
        |q| vec![with(answer(q), |r| r[13] = b'x'), answer(q)],
        Ok(0),
        1,
    ),
    (
        "another type first",
        |q| vec![with(answer(q), |r| r[69] = 28), answer(q)],
        Ok(0),
        1,
    ),
    (
        "another class first",
        |q| vec![with(answer(q), |r| r[71] = 3), answer(q)],
        Ok(0),
        1,
    ),
    (
        "a query first",
        |q| vec![q.to_vec(), with(answer(q), |r| r[2] &= 0x7f), answer(q)],
        Ok(0),
        2,
    ),
    (
        "scraps first",
        |q| vec![vec![], q[..5].to_vec(), answer(q)],
        Ok(0),
        2,
    ),
    (
        "a bare header",
        |q| vec![bare(q, 5)],
        Err(Failure::Code(5)),
        0,
    ),
    (
        "a bare SERVFAIL",
        |q| vec![bare(q, 2)],
        Err(Failure::Code(2)),
        0,
    ),
    ("a bare NXDOMAIN", |q| vec![bare(q, 3)], Ok(3), 0),
    (
        "a bare header that says nothing",
        |q| vec![bare(q, 0), answer(q)],
        Ok(0),
        1,
    ),
    (
        "a bare header of another id",
        |q| vec![with(bare(q, 5), |r| r[0] ^= 1), answer(q)],
        Ok(0),
        1,
    ),
    ("silence", |_| vec![], Err(Failure::Timeout), 0),
    (
        "only another id",
        |q| vec![with(answer(q), |r| r[0] ^= 1)],
        Err(Failure::Timeout),
        1,
    ),
    (
        "cut off",
        |q| vec![with(answer(q), |r| r.truncate(80))],
        Err(Failure::Malformed),
        0,
    ),
    (
        "more than it may be, which is ignored",
        |q| vec![with(answer(q), |r| r.resize(5000, 0))],
        Ok(0),
        0,
    ),
];

#[tokio::test]
async fn accepts_only_the_reply_to_the_query() {
    for (case, script, want, ignored) in CASES {
        let server = Udp::serve(move |_, query| script(query)).await;
        let deadline = if want == Err(Failure::Timeout) {
            SHORT
        } else {
            LONG
        };
        let (upstream, told) = ordered(vec![ServerAddr::Udp(server.address)], deadline);
        assert_eq!(resolve(&upstream, 1).await, want, "{case}");
        assert_eq!(told.mismatches(), ignored, "{case}");
        let result = match want {
            Ok(_) => QueryEnd::Answered,
            Err(Failure::Code(_)) => QueryEnd::ErrorCode,
            Err(Failure::Malformed) => QueryEnd::Malformed,
            Err(_) => QueryEnd::Timeout,
        };
        assert_eq!(told.asked(0, result), 1, "{case}");
    }
}

#[tokio::test]
async fn ignores_a_reply_from_another_port() {
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let other = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("bound");
    let (upstream, told) = ordered(vec![ServerAddr::Udp(address)], SHORT);
    let spoof = async {
        let mut packet = [0; 512];
        let (len, client) = server.recv_from(&mut packet).await.expect("a query");
        let sent = other.send_to(&answer(&packet[..len]), client).await;
        sent.expect("sent");
    };
    let (landing, ()) = tokio::join!(resolve(&upstream, 1), spoof);
    assert_eq!(landing, Err(Failure::Timeout));
    assert_eq!(told.mismatches(), 0, "the kernel keeps it from us");
}

#[tokio::test]
async fn reports_a_closed_port_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("bound");
    drop(socket);
    let (upstream, told) = ordered(vec![ServerAddr::Udp(address)], LONG);
    let refused = ServerFault::Refused;
    assert_eq!(resolve(&upstream, 1).await, Err(Failure::Server(refused)));
    assert_eq!(told.asked(0, QueryEnd::Fault(refused)), 1);
}

#[tokio::test]
async fn ignores_a_late_answer() {
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("bound");
    let (upstream, told) = ordered(vec![ServerAddr::Udp(address)], SHORT);
    assert_eq!(resolve(&upstream, 1).await, Err(Failure::Timeout));
    let mut packet = [0; 512];
    let (len, client) = server.recv_from(&mut packet).await.expect("a query");
    let _ = server.send_to(&answer(&packet[..len]), client).await;
    let replies = async {
        let (len, client) = server.recv_from(&mut packet).await.expect("a query");
        let sent = server.send_to(&answer(&packet[..len]), client).await;
        sent.expect("sent");
    };
    let (landing, ()) = tokio::join!(resolve(&upstream, 2), replies);
    assert_eq!(landing, Ok(0));
    assert_eq!(told.mismatches(), 0);
}

#[tokio::test]
async fn queries_have_random_ids_ports_and_letter_case() {
    let server = Udp::serve(|_, query| vec![answer(query)]).await;
    let mut limits = limits(LONG);
    limits.sockets.sockets = 64;
    let (upstream, _) = open(
        &config(Strategy::Ordered, vec![ServerAddr::Udp(server.address)]),
        limits,
    );
    for number in 0..64 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    let seen = server.seen();
    for (number, (query, _)) in (0..).zip(&seen) {
        let id = u16::from_be_bytes([query[0], query[1]]);
        let permit = question(number);
        let encoded = upstream_query::encode(id, permit.name(), permit.qtype(), false, false);
        let lower = query[12..].to_ascii_lowercase();
        let one = [&query[..12], &lower].concat();
        assert_eq!(one, encoded, "the one encoding");
    }
    let ids: HashSet<_> = seen.iter().map(|(query, _)| query[..2].to_vec()).collect();
    let ports: HashSet<_> = seen.iter().map(|(_, client)| client.port()).collect();
    // By chance a few may be the same; of 64 places, 64 questions find 40 on average.
    assert!(ids.len() > 60 && ports.len() > 25, "{ids:?} {ports:?}");
    let name = |query: &[u8]| query[12..72].to_vec();
    let upper = |query: &Vec<u8>| {
        name(query)
            .iter()
            .filter(|b| b.is_ascii_uppercase())
            .count()
    };
    let letters = |query: &Vec<u8>| {
        name(query)
            .iter()
            .filter(|b| b.is_ascii_alphabetic())
            .count()
    };
    let queries = || seen.iter().map(|(query, _)| query);
    let (upper, letters): (usize, usize) = (
        queries().map(upper).sum::<usize>(),
        queries().map(letters).sum(),
    );
    assert!(
        (letters / 3..letters * 2 / 3).contains(&upper),
        "{upper} of {letters}"
    );
    let steps = seen
        .windows(2)
        .filter(|pair| pair[0].1.port().abs_diff(pair[1].1.port()) <= 2)
        .count();
    assert!(steps < 20, "ports in a row: {steps}");
}

#[tokio::test]
async fn a_socket_has_a_few_questions_and_a_short_life() {
    for (questions, lifetime, want) in [
        (8, LONG, 13..=20),
        (1, LONG, 96..=100),
        (1000, SHORT, 3..=9),
    ] {
        let server = Udp::serve(|_, query| vec![answer(query)]).await;
        let mut limits = limits(LONG);
        (limits.sockets.sockets, limits.sockets.questions) = (1, questions);
        limits.sockets.lifetime = lifetime;
        let servers = vec![ServerAddr::Udp(server.address)];
        let (upstream, _) = open(&config(Strategy::Ordered, servers), limits);
        let begin = monotonic();
        let mut number = 0;
        while number < 100 || lifetime == SHORT && begin.elapsed() < 3 * SHORT {
            assert_eq!(resolve(&upstream, number).await, Ok(0));
            number += 1;
        }
        let seen = server.seen();
        let ports: HashSet<_> = seen.iter().map(|(_, client)| client.port()).collect();
        if lifetime == SHORT {
            assert!(ports.len() >= 3, "{ports:?}");
        } else {
            assert!(want.contains(&ports.len()), "{questions}: {ports:?}");
        }
    }
}

#[tokio::test]
async fn many_questions_at_a_time_share_few_sockets() {
    const MANY: u128 = 400;
    let server = Udp::serve(|_, query| vec![answer(query)]).await;
    let (upstream, told) = ordered(vec![ServerAddr::Udp(server.address)], LONG);
    let asked = (0..MANY).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); 400]);
    let seen = server.seen();
    let ports: HashSet<_> = seen.iter().map(|(_, client)| *client).collect();
    assert!(seen.len() == 400 && ports.len() <= 24, "{ports:?}");
    assert_eq!(told.mismatches(), 0);
}

#[tokio::test]
async fn a_question_that_is_dropped_leaves_the_others_a_reader() {
    let (socket, mut packet) = (
        UdpSocket::bind("127.0.0.1:0").await.expect("a port"),
        [0; 512],
    );
    let mut limits = limits(LONG);
    limits.sockets.sockets = 1;
    let servers = vec![ServerAddr::Udp(socket.local_addr().expect("bound"))];
    let (upstream, told) = open(&config(Strategy::Ordered, servers), limits);
    let mut tasks = Vec::new();
    let mut queries = Vec::new();
    for number in 0..5 {
        let upstream = Arc::clone(&upstream);
        tasks.push(tokio::spawn(
            async move { resolve(&upstream, number).await },
        ));
        let (len, client) = socket.recv_from(&mut packet).await.expect("a query");
        queries.push((packet[..len].to_vec(), client));
    }
    // The first one reads for all, until it is gone, and so is whoever would have taken over.
    for gone in [0, 1, 4] {
        tasks[gone].abort();
    }
    for gone in [0, 1, 4] {
        assert!((&mut tasks[gone]).await.is_err());
    }
    // Answers to those that are gone are late, a copy is a copy.
    for (query, client) in queries.iter().chain(&queries) {
        socket.send_to(&answer(query), client).await.expect("sent");
    }
    for task in tasks.drain(2..4) {
        assert_eq!(task.await.expect("no panic"), Ok(0));
    }
    assert_eq!(told.mismatches(), 0);
}

#[tokio::test]
async fn one_wrong_reply_closes_a_socket_and_sends_its_questions_to_tcp() {
    let (socket, listener) = both().await;
    let address = socket.local_addr().expect("bound");
    let tcp = Stream::on(listener, |_, stream| answer_all(stream));
    let mut limits = limits(LONG);
    (limits.sockets.sockets, limits.sockets.near_misses) = (1, 1);
    let servers = vec![ServerAddr::Udp(address)];
    let (upstream, told) = open(&config(Strategy::Ordered, servers), limits);
    let asked = (0..5).map(|number| resolve(&upstream, number));
    let forge = async {
        let mut packet = [0; 512];
        let (mut ports, mut queries) = (HashSet::new(), Vec::new());
        for _ in 0..5 {
            let (len, client) = socket.recv_from(&mut packet).await.expect("a query");
            ports.insert(client);
            queries.push(packet[..len].to_vec());
        }
        for client in &ports {
            let wrong = with(answer(&queries[0]), |reply| reply[12] = 1);
            socket.send_to(&wrong, client).await.expect("sent");
        }
        ports
    };
    let (ends, ports) = tokio::join!(join_all(asked), forge);
    assert_eq!(ends, [Ok(0); 5]);
    assert_eq!((ports.len(), tcp.connections()), (1, 1));
    let forged = |event: &UpstreamEvent| *event == UpstreamEvent::Forged { server: 0 };
    assert_eq!((told.count(forged), told.mismatches()), (5, 1));
}

#[tokio::test]
async fn a_server_that_changes_the_letter_case_is_remembered() {
    let lower = |query: &[u8]| with(answer(query), |reply| reply[12..72].make_ascii_lowercase());
    let (socket, listener) = both().await;
    let udp = Udp::on(socket, move |_, query| vec![lower(query)]);
    let tcp = Stream::on(listener, |_, stream| answer_all(stream));
    let (upstream, told) = ordered(vec![ServerAddr::Udp(udp.address)], LONG);
    for number in 0..8 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    let without = |event: &UpstreamEvent| *event == UpstreamEvent::WithoutCase { server: 0 };
    let forged = |event: &UpstreamEvent| *event == UpstreamEvent::Forged { server: 0 };
    assert_eq!((told.count(without), told.count(forged)), (1, 3));
    assert_eq!((udp.seen().len(), tcp.connections()), (8, 1));
    let mixed = |(query, _): &(Vec<u8>, _)| query[12..72].iter().any(u8::is_ascii_uppercase);
    let seen = udp.seen();
    assert_eq!(seen.iter().filter(|seen| mixed(seen)).count(), 3);
}

#[tokio::test]
async fn without_an_answer_the_only_server_is_asked_again() {
    let server = Udp::serve(|number, query| match number {
        0 => vec![],
        _ => vec![answer(query)],
    })
    .await;
    let (upstream, told) = ordered(vec![ServerAddr::Udp(server.address)], LONG);
    assert_eq!(resolve(&upstream, 1).await, Ok(0));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].0[..2], seen[1].0[..2], "another id");
    let question = |at: usize| seen[at].0[2..].to_ascii_lowercase();
    assert_eq!(question(0), question(1), "the same question");
    assert_eq!(told.asked(0, QueryEnd::Timeout), 1);
    assert_eq!(told.asked(0, QueryEnd::Answered), 1);
    assert_eq!(upstream.statuses()[0], ServerStatus::Up);
}

/// The same port for datagrams and connections.
async fn both() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        if let Ok(socket) = UdpSocket::bind(address).await {
            return (socket, listener);
        }
    }
}

#[tokio::test]
async fn repeats_a_truncated_query_over_tcp() {
    let truncated = |query: &[u8]| with(error(query, 0), |reply| reply[2] |= 2);
    for (tcp_truncates, want) in [(false, Ok(0)), (true, Err(Failure::Malformed))] {
        let (socket, listener) = both().await;
        let udp = Udp::on(socket, move |_, query| vec![truncated(query)]);
        let tcp = Stream::on(listener, move |_, mut stream| async move {
            if !tcp_truncates {
                return answer_all(stream).await;
            }
            while let Some(query) = read(&mut stream).await {
                write(&mut stream, &truncated(&query)).await;
            }
        });
        let (upstream, _) = ordered(vec![ServerAddr::Udp(udp.address)], LONG);
        for number in 0..3 {
            assert_eq!(resolve(&upstream, number).await, want);
        }
        assert_eq!((udp.seen().len(), tcp.connections()), (3, 1));
    }
}

#[tokio::test]
async fn a_truncated_reply_without_tcp_is_no_answer() {
    let server = Udp::serve(|_, q| vec![with(error(q, 0), |reply| reply[2] |= 2)]).await;
    let (upstream, _) = ordered(vec![ServerAddr::Udp(server.address)], LONG);
    let refused = Err(Failure::Server(ServerFault::Refused));
    assert_eq!(resolve(&upstream, 1).await, refused);
}

#[tokio::test]
async fn behind_a_truncating_server_tcp_may_end_with_each_answer() {
    const MANY: usize = 40;
    let (socket, listener) = both().await;
    let _udp = Udp::on(socket, |_, query| {
        vec![with(error(query, 0), |reply| reply[2] |= 2)]
    });
    let tcp = Stream::on(listener, |_, mut stream| async move {
        if let Some(query) = read(&mut stream).await {
            write(&mut stream, &answer(&query)).await;
        }
    });
    let (upstream, _) = ordered(vec![ServerAddr::Udp(tcp.address)], LONG);
    let asked = (0..MANY as u128).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); MANY]);
}

#[tokio::test]
async fn moves_to_tcp_after_a_few_wrong_replies() {
    type Wrong = fn(&mut Vec<u8>);
    let wrongs: [Wrong; 4] = [
        |reply| reply[0] ^= 1,
        |reply| reply[13] = b'x',
        |reply| reply[69] = 28,
        |reply| reply[2] &= 0x7f,
    ];
    for (wrong, count, forged) in wrongs
        .iter()
        .flat_map(|&wrong| [(wrong, 2, false), (wrong, 3, true), (wrong, 200, true)])
    {
        let (socket, listener) = both().await;
        let _udp = Udp::on(socket, move |_, query| {
            let mut replies = vec![with(answer(query), wrong); count];
            // What whoever guesses in the end would have us believe.
            replies.push(if forged {
                error(query, 3)
            } else {
                answer(query)
            });
            replies
        });
        let tcp = Stream::on(listener, |_, stream| answer_all(stream));
        let (upstream, told) = ordered(vec![ServerAddr::Udp(tcp.address)], LONG);
        assert_eq!(resolve(&upstream, 1).await, Ok(0), "{count}");
        let forged = usize::from(forged);
        let asked_again = |event: &UpstreamEvent| *event == UpstreamEvent::Forged { server: 0 };
        assert_eq!(told.count(asked_again), forged, "{count}");
        assert_eq!(tcp.connections(), forged, "{count}");
        assert_eq!(told.mismatches(), count.min(3), "{count}");
    }
}

/// Whether a query has an OPT record.
fn has_edns(query: &[u8]) -> bool {
    query[11] == 1
}

fn badvers(query: &[u8]) -> Vec<u8> {
    with(error(query, 0), |reply| {
        reply[11] = 1;
        reply.extend(b"\0\0\x29\x04\xd0\x01\0\0\0\0\0");
    })
}

#[tokio::test]
async fn remembers_a_server_without_edns() {
    type Complaint = fn(&[u8]) -> Vec<u8>;
    let complaints: [(&str, Complaint); 6] = [
        ("FORMERR", |q| error(q, 1)),
        ("NOTIMP", |q| error(q, 4)),
        ("a bare FORMERR", |q| bare(q, 1)),
        ("a bare NOTIMP", |q| bare(q, 4)),
        ("the query with FORMERR", |q| {
            with(q.to_vec(), |r| (r[2], r[3]) = (0x81, 0x81))
        }),
        ("BADVERS", badvers),
    ];
    for (what, complaint) in complaints {
        let script = move |query: &[u8]| match has_edns(query) {
            true => complaint(query),
            false => answer(query),
        };
        let udp = Udp::serve(move |_, query| vec![script(query)]).await;
        let tcp = Stream::serve(move |_, mut stream| async move {
            while let Some(query) = read(&mut stream).await {
                write(&mut stream, &script(&query)).await;
            }
        })
        .await;
        for server in [ServerAddr::Udp(udp.address), ServerAddr::Tcp(tcp.address)] {
            let (upstream, told) = ordered(vec![server], LONG);
            for number in 0..5 {
                assert_eq!(resolve(&upstream, number).await, Ok(0), "{what}");
            }
            let without =
                |event: &UpstreamEvent| *event == UpstreamEvent::WithoutEdns { server: 0 };
            assert_eq!(told.count(without), 1, "{what}");
            assert_eq!(told.asked(0, QueryEnd::Answered), 5, "{what}");
        }
        let seen = udp.seen();
        let edns: Vec<_> = seen.iter().map(|(query, _)| has_edns(query)).collect();
        assert_eq!(edns, [true, false, false, false, false, false], "{what}");
    }
}

#[tokio::test]
async fn repeats_a_truncated_query_over_tcp_without_edns() {
    let (socket, listener) = both().await;
    let _udp = Udp::on(socket, |_, query| {
        vec![match has_edns(query) {
            true => bare(query, 1),
            false => with(error(query, 0), |reply| reply[2] |= 2),
        }]
    });
    let tcp = Stream::on(listener, |_, mut stream| async move {
        while let Some(query) = read(&mut stream).await {
            assert!(!has_edns(&query));
            write(&mut stream, &answer(&query)).await;
        }
    });
    let (upstream, _) = ordered(vec![ServerAddr::Udp(tcp.address)], LONG);
    for number in 0..3 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
}

#[tokio::test]
async fn an_error_for_one_query_does_not_disable_edns() {
    let server = Udp::serve(|_, query| vec![error(query, 4)]).await;
    let (upstream, told) = ordered(vec![ServerAddr::Udp(server.address)], LONG);
    for number in 0..2 {
        assert_eq!(resolve(&upstream, number).await, Err(Failure::Code(4)));
    }
    let seen = server.seen();
    let edns: Vec<_> = seen.iter().map(|(query, _)| has_edns(query)).collect();
    assert_eq!(edns, [true, false, true, false], "with, then without");
    assert_eq!(
        told.count(|event| matches!(event, UpstreamEvent::WithoutEdns { .. })),
        0
    );
}
