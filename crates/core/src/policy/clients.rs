//! Maps a source address to its client group: the group of the most specific CIDR that contains the
//! address.
//!
//! CIDRs are either nested or disjoint, so together they divide the address space into ranges of
//! one group each. These ranges are computed once; a lookup is one binary search at any nesting
//! depth. An IPv4 client seen through an IPv6 socket (`::ffff:10.0.0.1`) counts as an IPv4 client,
//! and a CIDR of such addresses counts as the embedded IPv4 CIDR. So `::/0` contains no IPv4
//! client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::GroupId;

/// The CIDRs of all groups as disjoint ranges.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// A CIDR that two groups claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contested {
    pub(super) cidr: IpNet,
    pub(super) first: GroupId,
    pub(super) second: GroupId,
}

impl ClientSet {
    /// Computes the ranges of the CIDRs.
    ///
    /// # Errors
    /// Every CIDR that two groups claim.
    pub(super) fn new(
        cidrs: impl IntoIterator<Item = (IpNet, GroupId)>,
    ) -> Result<Self, Vec<Contested>> {
        let mut cidrs: Vec<_> = cidrs
            .into_iter()
            .map(|(cidr, group)| (canonical(cidr), group))
            .collect();
        // If two CIDRs begin at the same address, the wider one comes first. So the loop reaches
        // each CIDR before the CIDRs inside it.
        cidrs.sort_unstable_by_key(|&(cidr, group)| (cidr.network(), cidr.prefix_len(), group));
        cidrs.dedup();
        let contested: Vec<_> = cidrs
            .windows(2)
            .filter_map(|pair| match pair {
                &[(cidr, first), (other, second)] if cidr == other => Some(Contested {
                    cidr,
                    first,
                    second,
                }),
                _ => None,
            })
            .collect();
        if !contested.is_empty() {
            return Err(contested);
        }
        let v4 = cidrs.iter().filter_map(|&(cidr, group)| match cidr {
            IpNet::V4(v4) => {
                let after = v4.broadcast().to_bits().checked_add(1);
                Some((v4.network().to_bits(), after, group))
            }
            IpNet::V6(_) => None,
        });
        let v6 = cidrs.iter().filter_map(|&(cidr, group)| match cidr {
            IpNet::V4(_) => None,
            IpNet::V6(v6) => {
                let after = v6.broadcast().to_bits().checked_add(1);
                Some((v6.network().to_bits(), after, group))
            }
        });
        Ok(Self {
            v4: Ranges::new(v4),
            v6: Ranges::new(v6),
        })
    }

    /// The group of a source address; `None` if no CIDR contains it.
    #[inline]
    pub(super) fn group_of(&self, source: IpAddr) -> Option<GroupId> {
        match source.to_canonical() {
            IpAddr::V4(v4) => self.v4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.find(v6.to_bits()),
        }
    }

    /// The first address of every range and of every gap.
    pub(super) fn starts(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = [0].into_iter().chain(self.v4.starts.iter().copied());
        let v6 = [0].into_iter().chain(self.v6.starts.iter().copied());
        let v4 = v4.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        v4.chain(v6.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))))
    }
}

/// The CIDR without host bits, in the address family of its clients.
fn canonical(cidr: IpNet) -> IpNet {
    let IpNet::V6(v6) = cidr.trunc() else {
        return cidr.trunc();
    };
    let v4 = v6
        .prefix_len()
        .checked_sub(MAPPED_PREFIX)
        .and_then(|prefix| {
            let address: Ipv4Addr = Ipv6Addr::to_ipv4_mapped(&v6.network())?;
            Ipv4Net::new(address, prefix).ok()
        });
    v4.map_or(IpNet::V6(v6), IpNet::V4)
}

/// The bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// Disjoint ranges in ascending order. Each ends where the next one starts.
#[derive(Clone, Debug)]
struct Ranges<T> {
    starts: Vec<T>,
    /// `None` for a gap between CIDRs.
    groups: Vec<Option<GroupId>>,
    /// The range of starts to search, by the first byte of the address. In most networks it
    /// contains few starts, and none if a CIDR covers the whole byte.
    by_byte: Box<[(u32, u32)]>,
}

/// An address as a number.
trait Address: Copy + Ord {
    /// The first byte of the address.
    fn first_byte(self) -> u8;
    /// The lowest address with this first byte.
    fn lowest(first_byte: u8) -> Self;
}

impl Address for u32 {
    fn first_byte(self) -> u8 {
        (self >> 24) as u8
    }

    fn lowest(first_byte: u8) -> Self {
        Self::from(first_byte) << 24
    }
}

impl Address for u128 {
    fn first_byte(self) -> u8 {
        (self >> 120) as u8
    }

    fn lowest(first_byte: u8) -> Self {
        Self::from(first_byte) << 120
    }
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self {
            starts: Vec::new(),
            groups: Vec::new(),
            by_byte: Box::default(),
        }
    }
}

impl<T: Address> Ranges<T> {
    /// Builds the ranges from CIDRs as (first address, the address after the last or `None` at the
    /// end of the address space, group). Each CIDR must precede the CIDRs inside it.
    fn new(cidrs: impl Iterator<Item = (T, Option<T>, GroupId)>) -> Self {
        let mut ranges = Self::default();
        // The CIDRs that contain the current address, the narrowest last.
        let mut open: Vec<(Option<T>, GroupId)> = Vec::new();
        for (first, after, group) in cidrs {
            ranges.close(&mut open, Some(first));
            ranges.push(first, Some(group));
            open.push((after, group));
        }
        ranges.close(&mut open, None);
        ranges.by_byte = (0..=u8::MAX).map(|byte| ranges.starts_of(byte)).collect();
        ranges
    }

    /// The starts after the lowest address with this first byte, up to the highest address with it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a configuration has fewer than 2^32 CIDRs"
    )]
    fn starts_of(&self, byte: u8) -> (u32, u32) {
        let low = T::lowest(byte);
        let from = self.starts.partition_point(|&start| start <= low);
        let to = self
            .starts
            .partition_point(|&start| start.first_byte() <= byte);
        (from as u32, to as u32) // a configuration has no 2^32 CIDRs
    }

    /// Closes the CIDRs that end at or before `at`; `None` closes all.
    fn close(&mut self, open: &mut Vec<(Option<T>, GroupId)>, at: Option<T>) {
        while let Some(&(after, _)) = open.last() {
            let Some(after) = after.filter(|&after| at.is_none_or(|at| after <= at)) else {
                return; // one that reaches the end of the space, or past `at`
            };
            open.pop();
            self.push(after, open.last().map(|&(_, outer)| outer));
        }
    }

    fn push(&mut self, start: T, group: Option<GroupId>) {
        if self.starts.last() == Some(&start) {
            // The previous range is empty, so the new one replaces it.
            self.starts.pop();
            self.groups.pop();
        }
        if self.groups.last().copied().unwrap_or(None) != group {
            self.starts.push(start);
            self.groups.push(group);
        }
    }

    #[inline]
    fn find(&self, address: T) -> Option<GroupId> {
        let &(from, to) = self.by_byte.get(usize::from(address.first_byte()))?;
        let mut after = from as usize;
        if from != to {
            let starts = self.starts.get(after..to as usize)?;
            after += starts.partition_point(|&start| start <= address);
        }
        *self.groups.get(after.checked_sub(1)?)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(cidrs: &[(&str, u8)]) -> Result<ClientSet, Vec<Contested>> {
        ClientSet::new(
            cidrs
                .iter()
                .map(|&(cidr, group)| (cidr.parse().expect(cidr), GroupId(group))),
        )
    }

    #[test]
    fn the_most_specific_cidr_decides() {
        let clients = set(&[
            ("10.0.0.0/8", 0),
            ("10.8.0.0/16", 1),
            ("10.8.255.255/32", 2),
            ("10.9.0.0/16", 1),
            ("10.10.0.0/16", 1), // next to another of its group: one range
            ("255.255.255.255/32", 3),
            ("0.0.0.0/32", 3),
            ("fc00::/7", 0),
            ("fd00::8/128", 1),
            ("::ffff:192.0.2.0/120", 4),
            ("ff00::/8", 5),
        ])
        .expect("disjoint");
        for (source, group) in [
            ("10.0.0.0", Some(0)),
            ("10.7.255.255", Some(0)),
            ("10.8.0.0", Some(1)),
            ("10.8.255.254", Some(1)),
            ("10.8.255.255", Some(2)),
            ("10.9.0.0", Some(1)),
            ("10.10.0.0", Some(1)),
            ("10.11.0.0", Some(0)),
            ("10.255.255.255", Some(0)),
            ("11.0.0.0", None),
            ("9.255.255.255", None),
            ("255.255.255.255", Some(3)),
            ("255.255.255.254", None),
            ("0.0.0.0", Some(3)),
            ("0.0.0.1", None),
            ("::ffff:10.8.0.1", Some(1)), // an IPv4 client by an IPv6 socket
            ("::10.8.0.1", None),         // but this was never one
            ("192.0.2.7", Some(4)),
            ("fc00::", Some(0)),
            ("fd00::8", Some(1)),
            ("fd00::9", Some(0)),
            ("fe00::", None),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(5)),
        ] {
            let source: IpAddr = source.parse().expect(source);
            assert_eq!(clients.group_of(source), group.map(GroupId), "{source}");
        }
        assert_eq!(clients.v4.starts.len(), 11, "{:?}", clients.v4);
    }

    #[test]
    fn the_whole_space_of_one_family_is_not_the_other() {
        let clients = set(&[("::/0", 6), ("0.0.0.0/1", 4)]).expect("disjoint");
        for (source, group) in [
            ("10.0.0.1", Some(4)),
            ("::ffff:10.0.0.1", Some(4)),
            ("192.0.2.1", None),
            ("::ffff:192.0.2.1", None),
            ("::1", Some(6)),
        ] {
            let source: IpAddr = source.parse().expect(source);
            assert_eq!(clients.group_of(source), group.map(GroupId), "{source}");
        }
        assert_eq!(ClientSet::default().group_of([127, 0, 0, 1].into()), None);
    }

    #[test]
    fn a_cidr_has_one_group() {
        let contested = set(&[
            ("10.0.0.0/8", 0),
            ("10.1.2.3/8", 1), // host bits do not make another CIDR
            ("::ffff:192.0.2.0/120", 2),
            ("192.0.2.0/24", 3),
            ("fc00::/7", 1),
            ("fc00::/7", 1), // twice in the same group is no harm
        ])
        .expect_err("contested");
        let contested: Vec<_> = contested
            .iter()
            .map(|c| (c.cidr.to_string(), c.first.0, c.second.0))
            .collect();
        assert_eq!(
            contested,
            [("10.0.0.0/8".into(), 0, 1), ("192.0.2.0/24".into(), 2, 3)]
        );
    }

    /// Addresses of few bits that differ, so that CIDRs nest and touch.
    fn address() -> impl Strategy<Value = IpAddr> {
        let corner = prop::sample::select(vec![0u8, 1, 127, 128, 255]);
        (
            any::<bool>(),
            [corner.clone(), corner.clone(), corner.clone(), corner],
        )
            .prop_map(|(v4, [a, b, c, d])| match v4 {
                true => IpAddr::from([a, b, c, d]),
                false => IpAddr::from([a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, c, d]),
            })
    }

    proptest! {
        #[test]
        fn equal_to_a_scan_for_the_longest_prefix(
            cidrs in prop::collection::vec((address(), 0u8..=128, 0u8..4), 0..24),
            asked in prop::collection::vec(address(), 1..40),
        ) {
            let mut seen = Vec::new();
            for (address, prefix, group) in cidrs {
                let prefix = if address.is_ipv4() { prefix.min(32) } else { prefix };
                let cidr = IpNet::new(address, prefix).unwrap().trunc();
                if seen.iter().all(|&(other, _)| other != cidr) {
                    seen.push((cidr, GroupId(group)));
                }
            }
            let clients = ClientSet::new(seen.iter().copied()).unwrap();
            for source in asked {
                let scan = seen
                    .iter()
                    .filter(|(cidr, _)| cidr.contains(&source))
                    .max_by_key(|(cidr, _)| cidr.prefix_len())
                    .map(|&(_, group)| group);
                prop_assert_eq!(clients.group_of(source), scan, "{}", source);
            }
        }
    }
}
