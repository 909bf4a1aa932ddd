//! Probes: of servers that failed, and of loops.

use std::sync::atomic::Ordering;

use super::{fake::answer, *};
use dnsgate_core::{dns::Query, policy::probe_token};

fn token(query: &[u8]) -> Option<u128> {
    probe_token(Query::parse(query).expect("a query").name())
}

/// Waits until a server has seen so many probes; the token of the last one.
async fn probed(server: &Udp, times: usize) -> u128 {
    let seen = async {
        loop {
            if let Some((query, _)) = server.seen().get(times - 1) {
                return token(query).expect("a probe");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = tokio::time::timeout(LONG, seen).await;
    seen.expect("to be probed")
}

#[tokio::test]
async fn a_server_whose_probes_come_back_twice_is_not_asked_until_they_do_not() {
    let servers = [
        Udp::serve(|_, query| vec![answer(query)]).await,
        Udp::serve(|_, query| vec![answer(query)]).await,
    ];
    let list = servers.iter().map(|server| ServerAddr::Udp(server.address));
    let (upstream, told) = ordered(list.collect(), LONG);
    let watch = tokio::spawn(upstream.watch());
    let first = [probed(&servers[0], 1).await, probed(&servers[1], 1).await];
    assert_ne!(first[0], first[1]);
    let own = servers[0].address.ip();
    let other = "192.0.2.1".parse().expect("an address");
    assert!(!upstream.probe_returned(first[0] ^ 1, own), "somebody's");
    assert!(
        upstream.probe_returned(first[1], other),
        "told, not believed"
    );
    assert!(upstream.probe_returned(first[0], own), "it may be a copy");
    assert!(upstream.probe_returned(first[0], own), "servers ask again");
    assert!(
        !upstream.probe_returned(first[1], other),
        "a copy of the copy"
    );
    assert_eq!(upstream.loops(), [false, false]);
    // Soon there is another one, to be sure.
    let second = probed(&servers[0], 2).await;
    assert!(upstream.probe_returned(second, own));
    assert_eq!(upstream.loops(), [true, false]);
    for question in 1..=20 {
        assert_eq!(resolve(&upstream, question).await, Ok(0));
    }
    assert_eq!(
        told.asked(0, QueryEnd::Answered),
        0,
        "the other one was asked"
    );
    // As if the other one led back as well.
    upstream.shared.stats.set_looping(1, true);
    assert_eq!(resolve(&upstream, 21).await, Err(Failure::Looping));
    assert_eq!(
        told.count(|it| *it == UpstreamEvent::Refused { looping: true }),
        1
    );
    let looping = |server, looping| UpstreamEvent::Looping { server, looping };
    let copied = |event: &UpstreamEvent| matches!(event, UpstreamEvent::Copied { server: 1, .. });
    assert_eq!(told.count(copied), 1);
    assert_eq!(told.count(|event| *event == looping(0, true)), 1);
    // The next probe is answered and does not come back.
    told.until(|event| *event == looping(1, false)).await;
    drop(upstream);
    let ended = tokio::time::timeout(LONG, watch).await.expect("it ends");
    ended.expect("no panic");
}

#[tokio::test]
async fn few_ask_an_upstream_that_is_down_and_the_others_fail_at_once() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await;
    let socket = socket.expect("a port");
    let server = ServerAddr::Udp(socket.local_addr().expect("bound"));
    let few = UpstreamLimits {
        probing: 3,
        ..limits(LONG)
    };
    let (upstream, told) = open(&config(Strategy::Ordered, vec![server]), few);
    assert!(upstream.admit().is_ok());
    let start = monotonic();
    for second in 0..3 {
        let at = start + Duration::from_secs(second);
        upstream.shared.stats.unreachable(0, at);
    }
    let ask = |number| {
        let upstream = Arc::clone(&upstream);
        tokio::spawn(async move { resolve(&upstream, number).await })
    };
    let probing: Vec<_> = (0..3).map(ask).collect();
    while upstream.shared.probing.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    for number in 3..50 {
        assert_eq!(resolve(&upstream, number).await, Err(Failure::Down));
    }
    assert_eq!(
        told.count(|it| *it == UpstreamEvent::Refused { looping: false }),
        47
    );
    // One answer is enough: it is up, and everybody may ask.
    let _server = Udp::on(socket, |_, query| vec![answer(query)]);
    for asked in probing {
        assert_eq!(asked.await.expect("no panic"), Ok(0));
    }
    assert!(upstream.admit().is_ok());
    assert_eq!(resolve(&upstream, 50).await, Ok(0));
}

#[tokio::test]
async fn as_few_are_let_in_before_any_of_them_has_its_turn() {
    let few = UpstreamLimits {
        probing: 3,
        ..limits(LONG)
    };
    let nobody = ServerAddr::Udp("127.0.0.1:9".parse().expect("an address"));
    let (upstream, _) = open(&config(Strategy::Ordered, vec![nobody]), few);
    let start = monotonic();
    for second in 0..3 {
        let at = start + Duration::from_secs(second);
        upstream.shared.stats.unreachable(0, at);
    }
    let let_in = || -> Vec<_> { (0..50).map_while(|_| upstream.admit().ok()).collect() };
    let held = let_in();
    assert_eq!(held.len(), 3);
    drop(held);
    assert_eq!(let_in().len(), 3, "again");
}

#[tokio::test]
async fn a_suspect_is_probed_until_it_answers() {
    let server = Udp::serve(|_, query| match token(query) {
        // Questions are never answered, probes are: it lives, but it is slow with one name.
        Some(number) if number < 10 => vec![],
        _ => vec![answer(query)],
    })
    .await;
    let (upstream, told) = ordered(vec![ServerAddr::Udp(server.address)], SHORT);
    let _watch = tokio::spawn(upstream.watch());
    assert_eq!(resolve(&upstream, 1).await, Err(Failure::Timeout));
    let up = UpstreamEvent::Changed {
        server: 0,
        status: ServerStatus::Up,
    };
    told.until(|event| *event == up).await;
    assert_eq!(upstream.statuses()[0], ServerStatus::Up);
}
