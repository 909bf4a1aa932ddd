//! DNS over HTTPS (RFC 8484): each query is a POST, each reply a response, all on one connection.
//!
//! No header identifies the client: no user agent, no cookie, no language.

use std::{net::SocketAddr, pin::pin};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::client::{self, SendRequest};
use http::{Method, Request, Response, StatusCode, Uri, header};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{self, Instant},
};
use tokio_rustls::client::TlsStream;

use super::{
    connection_state::{ConnectionState, IDLE, StreamRequest},
    reply::{Reply, TransportFault},
    tls::OpenError,
};
use dnsgate_core::dns::{ServerFault, upstream_query};

/// The TLS protocol name of HTTP/2 (RFC 9113 section 3.2).
pub(super) const ALPN: &[u8] = b"h2";
/// The media type of queries and replies.
const DNS_MESSAGE: &str = "application/dns-message";
/// Maximum bytes of a message.
const LARGEST_REPLY: usize = 65_535;
/// Maximum bytes of the headers of one response; real ones have a few hundred.
const MOST_HEADERS: u32 = 16 * 1024;

/// An HTTP/2 connection.
pub(super) struct Http {
    requests: SendRequest<Bytes>,
    connection: client::Connection<TlsStream<TcpStream>, Bytes>,
    url: Uri,
}

/// The result of a request, for the connection.
enum Ended {
    /// The connection takes no more requests.
    NoMore,
    /// It was answered, it failed, or nobody waits for it any longer.
    Other,
}

/// The URL of a server.
pub(super) fn url(address: SocketAddr, name: Option<&str>, path: &str) -> Result<Uri, OpenError> {
    let authority = match name {
        Some(name) if address.port() == 443 => name.to_owned(),
        Some(name) => format!("{name}:{}", address.port()),
        None => address.to_string(),
    };
    Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| OpenError::Path(path.into()))
}

/// Starts HTTP/2 on the connection.
pub(super) async fn open(stream: TlsStream<TcpStream>, url: Uri) -> Result<Http, h2::Error> {
    let (requests, connection) = client::Builder::new()
        .enable_push(false)
        .max_header_list_size(MOST_HEADERS)
        .handshake(stream)
        .await?;
    Ok(Http {
        requests,
        connection,
        url,
    })
}

/// Serves the queries in `queue` until the connection is lost or idle, or nobody holds it. A query
/// that is dropped with it reports a lost connection to its caller.
pub(super) async fn serve(
    http: Http,
    mut queue: mpsc::Receiver<StreamRequest>,
    state: &ConnectionState,
) {
    let Http {
        requests,
        connection,
        url,
    } = http;
    let mut connection = pin!(connection);
    let mut asked = FuturesUnordered::new();
    let mut idle = pin!(time::sleep(IDLE));
    // The server has announced the end, so no new queries are accepted. The accepted ones may still
    // be answered, also from data that arrived before the connection ended.
    let (mut closing, mut ended) = (false, false);
    while !closing || !asked.is_empty() {
        if closing {
            queue.close();
            while queue.try_recv().is_ok() {}
        }
        tokio::select! {
            queued = queue.recv(), if !closing && asked.len() < state.places() => {
                let Some(queued) = queued else { return };
                // The limit is known once the server has announced it. More queries would only wait
                // here.
                state.wants(requests.current_max_send_streams());
                idle.as_mut().reset(Instant::now() + IDLE);
                asked.push(serve_one(requests.clone(), url.clone(), queued, state));
            }
            Some(ended) = asked.next(), if !asked.is_empty() => {
                closing |= matches!(ended, Ended::NoMore);
            }
            _ = &mut connection, if !ended => (closing, ended) = (true, true),
            () = &mut idle => {
                if asked.is_empty() {
                    return;
                }
                idle.as_mut().reset(Instant::now() + IDLE);
            }
        }
    }
}

async fn serve_one(
    requests: SendRequest<Bytes>,
    url: Uri,
    queued: StreamRequest,
    state: &ConnectionState,
) -> Ended {
    let StreamRequest { query, mut reply } = queued;
    let result = tokio::select! {
        result = exchange(requests, url, query) => result,
        () = reply.closed() => return Ended::Other,
    };
    match result {
        Ok(result) => {
            // Counted before the caller can learn that the connection is lost.
            state.heard();
            state.answered();
            let _ = reply.send(result);
            Ended::Other
        }
        Err(error) if error.is_reset() => Ended::Other,
        Err(_) => Ended::NoMore,
    }
}

/// Sends one request and reads its response. The error is the connection's or the stream's.
async fn exchange(
    requests: SendRequest<Bytes>,
    url: Uri,
    query: Vec<u8>,
) -> Result<Result<Reply, TransportFault>, h2::Error> {
    let mut requests = requests.ready().await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::ACCEPT, DNS_MESSAGE)
        .header(header::CONTENT_TYPE, DNS_MESSAGE)
        .header(header::CONTENT_LENGTH, query.len())
        .body(());
    let Ok(request) = request else {
        return Ok(Err(TransportFault::Malformed));
    };
    let sent = Instant::now();
    let (response, mut body) = requests.send_request(request, false)?;
    body.send_data(Bytes::copy_from_slice(&query), true)?;
    let response = response.await?;
    if response.status() != StatusCode::OK {
        let status = ServerFault::HttpStatus(response.status().as_u16());
        return Ok(Err(TransportFault::Server(status)));
    }
    if !is_dns(&response) {
        return Ok(Err(TransportFault::Server(ServerFault::HttpContent)));
    }
    let mut body = response.into_body();
    let mut message = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        if message.len() + chunk.len() > LARGEST_REPLY {
            return Ok(Err(TransportFault::Malformed));
        }
        message.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len())?;
    }
    if !upstream_query::is_reply_to(&message, &query) {
        return Ok(Err(TransportFault::Malformed));
    }
    let rtt = sent.elapsed();
    let message = upstream_query::with_question(message, &query);
    Ok(Ok(Reply { message, rtt }))
}

fn is_dns<B>(response: &Response<B>) -> bool {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    media_type.is_some_and(|value| value.as_bytes().starts_with(DNS_MESSAGE.as_bytes()))
}
