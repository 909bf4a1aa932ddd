//! The little of HTTP that the verbs need to ask a running dnsgate: one request, one connection.

use std::{
    fmt::{self, Write as _},
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    str::FromStr,
    time::Duration,
};

/// An `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `host:port`.
    authority: String,
    /// From the slash on.
    path: String,
}

/// It is no URL that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a URL such as http://127.0.0.1:9153")]
pub(super) struct BadUrl;

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let rest = text.strip_prefix("http://").ok_or(BadUrl)?;
        let at = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BadUrl);
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
        Ok(Self {
            authority,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// A text as a value of a query: what could mean something there is written by number.
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

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The status line.
    pub(super) status: String,
    /// The body, or as much of it as there was room for.
    pub(super) body: String,
}

impl Response {
    /// The code of the status line.
    pub(super) fn code(&self) -> Option<&str> {
        self.status.split_whitespace().nth(1)
    }
}

/// A request, but for its URL.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// One more header.
    pub(super) header: Option<(&'a str, &'a str)>,
    /// How long each step may take.
    pub(super) patience: Duration,
    /// The most bytes of the answer that are read.
    pub(super) most: u64,
}

impl Url {
    /// The same server, another path, where the URL has none of its own.
    pub(super) fn or_path(mut self, path: &str) -> Self {
        if self.path == "/" {
            path.clone_into(&mut self.path);
        }
        self
    }

    /// Asks, and reads the answer to its end.
    pub(super) fn ask(&self, request: Request<'_>) -> io::Result<Response> {
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
        // A POST without a body has to say so.
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
        Ok(Response {
            status: head.lines().next().unwrap_or_default().to_owned(),
            body: body.to_owned(),
        })
    }
}
