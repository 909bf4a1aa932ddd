//! One thing to be checked, and what it is called.

use std::{fmt, net::IpAddr, str::FromStr};

use super::{bucket::Bucket, report::Finding};
use dnsgate_config::Vip;
use dnsgate_core::dns::Name;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressCheck {
    /// A name of the preset resolves to its address and to nothing else.
    Name(Name, Vip),
    /// Nothing to check, and why.
    Skip(String, String),
    /// What the machine's files and environment already say.
    Known(String, Finding),
    /// An address of the preset takes TLS and requests.
    Vip(IpAddr, &'static str),
    /// A service is served at the address that its name has.
    Api(Name),
    /// The objects of a bucket can be listed.
    Bucket(Bucket),
    /// A name is denied, by every name server, with and without the search list.
    Denied(Name),
    /// Questions of all types for it, and for a name below it, are denied: none carries data.
    Data(Name),
    /// No connection can be made.
    Unreachable(Endpoint),
    /// The proxy that a variable of the environment names takes no connection.
    Proxy(String, Endpoint),
    /// There is no way round the resolver.
    Bypass(IpAddr, BypassWay),
}

/// A way round the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BypassWay {
    /// DNS over UDP.
    Udp,
    /// DNS over TCP.
    Tcp,
    /// DNS over TLS.
    Dot,
    /// DNS over QUIC (RFC 9250).
    Doq,
    /// DNS over HTTPS, or anything else on that port.
    Https,
    /// HTTP/3, DNS over HTTPS by it, or anything else over QUIC.
    Quic,
    /// HTTP.
    Http,
}

impl BypassWay {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Udp,
        Self::Tcp,
        Self::Dot,
        Self::Doq,
        Self::Https,
        Self::Quic,
        Self::Http,
    ];

    /// Protocol and port, as firewall rules have them.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp:53",
            Self::Tcp => "tcp:53",
            Self::Dot => "tcp:853",
            Self::Doq => "udp:853",
            Self::Https => "tcp:443",
            Self::Quic => "udp:443",
            Self::Http => "tcp:80",
        }
    }
}

impl fmt::Display for EgressCheck {
    /// What the check is called: in the table, in JSON and as a label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name, _) => write!(f, "name {}", shown(name)),
            Self::Skip(what, _) | Self::Known(what, _) => f.write_str(what),
            Self::Vip(address, _) => write!(f, "vip {address}"),
            Self::Api(name) => write!(f, "api {}", shown(name)),
            Self::Bucket(bucket) => write!(f, "bucket {bucket}"),
            Self::Denied(name) => write!(f, "denied {}", shown(name)),
            Self::Data(name) => write!(f, "data {}", shown(name)),
            Self::Proxy(variable, _) => write!(f, "proxy {variable}"),
            Self::Unreachable(target) => write!(f, "unreachable {target}"),
            Self::Bypass(address, way) => write!(f, "bypass {} {address}", way.as_str()),
        }
    }
}

/// A name without its last dot.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(rest) => rest.to_owned(),
    }
}

/// What must not be reachable: the host and port of a URL. Its path does not matter, because
/// already a connection is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name.
    Name(Name),
    /// A literal address.
    Address(IpAddr),
}

/// It is no URL of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a URL such as https://www.example.com/ or https://192.0.2.1/")]
pub struct BadEndpoint;

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let (rest, port) = match text.split_once("://") {
            Some(("https", rest)) => (rest, 443),
            Some(("http", rest)) => (rest, 80),
            _ => return Err(BadEndpoint),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an address in brackets are its own.
            Some((_, after)) if after.ends_with(']') => (authority, port),
            Some((host, digits)) => (host, digits.parse().map_err(|_| BadEndpoint)?),
            None => (authority, port),
        };
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = match (bare, host.parse()) {
            (Some(bare), _) => Host::Address(IpAddr::V6(bare.parse().map_err(|_| BadEndpoint)?)),
            (None, Ok(address)) => Host::Address(address),
            (None, Err(_)) => {
                let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                if host.is_empty() || host == "." || !host.chars().all(is_host) {
                    return Err(BadEndpoint);
                }
                Host::Name(host.parse().map_err(|_| BadEndpoint)?)
            }
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Name(name) => write!(f, "{}:{port}", shown(name)),
            Host::Address(IpAddr::V4(v4)) => write!(f, "{v4}:{port}"),
            Host::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]:{port}"),
        }
    }
}
