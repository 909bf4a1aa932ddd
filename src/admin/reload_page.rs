//! `POST /reload`: the one request that does something. It reads the operator's own file again and
//! puts it in force if it is wholly valid, which SIGHUP does as well; nothing of the request gets
//! into the configuration.
//!
//! Who may: any program of this machine (`local_only`), since all that it can cause is that the file's
//! own content is in force.

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;

use super::{
    local_only::{self, Peer},
    requests::{self, AdminRequest, NOT_NOW, ReloadRequest, ReloadResult},
};
use crate::telemetry::Telemetry;

/// The header that a request must have, and its value.
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

/// Asks for a reload, if that peer may; the code and the page.
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
