//! Requests from the admin pages to the rest of the program: a reload or an explanation. The page
//! waits for the answer.
//!
//! - `POST /reload` reads the configuration again.
//! - `GET /explain?name=NAME&type=TYPE&client=IP` tells how the current policy would handle a query,
//!   and why, in the format of `dnsgate explain`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use crate::telemetry::{Phase, Telemetry};
use dnsgate_config::Unquoted;
use dnsgate_core::dns::{Name, RecordType};

use super::request_checks::{self, Peer};

/// The response before dnsgate is ready and while it stops.
pub(super) const NOT_NOW: (StatusCode, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "not now: dnsgate is starting or stopping\n",
);

/// A request from an admin page.
#[derive(Debug)]
pub enum AdminRequest {
    /// Reload the configuration.
    Reload(ReloadRequest),
    /// Explain a question by the current policy.
    Explain(ExplainRequest),
}

/// Sends a request and waits for its answer. `None` if dnsgate is not ready or stops meanwhile.
pub(super) async fn ask<T>(
    telemetry: &Telemetry,
    requests: &mpsc::Sender<AdminRequest>,
    request: impl FnOnce(oneshot::Sender<T>) -> AdminRequest,
) -> Option<T> {
    if telemetry.health().phase() != Phase::Ready {
        return None;
    }
    let (answer, answered) = oneshot::channel();
    requests.send(request(answer)).await.ok()?;
    answered.await.ok()
}

/// A request for a reload, whose sender waits.
#[derive(Debug)]
pub struct ReloadRequest(pub(super) oneshot::Sender<ReloadAnswer>);

impl ReloadRequest {
    /// Sends the result. The requester may have gone.
    pub fn answer(self, answer: ReloadAnswer) {
        let _ = self.0.send(answer);
    }
}

/// The answer to a reload request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadAnswer {
    /// The result.
    pub result: ReloadResult,
    /// For a person: the changes, or the errors.
    pub report: Unquoted,
}

/// The result of a reload, with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The file is in force: 200.
    Reloaded,
    /// The file is valid but cannot replace the current configuration: 409.
    Impossible,
    /// The file is invalid: 422.
    Invalid,
}

/// The question to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainQuestion {
    /// The name.
    pub name: Name,
    /// The type; A by default.
    pub rtype: RecordType,
    /// The client's address; 127.0.0.1 by default.
    pub client: IpAddr,
}

/// A request for an explanation, whose sender waits.
#[derive(Debug)]
pub struct ExplainRequest {
    pub(super) asked: ExplainQuestion,
    pub(super) answer: oneshot::Sender<String>,
}

impl ExplainRequest {
    /// The question to explain.
    #[must_use]
    pub const fn question(&self) -> &ExplainQuestion {
        &self.asked
    }

    /// Sends the explanation. The requester may have gone.
    pub fn answer(self, text: String) {
        let _ = self.answer.send(text);
    }
}

/// The required header of `POST /reload` and its value. This is the only request with an effect. Like
/// SIGHUP, it reads the operator's own file again and puts it in force if it is valid. No part of the
/// request is configuration.
///
/// Any program on this machine may request it (`request_checks`), because it can only load the file's
/// own content.
pub const RELOAD_HEADER: (&str, &str) = ("x-dnsgate", "reload");

impl ReloadResult {
    const fn code(self) -> StatusCode {
        match self {
            Self::Reloaded => StatusCode::OK,
            Self::Impossible => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Requests a reload, if the peer is allowed to. Returns the status code and the page.
pub(crate) async fn reload(
    telemetry: &Telemetry,
    requests: &mpsc::Sender<AdminRequest>,
    peer: Peer,
    headers: &HeaderMap,
) -> (StatusCode, String) {
    if let Err(why) = request_checks::check(peer, headers, RELOAD_HEADER) {
        return (StatusCode::FORBIDDEN, format!("refused: {why}\n"));
    }
    let answer = ask(telemetry, requests, |answer| {
        AdminRequest::Reload(ReloadRequest(answer))
    });
    match answer.await {
        Some(answer) => (answer.result.code(), format!("{}\n", answer.report)),
        None => (NOT_NOW.0, NOT_NOW.1.to_owned()),
    }
}

/// The required header of `GET /explain` and its value.
///
/// The answer reveals the configuration, so only this machine may ask (`request_checks`).
pub const EXPLAIN_HEADER: (&str, &str) = ("x-dnsgate", "explain");

/// Requests an explanation, if the peer is allowed to. Returns the status code and the page.
pub(crate) async fn explain(
    telemetry: &Telemetry,
    requests: &mpsc::Sender<AdminRequest>,
    peer: Peer,
    (headers, query): (&HeaderMap, &str),
) -> (StatusCode, String) {
    if let Err(why) = request_checks::check(peer, headers, EXPLAIN_HEADER) {
        return (StatusCode::FORBIDDEN, format!("refused: {why}\n"));
    }
    let asked = match ExplainQuestion::of(query) {
        Ok(asked) => asked,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")),
    };
    let answer = ask(telemetry, requests, |answer| {
        AdminRequest::Explain(ExplainRequest { asked, answer })
    });
    match answer.await {
        Some(text) => (StatusCode::OK, text),
        None => (NOT_NOW.0, NOT_NOW.1.to_owned()),
    }
}

impl ExplainQuestion {
    /// Parses the query string of a URL. The error says what is wrong.
    fn of(query: &str) -> Result<Self, String> {
        let (mut name, mut rtype, mut client) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match key {
                "name" => name = Some(read(key, &value)?),
                "type" => rtype = Some(read(key, &value)?),
                "client" => client = Some(read(key, &value)?),
                _ => {
                    return Err(format!(
                        "unknown parameter {key:?}; use name, type and client"
                    ));
                }
            }
        }
        Ok(Self {
            name: name.ok_or_else(|| "name is missing: /explain?name=NAME".to_owned())?,
            rtype: rtype.unwrap_or(RecordType::A),
            client: client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        })
    }
}

fn read<T: FromStr<Err: fmt::Display>>(key: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|error| format!("{key} {value:?}: {error}"))
}

/// Decodes `%` escapes in a value. Invalid escapes stay unchanged.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = match escaped {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_asked() {
        let asked = |name: &str, rtype, client: &str| {
            Ok(ExplainQuestion {
                name: name.parse().expect(name),
                rtype,
                client: client.parse().expect(client),
            })
        };
        let bad = |told: &str| Err(told.to_owned());
        for (query, want) in [
            ("name=a.b", asked("a.b.", RecordType::A, "127.0.0.1")),
            (
                "type=AAAA&client=fd00::1&name=A.b.",
                asked("a.b.", RecordType::AAAA, "fd00::1"),
            ),
            (
                "name=a%5c.b%2Fc%26.d&client=fd00%3A%3A1&",
                asked("a\\.b/c&.d", RecordType::A, "fd00::1"),
            ),
            ("", bad("name is missing: /explain?name=NAME")),
            (
                "name=a&nam=b",
                bad("unknown parameter \"nam\"; use name, type and client"),
            ),
        ] {
            assert_eq!(ExplainQuestion::of(query), want, "{query}");
        }
        for (query, told) in [
            ("name=", "name \"\": "),
            ("name=a..b", "name \"a..b\": "),
            ("name=a&type=BOGUS", "type \"BOGUS\": "),
            ("name=a&client=10.0.0.0/8", "client \"10.0.0.0/8\": "),
            ("name=a&type=%0a%", "type \"\\n%\": "),
        ] {
            let why = ExplainQuestion::of(query).expect_err(query);
            assert!(why.starts_with(told), "{query}: {why}");
        }
    }
}
