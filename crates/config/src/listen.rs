//! A listening socket: an address and a transport.

use std::{fmt, net::SocketAddr, str::FromStr};

use super::strict;

/// One listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// DNS over UDP.
    Udp(SocketAddr),
    /// DNS over TCP, with a two-byte length before each message.
    Tcp(SocketAddr),
}

/// Why a text is not a listening address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// It has no `://`.
    #[error("has no transport; write udp://ADDRESS:PORT or tcp://ADDRESS:PORT")]
    NoTransport,
    /// The transport is not supported.
    #[error("has a transport that is not served; there are udp:// and tcp://")]
    UnknownTransport,
    /// The port is missing, or the address is a name.
    #[error("is not an IP address with a port, such as 0.0.0.0:53 or [::]:53")]
    BadAddress,
}

impl Listen {
    /// The address, without the transport.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        match self {
            Self::Udp(address) | Self::Tcp(address) => address,
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (transport, address) = text.split_once("://").ok_or(ListenError::NoTransport)?;
        let with = match transport {
            "udp" => Self::Udp,
            "tcp" => Self::Tcp,
            _ => return Err(ListenError::UnknownTransport),
        };
        strict::socket(address)
            .map(with)
            .ok_or(ListenError::BadAddress)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// A command-line argument: an address as in the file, or `ADDRESS:PORT` alone, which means both
/// transports. It iterates over the sockets that it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenArg(Vec<Listen>);

impl FromStr for ListenArg {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if text.contains("://") {
            return Ok(Self(vec![text.parse()?]));
        }
        let address = strict::socket(text).ok_or(ListenError::BadAddress)?;
        Ok(Self(vec![Listen::Udp(address), Listen::Tcp(address)]))
    }
}

impl IntoIterator for ListenArg {
    type Item = Listen;
    type IntoIter = std::vec::IntoIter<Listen>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back() {
        for text in ["udp://0.0.0.0:53", "tcp://[::1]:5353", "udp://127.0.0.1:0"] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.to_string(), text);
        }
    }

    #[test]
    fn bad_text_is_told_apart() {
        for (text, error) in [
            ("0.0.0.0:53", ListenError::NoTransport),
            ("tls://0.0.0.0:853", ListenError::UnknownTransport),
            ("udp://0.0.0.0", ListenError::BadAddress),
            ("udp://localhost:53", ListenError::BadAddress),
            ("udp://::1:53", ListenError::BadAddress),
            ("udp://0.0.0.0:65536", ListenError::BadAddress),
            ("udp://0.0.0.0:053", ListenError::BadAddress),
            ("udp://010.0.0.1:53", ListenError::BadAddress),
        ] {
            assert_eq!(text.parse::<Listen>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_argument_without_a_transport_means_both() {
        let address = "127.0.0.1:5353".parse().expect("address");
        let listens = |text: &str| text.parse().map(|ListenArg(listens)| listens);
        assert_eq!(
            listens("127.0.0.1:5353"),
            Ok(vec![Listen::Udp(address), Listen::Tcp(address)])
        );
        assert_eq!(
            listens("tcp://127.0.0.1:5353"),
            Ok(vec![Listen::Tcp(address)])
        );
        assert_eq!(listens("5353"), Err(ListenError::BadAddress));
    }
}
