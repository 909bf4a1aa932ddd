//! IPv4 addresses embedded in IPv6 addresses. A translator, a tunnel or the host itself forwards
//! packets for the IPv6 address to the embedded address, so an answer gives access to it.
//!
//! | form | addresses | embedded |
//! |---|---|---|
//! | v4-mapped | `::ffff:0:0/96` (RFC 4291 section 2.5.5.2) | the last four bytes |
//! | v4-compatible | `::/96`, except `::` and `::1` (RFC 4291 section 2.5.5.1) | the last four bytes |
//! | v4-translated | `::ffff:0:0:0/96` (RFC 2765 section 2.1) | the last four bytes |
//! | NAT64 | `64:ff9b::/96` (RFC 6052 section 2.1) | the last four bytes |
//! | 6to4 | `2002::/16` (RFC 3056) | bytes 3 to 6 |
//! | Teredo | `2001::/32` (RFC 4380 section 4) | the server, and the client with its bits inverted |
//! | ISATAP | any prefix, then `0:5efe` or `200:5efe` (RFC 5214 section 6.1) | the last four bytes |
//!
//! RFC 6052 lets a network use its own prefix of 32, 40, 48, 56, 64 or 96 bits. Nothing identifies
//! such a prefix, so an address in it looks like any other, and its embedded address is not
//! checked. In the block for local prefixes, `64:ff9b:1::/48` (RFC 8215), no address is public,
//! regardless of the prefix length. An operator with such a translator lists the relevant part of
//! the prefix.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The IPv4 addresses that an IPv6 address embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    /// None.
    Nothing,
    /// The IPv6 address is another form of this address.
    Same(Ipv4Addr),
    /// Packets pass through a tunnel between these addresses.
    Tunnel(Ipv4Addr, Ipv4Addr),
    /// The IPv6 address is in an IPv6 network, and this is the address of its host.
    Host(Ipv4Addr),
}

impl Embedded {
    /// Finds the addresses that `address` embeds.
    pub(super) fn in_address(address: Ipv6Addr) -> Self {
        let segments = address.segments();
        let [a, b, c, d, e, f, high, low] = segments;
        let last = v4(high, low);
        match [a, b, c, d, e, f] {
            [0, 0, 0, 0, 0, 0] if high == 0 && low <= 1 => Self::Nothing,
            [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
                Self::Same(last)
            }
            [0x2002, high, low, ..] => Self::Same(v4(high, low)),
            [0x2001, 0, high, low, ..] => {
                let client = Ipv4Addr::from(!u32::from(last));
                Self::Tunnel(v4(high, low), client)
            }
            // The "universal" and "group" bits may have any value.
            [.., isatap, 0x5efe] if isatap & !0x0300 == 0 => Self::Host(last),
            _ => Self::Nothing,
        }
    }

    /// Every embedded address.
    pub(super) fn all(self) -> impl Iterator<Item = Ipv4Addr> {
        let (one, other) = match self {
            Self::Nothing => (None, None),
            Self::Same(v4) | Self::Host(v4) => (Some(v4), None),
            Self::Tunnel(server, client) => (Some(server), Some(client)),
        };
        one.into_iter().chain(other)
    }

    /// The equivalent IPv4 address, if the IPv6 address is another form of one.
    pub(super) const fn same(self) -> Option<Ipv4Addr> {
        match self {
            Self::Same(v4) => Some(v4),
            Self::Nothing | Self::Tunnel(..) | Self::Host(_) => None,
        }
    }

    /// Whether the IPv6 address leads only to the embedded addresses.
    pub(super) const fn is_a_form(self) -> bool {
        matches!(self, Self::Same(_) | Self::Tunnel(..))
    }
}

const fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        for (address, want) in [
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::10.0.0.1", "10.0.0.1"),
            ("::ffff:0:10.0.0.1", "10.0.0.1"),
            ("64:ff9b::10.0.0.1", "10.0.0.1"),
            ("2002:a00:1:2:3:4:808:808", "10.0.0.1"),
            ("2001:0:808:808:0:ffff:f5ff:fffe", "8.8.8.8 10.0.0.1"),
            ("2a00:1:2:3:0:5efe:10.0.0.1", "10.0.0.1"),
            ("2a00:1:2:3:200:5efe:10.0.0.1", "10.0.0.1"),
            ("2a00:1:2:3:300:5efe:10.0.0.1", "10.0.0.1"),
            ("fe80::5efe:10.0.0.1", "10.0.0.1"),
            ("::", ""),
            ("::1", ""),
            ("::2", "0.0.0.2"),
            ("2a00:1:2:3:400:5efe:10.0.0.1", ""),
            ("2a00::10.0.0.1", ""),
            ("64:ff9b:1::10.0.0.1", ""),
            ("64:ff9b::1:10.0.0.1", ""),
            ("2001:1::10.0.0.1", ""),
        ] {
            let embedded = Embedded::in_address(address.parse().expect(address));
            let all: Vec<_> = embedded.all().map(|v4| v4.to_string()).collect();
            assert_eq!(all.join(" "), want, "{address}");
        }
    }
}
