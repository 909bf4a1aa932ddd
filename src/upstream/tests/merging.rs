//! Identical questions in flight, and those who no longer wait.

use tokio::net::UdpSocket;

use super::{fake::answer, *};

/// A server that answers one query when it is told to.
struct Held(UdpSocket);

impl Held {
    async fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.expect("a port"))
    }

    fn upstream(&self, limits: UpstreamLimits) -> (Arc<UpstreamClient>, Arc<Told>) {
        let address = self.0.local_addr().expect("bound");
        let servers = vec![ServerAddr::Udp(address)];
        open(&config(Strategy::Ordered, servers), limits)
    }

    async fn answer(&self) {
        let mut packet = [0; 512];
        let (len, client) = self.0.recv_from(&mut packet).await.expect("a query");
        let sent = self.0.send_to(&answer(&packet[..len]), client).await;
        sent.expect("sent");
    }

    /// Whether no other query has come.
    fn is_done(&self) -> bool {
        self.0.try_recv(&mut [0; 512]).is_err()
    }
}

fn merged(event: &UpstreamEvent) -> bool {
    *event == UpstreamEvent::Coalesced
}

#[tokio::test]
async fn many_who_ask_the_same_send_one_query() {
    let server = Held::new().await;
    let (upstream, told) = server.upstream(limits(LONG));
    let asked = (0..50).map(|_| resolve(&upstream, 7));
    let (landings, ()) = tokio::join!(join_all(asked), server.answer());
    assert_eq!(landings, vec![Ok(0); 50]);
    assert!(server.is_done());
    assert_eq!(told.count(merged), 49);
    assert_eq!(upstream.in_flight.len(), 0);
}

#[tokio::test]
async fn only_so_many_wait_for_the_same_and_for_all() {
    let server = Held::new().await;
    let few = UpstreamLimits {
        coalesced: 3,
        questions: 1,
        ..limits(LONG)
    };
    let (upstream, told) = server.upstream(few);
    let asked = (0..5).map(|_| resolve(&upstream, 7));
    let other = resolve(&upstream, 8);
    let (landings, other, ()) = tokio::join!(join_all(asked), other, server.answer());
    let shed = Err(Failure::Shed);
    assert_eq!(landings, [Ok(0), Ok(0), Ok(0), shed, shed]);
    assert_eq!(other, shed);
    assert_eq!(told.count(|event| *event == UpstreamEvent::Shed), 3);
    // There is room again.
    let (landing, ()) = tokio::join!(resolve(&upstream, 8), server.answer());
    assert_eq!(landing, Ok(0));
}

#[tokio::test]
async fn whoever_goes_away_takes_nobody_along() {
    let server = Held::new().await;
    let (upstream, told) = server.upstream(limits(LONG));
    let asking = |upstream: &Arc<UpstreamClient>| {
        let upstream = Arc::clone(upstream);
        tokio::spawn(async move { resolve(&upstream, 7).await })
    };
    let first = asking(&upstream);
    while upstream.in_flight.len() == 0 {
        tokio::task::yield_now().await;
    }
    let second = asking(&upstream);
    told.until(merged).await;
    first.abort();
    assert!(first.await.is_err());
    server.answer().await;
    assert_eq!(second.await.expect("no panic"), Ok(0));
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_is_dropped() {
    let server = Held::new().await;
    let (upstream, told) = server.upstream(limits(LONG));
    for _ in 0..3 {
        let asked = tokio::time::timeout(Duration::from_millis(20), resolve(&upstream, 7)).await;
        assert!(asked.is_err());
        assert_eq!(upstream.in_flight.len(), 0);
    }
    assert_eq!(told.asked(0, QueryEnd::Abandoned), 3);
    assert_eq!(upstream.statuses()[0], ServerStatus::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_that_comes_and_goes_leaves_nothing_behind() {
    let server = Udp::serve(|_, query| vec![answer(query)]).await;
    let servers = vec![ServerAddr::Udp(server.address)];
    let (upstream, _) = open(&config(Strategy::Ordered, servers), limits(LONG));
    let tasks = (0..2000u128).map(|number| {
        let upstream = Arc::clone(&upstream);
        tokio::spawn(async move {
            let asking = resolve(&upstream, number % 7);
            if number % 3 == 0 {
                let patience = Duration::from_micros((number % 500) as u64);
                let _ = tokio::time::timeout(patience, asking).await;
            } else {
                assert_eq!(asking.await, Ok(0));
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("no panic");
    }
    assert_eq!(upstream.in_flight.len(), 0);
}

#[tokio::test]
async fn who_has_little_time_left_waits_no_longer_and_costs_nobody_theirs() {
    let server = Held::new().await;
    let (upstream, told) = server.upstream(limits(LONG));
    let permit = question(7);
    let short_of_time =
        upstream.resolve(&permit, Party(0), monotonic() + Duration::from_millis(50));
    let second = async {
        while upstream.in_flight.len() == 0 {
            tokio::task::yield_now().await;
        }
        resolve(&upstream, 7).await
    };
    let (first, (second, ())) = tokio::join!(short_of_time, async {
        tokio::join!(second, async {
            told.until(merged).await;
            // The first has given up by then.
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.answer().await;
        })
    });
    assert_eq!(short(&first), Err(Failure::Timeout));
    assert_eq!(second, Ok(0));
    let none = upstream.resolve(&permit, Party(0), monotonic()).await;
    assert_eq!(short(&none), Err(Failure::Timeout), "no time at all");
    assert!(server.is_done(), "nobody was asked for it");
}
