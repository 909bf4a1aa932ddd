//! The upstreams of a configuration, made and watched, and what they tell of themselves: counted,
//! and logged where an operator would want to know.

use std::sync::Arc;

use anyhow::Context as _;

use super::{forward::Forwarder, upstream_log::Notices};
use crate::{
    telemetry::{self, Severity, Shed, Telemetry, UpstreamCounters},
    upstream::{self, Asked, Event, Observer, Standing, Upstream},
};
use dnsgate_core::{dns::ServerFault, engine::Partition, policy::UpstreamId};

/// The upstreams of a configuration with their partitions, ready to be made known.
pub(crate) type Made = Vec<(Partition, Arc<Upstream>)>;

/// Makes the upstreams of a configuration, but for those that are there; nobody knows of them yet, and
/// they do nothing.
/// Reads the system's certificates, so that it may wait for a file. Within a runtime.
///
/// # Errors
/// One of them cannot be made.
pub(crate) fn prepare(
    forwarder: &Forwarder,
    telemetry: &Telemetry,
    upstreams: &[(Partition, dnsgate_config::Upstream)],
) -> anyhow::Result<Made> {
    let mut made = Vec::with_capacity(upstreams.len());
    for (id, (partition, config)) in (0..).map(UpstreamId).zip(upstreams) {
        let upstream = match forwarder.upstream(*partition) {
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
) -> Result<Arc<Upstream>, upstream::OpenError> {
    let servers: Vec<String> = config.servers.iter().map(ToString::to_string).collect();
    let told = Told {
        counters: telemetry.upstream(&config.name, &servers),
        notices: Notices::new(&config.name, &servers, telemetry),
        telemetry: telemetry.clone(),
    };
    let limits = upstream::Limits {
        deadline: limits.upstream_timeout,
        waiters: limits.waiters,
        questions: limits.in_flight,
        connections: limits.upstream_connections,
        pipeline: limits.upstream_pipeline,
        probing: limits.upstream_probes,
        near_misses: limits.upstream_near_misses,
    };
    Ok(Arc::new(Upstream::new(id, config, limits, Arc::new(told))?))
}

/// Where an upstream's events go.
struct Told {
    counters: Arc<UpstreamCounters>,
    notices: Notices,
    telemetry: Telemetry,
}

impl Observer for Told {
    fn observe(&self, event: Event) {
        let counters = &self.counters;
        match event {
            Event::Asked {
                server,
                result,
                rtt,
            } => {
                counters.asked(server, counted(result), rtt);
                if let Asked::Fault(_) = result {
                    self.notices.failed(server);
                }
            }
            Event::Mismatch { server } => counters.mismatched(server),
            Event::Forged { server } => {
                counters.forged(server);
                self.notices.forged(server);
            }
            Event::WithoutEdns { server } => self.notices.say(
                Severity::Notice,
                "an upstream's server does not know EDNS: it is asked without for a while, and gives \
                 no signatures",
                server,
            ),
            Event::Hedged { .. } => counters.hedged(),
            Event::Merged => counters.merged(),
            Event::Shed => self.telemetry.shared().shed(Shed::Waiters),
            Event::Full { .. } => self.telemetry.shared().shed(Shed::Pipeline),
            Event::Refused { looping } => counters.refused(if looping {
                telemetry::Refused::Looping
            } else {
                telemetry::Refused::Down
            }),
            Event::Copied { server, from } => self.notices.copied(server, from),
            Event::Changed { server, standing } => {
                counters.up(server, standing != Standing::Down);
                match standing {
                    Standing::Up => self.notices.changed(server, false),
                    // One failure in thousands is no news; the metrics have it.
                    Standing::Suspect => {}
                    Standing::Down => self.notices.changed(server, true),
                }
            }
            Event::Looping { server, looping } => {
                counters.looping(server, looping);
                let (severity, message) = if looping {
                    (
                        Severity::Error,
                        "an upstream's server sends what it is asked back here and is not asked any more: \
                         point it elsewhere",
                    )
                } else {
                    (
                        Severity::Notice,
                        "an upstream's server sends nothing back here any more and is asked again",
                    )
                };
                self.notices.say(severity, message, server);
            }
        }
    }

    fn trouble(&self, server: usize, fault: Option<ServerFault>, detail: &str) {
        self.notices.trouble(server, fault, detail);
    }
}

/// The label under which the end of a question is counted.
const fn counted(result: Asked) -> telemetry::Asked {
    match result {
        Asked::Answered => telemetry::Asked::Answered,
        Asked::ErrorCode => telemetry::Asked::ErrorCode,
        Asked::Malformed => telemetry::Asked::Malformed,
        Asked::Timeout => telemetry::Asked::Timeout,
        Asked::Fault(fault) => match fault {
            ServerFault::Refused => telemetry::Asked::Refused,
            ServerFault::Closed => telemetry::Asked::Closed,
            ServerFault::NoRoute => telemetry::Asked::NoRoute,
            ServerFault::Unreachable => telemetry::Asked::Unreachable,
            ServerFault::Tls => telemetry::Asked::Tls,
            ServerFault::CertificateName => telemetry::Asked::CertificateName,
            ServerFault::CertificateExpired => telemetry::Asked::CertificateExpired,
            ServerFault::CertificateNotYetValid => telemetry::Asked::CertificateNotYetValid,
            ServerFault::CertificateIssuer => telemetry::Asked::CertificateIssuer,
            ServerFault::Certificate => telemetry::Asked::Certificate,
            ServerFault::NoHttp2 => telemetry::Asked::NoHttp2,
            ServerFault::HttpStatus(_) => telemetry::Asked::HttpStatus,
            ServerFault::HttpContent => telemetry::Asked::HttpContent,
        },
        Asked::Busy => telemetry::Asked::Busy,
        Asked::Abandoned => telemetry::Asked::Abandoned,
    }
}
