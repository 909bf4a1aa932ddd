//! Names that many clients ask for over many hours: they belong to programs that run everywhere, and
//! cost nothing.
//!
//! A fixed table in sets of four. Each slot has a hash of a name, a bitmap of the networks that asked
//! and the number of hours in which somebody did. Networks, not addresses: one machine may have many
//! addresses, but rarely in several networks. A bit per network can only count too few.
//!
//! If the table has no room, a name is not learnt, and keeps its price.

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The networks that must have asked.
pub const LEARNT_NETWORKS: u32 = 8;
/// The hours in which somebody must have asked.
pub const LEARNT_HOURS: u16 = 24;
/// The hours after which a learnt name that nobody asks for gives its slot away: 30 days.
const FORGOTTEN_AFTER: u16 = 30 * 24;
/// The slots among which a name has its place.
const SET: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct LearntSlot {
    /// 0: free.
    name: u64,
    networks: u32,
    hours: u16,
    /// The last hour in which somebody asked.
    last: u16,
}

impl LearntSlot {
    const fn is_learnt(self) -> bool {
        self.networks.count_ones() >= LEARNT_NETWORKS && self.hours >= LEARNT_HOURS
    }

    /// Whether another name may take the slot at `hour`.
    const fn is_replaceable(self, hour: u16) -> bool {
        !self.is_learnt() || hour.wrapping_sub(self.last) > FORGOTTEN_AFTER
    }
}

/// The names that are learnt, and those that may become so.
#[derive(Debug)]
pub(super) struct LearntNames {
    slots: Vec<LearntSlot>,
}

impl LearntNames {
    /// A table in that much memory.
    pub(super) fn new(memory: usize) -> Self {
        let sets = memory / (size_of::<LearntSlot>() * SET);
        Self {
            slots: vec![LearntSlot::default(); sets * SET],
        }
    }

    /// Notes that a client asked for a name in an hour. Returns whether the name was learnt before.
    pub(super) fn note(&mut self, name: u64, network: u64, hour: u16) -> bool {
        let name = name.max(1);
        let sets = self.slots.len() / SET;
        let Some(set) = usize::try_from(name).unwrap_or(0).checked_rem(sets) else {
            return false;
        };
        let at = set * SET;
        let slots = self.slots.get_mut(at..at + SET).unwrap_or_default();
        let bit = 1 << (network % u64::from(u32::BITS));
        if let Some(slot) = slots.iter_mut().find(|slot| slot.name == name) {
            let was_learnt = slot.is_learnt();
            slot.networks |= bit;
            slot.hours = slot.hours.saturating_add(u16::from(slot.last != hour));
            slot.last = hour;
            return was_learnt;
        }
        let oldest = slots
            .iter_mut()
            .filter(|slot| slot.is_replaceable(hour))
            .min_by_key(|slot| (slot.name != 0, Reverse(hour.wrapping_sub(slot.last))));
        if let Some(slot) = oldest {
            *slot = LearntSlot {
                name,
                networks: bit,
                hours: 1,
                last: hour,
            };
        }
        false
    }

    /// Whether a name is learnt.
    pub(super) fn is_learnt(&self, name: u64) -> bool {
        let name = name.max(1);
        let sets = self.slots.len() / SET;
        let Some(set) = usize::try_from(name).unwrap_or(0).checked_rem(sets) else {
            return false;
        };
        let at = set * SET;
        let slots = self.slots.get(at..at + SET).unwrap_or_default();
        slots
            .iter()
            .any(|slot| slot.name == name && slot.is_learnt())
    }
}

/// The network of a client, for learning: /24 of IPv4, /64 of IPv6. All of Cloud DNS is one network,
/// because it asks for the same machine from many addresses.
pub(super) fn network_of(client: IpAddr) -> IpAddr {
    const CLOUD_DNS: u32 = u32::from_be_bytes([35, 199, 192, 0]);
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let in_cloud_dns = bits & !0x1fff == CLOUD_DNS;
            let network = if in_cloud_dns {
                CLOUD_DNS
            } else {
                bits & !0xff
            };
            Ipv4Addr::from_bits(network).into()
        }
        address @ IpAddr::V6(_) => prefix_of(address, 32, 64),
    }
}

/// The first bits of an address, as many as given for its family.
pub(super) fn prefix_of(address: IpAddr, ipv4: u32, ipv6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - ipv4.min(32)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - ipv6.min(128)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}
