//! Global unicast addresses by IANA's special-purpose address registries: the addresses that a
//! public internet name may have.
//!
//! The rows are those of the registries, in their order, as of 2025-10-09. If several rows contain
//! an address, the most specific one applies. A row with "N/A" in the registry is not globally
//! reachable here. Two blocks come from other IANA registries: multicast (RFC 5771), and all IPv6
//! outside 2000::/3, the only block for global unicast addresses (RFC 4291 section 2.4).
//!
//! - <https://www.iana.org/assignments/iana-ipv4-special-registry>
//! - <https://www.iana.org/assignments/iana-ipv6-special-registry>
//!
//! `ranges` handles addresses that embed an IPv4 address. Blocks for such addresses only, such as
//! 6to4, are not global here; the embedded address decides.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::spans::Spans;

/// The last change of both registries before they were copied.
#[cfg(test)]
pub(super) const AS_OF: &str = "2025-10-09";

/// A row: the block, and whether it is globally reachable.
#[derive(Clone, Copy)]
pub(super) struct Row<A> {
    pub(super) first: A,
    pub(super) prefix: u8,
    pub(super) global: bool,
}

const fn v4(first: [u8; 4], prefix: u8, global: bool) -> Row<Ipv4Addr> {
    let [a, b, c, d] = first;
    Row {
        first: Ipv4Addr::new(a, b, c, d),
        prefix,
        global,
    }
}

const fn v6(first: [u16; 8], prefix: u8, global: bool) -> Row<Ipv6Addr> {
    let [a, b, c, d, e, f, g, h] = first;
    Row {
        first: Ipv6Addr::new(a, b, c, d, e, f, g, h),
        prefix,
        global,
    }
}

/// The IPv4 registry, and multicast.
#[rustfmt::skip]
pub(super) const V4: [Row<Ipv4Addr>; 27] = [
    v4([0, 0, 0, 0], 8, false),          // "This network", RFC 791
    v4([0, 0, 0, 0], 32, false),         // "This host on this network", RFC 1122
    v4([10, 0, 0, 0], 8, false),         // Private-Use, RFC 1918
    v4([100, 64, 0, 0], 10, false),      // Shared Address Space, RFC 6598
    v4([127, 0, 0, 0], 8, false),        // Loopback, RFC 1122
    v4([169, 254, 0, 0], 16, false),     // Link Local, RFC 3927: the metadata server
    v4([172, 16, 0, 0], 12, false),      // Private-Use, RFC 1918
    v4([192, 0, 0, 0], 24, false),       // IETF Protocol Assignments, RFC 6890
    v4([192, 0, 0, 0], 29, false),       // IPv4 Service Continuity Prefix, RFC 7335
    v4([192, 0, 0, 8], 32, false),       // IPv4 dummy address, RFC 7600
    v4([192, 0, 0, 9], 32, true),        // Port Control Protocol Anycast, RFC 7723
    v4([192, 0, 0, 10], 32, true),       // Traversal Using Relays around NAT Anycast, RFC 8155
    v4([192, 0, 0, 170], 32, false),     // NAT64/DNS64 Discovery, RFC 8880
    v4([192, 0, 0, 171], 32, false),     // NAT64/DNS64 Discovery, RFC 8880
    v4([192, 0, 2, 0], 24, false),       // Documentation (TEST-NET-1), RFC 5737
    v4([192, 31, 196, 0], 24, true),     // AS112-v4, RFC 7535
    v4([192, 52, 193, 0], 24, true),     // AMT, RFC 7450
    v4([192, 88, 99, 0], 24, false),     // Deprecated (6to4 Relay Anycast), RFC 7526: N/A
    v4([192, 88, 99, 2], 32, false),     // 6a44-relay anycast address, RFC 6751
    v4([192, 168, 0, 0], 16, false),     // Private-Use, RFC 1918
    v4([192, 175, 48, 0], 24, true),     // Direct Delegation AS112 Service, RFC 7534
    v4([198, 18, 0, 0], 15, false),      // Benchmarking, RFC 2544
    v4([198, 51, 100, 0], 24, false),    // Documentation (TEST-NET-2), RFC 5737
    v4([203, 0, 113, 0], 24, false),     // Documentation (TEST-NET-3), RFC 5737
    v4([224, 0, 0, 0], 4, false),        // Multicast, RFC 5771
    v4([240, 0, 0, 0], 4, false),        // Reserved, RFC 1112
    v4([255, 255, 255, 255], 32, false), // Limited Broadcast, RFC 8190
];

/// The IPv6 block assigned for global unicast addresses.
pub(super) const V6_UNICAST: Row<Ipv6Addr> = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, true);

/// The IPv6 registry, and multicast. Rows outside [`V6_UNICAST`] are included for completeness.
#[rustfmt::skip]
pub(super) const V6: [Row<Ipv6Addr>; 26] = [
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, false),             // Loopback Address, RFC 4291
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, false),             // Unspecified Address, RFC 4291
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, false),         // IPv4-mapped Address, RFC 4291: by what is embedded
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, false),      // IPv4-IPv6 Translat., RFC 6052: true, by what is embedded
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, false),      // IPv4-IPv6 Translat., RFC 8215
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, false),          // Discard-Only Address Block, RFC 6666
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, false),          // Dummy IPv6 Prefix, RFC 9780
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, false),         // IETF Protocol Assignments, RFC 2928
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, false),         // TEREDO, RFC 4380: N/A, by what is embedded
    v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, true),         // Port Control Protocol Anycast, RFC 7723
    v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, true),         // Traversal Using Relays around NAT Anycast, RFC 8155
    v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, true),         // DNS-SD Service Registration Protocol Anycast, RFC 9665
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, false),         // Benchmarking, RFC 5180
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, true),          // AMT, RFC 7450
    v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, true),      // AS112-v6, RFC 7535
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, false),      // Deprecated (previously ORCHID), RFC 4843: N/A
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, true),       // ORCHIDv2, RFC 7343
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, true),       // Drone Remote ID Protocol Entity Tags (DETs) Prefix, RFC 9374
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, false),     // Documentation, RFC 3849
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, false),         // 6to4, RFC 3056: N/A, by what is embedded
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, true),  // Direct Delegation AS112 Service, RFC 7534
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, false),         // Documentation, RFC 9637
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, false),         // Segment Routing (SRv6) SIDs, RFC 9602
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, false),          // Unique-Local, RFC 4193
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, false),         // Link-Local Unicast, RFC 4291
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, false),          // Multicast, RFC 4291
];

/// The IPv4 global unicast addresses.
pub(super) fn v4_unicast() -> Spans {
    let rows = V4.map(|row| (row.first.into(), row.prefix, row.global));
    let all = Spans::of_blocks([(Ipv4Addr::UNSPECIFIED.into(), 0)]);
    less_special(all, rows.to_vec())
}

/// The IPv6 global unicast addresses.
pub(super) fn v6_unicast() -> Spans {
    let rows = V6.map(|row| (row.first.into(), row.prefix, row.global));
    let all = Spans::of_blocks([(V6_UNICAST.first.into(), V6_UNICAST.prefix)]);
    less_special(all, rows.to_vec())
}

/// Applies the rows from the widest to the most specific, so that the more specific row overrides
/// the wider one.
fn less_special(all: Spans, mut rows: Vec<(std::net::IpAddr, u8, bool)>) -> Spans {
    rows.sort_by_key(|&(_, prefix, _)| prefix);
    rows.into_iter().fold(all, |all, (first, prefix, global)| {
        let block = Spans::of_blocks([(first, prefix)]);
        if global {
            all.and(block)
        } else {
            all.less(&block)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ipnet::IpNet;

    use super::{super::Ranges, *};

    /// The registries as their pages show them: each block, and whether it is globally reachable
    /// ("N/A" is `-`); then an address of it that no narrower row holds.
    const ROWS: [&str; 53] = [
        "0.0.0.0/8 false 0.1.2.3",
        "0.0.0.0/32 false 0.0.0.0",
        "10.0.0.0/8 false 10.255.255.255",
        "100.64.0.0/10 false 100.127.255.255",
        "127.0.0.0/8 false 127.9.9.9",
        "169.254.0.0/16 false 169.254.169.254",
        "172.16.0.0/12 false 172.31.255.255",
        "192.0.0.0/24 false 192.0.0.11",
        "192.0.0.0/29 false 192.0.0.7",
        "192.0.0.8/32 false 192.0.0.8",
        "192.0.0.9/32 true 192.0.0.9",
        "192.0.0.10/32 true 192.0.0.10",
        "192.0.0.170/32 false 192.0.0.170",
        "192.0.0.171/32 false 192.0.0.171",
        "192.0.2.0/24 false 192.0.2.1",
        "192.31.196.0/24 true 192.31.196.1",
        "192.52.193.0/24 true 192.52.193.1",
        "192.88.99.0/24 - 192.88.99.1",
        "192.88.99.2/32 false 192.88.99.2",
        "192.168.0.0/16 false 192.168.0.1",
        "192.175.48.0/24 true 192.175.48.1",
        "198.18.0.0/15 false 198.19.255.255",
        "198.51.100.0/24 false 198.51.100.1",
        "203.0.113.0/24 false 203.0.113.255",
        "224.0.0.0/4 false 239.1.1.1",
        "240.0.0.0/4 false 250.1.1.1",
        "255.255.255.255/32 false 255.255.255.255",
        "::1/128 false ::1",
        "::/128 false ::",
        "::ffff:0:0/96 false ::ffff:10.0.0.1",
        "64:ff9b::/96 false 64:ff9b::10.0.0.1",
        "64:ff9b:1::/48 false 64:ff9b:1:808:8:800:808:808",
        "100::/64 false 100::1",
        "100:0:0:1::/64 false 100:0:0:1::1",
        "2001::/23 false 2001:1ff:ffff::1",
        "2001::/32 - 2001:0:a00:1::f7f7:f7f7",
        "2001:1::1/128 true 2001:1::1",
        "2001:1::2/128 true 2001:1::2",
        "2001:1::3/128 true 2001:1::3",
        "2001:2::/48 false 2001:2:0:ffff::1",
        "2001:3::/32 true 2001:3::1",
        "2001:4:112::/48 true 2001:4:112::1",
        "2001:10::/28 - 2001:1f::1",
        "2001:20::/28 true 2001:2f::1",
        "2001:30::/28 true 2001:30::1",
        "2001:db8::/32 false 2001:db8::1",
        "2002::/16 - 2002:a00:1::1",
        "2620:4f:8000::/48 true 2620:4f:8000::1",
        "3fff::/20 false 3fff:fff::1",
        "5f00::/16 false 5f00::1",
        "fc00::/7 false fd20:ce::254",
        "fe80::/10 false fe80::1",
        "ff00::/8 false ff02::1",
    ];

    fn public(address: &str) -> bool {
        let address: IpAddr = address.parse().expect(address);
        Ranges::public().allow(address)
    }

    #[test]
    fn each_row_of_the_registries_is_one_here() {
        let v4 = V4.map(|row| (IpAddr::from(row.first), row.prefix, row.global));
        let v6 = V6.map(|row| (IpAddr::from(row.first), row.prefix, row.global));
        let mut own = v4.into_iter().chain(v6);
        for row in ROWS {
            let [block, reachable, address] = row.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{row}");
            };
            let net: IpNet = block.parse().expect(block);
            let global = reachable == "true";
            assert_eq!(
                own.next(),
                Some((net.addr(), net.prefix_len(), global)),
                "{block} as of {AS_OF}"
            );
            assert_eq!(public(address), global, "{block}: {address}");
        }
        assert_eq!(own.next(), None, "as of {AS_OF}");
    }

    #[test]
    fn what_is_beside_a_row_is_as_the_wider_one_says() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "199.36.153.4",
            "2001:200::",
            "2001:db7:ffff::1",
            "2001:db9::",
            "2003::",
            "2600:2d00:2:1000::",
            "2a00:1450:4001:81b::200e",
            "3ffe::1",
            "3fff:1000::",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "192.0.0.12",
            "2001:1::4",
            "2001:4:113::1",
            "2001:40::1",
            "1fff:ffff::1",
            "4000::",
            "200::1",
            "fec0::1",
            "fbff::1",
            "64:ff9b:0:1::8.8.8.8",
            "64:ff9c::8.8.8.8",
            "100:0:0:2::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn an_address_is_as_public_as_the_ones_that_it_embeds() {
        for (address, want) in [
            ("::ffff:8.8.8.8", true),
            ("::ffff:169.254.169.254", false),
            ("::8.8.8.8", true),
            ("::10.0.0.1", false),
            ("::5", false),
            ("::ffff:0:8.8.8.8", true),
            ("::ffff:0:192.168.0.1", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b::192.0.2.1", false),
            ("2002:808:808::1", true),
            ("2002:7f00:1::1", false),
            // Teredo: a public client behind a public server, then each of them private.
            ("2001:0:808:808::f7f7:f7f7", true),
            ("2001:0:808:808::f5ff:fffe", false),
            ("2001:0:a00:1::f7f7:f7f7", false),
            ("2a00:1::5efe:8.8.8.8", true),
            ("2a00:1::200:5efe:8.8.8.8", true),
            ("2a00:1::5efe:10.0.0.1", false),
            ("2a00:1::200:5efe:10.0.0.1", false),
            ("fe80::5efe:8.8.8.8", false),
            // By each length of the prefix that RFC 6052 section 2.2 knows: 48, 56, 64, 96 bits.
            ("64:ff9b:1:a00:0:100::", false),
            ("64:ff9b:1:a:0:1::", false),
            ("64:ff9b:1:0:a:0:100:0", false),
            ("64:ff9b:1::10.0.0.1", false),
            ("64:ff9b:1::8.8.8.8", false),
        ] {
            assert_eq!(public(address), want, "{address}");
        }
    }

    #[test]
    fn the_spans_are_as_few_as_can_be() {
        assert_eq!(v4_unicast().len(), 14);
        assert_eq!(v6_unicast().len(), 9);
    }
}
