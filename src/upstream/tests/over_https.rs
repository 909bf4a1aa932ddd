//! Over HTTPS: what is a reply, and connections that end.

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response};

use super::{
    fake::{Stream, answer, error, read, with},
    over_tls::Authority,
    *,
};

/// What a server sends to a query: status, media type, body. An empty body of status 0 resets.
type Script = fn(&[u8]) -> (u16, &'static str, Vec<u8>);

async fn respond(
    request: Request<h2::RecvStream>,
    mut response: SendResponse<Bytes>,
    script: Script,
) {
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/dns-query");
    assert_eq!(request.headers()["content-type"], "application/dns-message");
    assert!(!request.headers().contains_key("user-agent"));
    let mut body = request.into_body();
    let mut query = Vec::new();
    while let Some(chunk) = body.data().await {
        query.extend(chunk.expect("a query"));
    }
    assert_eq!(query[..2], [0, 0], "RFC 8484 section 4.1");
    let (status, media_type, body) = script(&query);
    if status == 0 {
        return response.send_reset(h2::Reason::INTERNAL_ERROR);
    }
    let head = Response::builder()
        .status(status)
        .header("content-type", media_type)
        .body(())
        .expect("a response");
    if let Ok(mut stream) = response.send_response(head, false) {
        let _ = stream.send_data(body.into(), true);
    }
}

/// A server that says goodbye after `per_connection` requests.
async fn serve(authority: &Authority, script: Script, per_connection: usize) -> Stream {
    let acceptor = authority.server("doh.test", b"h2");
    Stream::serve(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut http = h2::server::handshake(stream).await.expect("HTTP/2");
            let mut requests = tokio::task::JoinSet::new();
            let mut count = 0;
            while let Some(Ok((request, response))) = http.accept().await {
                requests.spawn(respond(request, response, script));
                count += 1;
                if count == per_connection {
                    http.graceful_shutdown();
                }
            }
        }
    })
    .await
}

fn upstream(authority: &Authority, server: &Stream) -> (Arc<UpstreamClient>, Arc<Told>) {
    let address = ServerAddr::Https {
        address: server.address,
        name: Some("doh.test".into()),
        path: "/dns-query".into(),
    };
    let mut config = config(Strategy::Ordered, vec![address]);
    config.ca = Some(authority.pem());
    open(&config, limits(LONG))
}

const DNS: &str = "application/dns-message";

#[tokio::test]
async fn only_a_message_in_a_good_response_is_a_reply() {
    let authority = Authority::new();
    let cases: [(&str, Script, Result<u16, Failure>); 8] = [
        ("an answer", |q| (200, DNS, answer(q)), Ok(0)),
        ("no such name", |q| (200, DNS, error(q, 3)), Ok(3)),
        ("a code", |q| (200, DNS, error(q, 5)), Err(Failure::Code(5))),
        (
            "a page",
            |q| (200, "text/html", answer(q)),
            Err(Failure::Server(ServerFault::HttpContent)),
        ),
        (
            "an error's page",
            |q| (503, DNS, answer(q)),
            Err(Failure::Server(ServerFault::HttpStatus(503))),
        ),
        (
            "another question's",
            |q| (200, DNS, with(answer(q), |reply| reply[13] = b'x')),
            Err(Failure::Malformed),
        ),
        (
            "more than a message",
            |q| (200, DNS, with(answer(q), |reply| reply.resize(70_000, 0))),
            Err(Failure::Malformed),
        ),
        (
            "a reset",
            |_| (0, DNS, vec![]),
            Err(Failure::Server(ServerFault::Closed)),
        ),
    ];
    for (case, script, want) in cases {
        let server = serve(&authority, script, usize::MAX).await;
        let (upstream, _) = upstream(&authority, &server);
        assert_eq!(resolve(&upstream, 1).await, want, "{case}");
    }
}

#[tokio::test]
async fn many_questions_share_a_connection() {
    let authority = Authority::new();
    let server = serve(&authority, |q| (200, DNS, answer(q)), usize::MAX).await;
    let (upstream, _) = upstream(&authority, &server);
    let asked = (0..100).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); 100]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_goodbye_costs_nothing() {
    let authority = Authority::new();
    let server = serve(&authority, |q| (200, DNS, answer(q)), 1).await;
    let (upstream, _) = upstream(&authority, &server);
    for number in 0..10 {
        assert_eq!(resolve(&upstream, number).await, Ok(0), "{number}");
    }
}

#[tokio::test]
async fn many_questions_to_a_server_that_says_goodbye_after_each() {
    const MANY: usize = 40;
    let authority = Authority::new();
    let server = serve(&authority, |q| (200, DNS, answer(q)), 1).await;
    let (upstream, _) = upstream(&authority, &server);
    let asked = (0..MANY as u128).map(|number| resolve(&upstream, number));
    assert_eq!(join_all(asked).await, vec![Ok(0); MANY]);
}

#[tokio::test]
async fn a_server_without_http2_is_told_as_such() {
    let authority = Authority::new();
    // One refuses the handshake, one makes it without saying what is spoken then.
    for alpn in [Some(&b"http/1.1"[..]), None] {
        let acceptor = authority.acceptor("doh.test", alpn);
        let server = Stream::serve(move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = read(&mut stream).await;
                }
            }
        })
        .await;
        let (upstream, _) = upstream(&authority, &server);
        let missing = Err(Failure::Server(ServerFault::NoHttp2));
        assert_eq!(resolve(&upstream, 1).await, missing, "{alpn:?}");
    }
}
