//! A second opinion on addresses: which an answer may hold, by lists of networks as their documents write them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use dnsgate_core::policy::AnswerRanges;
use ipnet::IpNet;

use super::table::net;

/// Addresses that are not globally reachable, which no answer may hold that has no ranges.
static SPECIAL: LazyLock<Result<Vec<IpNet>, String>> = LazyLock::new(|| {
    let nets = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 \
        192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 \
        2001::/23 2001:db8::/32 2002::/16 3fff::/20";
    nets.split(' ').map(net).collect()
});

/// What is an exception from those.
static GLOBAL: LazyLock<Result<Vec<IpNet>, String>> = LazyLock::new(|| {
    let nets = "192.0.0.9/32 192.0.0.10/32 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 \
        2001:20::/28 2001:30::/28";
    nets.split(' ').map(net).collect()
});

fn is_global(address: IpAddr) -> bool {
    let within =
        |nets: &Result<Vec<IpNet>, String>| nets.iter().flatten().any(|net| net.contains(&address));
    let unicast = match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => v6.octets()[0] >> 5 == 1,
    };
    unicast && (!within(&SPECIAL) || within(&GLOBAL))
}

/// Whether the ranges hold an address, or of one that leads to another, that.
pub(super) fn passes(address: IpAddr, ranges: &AnswerRanges) -> bool {
    let inner = inner(address);
    match ranges {
        AnswerRanges::Within(nets) => {
            let same = inner
                .iter()
                .filter(|_| inner.len() == 1 && !is_isatap(address));
            [address]
                .iter()
                .chain(same)
                .any(|it| nets.iter().any(|net| net.contains(it)))
        }
        AnswerRanges::Public if inner.is_empty() => is_global(address),
        AnswerRanges::Public => {
            (!is_isatap(address) || is_global(address)) && inner.into_iter().all(is_global)
        }
    }
}

fn is_isatap(address: IpAddr) -> bool {
    let IpAddr::V6(v6) = address else {
        return false;
    };
    let octets = v6.octets();
    let teredo_or_6to4 = ["2001::/32", "2002::/16"]
        .iter()
        .any(|prefix| net(prefix).is_ok_and(|net| net.contains(&address)));
    [0, 1, 2, 3].contains(&octets[8]) && octets[9..12] == [0, 0x5e, 0xfe] && !teredo_or_6to4
}

/// The IPv4 addresses that an IPv6 one leads to, by the prefixes as their documents write them.
fn inner(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else {
        return Vec::new();
    };
    let octets = v6.octets();
    let v4 = |at: usize, flip: u8| {
        let [a, b, c, d] = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
        IpAddr::from([a ^ flip, b ^ flip, c ^ flip, d ^ flip])
    };
    let within = |prefix: &str| net(prefix).is_ok_and(|net| net.contains(&address));
    if v6 == Ipv6Addr::UNSPECIFIED || v6 == Ipv6Addr::LOCALHOST {
        Vec::new()
    } else if within("2001::/32") {
        vec![v4(4, 0), v4(12, 0xff)]
    } else if within("2002::/16") {
        vec![v4(2, 0)]
    } else if ["::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"]
        .into_iter()
        .any(within)
        || is_isatap(address)
    {
        vec![v4(12, 0)]
    } else {
        Vec::new()
    }
}
