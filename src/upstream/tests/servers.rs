//! Several servers: who is asked when the first does not do.

use super::{
    fake::{answer, error},
    *,
};

async fn dead() -> Udp {
    Udp::serve(|_, _| vec![]).await
}

async fn alive() -> Udp {
    Udp::serve(|_, query| vec![answer(query)]).await
}

async fn failing(rcode: u8) -> Udp {
    Udp::serve(move |_, query| vec![error(query, rcode)]).await
}

fn addresses(servers: &[&Udp]) -> Vec<ServerAddr> {
    let addresses = servers.iter().map(|server| server.address);
    addresses.map(ServerAddr::Udp).collect()
}

#[tokio::test]
async fn a_dead_first_server_costs_a_hedge_and_is_found_out() {
    let (first, second) = (dead().await, alive().await);
    let (upstream, told) = ordered(addresses(&[&first, &second]), LONG);
    assert_eq!(resolve(&upstream, 0).await, Ok(0));
    let hedged = |event: &UpstreamEvent| matches!(event, UpstreamEvent::Hedged { server: 1 });
    assert_eq!(told.count(hedged), 1);
    // The question is answered, yet the first server's silence is noted.
    let suspect = UpstreamEvent::Changed {
        server: 0,
        status: ServerStatus::Suspect,
    };
    told.until(|event| *event == suspect).await;
    for number in 1..20 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    assert_eq!(first.seen().len(), 1, "not asked while it is suspect");
    assert_eq!(told.count(hedged), 1);
    let statuses = upstream.statuses();
    assert_eq!(statuses, [ServerStatus::Suspect, ServerStatus::Up]);
}

#[tokio::test]
async fn without_hedges_left_the_next_server_is_asked_when_patience_ends() {
    let (first, second) = (dead().await, alive().await);
    let (upstream, told) = ordered(addresses(&[&first, &second]), LONG);
    while upstream.shared.stats.take_hedge(1) {}
    assert_eq!(resolve(&upstream, 0).await, Ok(0));
    assert_eq!(
        told.count(|event| matches!(event, UpstreamEvent::Hedged { .. })),
        0
    );
    assert_eq!(told.asked(0, QueryEnd::Timeout), 1);
    assert_eq!(told.asked(1, QueryEnd::Answered), 1);
}

#[tokio::test]
async fn a_slow_answer_still_counts() {
    let slow = Udp::serve(|number, query| match number {
        // The second try is what the first would have got.
        1 => vec![answer(query)],
        _ => vec![],
    })
    .await;
    let (upstream, _) = ordered(addresses(&[&slow, &dead().await]), LONG);
    assert_eq!(resolve(&upstream, 0).await, Ok(0));
}

#[tokio::test]
async fn an_error_code_is_put_to_the_next_server() {
    let refused = Err(Failure::Code(5));
    for (second, want) in [(alive().await, Ok(0)), (failing(5).await, refused)] {
        let first = failing(2).await;
        let (upstream, told) = ordered(addresses(&[&first, &second]), LONG);
        assert_eq!(resolve(&upstream, 0).await, want);
        assert_eq!(told.asked(0, QueryEnd::ErrorCode), 1);
        assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
        assert_eq!(upstream.statuses()[0], ServerStatus::Up, "it answers");
    }
}

#[tokio::test]
async fn a_code_says_more_than_silence() {
    let (first, second) = (failing(2).await, dead().await);
    let (upstream, _) = ordered(addresses(&[&first, &second]), SHORT);
    assert_eq!(resolve(&upstream, 0).await, Err(Failure::Code(2)));
}

#[tokio::test]
async fn spread_takes_turns_and_fastest_stays_with_the_best() {
    let servers = [alive().await, alive().await, alive().await];
    let list = addresses(&[&servers[0], &servers[1], &servers[2]]);
    let (upstream, _) = open(&config(Strategy::Spread, list), limits(LONG));
    for number in 0..30 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    for server in &servers {
        // A machine that stalls may hedge now and then.
        assert!((8..=14).contains(&server.seen().len()));
    }
    let (fast, none) = (alive().await, dead().await);
    let config = config(Strategy::Fastest, addresses(&[&none, &fast]));
    let (upstream, _) = open(&config, limits(LONG));
    for number in 0..30 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    assert!(none.seen().len() < 5 && fast.seen().len() >= 30);
}

#[tokio::test]
async fn nobody_answering_is_a_time_out_and_all_were_asked() {
    let (first, second) = (dead().await, dead().await);
    let (upstream, told) = ordered(addresses(&[&first, &second]), Duration::from_millis(900));
    assert_eq!(resolve(&upstream, 0).await, Err(Failure::Timeout));
    assert!(!first.seen().is_empty() && !second.seen().is_empty());
    let ended = told.count(|event| matches!(event, UpstreamEvent::QueryEnded { .. }));
    assert_eq!(ended, first.seen().len() + second.seen().len());
}
