//! Limits the queries of each client: a token bucket per client, in one fixed-size table that all
//! workers share.
//!
//! A bucket is a single number: the time at which the client will have its full credit again. This
//! is the generic cell rate algorithm, which is equivalent to a token bucket; a test verifies that.
//! So the table is an array of atomics, without locks, allocations or evictions.
//!
//! A client is the prefix of an address, and a hash selects its bucket. Two clients with the same
//! hash share a bucket. The hash differs in every process, so that nobody can search for an address
//! that starves another client. One table serves all workers because the kernel spreads the ports
//! of one client over them.
//!
//! This module does not exempt clients and does not handle queries over the limit
//! ([`limited`](super::limited) records them).

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// The number of buckets in a table, 8 bytes each: 512 KiB. With a thousand simultaneous clients,
/// one in 65 shares its bucket with another. No official reference.
pub const RATE_BUCKETS: usize = 65_536;

/// The time in which an empty bucket refills, in nanoseconds; it bounds the credit.
const SECOND: u64 = 1_000_000_000;
/// The bits of a bucket that count queries over the limit. The other bits are nanoseconds since the
/// creation of the table and last for 36 years.
const SLIP_BITS: u32 = 4;

/// The rate limit of a client, and the address prefixes that identify a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Queries per second, and the burst after a second of silence. At most 10⁹.
    pub per_second: NonZeroU32,
    /// One in this many queries over the limit is answered with TC: 1 for every query, 0 for none;
    /// at most 15.
    pub slip: u8,
    /// The prefix length that identifies an IPv4 client.
    pub ipv4_prefix: u8,
    /// The prefix length that identifies an IPv6 client.
    pub ipv6_prefix: u8,
}

/// Whether a query may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateVerdict {
    /// The client is within its rate.
    Within,
    /// The client is over its rate and gets a truncated response.
    Slip,
    /// The client is over its rate and gets no response.
    Over,
}

/// The buckets of all clients.
#[derive(Debug)]
pub struct RateLimiter {
    rate: RateLimit,
    /// The cost of one query, in nanoseconds.
    cost: u64,
    began: Instant,
    seed: RandomState,
    buckets: Box<[AtomicU64]>,
}

impl RateLimiter {
    /// A table in which every client has full credit. `now` is the earliest time that it will see.
    #[must_use]
    pub fn new(rate: RateLimit, now: Instant) -> Self {
        let full = || AtomicU64::new(0);
        Self {
            rate,
            cost: SECOND / u64::from(rate.per_second.get()),
            began: now,
            seed: RandomState::new(),
            buckets: std::iter::repeat_with(full).take(RATE_BUCKETS).collect(),
        }
    }

    /// Charges one query to a client. Workers may disagree on the time: an earlier time gives no
    /// credit.
    #[must_use]
    pub fn take(&self, client: IpAddr, now: Instant) -> RateVerdict {
        let Some(bucket) = self.buckets.get(self.position(client)) else {
            return RateVerdict::Within;
        };
        let now = now.saturating_duration_since(self.began);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut pass = RateVerdict::Within;
        // The loop repeats only if another worker has just updated the same bucket. No other memory
        // depends on this order.
        let _ = bucket.fetch_update(Relaxed, Relaxed, |cell| {
            let next;
            (pass, next) = self.judge(cell, now);
            (next != cell).then_some(next)
        });
        pass
    }

    /// The verdict for a query that finds this value in its bucket, and the new value.
    fn judge(&self, cell: u64, now: u64) -> (RateVerdict, u64) {
        let (full_at, over) = ((cell >> SLIP_BITS).max(now), cell & ((1 << SLIP_BITS) - 1));
        let most = self.cost * u64::from(self.rate.per_second.get() - 1);
        if full_at - now <= most {
            return (
                RateVerdict::Within,
                (full_at + self.cost) << SLIP_BITS | over,
            );
        }
        match u64::from(self.rate.slip) {
            0 => (RateVerdict::Over, cell),
            slip if over + 1 >= slip => (RateVerdict::Slip, full_at << SLIP_BITS),
            _ => (RateVerdict::Over, full_at << SLIP_BITS | (over + 1)),
        }
    }

    /// The index of a client's bucket.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is below the number of buckets"
    )]
    fn position(&self, client: IpAddr) -> usize {
        let key = match client.to_canonical() {
            IpAddr::V4(address) => {
                let bits = u32::from(self.rate.ipv4_prefix).min(32);
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                // As an IPv4-mapped IPv6 address, which no client has.
                0xffff << 32 | u128::from(address.to_bits() & mask)
            }
            IpAddr::V6(address) => {
                let bits = u32::from(self.rate.ipv6_prefix).min(128);
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                address.to_bits() & mask
            }
        };
        (self.seed.hash_one(key) % RATE_BUCKETS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use proptest::prelude::*;

    use super::*;

    fn start() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some time to begin at"
        )]
        Instant::now()
    }

    fn rates(per_second: u32, slip: u8) -> RateLimiter {
        let rate = RateLimit {
            per_second: NonZeroU32::new(per_second).expect("not zero"),
            slip,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
        };
        RateLimiter::new(rate, start())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    /// A bucket of tokens as one would draw it, in billionths of a token.
    struct Tokens {
        left: u128,
        seen: u128,
    }

    impl Tokens {
        fn take(&mut self, cost: u128, most: u128, now: u128) -> bool {
            self.left = most.min(self.left + now.saturating_sub(self.seen));
            self.seen = now;
            let enough = self.left >= cost;
            self.left -= if enough { cost } else { 0 };
            enough
        }
    }

    proptest! {
        /// What passes is what a bucket of tokens lets pass, and each query over it is told or not
        /// as the slip says.
        #[test]
        fn it_is_a_token_bucket(
            per_second in prop_oneof![1..20_u32, 1..1_000_000_u32],
            slip in 0..=10_u8,
            steps in prop::collection::vec((0..40_u32, 0..4_u64), 1..400),
        ) {
            let rates = rates(per_second, slip);
            let (cost, many) = (u128::from(rates.cost), u128::from(per_second));
            let mut tokens = Tokens { left: cost * many, seen: 0 };
            let (mut now, mut over) = (0, 0);
            for (queries, pause) in steps {
                now += pause * rates.cost * 7 / 4;
                let at = rates.began + Duration::from_nanos(now);
                for _ in 0..queries {
                    let want = if tokens.take(cost, cost * many, u128::from(now)) {
                        RateVerdict::Within
                    } else {
                        over += 1;
                        let slips = slip > 0 && over % u32::from(slip) == 0;
                        if slips { RateVerdict::Slip } else { RateVerdict::Over }
                    };
                    prop_assert_eq!(rates.take(ip("10.0.0.1"), at), want);
                }
            }
        }

        /// In no second does more pass than twice the rate: what was saved, and what came since.
        #[test]
        fn no_second_sees_more_than_twice_the_rate(
            per_second in 1..50_u32,
            pauses in prop::collection::vec(0..200_u64, 1..500),
        ) {
            let rates = rates(per_second, 2);
            let (mut now, mut passed) = (0, Vec::new());
            for pause in pauses {
                now += pause * 1_000_000;
                if rates.take(ip("::1"), rates.began + Duration::from_nanos(now)) == RateVerdict::Within {
                    passed.push(now);
                }
            }
            for &from in &passed {
                let within = |&&at: &&u64| (from..from + SECOND).contains(&at);
                let count = passed.iter().filter(within).count();
                prop_assert!(count <= 2 * per_second as usize, "{count}");
            }
        }
    }

    #[test]
    fn a_client_is_a_prefix() {
        for (prefixes, one, other, same) in [
            ((32, 64), "10.0.0.1", "10.0.0.2", false),
            ((32, 64), "10.0.0.1", "::ffff:10.0.0.1", true),
            ((24, 64), "10.0.0.1", "10.0.0.255", true),
            ((24, 64), "10.0.0.1", "10.0.1.1", false),
            ((0, 64), "10.0.0.1", "192.0.2.1", true),
            ((0, 0), "10.0.0.1", "fd00::1", false),
            ((32, 64), "fd00::1", "fd00::ffff:0:0:1", true),
            ((32, 64), "fd00::1", "fd00:0:0:1::1", false),
            ((32, 96), "fd00::1", "fd00::ffff:0:1", false),
            ((32, 128), "fd00::1", "fd00::2", false),
            ((32, 0), "fd00::1", "2001:db8::1", true),
        ] {
            let mut rates = rates(1, 0);
            (rates.rate.ipv4_prefix, rates.rate.ipv6_prefix) = prefixes;
            let mut shared = || {
                // Those that merely fall into one bucket do so in one seed of many.
                rates.seed = RandomState::new();
                rates.position(ip(one)) == rates.position(ip(other))
            };
            assert_eq!((0..4).all(|_| shared()), same, "{one} {other} {prefixes:?}");
        }
    }

    #[test]
    fn workers_share_one_limit() {
        let rates = rates(1000, 2);
        let now = rates.began;
        let take = || (0..1000).map(|_| rates.take(ip("10.0.0.1"), now));
        let passed: Vec<Vec<RateVerdict>> = thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| take().collect())).collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined.map(|passed| passed.expect("no panic")).collect()
        });
        let count = |wanted| passed.iter().flatten().filter(|&&it| it == wanted).count();
        assert_eq!(count(RateVerdict::Within), 1000);
        assert_eq!(
            (count(RateVerdict::Slip), count(RateVerdict::Over)),
            (1500, 1500)
        );
    }

    #[test]
    fn clients_spread_over_the_table() {
        let rates = rates(1, 0);
        let clients = (0..10_000).map(|at: u32| IpAddr::V4((0x0a00_0000 + at).into()));
        let buckets: std::collections::BTreeSet<_> =
            clients.map(|client| rates.position(client)).collect();
        // 9284 are expected of a random one, with a standard deviation of 24.
        assert!(buckets.len() > 9_000, "{}", buckets.len());
    }

    #[test]
    fn a_time_before_the_first_or_after_the_last_harms_nobody() {
        let rates = rates(2, 0);
        let before = rates.began.checked_sub(Duration::from_secs(1));
        let now = before.unwrap_or(rates.began);
        let passes = [(); 3].map(|()| rates.take(ip("10.0.0.1"), now));
        assert_eq!(
            passes,
            [RateVerdict::Within, RateVerdict::Within, RateVerdict::Over]
        );
        let years = |n: u64| Duration::from_secs(n * 365 * 86_400);
        if let Some(late) = rates.began.checked_add(years(36)) {
            assert_eq!(rates.take(ip("10.0.0.1"), late), RateVerdict::Within);
        }
    }
}
