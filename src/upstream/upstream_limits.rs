//! The limits of one upstream.

use std::time::Duration;

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamLimits {
    /// How long a question may take in all, whoever is asked how often, where whoever asks has as
    /// much time.
    pub(crate) deadline: Duration,
    /// How many may wait for the same question.
    pub(crate) coalesced: usize,
    /// How many questions may be in flight.
    pub(crate) questions: usize,
    /// How many connections there may be to one server.
    pub(crate) connections: usize,
    /// How many questions may be under way on one of them.
    pub(crate) pipeline: usize,
    /// How many questions are asked at a time while all servers are down.
    pub(crate) probing: usize,
    /// After how many datagrams that are no reply to it a question goes to TCP.
    pub(crate) near_misses: usize,
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
