//! The networks of the addresses in the answers of rules with `addresses`: /24 and /48, at most
//! [`MAX_NETWORKS`] of each rule.
//!
//! Only answers of upstreams count. Each answer that was fetched for a client is looked at, and of
//! the cached ones one in a second: so answers that dnsgate renews by itself are seen, too.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;

use crate::metrics::labels::NameId;
use dnsgate_core::dns::query::HEADER;
use dnsgate_whatif::usage::{MAX_NETWORKS, RuleUsage};

/// The networks by rule.
#[derive(Debug, Default)]
pub(crate) struct Networks(Mutex<HashMap<NameId, NetworksOfRule>>);

#[derive(Debug, Default)]
struct NetworksOfRule {
    networks: BTreeSet<IpNet>,
    is_over: bool,
}

impl NetworksOfRule {
    fn add(&mut self, network: IpNet) {
        if self.networks.len() < MAX_NETWORKS {
            self.networks.insert(network);
        } else {
            self.is_over |= !self.networks.contains(&network);
        }
    }
}

impl Networks {
    /// Adds the addresses in a reply of dnsgate.
    pub(super) fn add(&self, rule: NameId, reply: &[u8]) {
        let mut all = self.lock();
        let of_rule = all.entry(rule).or_default();
        for address in addresses(reply) {
            let length = if address.is_ipv4() { 24 } else { 48 };
            if let Ok(network) = IpNet::new(address, length) {
                of_rule.add(network.trunc());
            }
        }
    }

    /// Takes over the networks of a rule from an earlier process.
    pub(super) fn restore(&self, rule: Option<NameId>, usage: &mut RuleUsage) {
        let Some(rule) = rule else { return };
        let networks = std::mem::take(&mut usage.networks);
        if networks.is_empty() && usage.networks_complete {
            return;
        }
        let mut all = self.lock();
        let of_rule = all.entry(rule).or_default();
        let networks = networks.iter().filter_map(|text| text.parse().ok());
        networks.for_each(|network| of_rule.add(network));
        of_rule.is_over |= !usage.networks_complete;
    }

    /// Writes the networks of a rule into its usage.
    pub(super) fn write(&self, rule: Option<NameId>, usage: &mut RuleUsage) {
        let all = self.lock();
        if let Some(of_rule) = rule.and_then(|rule| all.get(&rule)) {
            usage.networks = of_rule.networks.iter().map(IpNet::to_string).collect();
            usage.networks_complete = !of_rule.is_over;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NameId, NetworksOfRule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of the A and AAAA records in the answer section. The walk ends where the reply is
/// not well-formed; dnsgate wrote it.
fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let (count, mut rest) = match (reply.get(6..8), reply.get(HEADER..)) {
        (Some(&[high, low]), Some(rest)) => (u16::from_be_bytes([high, low]), rest),
        _ => return found,
    };
    let question = behind_name(rest).and_then(|rest| rest.get(4..));
    rest = question.unwrap_or_default();
    for _ in 0..count {
        let Some((fixed, behind)) = behind_name(rest).and_then(<[u8]>::split_first_chunk::<10>)
        else {
            break;
        };
        let &[t1, t0, _, _, _, _, _, _, l1, l0] = fixed;
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        let Some((rdata, next)) = behind.split_at_checked(length) else {
            break;
        };
        match u16::from_be_bytes([t1, t0]) {
            1 => found.extend(<[u8; 4]>::try_from(rdata).map(|v4| IpAddr::V4(Ipv4Addr::from(v4)))),
            28 => {
                found.extend(<[u8; 16]>::try_from(rdata).map(|v6| IpAddr::V6(Ipv6Addr::from(v6))))
            }
            _ => {}
        }
        rest = next;
    }
    found
}

/// What follows a name, which may end in a pointer (RFC 1035 section 4.1.4).
fn behind_name(mut wire: &[u8]) -> Option<&[u8]> {
    loop {
        let (&len, rest) = wire.split_first()?;
        match len {
            0 => return Some(rest),
            1..=63 => wire = rest.get(usize::from(len)..)?,
            192.. => return rest.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_an_answer_are_found() {
        let reply = b"\x12\x34\x81\x80\0\x01\0\x03\0\0\0\0\x01a\0\0\x01\0\x01\
            \xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x03\x01b\0\
            \x01b\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x01\x02\x03\
            \x01b\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x01\x02\x04";
        let found: Vec<_> = addresses(reply).iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["10.1.2.3", "10.1.2.4"]);
        for end in 0..reply.len() {
            assert!(addresses(&reply[..end]).len() < 2, "cut at {end}");
        }
        let networks = Networks::default();
        networks.add(4, reply);
        let all = networks.lock();
        let shown: Vec<_> = all[&4].networks.iter().map(IpNet::to_string).collect();
        assert_eq!(shown, ["10.1.2.0/24"]);
    }

    #[test]
    fn networks_beyond_the_bound_are_told() {
        let mut of_rule = NetworksOfRule::default();
        for at in 0..=u8::MAX {
            of_rule.add(IpNet::from(IpAddr::from([10, 0, 0, at])));
        }
        assert_eq!(of_rule.networks.len(), MAX_NETWORKS);
        assert!(of_rule.is_over);
    }
}
