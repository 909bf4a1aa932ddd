//! DNS over HTTPS (RFC 8484): each question a POST, each reply a response, on one connection.
//!
//! No header tells who asks: no user agent, no cookie, no language.

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

/// How HTTP/2 is asked for in the TLS handshake (RFC 9113 section 3.2).
pub(super) const ALPN: &[u8] = b"h2";
/// The media type of a message, there and back.
const DNS_MESSAGE: &str = "application/dns-message";
/// The largest message.
const LARGEST_REPLY: usize = 65_535;
/// Headers of one response, in bytes; real ones have a few hundred.
const MOST_HEADERS: u32 = 16 * 1024;

/// An HTTP/2 connection.
pub(super) struct Http {
    requests: SendRequest<Bytes>,
    connection: client::Connection<TlsStream<TcpStream>, Bytes>,
    url: Uri,
}

/// How a request ended.
enum Ended {
    /// The connection takes no more requests.
    NoMore,
    /// It was answered, did not work out, or nobody waits for it any longer.
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

/// Begins to speak HTTP/2.
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

/// Serves the questions of `queue`, until the connection is lost, idle, or nobody's any longer.
/// What is dropped with it is lost, which is how those who wait are told.
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
    // No more questions, because the server said goodbye; those that have been taken may yet be
    // answered, even with what had come when the connection ended.
    let (mut closing, mut ended) = (false, false);
    while !closing || !asked.is_empty() {
        if closing {
            queue.close();
            while queue.try_recv().is_ok() {}
        }
        tokio::select! {
            queued = queue.recv(), if !closing && asked.len() < state.places() => {
                let Some(queued) = queued else { return };
                // Known as soon as it has said so. More of them would only wait here.
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
            // Before anybody can learn that the connection is lost.
            state.heard();
            state.answered();
            let _ = reply.send(result);
            Ended::Other
        }
        Err(error) if error.is_reset() => Ended::Other,
        Err(_) => Ended::NoMore,
    }
}

/// One request and its response. The error is the connection's or the stream's.
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
