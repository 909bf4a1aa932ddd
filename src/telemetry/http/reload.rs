//! `POST /reload`: the one request that does something. It reads the operator's own file again and
//! puts it in force if it is wholly valid, which SIGHUP does as well; nothing of the request gets
//! into the configuration.
//!
//! Who may: programs of this machine, even where the admin port is open to others. Any of them,
//! since all that it can cause is that the file's own content is in force. A web page in a browser
//! of this machine is none: it can neither set our header without asking first, which nobody
//! grants, nor reach us under a name of its own (DNS rebinding), since the request has to name
//! this machine.

use std::net::IpAddr;

use axum::{
    extract::connect_info::Connected,
    http::{HeaderMap, StatusCode, header, uri::Authority},
    serve::IncomingStream,
};
use tokio::sync::{mpsc, oneshot};

use super::{Gate, Phase, Telemetry};

/// The header that a request must have, and its value.
pub const HEADER: (&str, &str) = ("x-dnsgate", "reload");

/// Somebody asks for a reload, and waits.
#[derive(Debug)]
pub struct ReloadRequest(oneshot::Sender<ReloadAnswer>);

impl ReloadRequest {
    /// Tells how it ended. Who asked may have gone.
    pub fn answer(self, answer: ReloadAnswer) {
        let _ = self.0.send(answer);
    }
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadAnswer {
    /// How it ended.
    pub result: ReloadResult,
    /// For a person: what has changed, or all that is wrong.
    pub report: String,
}

/// How a reload ended, as HTTP has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The file is in force: 200.
    Reloaded,
    /// The file is valid, and cannot take the place of what is in force: 409.
    Impossible,
    /// The file is not wholly valid: 422.
    Invalid,
}

impl ReloadResult {
    const fn code(self) -> StatusCode {
        match self {
            Self::Reloaded => StatusCode::OK,
            Self::Impossible => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(IpAddr);

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        Self(stream.remote_addr().ip().to_canonical())
    }
}

/// Asks for a reload, if that peer may; the code and the page.
pub(super) async fn ask(
    telemetry: &Telemetry,
    reloads: &mpsc::Sender<ReloadRequest>,
    peer: Peer,
    headers: &HeaderMap,
) -> (StatusCode, String) {
    if let Err(why) = check(peer, headers) {
        return (StatusCode::FORBIDDEN, format!("refused: {why}\n"));
    }
    const NOT_NOW: &str = "not now: dnsgate is starting or stopping\n";
    let not_now = (StatusCode::SERVICE_UNAVAILABLE, NOT_NOW.to_owned());
    if telemetry.health().phase() != Phase::Ready {
        return not_now;
    }
    let (answer, answered) = oneshot::channel();
    if reloads.send(ReloadRequest(answer)).await.is_err() {
        return not_now;
    }
    match answered.await {
        Ok(answer) => (answer.result.code(), format!("{}\n", answer.report)),
        Err(_) => not_now,
    }
}

fn check(peer: Peer, headers: &HeaderMap) -> Result<(), &'static str> {
    if !peer.0.is_loopback() {
        return Err("only this machine may ask for a reload");
    }
    let (name, value) = HEADER;
    if headers.get(name).is_none_or(|given| given != value) {
        return Err("the request has no header `X-Dnsgate: reload`");
    }
    if headers.contains_key(header::ORIGIN) {
        return Err("the request comes from a web page");
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_this_machine) {
        return Err("the Host of the request is neither localhost nor a loopback address");
    }
    Ok(())
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// The peer, the headers, and a part of the refusal; empty for none.
    type Case<'a> = (&'a str, &'a [(&'static str, &'static str)], &'a str);

    #[test]
    fn only_programs_of_this_machine_may() {
        let ours = [("x-dnsgate", "reload"), ("host", "127.0.0.1:9153")];
        let with = |host| [ours[0], ("host", host)];
        let cases: &[Case<'_>] = &[
            ("127.0.0.1", &ours, ""),
            ("127.8.0.1", &with("localhost"), ""),
            ("::1", &with("[::1]:9153"), ""),
            ("::ffff:127.0.0.1", &with("LOCALHOST:1"), ""),
            ("10.0.0.1", &ours, "only this machine"),
            ("::ffff:10.0.0.1", &ours, "only this machine"),
            ("fe80::1", &ours, "only this machine"),
            ("127.0.0.1", &ours[1..], "no header"),
            ("127.0.0.1", &[("x-dnsgate", "yes"), ours[1]], "no header"),
            ("127.0.0.1", &ours[..1], "the Host"),
            ("127.0.0.1", &with("evil.example:9153"), "the Host"),
            ("127.0.0.1", &with("127.0.0.1.evil.example"), "the Host"),
            ("127.0.0.1", &with("localhost.evil.example"), "the Host"),
            ("127.0.0.1", &with("10.0.0.1:9153"), "the Host"),
            ("127.0.0.1", &with(""), "the Host"),
            (
                "127.0.0.1",
                &[ours[0], ours[1], ("origin", "http://127.0.0.1:9153")],
                "web page",
            ),
        ];
        for (peer, given, told) in cases {
            let peer = Peer(peer.parse::<IpAddr>().expect("an address").to_canonical());
            let mut headers = HeaderMap::new();
            for &(name, value) in *given {
                headers.append(name, HeaderValue::from_static(value));
            }
            match check(peer, &headers) {
                Ok(()) => assert_eq!(*told, "", "{peer:?} {given:?}"),
                Err(why) => assert!(
                    !told.is_empty() && why.contains(told),
                    "{peer:?} {given:?}: {why}"
                ),
            }
        }
    }
}
