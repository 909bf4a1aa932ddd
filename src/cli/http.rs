//! A minimal HTTP client for the verbs that query a running dnsgate: one request per connection.

use std::{
    fmt::{self, Write as _},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, bail};

use dnsgate_config::strict;

/// The time limit for each step of getting a page: dnsgate writes it while it answers queries.
const PAGE_PATIENCE: Duration = Duration::from_secs(15);
/// The most bytes of the response's head; the admin port sends fewer.
const MAX_HEAD: u64 = 64 << 10;

/// An `http://` URL as a person may write it: the scheme may be missing if there is a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AdminUrl {
    /// `host:port`.
    authority: String,
    /// The path, including its first slash.
    path: String,
}

/// The text is not a usable URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an address and a port such as 127.0.0.1:9153, localhost:9153 or [::1]:9153, or a URL such as http://127.0.0.1:9153"
)]
pub(super) struct BadAdminUrl;

impl FromStr for AdminUrl {
    type Err = BadAdminUrl;

    fn from_str(text: &str) -> Result<Self, BadAdminUrl> {
        let (rest, is_bare) = match text.strip_prefix("http://") {
            Some(rest) => (rest, false),
            None => (text, true),
        };
        let at = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BadAdminUrl);
        }
        let (name, port) = split(host)?;
        if !is_host(name) || port.is_none() && is_bare {
            return Err(BadAdminUrl);
        }
        let authority = format!("{name}:{}", port.unwrap_or(80));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            authority,
            path: path.to_owned(),
        })
    }
}

/// Parses the address at which admin pages are served, as a person may write it.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    strict::admin(text)
        .ok_or("write an IP address with a port, such as 127.0.0.1:9153 or [::1]:9153")
}

/// Splits a host from its port, if it has one.
fn split(host: &str) -> Result<(&str, Option<u16>), BadAdminUrl> {
    let name_end = host.rfind(']').map_or(0, |end| end + 1);
    let behind = host.get(name_end..).unwrap_or_default();
    let Some(colon) = behind.rfind(':') else {
        return Ok((host, None));
    };
    let (name, port) = host.split_at(name_end + colon);
    let port = strict::port(port.trim_start_matches(':')).ok_or(BadAdminUrl)?;
    Ok((name, Some(port)))
}

/// Whether a text is a name, or an address as in a URL. A text that looks like an address but is not one (010.0.0.1)
/// is not passed to the system's resolver, which might read it as a different address.
fn is_host(text: &str) -> bool {
    if let Some(v6) = text.strip_prefix('[') {
        let v6 = v6.strip_suffix(']');
        return v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok());
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let last = text.trim_end_matches('.').rsplit('.').next();
    let is_numeric = last.is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    text.parse::<Ipv4Addr>().is_ok() || !text.is_empty() && !is_numeric && text.bytes().all(is_name)
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Percent-encodes a text for use as a query value.
pub(super) fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

/// The response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AdminResponse {
    /// The status line.
    pub(super) status: String,
    /// The body, up to the size limit.
    pub(super) body: String,
}

impl AdminResponse {
    /// The code of the status line.
    pub(super) fn code(&self) -> Option<&str> {
        self.status.split_whitespace().nth(1)
    }
}

/// A request without its URL.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpRequest<'a> {
    pub(super) method: &'a str,
    /// One additional header.
    pub(super) header: Option<(&'a str, &'a str)>,
    /// The time limit for each step.
    pub(super) patience: Duration,
    /// The most bytes of the response that are read.
    pub(super) most: u64,
}

impl AdminUrl {
    /// The URL with this path if it has none of its own.
    pub(super) fn or_path(mut self, path: &str) -> Self {
        if self.path == "/" {
            path.clone_into(&mut self.path);
        }
        self
    }

    /// Gets a page of at most `most` bytes. An error names `path`, where a dnsgate has it.
    pub(super) fn page(&self, path: &str, most: u64) -> anyhow::Result<Vec<u8>> {
        let response = self
            .ask(HttpRequest {
                method: "GET",
                header: None,
                patience: PAGE_PATIENCE,
                most: most + MAX_HEAD,
            })
            .with_context(|| {
                format!("{self} does not answer; is it the admin address of dnsgate?")
            })?;
        match response.code() {
            Some("200") => Ok(response.body.into_bytes()),
            Some("404") => bail!("{self} does not exist; the page is at {path} of the admin port"),
            _ => bail!("{self} answered {:?}", response.status),
        }
    }

    /// Sends the request and reads the whole response.
    pub(super) fn ask(&self, request: HttpRequest<'_>) -> io::Result<AdminResponse> {
        let address = self
            .authority
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::other("the host has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, request.patience)?;
        stream.set_read_timeout(Some(request.patience))?;
        stream.set_write_timeout(Some(request.patience))?;
        let header = match request.header {
            Some((name, value)) => format!("{name}: {value}\r\n"),
            None => String::new(),
        };
        let Self { authority, path } = self;
        let method = request.method;
        // A POST without a body must state its length.
        let length = if method == "GET" {
            ""
        } else {
            "Content-Length: 0\r\n"
        };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{header}{length}Connection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(request.most).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        Ok(AdminResponse {
            status: head.lines().next().unwrap_or_default().to_owned(),
            body: body.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_spelling_of_an_admin_address() {
        for (text, shown) in [
            ("127.0.0.1:9153", "http://127.0.0.1:9153/"),
            ("http://127.0.0.1:9153", "http://127.0.0.1:9153/"),
            ("http://127.0.0.1:9153/", "http://127.0.0.1:9153/"),
            ("localhost:9153", "http://localhost:9153/"),
            ("[::1]:9153", "http://[::1]:9153/"),
            ("127.0.0.1:9153/readyz", "http://127.0.0.1:9153/readyz"),
            ("http://dnsgate.internal", "http://dnsgate.internal:80/"),
            ("http://[::1]/livez", "http://[::1]:80/livez"),
        ] {
            let url = text.parse::<AdminUrl>().map(|url| url.to_string());
            assert_eq!(url.as_deref(), Ok(shown), "{text}");
        }
        for text in [
            "",
            "localhost",
            "9153",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:09153",
            "127.0.0.1:+9153",
            "127.0.0.1:65536",
            "http://127.0.0.1:a",
            "http://010.0.0.1:9153",
            "10.0.1:9153",
            "0x7f.1:9153",
            "::1:9153",
            "[127.0.0.1]:9153",
            "https://127.0.0.1:9153",
            "http://user@127.0.0.1:9153",
            "http:///readyz",
            "http://a/ b",
        ] {
            assert_eq!(text.parse::<AdminUrl>(), Err(BadAdminUrl), "{text:?}");
        }
    }
}
