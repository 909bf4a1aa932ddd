//! Addresses, ports and prefix lengths, parsed without ambiguity.
//!
//! Some programs read a number with a leading zero as octal: for some of them 010.0.0.1 is 10.0.0.1, for others
//! 8.0.0.1. The standard library rejects such addresses; this module also rejects such ports and prefix lengths.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

/// Whether a text is a whole number: digits only, without a sign or a leading zero.
#[must_use]
pub fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// Parses a port.
#[must_use]
pub fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| is_number(text))
}

/// Parses an address with its port: `127.0.0.1:53`, `[::1]:53`.
#[must_use]
pub fn socket(text: &str) -> Option<SocketAddr> {
    let (_, given) = text.rsplit_once(':')?;
    port(given)?;
    text.parse().ok()
}

/// Parses an address with a prefix length: `10.0.0.0/8`.
#[must_use]
pub fn net(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length = length.parse().ok().filter(|_| is_number(length))?;
    IpNet::new(address, length).ok()
}

/// Parses the address of the admin pages: an address with a port, a URL as a browser shows it, or `localhost`,
/// which means 127.0.0.1.
#[must_use]
pub fn admin(text: &str) -> Option<SocketAddr> {
    let text = text.strip_prefix("http://").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    match text.strip_prefix("localhost:") {
        Some(given) => Some((Ipv4Addr::LOCALHOST, port(given)?).into()),
        None => socket(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_signs_are_refused() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("fd00::/8", true),
            ("0.0.0.0/0", true),
            ("10.0.0.0/08", false),
            ("10.0.0.0/+8", false),
            ("010.0.0.0/8", false),
            ("10.00.0.0/8", false),
            ("::ffff:010.0.0.0/104", false),
            ("fd00::/008", false),
            ("10.0.0.0/33", false),
            ("10.0.0.0", false),
            ("10.0.0.0/", false),
        ] {
            assert_eq!(net(text).is_some(), good, "{text}");
        }
        for (text, good) in [
            ("127.0.0.1:53", true),
            ("[::1]:0", true),
            ("127.0.0.1:053", false),
            ("127.0.0.1:+53", false),
            ("127.0.0.01:53", false),
            ("[::1]:00", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("127.0.0.1:65536", false),
        ] {
            assert_eq!(socket(text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn admin_addresses_have_several_forms() {
        for (text, want) in [
            ("127.0.0.1:9153", "127.0.0.1:9153"),
            ("http://127.0.0.1:9153", "127.0.0.1:9153"),
            ("http://127.0.0.1:9153/", "127.0.0.1:9153"),
            ("localhost:9153", "127.0.0.1:9153"),
            ("http://localhost:9153/", "127.0.0.1:9153"),
            ("[::1]:9153", "[::1]:9153"),
        ] {
            assert_eq!(
                admin(text).map(|at| at.to_string()).as_deref(),
                Some(want),
                "{text}"
            );
        }
        for text in [
            "",
            "9153",
            "localhost",
            "http://",
            "https://127.0.0.1:1",
            "127.0.0.1:09153",
            "host:1",
        ] {
            assert_eq!(admin(text), None, "{text}");
        }
    }
}
