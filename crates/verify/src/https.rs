//! One HTTP/1.1 request on one connection, with a bounded response.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::fault::ProbeFault;

/// A response to an HTTPS request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    /// The header `Server`.
    pub(super) server: String,
}

impl fmt::Display for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        match &*self.server {
            "" => Ok(()),
            server => write!(f, " from {server}"),
        }
    }
}

/// A GET request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Get<'g> {
    pub(super) host: &'g str,
    /// Path and query.
    pub(super) path: &'g str,
    /// One additional header.
    pub(super) header: Option<(&'static str, &'g str)>,
    /// The most bytes of the body.
    pub(super) most: usize,
}

/// Sends the request and reads the whole response. If the body is too long or incomplete, it is
/// `None`: only some callers need it.
pub(super) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    get: Get<'_>,
    patience: Duration,
) -> Result<(HttpResponse, Option<Bytes>), ProbeFault> {
    let asked = async {
        let broken = |error: hyper::Error| ProbeFault::Garbled(format!("HTTP: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = request(get)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let server = response.headers().get(header::SERVER);
            let server = server.and_then(|it| it.to_str().ok()).unwrap_or_default();
            let seen = HttpResponse {
                status: response.status().as_u16(),
                server: server.chars().take(100).collect(),
            };
            let body = Limited::new(response.into_body(), get.most).collect().await;
            Ok((seen, body.ok().map(http_body_util::Collected::to_bytes)))
        };
        tokio::pin!(exchange);
        tokio::pin!(connection);
        // The connection moves the bytes, and may finish before the exchange has read the last ones.
        tokio::select! {
            biased;
            done = &mut exchange => done,
            _ = &mut connection => exchange.await,
        }
    };
    timeout(patience, asked)
        .await
        .unwrap_or(Err(ProbeFault::TimedOut("HTTPS request")))
}

fn request(get: Get<'_>) -> Result<Request<Empty<Bytes>>, ProbeFault> {
    let mut request = Request::get(get.path)
        .header(header::HOST, get.host)
        .header(
            header::USER_AGENT,
            concat!("dnsgate/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close");
    if let Some((name, value)) = get.header {
        request = request.header(name, value);
    }
    request
        .body(Empty::new())
        .map_err(|error| ProbeFault::Garbled(format!("the request cannot be made: {error}")))
}
