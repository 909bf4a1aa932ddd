//! A second opinion on addresses: which an answer may hold, by lists of networks as their documents write them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use dnsgate::policy::AnswerRanges;
use ipnet::IpNet;

use super::table::net;

/// Where no answer may lead that has no ranges.
static PRIVATE: LazyLock<Result<Vec<IpNet>, String>> = LazyLock::new(|| {
    let nets = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 \
        192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 fc00::/7 fe80::/10 fec0::/10 ff00::/8";
    nets.split(' ').map(net).collect()
});

/// Whether the ranges hold an address, or of one that leads to another, either.
pub(super) fn passes(address: IpAddr, ranges: &AnswerRanges) -> bool {
    let inner = inner(address);
    match ranges {
        AnswerRanges::Within(nets) => [Some(address), inner]
            .iter()
            .flatten()
            .any(|it| nets.iter().any(|net| net.contains(it))),
        AnswerRanges::Public => [Some(address), inner]
            .iter()
            .flatten()
            .all(|it| PRIVATE.iter().flatten().all(|net| !net.contains(it))),
    }
}

/// The IPv4 address that an IPv6 one leads to, by the prefixes as their documents write them.
fn inner(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let octets = v6.octets();
    let prefixes = [
        ("::ffff:0:0/96", 12),
        ("::/96", 12),
        ("64:ff9b::/96", 12),
        ("64:ff9b:1::/48", 12),
        ("2002::/16", 2),
    ];
    let is_one = |v6: &Ipv6Addr| *v6 == Ipv6Addr::UNSPECIFIED || *v6 == Ipv6Addr::LOCALHOST;
    let (_, at) = prefixes
        .iter()
        .find(|(prefix, _)| !is_one(&v6) && net(prefix).is_ok_and(|net| net.contains(&address)))?;
    Some(IpAddr::from([
        octets[*at],
        octets[at + 1],
        octets[at + 2],
        octets[at + 3],
    ]))
}
