//! The limits of one upstream.

use std::time::Duration;

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// How long a question may take in all, whoever is asked how often, where whoever asks has as
    /// much time.
    pub deadline: Duration,
    /// How many may wait for the same question.
    pub coalesced: usize,
    /// How many questions may be in flight.
    pub questions: usize,
    /// How many connections there may be to one server.
    pub connections: usize,
    /// How many questions may be under way on one of them.
    pub pipeline: usize,
    /// How many questions are asked at a time while all servers are down.
    pub probing: usize,
    /// After how many datagrams that are no reply to it a question goes to TCP.
    pub near_misses: usize,
}

impl Default for UpstreamLimits {
    /// 2 s, half of what Cloud DNS waits for its target; as many questions as clients may have in
    /// flight, and a tenth of them for one name; the rest as the configuration has it. Its limits say
    /// more of each.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            coalesced: 1000,
            questions: 10_000,
            connections: 4,
            pipeline: 512,
            probing: 10,
            near_misses: 3,
        }
    }
}
