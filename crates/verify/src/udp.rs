//! Datagrams to where nothing should answer.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use super::{judge::Fault, probe::fault_of};
use dnsgate_core::dns::{Name, RecordType, upstream_query};

/// How often a datagram is sent that should not arrive: one that is lost proves nothing.
const SENDINGS: u32 = 3;
/// What is asked of resolvers that should not be reachable. It tells them nothing.
const HARMLESS: &str = "www.example.com";
/// The least size of a datagram that a QUIC server answers (RFC 9000 section 14.1).
const QUIC_LEAST: usize = 1200;
/// A version that no server speaks, of those kept for this (RFC 9000 section 15): every server
/// answers with the versions that it does speak.
const QUIC_VERSION: u32 = 0x1a2a_3a4a;
/// A long header of QUIC: the form and the fixed bit; of an unknown version nothing else is read.
const QUIC_LONG: u8 = 0xc0;

/// What is sent.
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

    fn bytes(self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Dns => {
                let name: Name = HARMLESS
                    .parse()
                    .map_err(|_| Fault::Untried("no name".to_owned()))?;
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
                // The connection ids of the destination and of the source: a length, and the id.
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

/// Whether anything comes back: whatever it is, it proves that there is a way.
pub(super) async fn answered(
    to: SocketAddr,
    datagram: Datagram,
    patience: Duration,
) -> Result<(), Fault> {
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
    Err(Fault::TimedOut(what))
}

/// A socket from which datagrams go to one server alone.
pub(super) async fn socket(server: SocketAddr) -> Result<UdpSocket, Fault> {
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
