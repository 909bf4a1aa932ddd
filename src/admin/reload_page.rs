//! `POST /reload`: the only request with an effect. Like SIGHUP, it reads the operator's own file
//! again and puts it in force if it is valid. No part of the request enters the configuration.
//!
//! Any program on this machine may request it (`local_only`), because it can only load the file's
//! own content.

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;

use super::{
    local_only::{self, Peer},
    requests::{self, AdminRequest, NOT_NOW, ReloadRequest, ReloadResult},
};
use crate::telemetry::Telemetry;

/// The required header and its value.
pub const HEADER: (&str, &str) = ("x-dnsgate", "reload");

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
pub(crate) async fn ask(
    telemetry: &Telemetry,
    requests: &mpsc::Sender<AdminRequest>,
    peer: Peer,
    headers: &HeaderMap,
) -> (StatusCode, String) {
    if let Err(why) = local_only::check(peer, headers, HEADER) {
        return (StatusCode::FORBIDDEN, format!("refused: {why}\n"));
    }
    let answer = requests::ask(telemetry, requests, |answer| {
        AdminRequest::Reload(ReloadRequest(answer))
    });
    match answer.await {
        Some(answer) => (answer.result.code(), format!("{}\n", answer.report)),
        None => (NOT_NOW.0, NOT_NOW.1.to_owned()),
    }
}
