//! Creates the upstreams of a configuration, and counts and logs their events.

use std::sync::Arc;

use anyhow::Context as _;

use super::{forward::Forwarder, upstream_log::UpstreamLog};
use crate::{
    telemetry::{self, LogSeverity, Shed, Telemetry, UpstreamCounters},
    upstream::{self, Observer, QueryEnd, ServerStatus, UpstreamClient, UpstreamEvent},
};
use dnsgate_core::{dns::ServerFault, engine::Partition, policy::UpstreamId};

/// The upstreams of a configuration with their partitions, ready to install.
pub(crate) type PreparedUpstreams = Vec<(Partition, Arc<UpstreamClient>)>;

/// Creates the upstreams of a configuration that are not installed yet. They send nothing before
/// they are installed. Reads the system's certificates, so it may block. Call it within a runtime.
///
/// # Errors
/// An upstream cannot be created.
pub(crate) fn prepare(
    forwarder: &Forwarder,
    telemetry: &Telemetry,
    upstreams: &[(Partition, dnsgate_config::Upstream)],
) -> anyhow::Result<PreparedUpstreams> {
    let mut made = Vec::with_capacity(upstreams.len());
    for (id, (partition, config)) in (0..).map(UpstreamId).zip(upstreams) {
        let upstream = match forwarder.upstreams().get(*partition) {
            Some(known) => known,
            None => make(id, config, forwarder.limits(), telemetry)
                .with_context(|| format!("upstream {} cannot be used", config.name))?,
        };
        made.push((*partition, upstream));
    }
    Ok(made)
}

fn make(
    id: UpstreamId,
    config: &dnsgate_config::Upstream,
    limits: &dnsgate_config::Limits,
    telemetry: &Telemetry,
) -> Result<Arc<UpstreamClient>, upstream::OpenError> {
    let servers: Vec<String> = config.servers.iter().map(ToString::to_string).collect();
    let observer = CountingObserver {
        counters: telemetry.upstream(&config.name, &servers),
        log: UpstreamLog::new(&config.name, &servers, telemetry),
        telemetry: telemetry.clone(),
    };
    let limits = upstream::UpstreamLimits {
        deadline: limits.upstream_timeout,
        coalesced: limits.coalesced,
        questions: limits.in_flight,
        connections: limits.upstream_connections,
        pipeline: limits.upstream_pipeline,
        probing: limits.upstream_probes,
        sockets: upstream::SocketLimits {
            sockets: limits.upstream_sockets,
            questions: limits.upstream_socket_questions,
            lifetime: limits.upstream_socket_lifetime,
            near_misses: limits.upstream_near_misses,
        },
    };
    Ok(Arc::new(UpstreamClient::new(
        id,
        config,
        limits,
        Arc::new(observer),
    )?))
}

/// Counts and logs an upstream's events.
struct CountingObserver {
    counters: Arc<UpstreamCounters>,
    log: UpstreamLog,
    telemetry: Telemetry,
}

impl Observer for CountingObserver {
    fn observe(&self, event: UpstreamEvent) {
        let counters = &self.counters;
        match event {
            UpstreamEvent::QueryEnded {
                server,
                result,
                rtt,
            } => {
                counters.asked(server, counted(result), rtt);
                if let QueryEnd::Fault(_) = result {
                    self.log.failed(server);
                }
            }
            UpstreamEvent::Mismatch { server } => counters.mismatched(server),
            UpstreamEvent::Forged { server } => {
                counters.forged(server);
                self.log.forged(server);
            }
            UpstreamEvent::WithoutCase { server } => self.log.log(
                LogSeverity::Notice,
                "an upstream's server does not repeat the letter case of questions: for a while its replies \
                 are accepted in any, which makes them easier to forge",
                server,
            ),
            UpstreamEvent::WithoutEdns { server } => self.log.log(
                LogSeverity::Notice,
                "an upstream's server does not support EDNS: for a while it is queried without, and its \
                 answers hold no signatures",
                server,
            ),
            UpstreamEvent::Hedged { .. } => counters.hedged(),
            UpstreamEvent::Coalesced => counters.coalesced(),
            UpstreamEvent::Shed => self.telemetry.shared().shed(Shed::Coalesced),
            UpstreamEvent::Full { .. } => self.telemetry.shared().shed(Shed::Pipeline),
            UpstreamEvent::Refused { looping } => counters.refused(if looping {
                telemetry::UpstreamRefusal::Looping
            } else {
                telemetry::UpstreamRefusal::Down
            }),
            UpstreamEvent::Copied { server, from } => self.log.copied(server, from),
            UpstreamEvent::Changed { server, status } => {
                counters.up(server, status != ServerStatus::Down);
                match status {
                    ServerStatus::Up => self.log.changed(server, false),
                    // A single failure is not worth a log line; the metrics count it.
                    ServerStatus::Suspect => {}
                    ServerStatus::Down => self.log.changed(server, true),
                }
            }
            UpstreamEvent::Looping { server, looping } => {
                counters.looping(server, looping);
                let (severity, message) = if looping {
                    (
                        LogSeverity::Error,
                        "an upstream's server sends queries back here and gets no more of them: point it \
                         elsewhere",
                    )
                } else {
                    (
                        LogSeverity::Notice,
                        "an upstream's server no longer sends queries back here and is used again",
                    )
                };
                self.log.log(severity, message, server);
            }
        }
    }

    fn trouble(&self, server: usize, fault: Option<ServerFault>, detail: &str) {
        self.log.trouble(server, fault, detail);
    }
}

/// The metric label for the result of a query.
const fn counted(result: QueryEnd) -> telemetry::UpstreamQueryResult {
    match result {
        QueryEnd::Answered => telemetry::UpstreamQueryResult::Answered,
        QueryEnd::ErrorCode => telemetry::UpstreamQueryResult::ErrorCode,
        QueryEnd::Malformed => telemetry::UpstreamQueryResult::Malformed,
        QueryEnd::Timeout => telemetry::UpstreamQueryResult::Timeout,
        QueryEnd::Fault(fault) => match fault {
            ServerFault::Refused => telemetry::UpstreamQueryResult::Refused,
            ServerFault::Closed => telemetry::UpstreamQueryResult::Closed,
            ServerFault::NoRoute => telemetry::UpstreamQueryResult::NoRoute,
            ServerFault::Unreachable => telemetry::UpstreamQueryResult::Unreachable,
            ServerFault::Tls => telemetry::UpstreamQueryResult::Tls,
            ServerFault::CertificateName => telemetry::UpstreamQueryResult::CertificateName,
            ServerFault::CertificateExpired => telemetry::UpstreamQueryResult::CertificateExpired,
            ServerFault::CertificateNotYetValid => {
                telemetry::UpstreamQueryResult::CertificateNotYetValid
            }
            ServerFault::CertificateIssuer => telemetry::UpstreamQueryResult::CertificateIssuer,
            ServerFault::Certificate => telemetry::UpstreamQueryResult::Certificate,
            ServerFault::NoHttp2 => telemetry::UpstreamQueryResult::NoHttp2,
            ServerFault::HttpStatus(_) => telemetry::UpstreamQueryResult::HttpStatus,
            ServerFault::HttpContent => telemetry::UpstreamQueryResult::HttpContent,
        },
        QueryEnd::Busy => telemetry::UpstreamQueryResult::Busy,
        QueryEnd::Abandoned => telemetry::UpstreamQueryResult::Abandoned,
    }
}
