//! `query_duration_seconds`: its buckets.

use std::time::Duration;

/// The upper bounds of the buckets of `query_duration_seconds`.
///
/// Answers come from memory and take microseconds: the lower half tells a quiet machine from one
/// whose queries wait in a batch or for a core. Above a millisecond something is wrong, and the
/// bounds are the ones that matter: 2 s is the deadline of dnsgate's own look-ups, 4 s is when
/// Cloud DNS gives a target up.
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

/// Nanoseconds of a second.
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

/// The buckets of one histogram: one below each bound, one above them all.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;
/// The bucket that an observation falls into; a bound belongs to the bucket below it.
pub(crate) fn bucket(latency: Duration) -> usize {
    // From the front, as that is where nearly all of them end.
    let within = BOUND_NANOS
        .iter()
        .position(|&bound| nanos(latency) <= bound);
    within.unwrap_or(BOUND_NANOS.len())
}

/// Nanoseconds, as far as 64 bits go: 584 years.
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
