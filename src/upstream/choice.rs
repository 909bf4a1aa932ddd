//! Which servers to ask, and in which order: a function of what is known of them.
//!
//! What all strategies have in common: those that are up come before suspects, and those that are
//! down are not in the order at all, unless there is no other. Those that lead back to us never are.
//!
//! `fastest` has to find out when a server that was slow has become fast. So the score of each
//! server that was not asked shrinks a little with each question that another one got ([`fade`]),
//! until it is the best and is asked; its answer sets the score right again. One that is twice as
//! slow gets one question in 70, one that is a hundred times as slow one in 460.

use std::{cmp::Reverse, time::Duration};

use super::health::ServerStatus;
use dnsgate_config::Strategy;

/// The share of its score that a server keeps when another one is asked.
const FADE: f64 = 0.99;

/// What is known of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerCandidate {
    pub(super) status: ServerStatus,
    /// Whether what it is asked comes back to us: then it is not asked, whoever else is there.
    pub(super) looping: bool,
    /// The time that its answers take, faded since the last one; zero for one never asked.
    pub(super) score: Duration,
}

/// The score of a server after another one was asked.
pub(super) fn fade(score: Duration) -> Duration {
    score.mul_f64(FADE)
}

/// The servers to ask, by position, the first one first. `rotation` counts the questions.
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
        // Among those that are up, not among all: the neighbour of one that is down gets no more
        // than its share.
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
    // The sort is stable: what is equal stays as the file or the turn has it.
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
    fn the_order_by_strategy_and_standing() {
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
    fn who_leads_back_to_us_is_not_asked_even_if_nobody_else_is_up() {
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
    fn the_fastest_gets_nearly_all_and_the_others_a_few_to_know_them_by() {
        let shares = shares(&[40, 10, 1000]);
        assert!(shares[1] > 9800, "{shares:?}");
        assert!((20..100).contains(&shares[2]), "{shares:?}");
        assert!(shares[0] > shares[2], "the slower the rarer: {shares:?}");
    }
}
