//! `dnsgate healthcheck`: is the dnsgate over there ready? The image's HEALTHCHECK, because a
//! container without a shell has no curl.

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::app::probe;

/// How long the whole check may wait for each step: below Docker's own default of 30 s, above what
/// a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line and some more; the body does not matter.
const MAX_HEAD: u64 = 4096;

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `http://host:port/path`, which must answer 200.
    Http {
        /// `host:port`.
        authority: String,
        /// From the slash on.
        path: String,
    },
    /// A listener, which must answer a query over UDP.
    Dns(SocketAddr),
}

/// The target is neither an http URL nor an address with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write http://127.0.0.1:9153/readyz, or an address and port such as 127.0.0.1:53")]
pub(super) struct BadTarget;

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let Some(rest) = text.strip_prefix("http://") else {
            let address = text.strip_prefix("udp://").unwrap_or(text);
            return address.parse().map(Self::Dns).map_err(|_| BadTarget);
        };
        let at = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BadTarget);
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self::Http {
            authority,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { authority, path } => write!(f, "http://{authority}{path}"),
            Self::Dns(address) => write!(f, "udp://{address}"),
        }
    }
}

/// Asks; an error says what was seen instead.
pub(super) fn run(target: &Target) -> anyhow::Result<()> {
    match target {
        Target::Http { authority, path } => http(authority, path),
        Target::Dns(address) => probe::ask(*address, PATIENCE).map_err(anyhow::Error::from),
    }
    .with_context(|| format!("{target} is not healthy"))
}

fn http(authority: &str, path: &str) -> anyhow::Result<()> {
    let address = authority
        .to_socket_addrs()?
        .next()
        .context("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(MAX_HEAD).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    if status.split_whitespace().nth(1) != Some("200") {
        let reason = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim();
        bail!("it answered {status:?} {reason}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_urls_or_addresses() {
        for (text, shown) in [
            (
                "http://127.0.0.1:9153/readyz",
                "http://127.0.0.1:9153/readyz",
            ),
            ("http://localhost", "http://localhost:80/"),
            ("http://[::1]:9153/livez", "http://[::1]:9153/livez"),
            ("127.0.0.1:53", "udp://127.0.0.1:53"),
            ("udp://[::1]:53", "udp://[::1]:53"),
        ] {
            assert_eq!(
                text.parse::<Target>()
                    .map(|target| target.to_string())
                    .as_deref(),
                Ok(shown)
            );
        }
        for text in [
            "",
            "https://x/",
            "http:///x",
            "127.0.0.1",
            "http://x/ y",
            "http://x/\r\ny",
        ] {
            assert_eq!(text.parse::<Target>(), Err(BadTarget), "{text:?}");
        }
    }
}
