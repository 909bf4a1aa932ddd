//! One question to each server of an upstream, for a person who wants to know whether they can be
//! used: no health, no second try, no other server.

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

/// Servers that are asked at a time: as many as a descriptor limit of 1024 bears easily.
const AT_A_TIME: usize = 64;

/// A server that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// The response code.
    pub code: u16,
    /// From the query to the reply, without what it took to connect.
    pub rtt: Duration,
}

/// Why a server did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    /// It cannot be used; with what was found, if that says more.
    #[error("{}: {fault}{}", .fault.as_str(), in_parentheses(.detail))]
    Fault {
        /// Why.
        fault: ServerFault,
        /// In the words of whoever found it, perhaps none.
        detail: String,
    },
    /// It said nothing.
    #[error("timeout: no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// It answered with what is no DNS message, or not to the question.
    #[error("malformed: its answer is no well-formed DNS message for the question")]
    Malformed,
    /// There was no room to ask.
    #[error("busy: this machine has no file descriptor or no port left to ask with")]
    Busy,
    /// The way to it cannot be set up.
    #[error("{0}")]
    Open(String),
}

fn in_parentheses(detail: &str) -> String {
    match detail {
        "" => String::new(),
        detail => format!(" ({detail})"),
    }
}

/// Asks each server of `config` once and tells what came within `patience`, in their order. The
/// question is for a name that does not exist, which nobody has asked before. To be called within a
/// tokio runtime.
pub async fn probe(
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

/// Keeps what was said last of a server.
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
