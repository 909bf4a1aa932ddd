//! `POST /reload`: the one request that does something. It reads the operator's own file again and
//! puts it in force if it is wholly valid, which SIGHUP does as well; nothing of the request gets
//! into the configuration.
//!
//! Who may: any program of this machine (`local_only`), since all that it can cause is that the file's
//! own content is in force.

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use dnsgate_config::Unquoted;

use super::{
    local_only::{self, Peer},
    pages::{AdminRequest, NOT_NOW, is_ready},
};
use crate::telemetry::Telemetry;

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
    /// For a person: what has changed, or where all is wrong.
    pub report: Unquoted,
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
    let not_now = (StatusCode::SERVICE_UNAVAILABLE, NOT_NOW.to_owned());
    if !is_ready(telemetry) {
        return not_now;
    }
    let (answer, answered) = oneshot::channel();
    let request = AdminRequest::Reload(ReloadRequest(answer));
    if requests.send(request).await.is_err() {
        return not_now;
    }
    match answered.await {
        Ok(answer) => (answer.result.code(), format!("{}\n", answer.report)),
        Err(_) => not_now,
    }
}
