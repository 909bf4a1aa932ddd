//! Requests from the admin pages to the rest of the program: a reload or an explanation. The page
//! waits for the answer.

use std::net::IpAddr;

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

use crate::telemetry::{Phase, Telemetry};
use dnsgate_config::Unquoted;
use dnsgate_core::dns::{Name, RecordType};

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
