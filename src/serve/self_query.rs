//! Sends one query to a dnsgate listener over UDP, to prove that the whole path from socket to
//! engine works.
//!
//! The question has class CHAOS. dnsgate refuses it under every configuration, before the policy is
//! consulted, so it works from an address that is in no group and never counts as a denial.
//!
//! When dnsgate queries itself, it uses a name that only this process knows (`own_question`), to
//! keep these queries out of the query log and of `queries_total`. A query to another process, as
//! by `dnsgate healthcheck`, asks for `version.bind` (`QUESTION`) and counts as a client's.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::LazyLock,
    time::Duration,
};

use rustix::io::Errno;

/// Id 0x6467, one question: `version.bind.`, TXT, CHAOS.
pub(super) const QUESTION: &[u8] = b"dg\0\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03";

/// Bytes of [`QUESTION`] before the name.
const HEADER: usize = 12;

/// This process's own question: [`QUESTION`] below a random label.
static OWN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let label = format!("{:032x}", rand::random::<u128>());
    let (header, rest) = QUESTION.split_at(HEADER.min(QUESTION.len()));
    [header, b"\x20", label.as_bytes(), rest].concat()
});

/// The question that this process sends to itself.
pub(crate) fn own_question() -> &'static [u8] {
    &OWN
}

/// Queries the listener at `address` and waits up to `patience` for its reply. A wildcard address
/// is queried on loopback.
///
/// # Errors
/// No reply in time, or a message that is not a reply to the question.
pub(crate) fn ask(address: SocketAddr, patience: Duration) -> io::Result<()> {
    ask_by(QUESTION, address, patience)
}

/// Like [`ask`], for a listener of this process.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_own(address: SocketAddr, patience: Duration) -> io::Result<()> {
    ask_by(own_question(), address, patience)
}

fn ask_by(question: &[u8], address: SocketAddr, patience: Duration) -> io::Result<()> {
    let address = reachable(address);
    let local: IpAddr = if address.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(question)?;
    let mut reply = [0; 512];
    let len = socket.recv(&mut reply)?;
    if reply.get(..len).is_some_and(is_reply) {
        Ok(())
    } else {
        Err(io::Error::other(
            "what came back is no reply to the question",
        ))
    }
}

/// Whether an error of [`ask`] means that this machine has no route to the address.
pub(crate) fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::AddrNotAvailable | Kind::NetworkUnreachable | Kind::HostUnreachable
    ) || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

/// Whether a packet is a reply to the question.
pub(crate) fn is_reply(packet: &[u8]) -> bool {
    let flags = packet.get(2).copied().unwrap_or_default();
    packet.len() >= 12 && packet.get(..2) == QUESTION.get(..2) && flags & 0x80 != 0
}

/// The address at which to query a listener: loopback for a wildcard.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnsgate_core::dns::{Query, query::CLASS_IN};

    #[test]
    fn own_query_has_a_class_that_policies_ignore() {
        let query = Query::parse(QUESTION).expect("a query");
        assert_eq!(query.name().to_string(), "version.bind.");
        assert_ne!(query.qclass(), CLASS_IN);
        let own = Query::parse(own_question()).expect("a query");
        assert!(own.name().to_string().ends_with(".version.bind."));
        assert_eq!(
            (own.name().label_count(), own.qclass()),
            (3, query.qclass())
        );
    }
}
