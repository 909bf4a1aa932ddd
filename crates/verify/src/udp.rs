//! Datagrams to targets that should not answer.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use super::fault::{ProbeFault, fault_of};
use dnsgate_core::dns::{Name, RecordType, upstream_query};

/// How often a datagram is sent: a single lost one would prove nothing.
const SENDINGS: u32 = 3;
/// The name queried at resolvers that should be unreachable. It reveals nothing.
const HARMLESS: &str = "www.example.com";
/// The smallest datagram that a QUIC server answers (RFC 9000 section 14.1).
const QUIC_LEAST: usize = 1200;
/// A version reserved so that no server supports it (RFC 9000 section 15): every server replies with
/// the versions that it supports.
const QUIC_VERSION: u32 = 0x1a2a_3a4a;
/// The first byte of a QUIC long header: the form bit and the fixed bit; the other bits depend on the version.
const QUIC_LONG: u8 = 0xc0;

/// The kind of datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datagram {
    /// A DNS query.
    Dns,
    /// The first datagram of a QUIC connection.
    Quic,
}

impl Datagram {
    const fn what(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Quic => "QUIC",
        }
    }

    fn bytes(self) -> Result<Vec<u8>, ProbeFault> {
        match self {
            Self::Dns => {
                let name: Name = HARMLESS
                    .parse()
                    .map_err(|_| ProbeFault::Untried("no name".to_owned()))?;
                let id = rand::random();
                Ok(upstream_query::encode(
                    id,
                    name.as_ref(),
                    RecordType::A,
                    false,
                    false,
                ))
            }
            Self::Quic => {
                let mut bytes = vec![QUIC_LONG];
                bytes.extend(QUIC_VERSION.to_be_bytes());
                // The connection IDs of destination and source: a length, then the ID.
                for id in [rand::random::<u64>(), rand::random()] {
                    bytes.push(8);
                    bytes.extend(id.to_be_bytes());
                }
                bytes.resize(QUIC_LEAST, 0);
                Ok(bytes)
            }
        }
    }
}

/// Whether any datagram comes back: even an unexpected one proves that the target is reachable.
pub(super) async fn answered(
    to: SocketAddr,
    datagram: Datagram,
    patience: Duration,
) -> Result<(), ProbeFault> {
    let socket = socket(to).await?;
    let bytes = datagram.bytes()?;
    let what = datagram.what();
    let broken = |error: io::Error| fault_of(what, &error);
    let mut reply = [0; 2048];
    for _ in 0..SENDINGS {
        socket.send(&bytes).await.map_err(broken)?;
        if let Ok(received) = timeout(patience / SENDINGS, socket.recv(&mut reply)).await {
            return received.map(drop).map_err(broken);
        }
    }
    Err(ProbeFault::TimedOut(what))
}

/// A socket connected to one server.
pub(super) async fn socket(server: SocketAddr) -> Result<UdpSocket, ProbeFault> {
    let local: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let local_fault = |error: io::Error| fault_of("DNS", &error);
    let socket = UdpSocket::bind(local).await.map_err(local_fault)?;
    socket.connect(server).await.map_err(local_fault)?;
    Ok(socket)
}
