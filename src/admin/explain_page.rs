//! `GET /explain?name=NAME&type=TYPE&client=IP`: how the current policy would handle a query, and
//! why, in the format of `dnsgate explain`.
//!
//! The answer reveals the configuration, so only this machine may ask (`local_only`).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;

use super::{
    local_only::{self, Peer},
    requests::{self, AdminRequest, ExplainQuestion, ExplainRequest, NOT_NOW},
};
use crate::telemetry::Telemetry;
use dnsgate_core::dns::RecordType;

/// The required header and its value.
pub const HEADER: (&str, &str) = ("x-dnsgate", "explain");

/// Requests an explanation, if the peer is allowed to. Returns the status code and the page.
pub(crate) async fn ask(
    telemetry: &Telemetry,
    requests: &mpsc::Sender<AdminRequest>,
    peer: Peer,
    (headers, query): (&HeaderMap, &str),
) -> (StatusCode, String) {
    if let Err(why) = local_only::check(peer, headers, HEADER) {
        return (StatusCode::FORBIDDEN, format!("refused: {why}\n"));
    }
    let asked = match ExplainQuestion::of(query) {
        Ok(asked) => asked,
        Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")),
    };
    let answer = requests::ask(telemetry, requests, |answer| {
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
