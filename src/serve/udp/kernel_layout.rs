//! Kernel structures as bytes: reads and changes a socket address and a control message, without
//! unsafe code and without system calls.

use std::{
    mem::size_of,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use libc::c_int;

/// Bytes of a control message before its data.
pub(super) const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>();
/// Bytes of the larger of the two kinds of packet info with its header, rounded up.
pub(super) const CONTROL: usize = 64;

/// A socket address of either family, in the kernel's format.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct RawAddress(pub(super) [u8; size_of::<libc::sockaddr_in6>()]);

/// Empty, or one `IP_PKTINFO` or `IPV6_PKTINFO` control message.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control(pub(super) [u8; CONTROL]);

impl RawAddress {
    /// Parses the address: family, port, then (IPv4) the address or (IPv6) flow, address and scope.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, rest @ ..] = &self.0;
        let port = u16::from_be_bytes([*p0, *p1]);
        match c_int::from(u16::from_ne_bytes([*f0, *f1])) {
            libc::AF_INET => {
                let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
                Some(SocketAddr::new(IpAddr::V4(address), port))
            }
            libc::AF_INET6 => {
                let (_flow, rest) = rest.split_first_chunk::<4>()?;
                let (address, scope) = rest.split_first_chunk::<16>()?;
                let scope = u32::from_ne_bytes(*scope.first_chunk::<4>()?);
                let address = Ipv6Addr::from(*address);
                Some(SocketAddrV6::new(address, port, 0, scope).into())
            }
            _ => None,
        }
    }
}

impl Control {
    /// Clears the interface of a packet info. It then sets only the source address and leaves the
    /// route to the routing table, because the return path may differ from the incoming one. A
    /// link-local address keeps its interface because it is meaningless without one.
    ///
    /// The data are, for IPv4: interface, address, address; for IPv6: address, interface. Without a
    /// packet info the kernel reads nothing from this buffer, so changes to it do not matter.
    pub(super) fn leave_route_open(&mut self) {
        let Some((header, data)) = self.0.split_first_chunk_mut::<CONTROL_HEADER>() else {
            return;
        };
        let level = header
            .get(size_of::<usize>()..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map(|level| c_int::from_ne_bytes(*level));
        let interface = match level {
            Some(libc::IPPROTO_IP) => data.first_chunk_mut::<4>(),
            Some(libc::IPPROTO_IPV6) => match data.split_first_chunk_mut::<16>() {
                Some((address, interface)) if !Ipv6Addr::from(*address).is_unicast_link_local() => {
                    interface.first_chunk_mut::<4>()
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(interface) = interface {
            interface.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_left_to_the_routing_table() {
        let control = |level: c_int, data: &[u8]| {
            let mut control = Control([0; _]);
            let at = size_of::<usize>();
            control.0[at..at + 4].copy_from_slice(&level.to_ne_bytes());
            control.0[CONTROL_HEADER..CONTROL_HEADER + data.len()].copy_from_slice(data);
            control
        };
        let v6 = |address: &str, interface: u8| {
            let address: Ipv6Addr = address.parse().expect("an address");
            [&address.octets()[..], &[interface; 4]].concat()
        };
        let cases = [
            (
                libc::IPPROTO_IP,
                vec![9; 12],
                [&[0; 4][..], &[9; 8]].concat(),
            ),
            (
                libc::IPPROTO_IPV6,
                v6("2001:db8::1", 9),
                v6("2001:db8::1", 0),
            ),
            (libc::IPPROTO_IPV6, v6("fe80::1", 9), v6("fe80::1", 9)),
        ];
        for (level, before, after) in cases {
            let mut control = control(level, &before);
            control.leave_route_open();
            assert_eq!(
                control.0[CONTROL_HEADER..CONTROL_HEADER + after.len()],
                after
            );
        }
    }

    #[test]
    fn an_address_is_read_from_its_bytes() {
        let raw = |family: c_int, rest: &[u8]| {
            let mut raw = RawAddress([0; _]);
            let family = u16::try_from(family).expect("small").to_ne_bytes();
            raw.0[..2].copy_from_slice(&family);
            raw.0[2..2 + rest.len()].copy_from_slice(rest);
            raw.address().map(|address| address.to_string())
        };
        let v4 = raw(libc::AF_INET, &[0, 53, 192, 0, 2, 1]);
        assert_eq!(v4.as_deref(), Some("192.0.2.1:53"));
        let mut v6 = [0; 26];
        v6[..2].copy_from_slice(&[0xff, 0xff]);
        v6[6..8].copy_from_slice(&[0xfe, 0x80]);
        v6[21] = 1;
        v6[22..].copy_from_slice(&3_u32.to_ne_bytes());
        let v6 = raw(libc::AF_INET6, &v6);
        assert_eq!(v6.as_deref(), Some("[fe80::1%3]:65535"));
        assert_eq!(raw(libc::AF_UNIX, b"x"), None);
    }
}
