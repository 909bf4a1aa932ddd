//! The watchdog: while dnsgate runs, it queries its own UDP listeners (`serve::self_query`), and
//! `/livez` fails when a listener's worker no longer answers. Each query is counted.
//!
//! The kernel picks the worker by the ports of a datagram. Each round therefore uses its own port
//! and in time reaches every worker. A round without an answer keeps its port, so that the next
//! rounds reach the same worker. Several such rounds in a row mean that the worker is stuck.
//!
//! An overload is not a stuck worker: a round sends several queries, and one answer is enough.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    time::{self, MissedTickBehavior},
};

use crate::serve::self_query::{is_reply, own_question, reachable};

/// The intervals, timeouts and thresholds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From the start of one round to the start of the next.
    period: Duration,
    /// Maximum number of queries per round.
    tries: u32,
    /// Timeout of each query.
    patience: Duration,
    /// A worker counts as stuck after this many consecutive rounds without an answer.
    misses: u32,
}

/// About twelve seconds from the start of the first missed round to the end of the third, which a
/// supervisor that restarts by `/livez` waits anyway. Under an overload that drops nine of ten
/// datagrams, all queries of three rounds are lost about one time in 25; such an overload is an
/// outage.
pub(super) const PACE: Pace = Pace {
    period: Duration::from_secs(5),
    tries: 10,
    patience: Duration::from_millis(200),
    misses: 3,
};

/// Queries the listener at `address` forever. Calls `tell` when it stops answering (`false`) and
/// when it answers again (`true`), and `asked` for each query with whether it was answered.
pub(super) async fn watch(
    address: SocketAddr,
    pace: Pace,
    tell: impl Fn(SocketAddr, bool),
    asked: impl Fn(bool),
) {
    let mut rounds = time::interval_at(time::Instant::now() + pace.period, pace.period);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut kept, mut misses) = (None, 0u32);
    loop {
        rounds.tick().await;
        let socket = match kept.take() {
            Some(socket) => socket,
            // No descriptor or port is available, which is not the worker's fault.
            None => match open(address).await {
                Ok(socket) => socket,
                Err(_) => continue,
            },
        };
        if is_answered(&socket, pace, &asked).await {
            if misses >= pace.misses {
                tell(address, true);
            }
            misses = 0;
        } else {
            misses = misses.saturating_add(1);
            if misses == pace.misses {
                tell(address, false);
            }
            kept = Some(socket);
        }
    }
}

async fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let local: IpAddr = if address.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(reachable(address)).await?;
    Ok(socket)
}

async fn is_answered(socket: &UdpSocket, pace: Pace, asked: &impl Fn(bool)) -> bool {
    for _ in 0..pace.tries {
        let end = time::Instant::now() + pace.patience;
        // An error (ICMP for a closed port, or a full buffer) may be temporary, so it counts as no
        // answer.
        let answered = socket.send(own_question()).await.is_ok()
            && time::timeout_at(end, receive(socket)).await == Ok(true);
        asked(answered);
        if answered {
            return true;
        }
        time::sleep_until(end).await;
    }
    false
}

async fn receive(socket: &UdpSocket) -> bool {
    let mut reply = [0; 512];
    match socket.recv(&mut reply).await {
        Ok(len) => reply.get(..len).is_some_and(is_reply),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);
    const QUICK: Pace = Pace {
        period: Duration::from_millis(20),
        tries: 2,
        patience: Duration::from_millis(100),
        misses: 3,
    };

    /// Takes a question and answers it, or not.
    async fn serve(worker: &UdpSocket, answers: bool) -> SocketAddr {
        let mut packet = [0; 512];
        let asked = time::timeout(SOON, worker.recv_from(&mut packet)).await;
        let (len, client) = asked.expect("a question").expect("readable");
        packet[2] |= 0x80;
        if answers {
            worker.send_to(&packet[..len], client).await.expect("sent");
        }
        client
    }

    #[tokio::test]
    async fn reports_a_silent_worker_and_its_return() {
        let worker = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = worker.local_addr().expect("bound");
        let (sender, mut told) = mpsc::unbounded_channel();
        let tell = move |_, answers| {
            let _ = sender.send(answers);
        };
        let watch = tokio::spawn(watch(address, QUICK, tell, |_| {}));
        // Each round has a port of its own while it is answered.
        let (first, second) = (serve(&worker, true).await, serve(&worker, true).await);
        assert_ne!(first, second);
        // Fewer misses than a silence, and answered at the last try of a round.
        let silent = serve(&worker, false).await;
        for answers in [false, false, true] {
            assert_eq!(serve(&worker, answers).await, silent, "it keeps its port");
        }
        assert!(told.is_empty());
        let silent = serve(&worker, false).await;
        for _ in 1..6 {
            assert_eq!(serve(&worker, false).await, silent);
        }
        assert_eq!(time::timeout(SOON, told.recv()).await, Ok(Some(false)));
        assert_eq!(serve(&worker, true).await, silent);
        assert_eq!(time::timeout(SOON, told.recv()).await, Ok(Some(true)));
        watch.abort();
    }
}
