//! Sends one query to each server of an upstream, to show a person whether the servers work. Does
//! not track health, retry or fail over.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::time;

use super::{
    observer::{Observer, UpstreamEvent},
    share::{Party, Requester},
    transport::{OpenError, Roots, ServerReporter, ServerTransport, TransportFault},
    upstream_limits::UpstreamLimits,
};
use dnsgate_config::ServerAddr;
use dnsgate_core::{
    dns::{Failure, Response, ServerFault},
    policy::{Permit, UpstreamId},
};

/// Servers that are queried at a time; fits a descriptor limit of 1024.
const AT_A_TIME: usize = 64;

/// A server that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alive {
    /// The response code.
    pub(crate) code: u16,
    /// From the query to the reply, without the time to connect.
    pub(crate) rtt: Duration,
}

/// Why a server did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Dead {
    /// The server cannot be used. Includes the detail, if any.
    #[error("{}: {fault}{}", .fault.as_str(), in_parentheses(.detail))]
    Fault {
        /// The kind of fault.
        fault: ServerFault,
        /// The text of the underlying error; may be empty.
        detail: String,
    },
    /// No reply.
    #[error("timeout: no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// The reply is not a DNS message or does not match the question.
    #[error("malformed: its answer is no well-formed DNS message for the question")]
    Malformed,
    /// This machine has no resources left to send the query.
    #[error("busy: this machine has no file descriptor or no port left to ask with")]
    Busy,
    /// The transport cannot be set up.
    #[error("{0}")]
    Open(String),
}

fn in_parentheses(detail: &str) -> String {
    match detail {
        "" => String::new(),
        detail => format!(" ({detail})"),
    }
}

/// Queries each server of `config` once and returns the results that arrive within `patience`, in
/// the servers' order. The question is for a random name that does not exist, so that no cache has
/// it. Call it within a tokio runtime.
pub(crate) async fn probe(
    config: &dnsgate_config::Upstream,
    patience: Duration,
) -> Vec<(ServerAddr, Result<Alive, Dead>)> {
    let mut roots = Roots::new(config.ca.as_deref());
    let probes: Vec<_> = config
        .servers
        .iter()
        .map(|server| {
            let trouble_text = Arc::new(LastTroubleText::default());
            let reporter = ServerReporter::new(Arc::clone(&trouble_text) as Arc<dyn Observer>, 0);
            let transport =
                ServerTransport::new(server, &mut roots, reporter, &UpstreamLimits::default());
            async move {
                (
                    server.clone(),
                    ask(transport, &trouble_text, patience).await,
                )
            }
        })
        .collect();
    stream::iter(probes).buffered(AT_A_TIME).collect().await
}

async fn ask(
    transport: Result<ServerTransport, OpenError>,
    trouble_text: &LastTroubleText,
    patience: Duration,
) -> Result<Alive, Dead> {
    let transport = transport.map_err(|error| Dead::Open(error.to_string()))?;
    let permit = Permit::probe(UpstreamId(0), rand::random());
    let requester = Requester {
        party: Party::OWN,
        again: false,
    };
    let Ok(asked) = time::timeout(patience, transport.ask(&permit, patience, requester)).await
    else {
        return Err(Dead::Silent(patience));
    };
    let reply = asked.map_err(|fault| match fault {
        TransportFault::Server(fault) => Dead::Fault {
            fault,
            detail: trouble_text.detail(),
        },
        TransportFault::Silent => Dead::Silent(patience),
        TransportFault::Malformed => Dead::Malformed,
        TransportFault::Busy => Dead::Busy,
    })?;
    let response = Response::parse(&reply.message, permit.name(), permit.qtype(), false);
    let code = match response {
        Ok(response) => response.rcode.number(),
        Err(Failure::Code(code)) => code,
        Err(_) => return Err(Dead::Malformed),
    };
    let rtt = reply.rtt;
    Ok(Alive { code, rtt })
}

/// Keeps the last error text of a server.
#[derive(Default)]
struct LastTroubleText(Mutex<String>);

impl LastTroubleText {
    fn detail(&self) -> String {
        let said = self.0.lock();
        said.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for LastTroubleText {
    fn observe(&self, _: UpstreamEvent) {}

    fn trouble(&self, _: usize, _: Option<ServerFault>, detail: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        detail.clone_into(&mut said);
    }
}
