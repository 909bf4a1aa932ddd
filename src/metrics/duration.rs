//! The buckets of `query_duration_seconds`.

use std::time::Duration;

/// The upper bounds of the buckets of `query_duration_seconds`.
///
/// Answers from memory take microseconds: the lower half distinguishes a quiet machine from one
/// whose queries wait in a batch or for a core. Above a millisecond the bounds mark important
/// limits: 2 s is the deadline of dnsgate's upstream queries, 4 s is when Cloud DNS gives up on a
/// target.
pub(crate) const BOUNDS: [Duration; 13] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Nanoseconds per second.
const NANOS: u64 = 1_000_000_000;

/// The same bounds in nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "seconds, in nanoseconds")]
const BOUND_NANOS: [u64; BOUNDS.len()] = {
    let mut bounds = [0; BOUNDS.len()];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = BOUNDS[at].as_nanos() as u64;
        at += 1;
    }
    bounds
};

/// The number of buckets of one histogram: one per bound, and one above all bounds.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;
/// The bucket of an observation; a value equal to a bound belongs to the bucket below it.
pub(crate) fn bucket(latency: Duration) -> usize {
    // Searches from the front, because most values are small.
    let within = BOUND_NANOS
        .iter()
        .position(|&bound| nanos(latency) <= bound);
    within.unwrap_or(BOUND_NANOS.len())
}

/// Converts to nanoseconds; saturates after 584 years.
pub(crate) fn nanos(latency: Duration) -> u64 {
    let seconds = latency.as_secs().saturating_mul(NANOS);
    seconds.saturating_add(u64::from(latency.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::from_micros(10)), 0);
        assert_eq!(bucket(Duration::from_nanos(10_001)), 1);
        assert_eq!(bucket(Duration::from_secs(4)), BOUNDS.len() - 1);
        assert_eq!(bucket(Duration::from_secs(5)), BOUNDS.len());
        assert!(BOUNDS.is_sorted());
    }
}
