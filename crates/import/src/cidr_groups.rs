//! Client addresses of a source as client groups.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dnsgate_config::strict;
use ipnet::IpNet;

use crate::draft::{self, Draft};

/// The clients of a configuration without groups, one group a range: a range of the source may contain some of them.
const DEFAULT_GROUPS: [(&str, &str); 7] = [
    ("cloud-dns", "35.199.192.0/19"),
    ("vpc-10", "10.0.0.0/8"),
    ("vpc-172", "172.16.0.0/12"),
    ("vpc-192", "192.168.0.0/16"),
    ("vpc-ipv6", "fc00::/7"),
    ("loopback", "127.0.0.0/8"),
    ("loopback-ipv6", "::1/128"),
];

/// A range as sources write it: an address alone is a range of one, and bits behind the prefix are cut off.
pub(crate) fn range(text: &str) -> Option<IpNet> {
    let net = match text.contains('/') {
        true => strict::net(text).or_else(|| text.parse().ok())?,
        false => IpNet::from(text.parse::<std::net::IpAddr>().ok()?),
    };
    let net = net.trunc();
    match net {
        // An IPv4 address that comes as IPv6 counts as IPv4.
        IpNet::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => None,
        _ => Some(net),
    }
}

/// The name of a group for a range.
pub(crate) fn name(range: &IpNet) -> String {
    draft::label(&format!("net-{}", range.to_string().replace(':', "_")))
}

/// All client groups with their ranges; empty if the configuration has only the default ones.
pub(crate) fn all_groups(draft: &Draft<'_>) -> BTreeMap<String, Vec<IpNet>> {
    let mut groups = draft.groups.clone();
    if groups.is_empty() || draft.only_these_clients {
        return groups;
    }
    let own: HashSet<IpNet> = groups.values().flatten().copied().collect();
    for (name, range) in DEFAULT_GROUPS {
        let range = range
            .parse::<IpNet>()
            .ok()
            .filter(|range| !own.contains(range));
        if let (Some(range), false) = (range, groups.contains_key(name)) {
            groups.insert(name.to_owned(), vec![range]);
        }
    }
    groups
}

/// The groups all of whose clients are in one of the ranges.
pub(crate) fn groups_within(draft: &Draft<'_>, ranges: &[IpNet]) -> BTreeSet<String> {
    let within = |own: &Vec<IpNet>| {
        own.iter()
            .all(|own| ranges.iter().any(|range| range.contains(own)))
    };
    let groups = all_groups(draft).into_iter();
    groups
        .filter(|(_, own)| within(own))
        .map(|(name, _)| name)
        .collect()
}
