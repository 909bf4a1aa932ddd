//! Over TCP: many questions on one connection, and connections that break.

use tokio::io::AsyncWriteExt;

use super::{
    fake::{Stream, answer, answer_all, read, with, write},
    *,
};
use dnsgate_core::{dns::Query, policy::probe_token};

fn tcp(server: &Stream, deadline: Duration) -> (Arc<UpstreamClient>, Arc<Told>) {
    ordered(vec![ServerAddr::Tcp(server.address)], deadline)
}

#[tokio::test]
async fn many_questions_share_a_connection_and_are_answered_in_any_order() {
    const MANY: usize = 200;
    let server = Stream::serve(|_, mut stream| async move {
        let mut queries = Vec::new();
        while queries.len() < MANY {
            queries.push(read(&mut stream).await.expect("a query"));
        }
        let ids: HashSet<_> = queries.iter().map(|query| query[..2].to_vec()).collect();
        assert_eq!(ids.len(), MANY);
        for query in queries.iter().rev() {
            write(&mut stream, &answer(query)).await;
        }
        answer_all(stream).await;
    })
    .await;
    let (upstream, told) = tcp(&server, LONG);
    let asked = (0..MANY as u128).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); MANY]);
    assert_eq!(resolve(&upstream, 1).await, Ok(0));
    assert_eq!((server.connections(), told.mismatches()), (1, 0));
}

#[tokio::test]
async fn a_full_pipeline_opens_a_second_connection() {
    const MANY: usize = 700;
    let server = Stream::serve(|_, stream| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer_all(stream).await;
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    let asked = (0..MANY as u128).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); MANY]);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_closes_between_questions_costs_nothing() {
    let server = Stream::serve(|_, mut stream| async move {
        if let Some(query) = read(&mut stream).await {
            write(&mut stream, &answer(&query)).await;
        }
    })
    .await;
    let (upstream, told) = tcp(&server, LONG);
    for number in 0..20 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    assert_eq!(told.asked(0, QueryEnd::Answered), 20);
}

#[tokio::test]
async fn questions_on_a_connection_that_breaks_go_to_another_once() {
    let server = Stream::serve(|number, mut stream| async move {
        if number == 0 {
            for _ in 0..10 {
                read(&mut stream).await;
            }
        } else {
            answer_all(stream).await;
        }
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    let asked = (0..10).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); 10]);
    assert_eq!(server.connections(), 2, "all go to the same one");
}

#[tokio::test]
async fn servers_that_close_or_reset_are_unreachable() {
    for reset in [false, true] {
        let server = Stream::serve(move |_, mut stream| async move {
            read(&mut stream).await;
            if reset {
                let _ = stream.set_zero_linger();
            }
        })
        .await;
        let (upstream, told) = tcp(&server, LONG);
        let closed = ServerFault::Closed;
        assert_eq!(resolve(&upstream, 1).await, Err(Failure::Server(closed)));
        let unanswered = told.asked(0, QueryEnd::Fault(closed));
        assert_eq!((server.connections(), unanswered), (3, 1));
    }
}

#[tokio::test]
async fn a_stall_in_the_middle_of_a_message_is_a_time_out() {
    let server = Stream::serve(|_, mut stream| async move {
        let query = read(&mut stream).await.expect("a query");
        let _ = stream.write_all(b"\0\xff").await;
        let _ = stream.write_all(&answer(&query)).await;
        read(&mut stream).await;
    })
    .await;
    let (upstream, _) = tcp(&server, SHORT);
    assert_eq!(resolve(&upstream, 1).await, Err(Failure::Timeout));
}

#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let server = Stream::serve(|number, mut stream| async move {
        if number == 0 {
            while read(&mut stream).await.is_some() {}
        } else {
            answer_all(stream).await;
        }
    })
    .await;
    let (upstream, told) = tcp(&server, LONG);
    assert_eq!(resolve(&upstream, 1).await, Ok(0));
    assert_eq!(server.connections(), 2);
    assert_eq!(told.asked(0, QueryEnd::Timeout), 1);
}

#[tokio::test]
async fn ignores_replies_to_no_query_of_the_connection() {
    let server = Stream::serve(|_, mut stream| async move {
        while let Some(query) = read(&mut stream).await {
            write(&mut stream, b"").await;
            write(&mut stream, &with(answer(&query), |reply| reply[0] ^= 1)).await;
            write(&mut stream, &with(answer(&query), |reply| reply[13] = b'x')).await;
            write(&mut stream, &answer(&query)).await;
            write(&mut stream, &answer(&query)).await;
        }
    })
    .await;
    let (upstream, told) = tcp(&server, LONG);
    assert_eq!(resolve(&upstream, 1).await, Ok(0));
    assert_eq!(resolve(&upstream, 2).await, Ok(0));
    assert!(told.mismatches() >= 6);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn connections_end_with_their_upstream() {
    let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let server = Stream::serve(move |_, stream| {
        let sender = sender.clone();
        async move {
            answer_all(stream).await;
            let _ = sender.send(());
        }
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    assert_eq!(resolve(&upstream, 1).await, Ok(0));
    assert!(ended.is_empty());
    drop(upstream);
    let ended = tokio::time::timeout(LONG, ended.recv()).await;
    assert_eq!(ended, Ok(Some(())));
}

#[tokio::test]
async fn a_group_with_unanswered_queries_leaves_places_to_others() {
    const SLOW: u128 = 1000;
    let server = Stream::serve(|_, mut stream| async move {
        while let Some(query) = read(&mut stream).await {
            let name = Query::parse(&query)
                .ok()
                .map(|query| query.name().to_name());
            let number = name.and_then(|name| probe_token(name.as_ref()));
            if number.is_some_and(|number| number >= SLOW) {
                write(&mut stream, &answer(&query)).await;
            }
        }
    })
    .await;
    let narrow = UpstreamLimits {
        connections: 1,
        pipeline: 100,
        ..limits(LONG)
    };
    let servers = vec![ServerAddr::Tcp(server.address)];
    let (upstream, told) = open(&config(Strategy::Ordered, servers), narrow);
    let ask = |number, party| {
        let upstream = Arc::clone(&upstream);
        let (question, until) = (question(number), monotonic() + LONG);
        tokio::spawn(async move { short(&upstream.resolve(&question, party, until).await) })
    };
    let slow: Vec<_> = (0..100).map(|number| ask(number, Party(0))).collect();
    // Four times what is free: four fifths of all.
    let full = || told.count(|event| *event == UpstreamEvent::Full { server: 0 });
    let filled = async {
        while full() < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, filled)
        .await
        .expect("it is full");
    for number in SLOW..SLOW + 50 {
        let asked = ask(number, Party(1)).await;
        assert_eq!(asked.expect("no panic"), Ok(0));
    }
    let refused = slow.iter().filter(|asked| asked.is_finished()).count();
    assert_eq!(refused, 20, "the others wait");
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Answers the first few questions, and closes with the others unread.
async fn answer_some(mut stream: tokio::net::TcpStream, few: usize) {
    for _ in 0..few {
        let Some(query) = read(&mut stream).await else {
            return;
        };
        write(&mut stream, &answer(&query)).await;
    }
}

#[tokio::test]
async fn a_server_may_close_after_any_answer() {
    const MANY: usize = 200;
    for few in [1, 2, 7] {
        let server = Stream::serve(move |_, stream| answer_some(stream, few)).await;
        let (upstream, told) = tcp(&server, LONG);
        for round in 0..2 {
            let numbers = (0..MANY as u128).map(|number| round * 1000 + number);
            let asked = numbers.map(|number| resolve(&upstream, number));
            assert_eq!(join_all(asked).await, vec![Ok(0); MANY], "{few}");
        }
        let closed = QueryEnd::Fault(ServerFault::Closed);
        assert_eq!(told.asked(0, closed), 0, "{few}");
    }
}

#[tokio::test]
async fn a_query_that_makes_the_server_close_loses_no_other() {
    let bad = question(7).name().wire().to_vec();
    let server = Stream::serve(move |_, mut stream| {
        let bad = bad.clone();
        async move {
            while let Some(query) = read(&mut stream).await {
                if query[12..].starts_with(&bad) {
                    return;
                }
                write(&mut stream, &answer(&query)).await;
            }
        }
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    let asked = (0..100).map(|number| resolve(&upstream, number));
    for (number, landing) in join_all(asked).await.into_iter().enumerate() {
        let want = match number {
            7 => Err(Failure::Server(ServerFault::Closed)),
            _ => Ok(0),
        };
        assert_eq!(landing, want, "{number}");
    }
    assert!(server.connections() < 40, "{}", server.connections());
}

#[tokio::test]
async fn gives_up_on_a_server_that_answers_garbage_and_closes() {
    let server = Stream::serve(|_, mut stream| async move {
        let query = read(&mut stream).await.unwrap_or_default();
        write(&mut stream, &query).await;
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    let closed = Err(Failure::Server(ServerFault::Closed));
    assert_eq!(resolve(&upstream, 1).await, closed);
    assert_eq!(server.connections(), 3);
}

/// An answer that says how long the server keeps an idle connection, in tenths of a second.
fn answer_with_timeout(query: &[u8], tenths: u16) -> Vec<u8> {
    with(answer(query), |reply| {
        reply[11] = 1;
        reply.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x06\0\x0b\0\x02");
        reply.extend(tenths.to_be_bytes());
    })
}

#[tokio::test]
async fn an_idle_connection_is_kept_as_long_as_the_server_says() {
    for (tenths, closes) in [(5, true), (600, false)] {
        let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let server = Stream::serve(move |_, mut stream| {
            let told = told.clone();
            async move {
                while let Some(query) = read(&mut stream).await {
                    write(&mut stream, &answer_with_timeout(&query, tenths)).await;
                }
                let _ = told.send(());
            }
        })
        .await;
        let (upstream, _) = tcp(&server, LONG);
        assert_eq!(resolve(&upstream, 1).await, Ok(0));
        let ended = tokio::time::timeout(Duration::from_secs(4), ended.recv()).await;
        // Without the option it would be eight seconds.
        assert_eq!(ended.is_ok(), closes, "{tenths}");
    }
}

#[tokio::test]
async fn a_server_that_wants_no_further_query_gets_a_new_connection() {
    let server = Stream::serve(|_, mut stream| async move {
        while let Some(query) = read(&mut stream).await {
            write(&mut stream, &answer_with_timeout(&query, 0)).await;
        }
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    for number in 0..3 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    assert_eq!(server.connections(), 3);
    let many = (10..50).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(many).await, vec![Ok(0); 40], "at a time");
}

#[tokio::test]
async fn queries_that_come_together_leave_in_one_segment() {
    use tokio::io::AsyncReadExt as _;
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let read_sizes = Arc::clone(&sizes);
    let server = Stream::serve(move |_, mut stream| {
        let sizes = Arc::clone(&read_sizes);
        async move {
            let mut all = Vec::new();
            let mut room = vec![0; 65_536];
            while let Ok(len @ 1..) = stream.read(&mut room).await {
                sizes.lock().expect("no panic").push(len);
                all.extend_from_slice(&room[..len]);
                while let Some((head, rest)) = all.split_first_chunk::<2>() {
                    let len = usize::from(u16::from_be_bytes(*head));
                    if rest.len() < len {
                        break;
                    }
                    write(&mut stream, &answer(&rest[..len])).await;
                    all.drain(..2 + len);
                }
            }
        }
    })
    .await;
    let (upstream, _) = tcp(&server, LONG);
    let asked = (0..30).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); 30]);
    let sizes = sizes.lock().expect("no panic");
    assert!(sizes.len() <= 3, "{sizes:?}");
}
