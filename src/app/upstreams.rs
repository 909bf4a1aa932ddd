//! The upstreams of a configuration, made and watched, and what they tell of themselves: counted,
//! and logged where an operator would want to know.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use tokio::runtime::Handle;

use crate::{
    config,
    engine::Partition,
    policy::UpstreamId,
    reload::Numbered,
    telemetry::{self, Severity, Shed, Telemetry, UpstreamCounters},
    upstream::{self, Asked, Event, Observer, Standing, Upstream},
};

use super::forward::Forwarder;

/// The upstreams of a configuration with their partitions, ready to be made known.
pub(super) type Made = Vec<(Partition, Arc<Upstream>)>;

/// Makes the upstreams of a configuration, but for those that are there; nobody knows of them yet.
/// Reads the system's certificates, so that it may wait for a file. Within a runtime.
///
/// # Errors
/// One of them cannot be made.
pub(super) fn prepare(
    forwarder: &Forwarder,
    telemetry: &Telemetry,
    upstreams: &Numbered,
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
        let fields = [
            ("upstream", json!(self.upstream)),
            ("server", json!(self.servers.get(server))),
        ];
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
                        "an upstream's server sends what it is asked back here: point it elsewhere",
                    )
                } else {
                    (
                        Severity::Notice,
                        "an upstream's server sends nothing back here any more",
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
