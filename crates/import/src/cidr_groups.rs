//! Client addresses of a source as client groups.

use dnsgate_config::strict;
use ipnet::IpNet;

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
    crate::draft::label(&format!("net-{}", range.to_string().replace(':', "_")))
}
