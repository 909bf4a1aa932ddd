//! The admin pages: `/metrics`, `/livez`, `/readyz`, `/observed`, `/usage`, `/` for a person with a
//! browser, and, for programs on this machine, `/explain` and `POST /reload`.
//!
//! The port may be reachable for more clients than intended, so it is limited
//! (`connection_limits`): the number of connections in total and per address, one request per
//! connection, and a total time. Requests with a foreign host name are rejected (`host_check`). The
//! port cannot change the configuration: a reload reads the operator's own file, and only this
//! machine may request it. Only `/usage`, which has the heaviest budgets and the names below
//! allowed subtrees, and `/observed`, which is empty unless a policy is in observe mode, show queried
//! names, and only `/usage` shows client addresses.

use std::{
    fmt::Write,
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::mpsc};

use super::{connection_limits, request_checks, requests};
use crate::{
    budgets::BudgetUse,
    clock::{calendar, monotonic},
    telemetry::{CONTENT_TYPE, Phase, Telemetry},
};
use connection_limits::{AdminSlot, BoundedListener, Bounds};
use dnsgate_config::HostName;
use dnsgate_whatif::usage::UsagePage;
use request_checks::{Hosts, Peer};

pub use requests::{
    AdminRequest, EXPLAIN_HEADER, ExplainQuestion, ExplainRequest, RELOAD_HEADER, ReloadAnswer,
    ReloadRequest, ReloadResult,
};

/// The limits of the port. A prober, a scraper and some people need few connections; a browser
/// opens six. A request head arrives with the first segment; Prometheus allows 10 s per scrape by
/// default.
const BOUNDS: Bounds = Bounds {
    heads: 16,
    pages: 8,
    per_address: 6,
    head: Duration::from_secs(2),
    whole: Duration::from_secs(10),
};
/// Maximum number of connections: both kinds, from this machine and from others.
pub const MAX_CONNECTIONS: usize = 2 * (BOUNDS.heads + BOUNDS.pages);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

struct Admin {
    telemetry: Telemetry,
    requests: mpsc::Sender<AdminRequest>,
    started: Instant,
}

/// Serves the admin pages to requests that name an address or one of the `hosts`, until `shutdown`
/// is ready and the requests in progress have ended. Reloads and explanations are requested through
/// `requests`.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    telemetry: Telemetry,
    hosts: Vec<HostName>,
    requests: mpsc::Sender<AdminRequest>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let gate = BoundedListener::new(listener, BOUNDS);
    let pages = router(telemetry, Hosts::new(&hosts), requests);
    serve_bounded(gate, pages, shutdown).await
}

/// Serves one page of metrics at `/metrics` with the same limits until `shutdown` is ready, for a
/// process that has no other pages.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve_metrics(
    listener: TcpListener,
    page: impl Fn() -> prometheus::Result<Vec<u8>> + Clone + Send + Sync + 'static,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let gate = BoundedListener::new(listener, BOUNDS);
    let metrics = move || async move { metrics_page(page()) };
    let pages = Router::new()
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn(place))
        .layer(middleware::map_response(seal));
    serve_bounded(gate, pages, shutdown).await
}

pub(crate) async fn serve_bounded(
    gate: BoundedListener,
    pages: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let pages = pages.into_make_service_with_connect_info::<Visit>();
    axum::serve(gate, pages)
        .with_graceful_shutdown(shutdown)
        .await
}

/// The sender of a request, and the slot of its connection.
#[derive(Clone)]
struct Visit {
    peer: Peer,
    place: Arc<AdminSlot>,
}

impl Connected<IncomingStream<'_, BoundedListener>> for Visit {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self {
            peer: Peer::new(stream.remote_addr().ip()),
            place: Arc::clone(stream.io().place()),
        }
    }
}

/// Moves the connection to a page slot if its request is not about health.
async fn place(ConnectInfo(visit): ConnectInfo<Visit>, request: Request, next: Next) -> Response {
    if !["/livez", "/readyz"].contains(&request.uri().path()) {
        visit.place.asks_for_page();
    }
    next.run(request).await
}

/// Rejects requests that name another host.
async fn named(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match hosts.check(request.version(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((code, page)) => page_of(code, TEXT, page),
    }
}

pub(crate) fn router(
    telemetry: Telemetry,
    hosts: Hosts,
    requests: mpsc::Sender<AdminRequest>,
) -> Router {
    let admin = Admin {
        telemetry,
        requests,
        started: monotonic(),
    };
    Router::new()
        .route("/", get(status))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/observed", get(observed))
        .route("/usage", get(usage))
        .route("/explain", get(explain))
        .route("/reload", post(reload))
        .layer(middleware::from_fn_with_state(hosts, named))
        .layer(middleware::from_fn(place))
        .layer(middleware::map_response(seal))
        .with_state(Arc::new(admin))
}

/// Sets the headers of every response. One request per connection, because an idle kept-alive
/// connection would keep its slot.
async fn seal(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in [
        (header::CONNECTION, "close"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    metrics_page(admin.telemetry.metrics())
}

fn metrics_page(page: prometheus::Result<Vec<u8>>) -> Response {
    match page {
        Ok(page) => page_of(StatusCode::OK, CONTENT_TYPE, page),
        Err(error) => page_of(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    }
}

async fn livez(State(admin): State<Arc<Admin>>) -> Response {
    match admin.telemetry.health().silent() {
        None => page_of(StatusCode::OK, TEXT, "alive\n"),
        Some(address) => page_of(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            format!("a worker of udp://{address} does not answer\n"),
        ),
    }
}

async fn reload(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(visit): ConnectInfo<Visit>,
    headers: HeaderMap,
) -> Response {
    let (code, page) =
        requests::reload(&admin.telemetry, &admin.requests, visit.peer, &headers).await;
    page_of(code, TEXT, page)
}

async fn explain(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(visit): ConnectInfo<Visit>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let asked = (&headers, uri.query().unwrap_or_default());
    let (code, page) =
        requests::explain(&admin.telemetry, &admin.requests, visit.peer, asked).await;
    page_of(code, TEXT, page)
}

async fn observed(State(admin): State<Arc<Admin>>) -> Response {
    json_page(&admin.telemetry.observed())
}

/// The page `/usage`. A state file has no budgets: what they counted ends with the process.
#[derive(Serialize)]
struct UsageAndBudgets {
    #[serde(flatten)]
    usage: UsagePage,
    /// How much of their budgets clients have used, the most first.
    budgets: Vec<BudgetUse>,
}

/// A long list takes some tenths of a second, which must not hold up other connections.
async fn usage(State(admin): State<Arc<Admin>>) -> Response {
    let page = move || UsageAndBudgets {
        usage: admin.telemetry.usage(),
        budgets: admin.telemetry.budgets().heaviest(monotonic(), calendar()),
    };
    let page = tokio::task::spawn_blocking(page).await;
    match page {
        Ok(page) => json_page(&page),
        Err(error) => page_of(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    }
}

fn json_page(content: &impl Serialize) -> Response {
    match serde_json::to_vec(content) {
        Ok(page) => page_of(StatusCode::OK, JSON, page),
        Err(error) => page_of(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let (code, state) = state(&admin.telemetry);
    let generation = admin.telemetry.shared().generation();
    let mut page = format!("{state}\ngeneration {generation}\n");
    if let Some(digest) = admin.telemetry.shared().policy_digest() {
        let _ = writeln!(page, "policy {digest}");
    }
    if let Some(why) = admin.telemetry.health().refused() {
        let _ = writeln!(page, "the last reload was refused: {why}");
    }
    page_of(code, TEXT, page)
}

async fn status(State(admin): State<Arc<Admin>>) -> Response {
    let (_, state) = state(&admin.telemetry);
    let generation = admin.telemetry.shared().generation();
    let uptime = uptime(monotonic().saturating_duration_since(admin.started));
    let digest = admin.telemetry.shared().policy_digest();
    let digest = digest.map_or_else(String::new, |digest| digest.to_string());
    let refused = match admin.telemetry.health().refused() {
        Some(why) => format!("; the last reload was refused: {}", escape(&why)),
        None => String::new(),
    };
    let page = format!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>dnsgate</title>
<style>body {{ font: 16px/1.5 sans-serif; margin: 2em }} th {{ text-align: left; padding-right: 2em }}</style></head>
<body>
<h1>dnsgate</h1>
<table>
<tr><th>version</th><td>{version}</td></tr>
<tr><th>state</th><td>{state}</td></tr>
<tr><th>up for</th><td>{uptime}</td></tr>
<tr><th>configuration</th><td>generation {generation}{refused}</td></tr>
<tr><th>policy digest</th><td>{digest}</td></tr>
</table>
<ul>
<li><a href="/metrics">/metrics</a>: counters for Prometheus</li>
<li><a href="/readyz">/readyz</a>: whether dnsgate is ready</li>
<li><a href="/usage">/usage</a>: which rules and names are in use</li>
<li><a href="/observed">/observed</a>: names that observe mode would deny</li>
<li><a href="/livez">/livez</a>: whether it runs</li>
</ul>
</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
        state = escape(&state),
    );
    page_of(StatusCode::OK, HTML, page)
}

fn page_of(code: StatusCode, content_type: &'static str, page: impl IntoResponse) -> Response {
    (code, [(header::CONTENT_TYPE, content_type)], page).into_response()
}

/// The phase as a status code and a line. Data from clients and upstreams must not affect it:
/// whoever could force a 503 could disable the resolver of the whole VPC.
fn state(telemetry: &Telemetry) -> (StatusCode, String) {
    match telemetry.health().phase() {
        Phase::Starting(missing) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("starting: {missing}"),
        ),
        Phase::Ready => (StatusCode::OK, "ready".to_owned()),
        Phase::Draining(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("draining: {why}")),
    }
}

/// `3d 04:05:06`
pub(crate) fn uptime(up: Duration) -> String {
    let seconds = up.as_secs();
    let mut text = String::new();
    if seconds >= 86_400 {
        let _ = write!(text, "{}d ", seconds / 86_400);
    }
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    let _ = write!(text, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
    text
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
