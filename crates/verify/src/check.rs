//! The checks and their names, and the bucket that some of them need.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::report::Finding;
use dnsgate_config::Vip;
use dnsgate_core::dns::Name;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressCheck {
    /// A name of the preset resolves to its address and to no other.
    Name(Name, Vip),
    /// Nothing to check, with the reason.
    Skip(String, String),
    /// A result that follows from the machine's files and environment alone.
    Known(String, Finding),
    /// An address of the preset accepts TLS connections and requests.
    Vip(IpAddr, &'static str),
    /// A service answers at the address that its name resolves to.
    Api(Name),
    /// The objects of a bucket can be listed.
    Bucket(Bucket),
    /// Every name server denies a name, with and without the search list.
    Denied(Name),
    /// Queries of all types for a name and for one below it are denied, so that none carries data.
    Data(Name),
    /// No connection to an endpoint is possible.
    Unreachable(Endpoint),
    /// The proxy in an environment variable accepts no connection.
    Proxy(String, Endpoint),
    /// An external resolver cannot be reached in this way.
    Bypass(IpAddr, BypassWay),
}

/// A way to bypass the resolver.
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
    /// TCP port 443: DNS over HTTPS, or any other use.
    Https,
    /// UDP port 443: HTTP/3, including DNS over HTTPS, or any other use of QUIC.
    Quic,
    /// HTTP.
    Http,
}

impl BypassWay {
    /// All ways.
    pub const ALL: [Self; 7] = [
        Self::Udp,
        Self::Tcp,
        Self::Dot,
        Self::Doq,
        Self::Https,
        Self::Quic,
        Self::Http,
    ];

    /// Protocol and port, as in firewall rules.
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
    /// The name of the check in the table, in JSON and in the metric label.
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

/// A name without its final dot.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(rest) => rest.to_owned(),
    }
}

/// A target that must not be reachable: the host and port of a URL. The path does not matter,
/// because no connection may be possible at all.
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
    /// A domain name.
    Name(Name),
    /// An IP address.
    Address(IpAddr),
}

/// The text is not a URL with a host.
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
            // Colons inside brackets belong to the IPv6 address.
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

/// The name of a Cloud Storage bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket(String);

/// The text is not a valid bucket name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the bucket's name: 3 to 222 of a-z, 0-9, hyphen, underscore and dot, without gs://")]
pub struct BadBucket;

impl FromStr for Bucket {
    type Err = BadBucket;

    fn from_str(text: &str) -> Result<Self, BadBucket> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        let is_name = (3..=222).contains(&text.len()) && text.bytes().all(fits);
        is_name.then(|| Self(text.to_owned())).ok_or(BadBucket)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_valid_bucket_names() {
        for (text, fits) in [
            ("my-bucket_1.example", true),
            ("ab", false),
            ("My", false),
            ("gs://bucket", false),
            ("a/b", false),
            ("abc?x=y", false),
        ] {
            assert_eq!(text.parse::<Bucket>().is_ok(), fits, "{text}");
        }
    }
}
