//! Probes: of servers that failed, and of loops.

use super::{fake::answer, *};
use crate::{dns::Query, policy::probe_token};

fn token(query: &[u8]) -> Option<u128> {
    probe_token(Query::parse(query).expect("a query").name())
}

#[tokio::test]
async fn a_probe_that_comes_back_is_a_loop() {
    let servers = [
        Udp::serve(|_, query| vec![answer(query)]).await,
        Udp::serve(|_, _| vec![]).await,
    ];
    let list = servers.iter().map(|server| ServerAddr::Udp(server.address));
    let (upstream, told) = ordered(list.collect(), LONG);
    let watch = tokio::spawn(upstream.watch());
    let tokens = async {
        loop {
            let seen = servers.each_ref().map(Udp::seen);
            if let [[(first, _), ..], [(second, _), ..]] = seen.each_ref().map(Vec::as_slice) {
                return [first, second].map(|query| token(query).expect("a probe"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let [first, second] = tokio::time::timeout(LONG, tokens).await.expect("probes");
    assert_ne!(first, second);
    assert!(!upstream.probe_returned(first ^ 1), "somebody else's");
    assert!(!upstream.loops().contains(&true));
    assert!(upstream.probe_returned(second));
    let looping = upstream.loops();
    assert_eq!(looping, [false, true]);
    let found = Event::Looping {
        server: 1,
        looping: true,
    };
    assert_eq!(told.count(|event| *event == found), 1);
    drop(upstream);
    let ended = tokio::time::timeout(LONG, watch).await.expect("it ends");
    ended.expect("no panic");
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
    let up = Event::Changed {
        server: 0,
        standing: Standing::Up,
    };
    told.until(|event| *event == up).await;
    assert_eq!(upstream.standings()[0], Standing::Up);
}
