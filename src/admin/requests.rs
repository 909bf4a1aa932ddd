//! What a page asks of the rest of the program: a reload, or an explanation. The page waits for the answer.

use std::net::IpAddr;

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

use crate::telemetry::{Phase, Telemetry};
use dnsgate_config::Unquoted;
use dnsgate_core::dns::{Name, RecordType};

/// The page of a request that comes before dnsgate is ready, or while it stops.
pub(super) const NOT_NOW: (StatusCode, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "not now: dnsgate is starting or stopping\n",
);

/// What is asked of the rest of the program by way of a page.
#[derive(Debug)]
pub enum AdminRequest {
    /// To read the configuration again.
    Reload(ReloadRequest),
    /// To explain a question by the policy in force.
    Explain(ExplainRequest),
}

/// Sends a request and waits for its answer. `None` if dnsgate is not ready, or stops meanwhile.
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

/// Somebody asks for a reload, and waits.
#[derive(Debug)]
pub struct ReloadRequest(pub(super) oneshot::Sender<ReloadAnswer>);

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

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainQuestion {
    /// The name.
    pub name: Name,
    /// The type; A where the request has none.
    pub rtype: RecordType,
    /// Who asks; 127.0.0.1 where the request has none.
    pub client: IpAddr,
}

/// Somebody asks for an explanation, and waits.
#[derive(Debug)]
pub struct ExplainRequest {
    pub(super) asked: ExplainQuestion,
    pub(super) answer: oneshot::Sender<String>,
}

impl ExplainRequest {
    /// What is asked about.
    #[must_use]
    pub const fn question(&self) -> &ExplainQuestion {
        &self.asked
    }

    /// Gives the explanation. Who asked may have gone.
    pub fn answer(self, text: String) {
        let _ = self.answer.send(text);
    }
}
