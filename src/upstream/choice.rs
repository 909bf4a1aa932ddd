//! Orders the servers by their statistics.
//!
//! All strategies put servers that are up before suspects, and omit servers that are down unless
//! all are down. Looping servers are always omitted.
//!
//! `fastest` must detect when a slow server has become fast. The score of each server that was not
//! asked therefore shrinks a little with each query to another server ([`fade`]), until it is the
//! best and is asked; its answer corrects the score. A server that is twice as slow gets one query
//! in 70, one that is a hundred times as slow gets one in 460.

use std::{cmp::Reverse, time::Duration};

use super::health::ServerStatus;
use dnsgate_config::Strategy;

/// The share of its score that a server keeps when another server is asked.
const FADE: f64 = 0.99;

/// The state of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerCandidate {
    pub(super) status: ServerStatus,
    /// Whether its queries come back to us. Such a server is never asked.
    pub(super) looping: bool,
    /// Its smoothed response time, faded since its last answer; zero if it was never asked.
    pub(super) score: Duration,
}

/// The score of a server after another server was asked.
pub(super) fn fade(score: Duration) -> Duration {
    score.mul_f64(FADE)
}

/// The servers to ask, by position, in order. `rotation` counts the queries.
pub(super) fn order(
    strategy: Strategy,
    candidates: &[ServerCandidate],
    rotation: usize,
) -> Vec<usize> {
    let mut asked = candidates.iter().filter(|candidate| !candidate.looping);
    let all_down = asked.all(|candidate| candidate.status == ServerStatus::Down);
    let mut order: Vec<_> = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| !candidate.looping)
        .filter(|(_, candidate)| all_down || candidate.status != ServerStatus::Down)
        .collect();
    if strategy == Strategy::Spread {
        // Rotate only the servers that are up: the neighbour of a server that is down then gets no
        // more than its share.
        let up = order
            .iter()
            .filter(|(_, candidate)| candidate.status == ServerStatus::Up)
            .count();
        order.sort_by_key(|(_, candidate)| Reverse(candidate.status == ServerStatus::Up));
        let round = if up == 0 { order.len() } else { up };
        if let Some(turning) = order.get_mut(..round).filter(|turning| !turning.is_empty()) {
            turning.rotate_left(rotation % round);
        }
    }
    // The sort is stable: equal servers keep the order of the configuration or of the rotation.
    order.sort_by_key(|(_, candidate)| {
        let score = match strategy {
            Strategy::Fastest => candidate.score,
            Strategy::Ordered | Strategy::Spread => Duration::ZERO,
        };
        (candidate.status, score)
    });
    order.into_iter().map(|(server, _)| server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServerStatus::{Down, Suspect, Up};

    fn known(of: &[(ServerStatus, u64)]) -> Vec<ServerCandidate> {
        of.iter()
            .map(|&(status, ms)| ServerCandidate {
                status,
                looping: false,
                score: Duration::from_millis(ms),
            })
            .collect()
    }

    #[test]
    fn orders_servers_by_strategy_and_status() {
        use Strategy::{Fastest, Ordered, Spread};
        for (strategy, servers, rotation, want) in [
            (Fastest, &[(Up, 9), (Up, 3), (Up, 5)][..], 0, &[1, 2, 0][..]),
            (Fastest, &[(Up, 9), (Suspect, 3), (Up, 5)], 0, &[2, 0, 1]),
            (Fastest, &[(Up, 9), (Down, 3), (Suspect, 5)], 0, &[0, 2]),
            (Fastest, &[(Up, 9), (Up, 0)], 0, &[1, 0]),
            (Fastest, &[(Down, 9), (Down, 3)], 0, &[1, 0]),
            (Ordered, &[(Up, 9), (Up, 3), (Up, 5)], 7, &[0, 1, 2]),
            (Ordered, &[(Suspect, 9), (Up, 3), (Up, 5)], 7, &[1, 2, 0]),
            (Ordered, &[(Down, 9), (Suspect, 3)], 7, &[1]),
            (Ordered, &[(Down, 9), (Down, 3)], 7, &[0, 1]),
            (Spread, &[(Up, 9), (Up, 3), (Up, 5)], 0, &[0, 1, 2]),
            (Spread, &[(Up, 9), (Up, 3), (Up, 5)], 1, &[1, 2, 0]),
            (Spread, &[(Up, 9), (Up, 3), (Up, 5)], 5, &[2, 0, 1]),
            (Spread, &[(Up, 9), (Suspect, 3), (Up, 5)], 1, &[2, 0, 1]),
            (Spread, &[(Up, 9), (Down, 3), (Up, 5)], 2, &[0, 2]),
            (Spread, &[(Down, 9), (Down, 3)], 1, &[1, 0]),
            (Spread, &[(Suspect, 9), (Suspect, 3)], 1, &[1, 0]),
            (Fastest, &[(Up, 1)], 3, &[0]),
            (Spread, &[], 3, &[]),
        ] {
            assert_eq!(
                order(strategy, &known(servers), rotation),
                want,
                "{strategy:?} {servers:?} {rotation}"
            );
        }
    }

    #[test]
    fn never_uses_a_looping_server() {
        let mut servers = known(&[(Up, 1), (Down, 2), (Down, 3)]);
        servers[0].looping = true;
        for strategy in [Strategy::Fastest, Strategy::Ordered, Strategy::Spread] {
            let mut order = order(strategy, &servers, 0);
            order.sort_unstable();
            assert_eq!(order, [1, 2], "{strategy:?}");
        }
    }

    /// How many of 10 000 questions each server gets.
    fn shares(times: &[u64]) -> Vec<usize> {
        let mut candidates = known(&vec![(Up, 0); times.len()]);
        let mut shares = vec![0; times.len()];
        for rotation in 0..10_000 {
            let first = order(Strategy::Fastest, &candidates, rotation)[0];
            shares[first] += 1;
            for (server, candidate) in candidates.iter_mut().enumerate() {
                candidate.score = if server == first {
                    Duration::from_millis(times[server])
                } else {
                    fade(candidate.score)
                };
            }
        }
        shares
    }

    #[test]
    fn the_fastest_server_gets_nearly_all_queries_and_the_others_a_few() {
        let shares = shares(&[40, 10, 1000]);
        assert!(shares[1] > 9800, "{shares:?}");
        assert!((20..100).contains(&shares[2]), "{shares:?}");
        assert!(shares[0] > shares[2], "the slower the rarer: {shares:?}");
    }
}
