//! Upstreams: the servers that dnsgate forwards to, their written form, and how one of them is
//! chosen.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use crate::strict;
use dnsgate_core::dns::{Name, NameError};

/// One entry of `upstreams`: servers with the same data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// The name that the operator gave it.
    pub name: Box<str>,
    /// Its servers, at least one, in the order of the file.
    pub servers: Vec<ServerAddr>,
    /// Which server is asked first.
    pub strategy: Strategy,
    /// The root certificates (PEM) for its servers; `None` means the system's.
    pub ca: Option<Arc<[u8]>>,
}

/// Which server of an upstream is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The server with the fastest recent answers; the others are tried now and then to measure them.
    #[default]
    Fastest,
    /// The first server of the list that is up.
    Ordered,
    /// Each server in turn.
    Spread,
}

/// The port of DNS (RFC 1035 section 4.2).
///
/// dnsgate has no resolver of its own, so a server is given by its address. The name after `#` is
/// not looked up: the server's certificate must be for it.
const DNS_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858 section 3.1).
const TLS_PORT: u16 = 853;
/// The port of HTTPS (RFC 9110 section 4.2.2).
const HTTPS_PORT: u16 = 443;
/// The longest path of a URL: every request contains it. No official reference; in practice it is
/// `/dns-query`, perhaps with a customer number.
const MAX_PATH: usize = 256;

/// One server with its transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddr {
    /// `udp://ADDRESS[:53]`: UDP, with TCP after a truncated response.
    Udp(SocketAddr),
    /// `tcp://ADDRESS[:53]`
    Tcp(SocketAddr),
    /// `tls://ADDRESS[:853][#NAME]`: DNS over TLS (RFC 7858). The certificate must be for the name, or
    /// for the address if there is no name.
    Tls {
        /// The address and port.
        address: SocketAddr,
        /// The name in its certificate: lower case, without a final dot.
        name: Option<Box<str>>,
    },
    /// `https://ADDRESS[:443]/PATH[#NAME]`: DNS over HTTPS (RFC 8484).
    Https {
        /// The address and port.
        address: SocketAddr,
        /// The name in its certificate, also the authority of the URL: lower case, without a final dot.
        name: Option<Box<str>>,
        /// The path of the URL, including its first slash.
        path: Box<str>,
    },
}

impl ServerAddr {
    /// The address and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Udp(address)
            | Self::Tcp(address)
            | Self::Tls { address, .. }
            | Self::Https { address, .. } => *address,
        }
    }

    /// Whether the transport is encrypted, so that the server has a certificate.
    pub(crate) const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Https { .. })
    }
}

impl fmt::Display for ServerAddr {
    /// The form of the file, always with the port; also the label `server` of metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Udp(address) => return write!(f, "udp://{address}"),
            Self::Tcp(address) => return write!(f, "tcp://{address}"),
            Self::Tls { address, name } => {
                write!(f, "tls://{address}")?;
                name
            }
            Self::Https {
                address,
                name,
                path,
            } => {
                write!(f, "https://{address}{path}")?;
                name
            }
        };
        match name {
            Some(name) => write!(f, "#{name}"),
            None => Ok(()),
        }
    }
}

/// Why a text is not a server; each message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It has no `://`.
    #[error("there is no transport; write udp://{0}, tcp://, tls:// or https://")]
    NoTransport(String),
    /// The transport is unknown.
    #[error(
        "there is no such transport; write udp://, tcp://, tls:// (DNS over TLS) or https:// (DNS over HTTPS)"
    )]
    UnknownTransport,
    /// It has a name in place of the address.
    #[error(
        "write the server's IP address: dnsgate cannot look up the name of the server that it looks names up with (the name of its certificate stands at the end: tls://8.8.8.8#dns.google)"
    )]
    HostName,
    /// An IPv6 address without brackets.
    #[error("write the IPv6 address in brackets: [{0}]")]
    NoBrackets(Ipv6Addr),
    /// It has neither an address nor a name.
    #[error(
        "write an IP address, and a port if it is not the default: udp://10.9.0.53, udp://[fd00::53]:5353"
    )]
    BadAddress,
    /// The port is not valid.
    #[error("the port must be from 1 to 65535, without a leading zero")]
    BadPort,
    /// A server cannot have this address.
    #[error("{address} is {what}; no server can be asked there")]
    Unusable {
        /// The address.
        address: IpAddr,
        /// The kind of address.
        what: &'static str,
    },
    /// An IPv4-mapped IPv6 address.
    #[error("write the IPv4 address itself: {0}")]
    Mapped(Ipv4Addr),
    /// A certificate name for a transport without certificates.
    #[error("`#` and a name are for tls:// and https://: there is no certificate without TLS")]
    NameWithoutTls,
    /// The text after `#` is not a name.
    #[error("after `#`, write the name of the server's certificate, such as dns.google: {0}")]
    BadName(#[from] NameError),
    /// The text after `#` is a DNS name that a certificate cannot have.
    #[error(
        "after `#`, write the name of the server's certificate, such as dns.google; where the certificate is for the address, leave `#` out"
    )]
    NotAHost,
    /// A path for a transport without paths.
    #[error("there is a path behind the address; only https:// has one")]
    Path,
    /// The path is missing.
    #[error("the path is missing; most servers have it as https://{0}/dns-query")]
    NoPath(String),
    /// The path cannot be requested.
    #[error(
        "a path has at most {MAX_PATH} characters: letters, digits, `/` and others that need no escape; what is behind a `?` or in braces is left out"
    )]
    BadPath,
}

impl FromStr for ServerAddr {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let Some((transport, rest)) = text.split_once("://") else {
            let shown = text.parse::<Ipv6Addr>();
            let shown = shown.map_or_else(|_| text.to_owned(), |v6| format!("[{v6}]"));
            return Err(ServerError::NoTransport(shown));
        };
        let (place, name) = match rest.split_once('#') {
            Some((place, name)) => (place, Some(name)),
            None => (rest, None),
        };
        match transport {
            "udp" | "tcp" if name.is_some() => Err(ServerError::NameWithoutTls),
            "udp" => Ok(Self::Udp(bare_address(place, DNS_PORT)?)),
            "tcp" => Ok(Self::Tcp(bare_address(place, DNS_PORT)?)),
            "tls" => Ok(Self::Tls {
                address: bare_address(place, TLS_PORT)?,
                name: name.map(certificate_name).transpose()?,
            }),
            "https" => {
                let slash = place.find('/').unwrap_or(place.len());
                let (host, path) = place.split_at(slash);
                Ok(Self::Https {
                    address: address(host, HTTPS_PORT)?,
                    path: path_of(path, host)?,
                    name: name.map(certificate_name).transpose()?,
                })
            }
            _ => Err(ServerError::UnknownTransport),
        }
    }
}

/// An address without a path or a name after it.
fn bare_address(text: &str, default_port: u16) -> Result<SocketAddr, ServerError> {
    match text.split_once('/') {
        Some(_) => Err(ServerError::Path),
        None => address(text, default_port),
    }
}

/// An address, with or without a port.
fn address(text: &str, default_port: u16) -> Result<SocketAddr, ServerError> {
    if let Ok(bare) = text.parse::<Ipv6Addr>() {
        return Err(ServerError::NoBrackets(bare));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(ServerError::BadAddress)?;
            let host = host.parse().map_err(|_| ServerError::BadAddress)?;
            (IpAddr::V6(host), port)
        }
        None => {
            let colon = text.find(':').unwrap_or(text.len());
            let (host, port) = text.split_at(colon);
            let host = host.parse().map_err(|_| not_an_address(host))?;
            (IpAddr::V4(host), port)
        }
    };
    check_usable(host)?;
    let port = match port.strip_prefix(':') {
        Some(port) => port_of(port)?,
        None if port.is_empty() => default_port,
        None => return Err(ServerError::BadAddress),
    };
    Ok(SocketAddr::new(host, port))
}

/// The error for a text that should be an IPv4 address.
fn not_an_address(text: &str) -> ServerError {
    let is_name = text.contains(|c: char| c.is_ascii_alphabetic()) && text.parse::<Name>().is_ok();
    if is_name {
        ServerError::HostName
    } else {
        ServerError::BadAddress
    }
}

fn check_usable(address: IpAddr) -> Result<(), ServerError> {
    let what = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => return Err(ServerError::Mapped(v4)),
            None if v6.is_unicast_link_local() => "a link-local address, which needs an interface",
            None => return Ok(()),
        },
        IpAddr::V4(_) => return Ok(()),
    };
    Err(ServerError::Unusable { address, what })
}

fn port_of(text: &str) -> Result<u16, ServerError> {
    let port = strict::port(text).filter(|&port| port != 0);
    port.ok_or(ServerError::BadPort)
}

/// A name that a certificate can have (RFC 5280 section 4.2.1.6): letters, digits and hyphens, and
/// underscores, which some certificates have nevertheless.
fn certificate_name(text: &str) -> Result<Box<str>, ServerError> {
    if text.is_empty() {
        return Err(ServerError::NotAHost);
    }
    let name: Name = text.parse()?;
    let allowed = |&b: &u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_good = |label: &[u8]| {
        label.iter().all(allowed) && !label.starts_with(b"-") && !label.ends_with(b"-")
    };
    let last = name.as_ref().labels().last();
    // If the last label were all digits, the name would read as an address.
    let is_host = last.is_some_and(|label| !label.iter().all(u8::is_ascii_digit));
    if !is_host || !name.as_ref().labels().all(is_good) {
        return Err(ServerError::NotAHost);
    }
    Ok(name.to_string().trim_end_matches('.').into())
}

/// The path of a URL (RFC 3986 section 3.3), including its first slash.
fn path_of(text: &str, host: &str) -> Result<Box<str>, ServerError> {
    if text.is_empty() {
        return Err(ServerError::NoPath(host.to_owned()));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&b);
    if text.len() > MAX_PATH || !text.bytes().all(allowed) {
        return Err(ServerError::BadPath);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use proptest::{
        option,
        prelude::{Strategy, *},
    };

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        for (text, shown) in [
            ("udp://10.9.0.53", "udp://10.9.0.53:53"),
            ("tcp://10.9.0.53:5353", "tcp://10.9.0.53:5353"),
            ("tls://8.8.8.8#dns.google", "tls://8.8.8.8:853#dns.google"),
            ("tls://8.8.8.8#DNS.Google.", "tls://8.8.8.8:853#dns.google"),
            (
                "tls://[2001:4860:4860::8888]",
                "tls://[2001:4860:4860::8888]:853",
            ),
            (
                "https://8.8.8.8/dns-query#dns.google",
                "https://8.8.8.8:443/dns-query#dns.google",
            ),
            (
                "https://[fd00::53]:8443/a/b%20c",
                "https://[fd00::53]:8443/a/b%20c",
            ),
            ("https://10.9.0.53/", "https://10.9.0.53:443/"),
            ("udp://[FD00:0::53]:53", "udp://[fd00::53]:53"),
        ] {
            let server: ServerAddr = text.parse().expect(text);
            assert_eq!(server.to_string(), shown);
            assert_eq!(shown.parse(), Ok(server), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_told_apart() {
        use ServerError as E;
        let long = format!("https://8.8.8.8/{}", "a".repeat(MAX_PATH));
        for (text, error) in [
            ("", E::NoTransport(String::new())),
            ("::1", E::NoTransport("[::1]".to_owned())),
            ("UDP://8.8.8.8", E::UnknownTransport),
            ("quic://8.8.8.8", E::UnknownTransport),
            ("udp://", E::BadAddress),
            ("udp://8.8.8.8:", E::BadPort),
            ("udp://8.8.8.8:+53", E::BadPort),
            ("udp://8.8.8.8:053", E::BadPort),
            ("udp://8.8.8.010", E::BadAddress),
            ("udp://8.8.8.8:65536", E::BadPort),
            ("udp://8.8.8.8 ", E::BadAddress),
            ("udp://[8.8.8.8]", E::BadAddress),
            ("udp://[::1]53", E::BadAddress),
            (
                "udp://fd00::53:53",
                E::NoBrackets("fd00::53:53".parse().expect("an address")),
            ),
            ("tls://dns.google:853", E::HostName),
            ("tls://user@8.8.8.8", E::HostName),
            ("tcp://8.8.8.8#", E::NameWithoutTls),
            ("tls://8.8.8.8#a b", E::BadName(NameError::NotPrintable)),
            ("tls://8.8.8.8#a#b", E::NotAHost),
            ("tls://8.8.8.8#-a.example", E::NotAHost),
            ("tls://8.8.8.8#.", E::NotAHost),
            ("tls://8.8.8.8#::1", E::NotAHost),
            (
                "https://8.8.8.8#dns.google",
                E::NoPath("8.8.8.8".to_owned()),
            ),
            ("https://8.8.8.8/?dns=", E::BadPath),
            (&long, E::BadPath),
        ] {
            assert_eq!(text.parse::<ServerAddr>(), Err(error), "{text:?}");
        }
    }

    fn addresses() -> impl Strategy<Value = SocketAddr> {
        let usable = |ip: &IpAddr| check_usable(*ip).is_ok();
        (any::<IpAddr>().prop_filter("usable", usable), 1..=u16::MAX)
            .prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    fn servers() -> impl Strategy<Value = ServerAddr> {
        let name = || option::of("[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?(\\.[a-z]{1,9}){0,4}[a-z]");
        let boxed = |name: Option<String>| name.map(String::into_boxed_str);
        prop_oneof![
            addresses().prop_map(ServerAddr::Udp),
            addresses().prop_map(ServerAddr::Tcp),
            (addresses(), name()).prop_map(move |(address, name)| ServerAddr::Tls {
                address,
                name: boxed(name),
            }),
            (
                addresses(),
                name(),
                "(/[a-zA-Z0-9._~!$&'()*+,;=:@%-]{0,20}){1,4}"
            )
                .prop_map(move |(address, name, path)| ServerAddr::Https {
                    address,
                    name: boxed(name),
                    path: path.into(),
                }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(server in servers()) {
            prop_assert_eq!(server.to_string().parse(), Ok(server));
        }

        #[test]
        fn what_is_read_is_shown_in_one_way(text in "(udp|tcp|tls|https)://[\\[\\]0-9a-f.:]{1,12}(/[a-z]{0,3})?(#[a-z.0-9-]{0,6})?") {
            if let Ok(server) = text.parse::<ServerAddr>() {
                prop_assert_eq!(server.to_string().parse(), Ok(server));
            }
        }
    }
}
