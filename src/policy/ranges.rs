//! Which addresses the answers to a rule's questions may hold.
//!
//! A name that is let through must not become a way to what the name was never meant for: an
//! answer that points into private space makes a client inside talk to its own network (DNS
//! rebinding). So a rule either lists the ranges that its answers must be in, or gets everything
//! but the addresses that no name of the internet has.
//!
//! An IPv4 address inside an IPv6 one (v4-mapped, NAT64, 6to4) leads to the IPv4 one, and is judged
//! as that.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

/// The ranges of addresses that answers may hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnswerRanges {
    /// Every address that is neither private, loopback, link-local (and so the metadata server),
    /// shared, multicast, reserved nor none at all: the protection against rebinding.
    Public,
    /// Those within one of these, public or not.
    Within(Box<[IpNet]>),
}

impl AnswerRanges {
    /// Whether an answer may hold this address.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let inner = embedded(address);
        match self {
            Self::Public => is_public(address) && inner.is_none_or(|v4| is_public(v4.into())),
            Self::Within(ranges) => {
                let listed = |address: &IpAddr| ranges.iter().any(|range| range.contains(address));
                // A range of IPv6 that was written down is meant, whatever is inside of it.
                listed(&address) || inner.is_some_and(|v4| listed(&v4.into()))
            }
        }
    }
}

impl fmt::Display for AnswerRanges {
    /// `public addresses`, or the list with spaces between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Within(ranges) = self else {
            return f.write_str("public addresses");
        };
        for (at, range) in ranges.iter().enumerate() {
            write!(f, "{}{range}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// The IPv4 address that an IPv6 one leads to: v4-mapped (RFC 4291 section 2.5.5.2) and
/// v4-compatible, NAT64 by the well-known prefix and by the one for local use (RFC 6052, RFC 8215,
/// as a /96), 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let last = || v4_of(high, low);
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] => Some(last()),
        [0, 0, 0, 0, 0, 0] => Some(last()),
        [0x64, 0xff9b, 0, 0, 0, 0] | [0x64, 0xff9b, 1, _, _, _] => Some(last()),
        [0x2002, high, low, ..] => Some(v4_of(high, low)),
        _ => None,
    }
}

const fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The IANA registry of special-purpose addresses, as far as something could listen there. Ranges
/// for documentation are as public as any: nothing listens there.
const fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && b & 0xc0 == 64; // 100.64.0.0/10, RFC 6598
    let protocol = a == 192 && b == 0 && c == 0; // 192.0.0.0/24, RFC 6890
    let benchmark = a == 198 && b & 0xfe == 18; // 198.18.0.0/15, RFC 2544: some use it as private
    let reserved = a == 0 || a >= 224; // "this network", multicast, class E, broadcast
    !(reserved
        || shared
        || protocol
        || benchmark
        || v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local())
}

const fn is_public_v6(v6: Ipv6Addr) -> bool {
    let first = v6.segments()[0];
    let unique_local = first & 0xfe00 == 0xfc00; // fc00::/7, RFC 4193
    let link_local = first & 0xffc0 == 0xfe80; // fe80::/10
    let site_local = first & 0xffc0 == 0xfec0; // fec0::/10, RFC 3879: deprecated, still private
    !(unique_local
        || link_local
        || site_local
        || v6.is_multicast()
        || v6.is_loopback()
        || v6.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(ranges: &AnswerRanges, addresses: &str) -> Vec<bool> {
        let addresses = addresses.split_whitespace();
        addresses
            .map(|text| ranges.allow(text.parse().expect(text)))
            .collect()
    }

    #[test]
    fn what_no_name_of_the_internet_has() {
        let public = "8.8.8.8 199.36.153.4 192.0.2.1 192.0.1.1 100.63.0.1 100.128.0.1 172.15.0.1 \
            172.32.0.1 198.17.0.1 198.20.0.1 223.255.255.255 2600:2d00:2:1000:: 2001:db8::1 \
            ::ffff:8.8.8.8 64:ff9b::8.8.8.8 64:ff9b:1::8.8.8.8 2002:808:808::1 64:ff9b:2::a00:1";
        let private = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9 \
            169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.168.0.1 198.18.0.1 198.19.0.1 \
            224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::5 fc00::1 fd20:ce::254 fe80::1 \
            fec0::1 ff02::1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::10.0.0.1 64:ff9b::10.0.0.1 \
            64:ff9b:1::192.168.0.1 64:ff9b:1:ffff:ffff:ffff:7f00:1 2002:a00:1::1 2002:7f00:1::";
        assert!(allowed(&AnswerRanges::Public, public).iter().all(|&it| it));
        for (text, allowed) in private
            .split_whitespace()
            .zip(allowed(&AnswerRanges::Public, private))
        {
            assert!(!allowed, "{text}");
        }
    }

    #[test]
    fn what_is_listed_is_all_that_is_allowed() {
        let list = ["140.82.112.0/20", "10.0.0.0/8", "2001:db8::/32"];
        let nets = list.iter().map(|net| net.parse().expect("a net"));
        let within = AnswerRanges::Within(nets.collect());
        assert_eq!(
            allowed(
                &within,
                "140.82.112.1 10.1.1.1 2001:db8::1 ::ffff:10.0.0.1 64:ff9b::140.82.127.255"
            ),
            [true; 5]
        );
        assert_eq!(
            allowed(
                &within,
                "140.82.128.0 11.0.0.1 2001:db9::1 ::ffff:11.0.0.1 64:ff9b::8.8.8.8 ::1"
            ),
            [false; 6]
        );
        assert_eq!(within.to_string(), list.join(" "));
        let nothing = AnswerRanges::Within(Box::default());
        assert_eq!(allowed(&nothing, "8.8.8.8 ::1"), [false; 2]);
    }
}
