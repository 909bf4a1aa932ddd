//! Latencies, in buckets that are never wider than a sixty-fourth of their values.

/// Buckets per power of two, as a power of two.
const PRECISION: u32 = 6;

/// Counts of durations in nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u64,
}

impl Histogram {
    /// An empty histogram.
    pub(crate) fn new() -> Self {
        let buckets = (u64::BITS - PRECISION + 1) << PRECISION;
        Self {
            counts: vec![0; buckets as usize],
            total: 0,
            sum: 0,
        }
    }

    /// Counts one duration.
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
            self.total += 1;
            self.sum += nanoseconds;
        }
    }

    /// The mean; `None` if there are none.
    pub(crate) fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.total)
    }

    /// The duration that `part` of all do not exceed; `None` if there are none.
    pub(crate) fn quantile(&self, part: f64) -> Option<u64> {
        let rank = ((self.total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(upper_end(at))
    }
}

fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(PRECISION + 1);
    ((shift << PRECISION) as u64 + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let base = bucket - (shift << PRECISION);
    (base << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values_and_is_narrow() {
        for value in (0..4096).chain([12_345_678, u64::MAX >> 1, u64::MAX]) {
            let end = upper_end(bucket(value));
            assert!(end >= value && end - value <= value / 64, "{value} {end}");
            if value > 0 {
                assert!(upper_end(bucket(value - 1)) <= end);
            }
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for value in 1..=1000 {
            histogram.add(value * 1000);
        }
        for (part, want) in [(0.5, 500_000), (0.99, 990_000), (0.999, 999_000)] {
            let got = histogram.quantile(part).unwrap();
            assert!((want..want + want / 50).contains(&got), "{part} {got}");
        }
    }
}
