//! `dnsgate healthcheck`: checks whether a dnsgate is ready. The image's HEALTHCHECK uses it, because
//! a container without a shell has no curl.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use anyhow::{Context as _, bail};

use super::http::{AdminUrl, HttpRequest};
use crate::serve::self_query;
use dnsgate_config::strict;

/// The time limit for each step of the check: below Docker's default of 30 s, and long enough for a
/// loaded machine.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of a response: the status line and some more; the body hardly matters.
const MAX_ANSWER: u64 = 4096;

/// The target of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HealthTarget {
    /// An admin page, which must answer with status 200.
    Http(AdminUrl),
    /// A listener, which must answer a query over UDP.
    Dns(SocketAddr),
    /// An address that could be either.
    Either(SocketAddr, AdminUrl),
}

/// The readiness page.
const PATH: &str = "/readyz";

/// The target is neither an http URL nor an address with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write the admin address, 127.0.0.1:9153, localhost:9153 or http://127.0.0.1:9153/readyz, or a listener, 127.0.0.1:53"
)]
pub(super) struct BadHealthTarget;

impl FromStr for HealthTarget {
    type Err = BadHealthTarget;

    fn from_str(text: &str) -> Result<Self, BadHealthTarget> {
        if let Some(address) = text.strip_prefix("udp://") {
            return strict::socket(address)
                .map(Self::Dns)
                .ok_or(BadHealthTarget);
        }
        let url: AdminUrl = text.parse().map_err(|_| BadHealthTarget)?;
        let url = url.or_path(PATH);
        Ok(match strict::socket(text) {
            Some(address) => Self::Either(address, url),
            None => Self::Http(url),
        })
    }
}

impl fmt::Display for HealthTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => write!(f, "{url}"),
            Self::Dns(address) => write!(f, "udp://{address}"),
            Self::Either(address, _) => write!(f, "{address}"),
        }
    }
}

/// Runs the check; an error states what was seen instead.
pub(super) fn run(target: &HealthTarget) -> anyhow::Result<()> {
    match target {
        HealthTarget::Http(url) => http(url),
        HealthTarget::Dns(address) => {
            self_query::ask(*address, PATIENCE).map_err(anyhow::Error::from)
        }
        // Nothing listens for datagrams at an admin address, and the kernel reports that at once.
        HealthTarget::Either(address, url) => match self_query::ask(*address, PATIENCE) {
            Ok(()) => Ok(()),
            Err(error) => http(url).with_context(|| format!("no answer to a query ({error})")),
        },
    }
    .with_context(|| format!("{target} is not healthy"))
}

fn http(url: &AdminUrl) -> anyhow::Result<()> {
    let response = url.ask(HttpRequest {
        method: "GET",
        header: None,
        patience: PATIENCE,
        most: MAX_ANSWER,
    })?;
    if response.code() != Some("200") {
        bail!("it answered {:?} {}", response.status, response.body.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_a_url_or_an_address() {
        for (text, shown) in [
            (
                "http://127.0.0.1:9153/readyz",
                "http://127.0.0.1:9153/readyz",
            ),
            ("http://localhost", "http://localhost:80/readyz"),
            ("http://127.0.0.1:9153/", "http://127.0.0.1:9153/readyz"),
            ("localhost:9153", "http://localhost:9153/readyz"),
            ("http://[::1]:9153/livez", "http://[::1]:9153/livez"),
            ("127.0.0.1:53", "127.0.0.1:53"),
            ("udp://[::1]:53", "udp://[::1]:53"),
        ] {
            assert_eq!(
                text.parse::<HealthTarget>()
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
            "127.0.0.1:053",
            "udp://localhost:53",
            "http://x/ y",
            "http://x/\r\ny",
        ] {
            assert_eq!(
                text.parse::<HealthTarget>(),
                Err(BadHealthTarget),
                "{text:?}"
            );
        }
    }
}
