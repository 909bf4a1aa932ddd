//! The upstreams of a configuration, made and watched, and what they tell of themselves: counted,
//! and logged where an operator would want to know.

use std::{net::IpAddr, sync::Arc};

use anyhow::Context as _;
use serde_json::json;
use tokio::runtime::Handle;

use crate::{
    config,
    policy::UpstreamId,
    reload::Numbered,
    telemetry::{self, Severity, Shed, Telemetry, UpstreamCounters},
    upstream::{self, Asked, Event, Observer, Standing, Upstream},
};

use super::forward::Forwarder;

/// Makes the upstreams of a configuration, which has so many groups, that are not there yet and makes
/// all of them known.
/// Before a query can see its snapshot.
///
/// # Errors
/// One of them cannot be made; then nothing has changed.
pub(super) fn install(
    forwarder: &Arc<Forwarder>,
    telemetry: &Telemetry,
    upstreams: &Numbered,
    groups: usize,
) -> anyhow::Result<()> {
    let mut wanted = Vec::with_capacity(upstreams.len());
    for (id, (partition, config)) in (0..).map(UpstreamId).zip(upstreams) {
        let upstream = match forwarder.upstream(*partition) {
            Some(known) => known,
            None => make(id, config, forwarder.limits(), telemetry)
                .with_context(|| format!("upstream {} cannot be used", config.name))?,
        };
        wanted.push((*partition, upstream));
    }
    forwarder.install(wanted, groups);
    Ok(())
}

fn make(
    id: UpstreamId,
    config: &config::Upstream,
    limits: &config::Limits,
    telemetry: &Telemetry,
) -> Result<Arc<Upstream>, upstream::OpenError> {
    let servers: Vec<String> = config.servers.iter().map(ToString::to_string).collect();
    let told = Told {
        counters: telemetry.upstream(&config.name, &servers),
        upstream: config.name.clone(),
        servers,
        telemetry: telemetry.clone(),
    };
    let limits = upstream::Limits {
        deadline: limits.upstream_timeout,
        waiters: limits.waiters,
        questions: limits.in_flight,
        connections: limits.upstream_connections,
        pipeline: limits.upstream_pipeline,
        probing: limits.upstream_probes,
    };
    let upstream = Upstream::new(id, config, limits, Arc::new(told))?;
    Handle::current().spawn(upstream.watch());
    Ok(Arc::new(upstream))
}

/// Where an upstream's events go.
struct Told {
    counters: Arc<UpstreamCounters>,
    upstream: Box<str>,
    servers: Vec<String>,
    telemetry: Telemetry,
}

impl Told {
    fn say(&self, severity: Severity, message: &str, server: usize) {
        self.tell(severity, message, server, None);
    }

    fn tell(&self, severity: Severity, message: &str, server: usize, from: Option<IpAddr>) {
        let mut fields = vec![
            ("upstream", json!(self.upstream)),
            ("server", json!(self.servers.get(server))),
        ];
        fields.extend(from.map(|from| ("from", json!(from))));
        self.telemetry.event(severity, message, &fields);
    }
}

impl Observer for Told {
    fn observe(&self, event: Event) {
        let counters = &self.counters;
        match event {
            Event::Asked {
                server,
                result,
                rtt,
            } => counters.asked(server, counted(result), rtt),
            Event::Mismatch { server } => counters.mismatched(server),
            Event::Hedged { .. } => counters.hedged(),
            Event::Merged => counters.merged(),
            Event::Shed => self.telemetry.shared().shed(Shed::Waiters),
            Event::Full { .. } => self.telemetry.shared().shed(Shed::Pipeline),
            Event::Refused { looping } => counters.refused(if looping {
                telemetry::Refused::Looping
            } else {
                telemetry::Refused::Down
            }),
            Event::Copied { server, from } => self.tell(
                Severity::Warning,
                "a probe for loops that went to an upstream's server came from another address: \
                 somebody sees what the server is asked and sends it here, or the server forwards \
                 to dnsgate from that address; it is still asked",
                server,
                Some(from),
            ),
            Event::Changed { server, standing } => {
                counters.up(server, standing != Standing::Down);
                let (severity, message) = match standing {
                    Standing::Up => (Severity::Notice, "an upstream's server answers"),
                    // One failure in thousands is no news; the metrics have it.
                    Standing::Suspect => return,
                    Standing::Down => (
                        Severity::Error,
                        "an upstream's server is down: it is probed, and not asked",
                    ),
                };
                self.say(severity, message, server);
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
                self.say(severity, message, server);
            }
        }
    }
}

/// The label under which the end of a question is counted.
const fn counted(result: Asked) -> telemetry::Asked {
    match result {
        Asked::Answered => telemetry::Asked::Answered,
        Asked::ErrorCode => telemetry::Asked::ErrorCode,
        Asked::Malformed => telemetry::Asked::Malformed,
        Asked::Timeout => telemetry::Asked::Timeout,
        Asked::Unreachable => telemetry::Asked::Unreachable,
        Asked::Busy => telemetry::Asked::Busy,
        Asked::Abandoned => telemetry::Asked::Abandoned,
    }
}
