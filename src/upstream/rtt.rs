//! The response times of one server: a smoothed time with its variance (RFC 6298), which sets the
//! retry timeout, and the recent 95th percentile, which sets the time of a hedge.

use std::time::Duration;

/// Timeout of the first query to a server: there is no measurement yet, and a resolver that must
/// look up the name takes a few hundred milliseconds.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
/// Minimum timeout. A lower one would repeat queries whenever the resolver's cache does not have
/// the name.
const LEAST_PATIENCE: Duration = Duration::from_millis(200);
/// Maximum timeout: half of the default deadline, so that there is time for a retry.
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// The lower edge of the second histogram bucket.
const FINEST: Duration = Duration::from_micros(125);
/// Number of buckets, each √2 times as wide as the previous one: from 125 µs to about 5 s.
const BUCKETS: usize = 32;
/// At this number of samples all counts are halved, so that the last few hundred dominate.
const RECENT: u32 = 512;
/// Minimum number of samples for the 95th percentile.
const ENOUGH: u32 = 40;

/// The response times of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variance: Duration,
    /// The number of consecutive timeouts. Each doubles the timeout, as in RFC 6298 section 5.5.
    backoff: u32,
    counts: [u16; BUCKETS],
    total: u32,
}

impl Rtt {
    /// Records an answer after `time`.
    pub(super) fn sample(&mut self, time: Duration) {
        self.count(time);
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(time);
            self.variance = time / 2;
            return;
        };
        self.variance = (self.variance * 3 + smoothed.abs_diff(time)) / 4;
        self.smoothed = Some((smoothed * 7 + time) / 8);
    }

    /// Records a reply whose time is not representative.
    pub(super) fn lives(&mut self) {
        self.backoff = 0;
    }

    /// Records a timeout.
    pub(super) fn timed_out(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// The smoothed time; `None` before the first sample.
    pub(super) const fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The timeout before another server, or the same one, is asked.
    pub(super) fn patience(&self) -> Duration {
        let patience = match self.smoothed {
            Some(smoothed) => smoothed + self.variance * 4,
            None => FIRST_PATIENCE,
        };
        let doubled = 1u32.checked_shl(self.backoff).unwrap_or(u32::MAX);
        patience
            .max(LEAST_PATIENCE)
            .saturating_mul(doubled)
            .min(MOST_PATIENCE)
    }

    /// The 95th percentile of recent answers; `None` with too few samples.
    pub(super) fn slow(&self) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let enough = self.total * 95 / 100;
        let mut below = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            below += u32::from(count);
            if below >= enough {
                return Some(upper_edge(bucket));
            }
        }
        None
    }

    fn count(&mut self, time: Duration) {
        let bucket = (0..BUCKETS)
            .find(|&bucket| time <= upper_edge(bucket))
            .unwrap_or(BUCKETS - 1);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.total += 1;
        }
        if self.total >= RECENT {
            for count in &mut self.counts {
                *count /= 2;
            }
            self.total = self.counts.iter().copied().map(u32::from).sum();
        }
    }
}

fn upper_edge(bucket: usize) -> Duration {
    let octaves = FINEST * (1 << (bucket / 2));
    if bucket.is_multiple_of(2) {
        octaves
    } else {
        octaves * 181 / 128 // √2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn patience_follows_the_servers_times_within_bounds() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.patience(), FIRST_PATIENCE);
        for _ in 0..50 {
            rtt.sample(ms(2));
        }
        assert_eq!(rtt.patience(), LEAST_PATIENCE);
        assert_eq!(rtt.smoothed(), Some(ms(2)));
        for time in [ms(100), ms(400)].iter().cycle().take(50) {
            rtt.sample(*time);
        }
        assert!(rtt.patience() > ms(400), "{:?}", rtt.patience());
        for _ in 0..50 {
            rtt.sample(ms(5000));
        }
        assert_eq!(rtt.patience(), MOST_PATIENCE);
    }

    #[test]
    fn patience_doubles_with_each_time_out_until_there_is_an_answer() {
        let mut rtt = Rtt::default();
        rtt.sample(ms(1));
        for want in [400, 800, 1000, 1000] {
            rtt.timed_out();
            assert_eq!(rtt.patience(), ms(want));
        }
        for _ in 0..100 {
            rtt.timed_out();
        }
        assert_eq!(rtt.patience(), MOST_PATIENCE);
        rtt.lives();
        assert_eq!(rtt.patience(), LEAST_PATIENCE);
    }

    #[test]
    fn the_slow_time_is_the_recent_95th_percentile() {
        let mut rtt = Rtt::default();
        for at in 1..ENOUGH {
            rtt.sample(ms(u64::from(at)));
        }
        assert_eq!(rtt.slow(), None, "too few to tell");
        let mut rtt = Rtt::default();
        for at in 0..1000u64 {
            rtt.sample(if at % 10 == 0 { ms(80) } else { ms(2) });
        }
        let slow = rtt.slow().expect("enough samples");
        assert!(slow >= ms(80) && slow < ms(80) * 3 / 2, "{slow:?}");
        for _ in 0..1000 {
            rtt.sample(ms(2));
        }
        let slow = rtt.slow().expect("enough samples");
        assert!(slow >= ms(2) && slow < ms(3), "it forgets: {slow:?}");
    }

    #[test]
    fn buckets_cover_every_deadline() {
        let edges: Vec<_> = (0..BUCKETS).map(upper_edge).collect();
        assert!(edges.is_sorted());
        assert!(edges.last() > Some(&ms(4000)));
        let mut rtt = Rtt::default();
        for _ in 0..100 {
            rtt.sample(Duration::from_secs(3600));
        }
        assert_eq!(rtt.slow(), edges.last().copied());
    }
}
