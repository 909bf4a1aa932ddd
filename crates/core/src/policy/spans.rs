//! A set of addresses of one family, stored as sorted, merged spans. A lookup is one binary search
//! for any input list.

use std::net::IpAddr;

/// Addresses as numbers. One set must not mix IPv4 and IPv6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<Span>);

/// The first and the last number.
type Span = (u128, u128);

/// The address as a number.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

impl Spans {
    /// The empty set.
    pub(super) const EMPTY: Self = Self(Vec::new());

    /// The union of blocks of one family. Each is an address in the block and a prefix length.
    pub(super) fn of_blocks(blocks: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        let spans = blocks.into_iter().map(|(address, prefix)| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let host = bits - u32::from(prefix).min(bits);
            // A shift by the full width gives `None`: the block contains every address.
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            let first = number(address) & mask;
            let last = first | !mask & (u128::MAX >> (128 - bits));
            (first, last)
        });
        Self::of(spans.collect())
    }

    /// Sorts spans and merges overlapping and adjacent ones.
    fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        merged.shrink_to_fit();
        Self(merged)
    }

    /// The union of both sets.
    pub(super) fn and(self, other: Self) -> Self {
        let mut spans = self.0;
        spans.extend(other.0);
        Self::of(spans)
    }

    /// This set without the addresses of the other.
    pub(super) fn less(self, other: &Self) -> Self {
        let mut left = self.0;
        for &(first, last) in &other.0 {
            left = left
                .into_iter()
                .flat_map(|(start, end)| {
                    let before = (start < first).then(|| (start, end.min(first.wrapping_sub(1))));
                    let after = (end > last).then(|| (start.max(last.wrapping_add(1)), end));
                    [before, after]
                })
                .flatten()
                .collect();
        }
        Self::of(left)
    }

    /// Whether the set contains the address with this number.
    pub(super) fn contains(&self, number: u128) -> bool {
        let behind = self.0.partition_point(|&(first, _)| {
            #[cfg(test)]
            COMPARED.with(|count| count.set(count.get() + 1));
            first <= number
        });
        let span = behind.checked_sub(1).and_then(|at| self.0.get(at));
        span.is_some_and(|&(_, last)| number <= last)
    }

    /// The spans, merged and in ascending order.
    pub(super) fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// The number of spans.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
thread_local! {
    /// The number of spans that this thread has compared with an address.
    pub(crate) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn spans(nets: &[IpNet]) -> Spans {
        Spans::of_blocks(nets.iter().map(|net| (net.addr(), net.prefix_len())))
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[test]
    fn what_meets_is_one_span() {
        for (texts, count) in [
            (&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"][..], 1),
            (&["10.0.0.0/8", "12.0.0.0/8"], 2),
            (&["0.0.0.0/0", "255.255.255.255/32"], 1),
            (&["::/0", "ffff::/16"], 1),
            (&["2001:db8::/33", "2001:db8:8000::/33"], 1),
            (&[], 0),
        ] {
            assert_eq!(spans(&nets(texts)).len(), count, "{texts:?}");
        }
    }

    /// Blocks in which numbers below 256 meet often.
    fn blocks() -> impl Strategy<Value = Vec<IpNet>> {
        let block = (any::<u8>(), 24u8..=32).prop_map(|(low, prefix)| {
            let net = ipnet::Ipv4Net::new([0, 0, 0, low].into(), prefix).expect("a length");
            IpNet::from(net.trunc())
        });
        prop::collection::vec(block, 0..12)
    }

    proptest! {
        #[test]
        fn sets_are_what_a_scan_says(one in blocks(), other in blocks()) {
            let scan = |nets: &[IpNet], low: u8| {
                nets.iter().any(|net| net.contains(&IpAddr::from([0, 0, 0, low])))
            };
            let both = spans(&one).and(spans(&other));
            let rest = spans(&one).less(&spans(&other));
            for low in 0..=u8::MAX {
                let (in_one, in_other) = (scan(&one, low), scan(&other, low));
                prop_assert_eq!(spans(&one).contains(low.into()), in_one);
                prop_assert_eq!(both.contains(low.into()), in_one || in_other);
                prop_assert_eq!(rest.contains(low.into()), in_one && !in_other);
            }
        }
    }
}
