//! The upstreams of a configuration, made and watched, and what they tell of themselves.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Handle;

use crate::{
    config,
    engine::Partition,
    policy::UpstreamId,
    reload::Numbered,
    upstream::{self, Event, Observer, Upstream},
};

use super::forward::Forwarder;

/// Makes the upstreams of a configuration that are not there yet and makes all of them known.
/// Before a query can see its snapshot.
///
/// # Errors
/// One of them cannot be made; then nothing has changed.
pub(super) fn install(forwarder: &Forwarder, upstreams: &Numbered) -> anyhow::Result<()> {
    let mut wanted: Vec<(Partition, Arc<Upstream>)> = Vec::with_capacity(upstreams.len());
    for (id, (partition, config)) in (0..).map(UpstreamId).zip(upstreams) {
        let upstream = match forwarder.upstream(*partition) {
            Some(known) => known,
            None => {
                let made = Upstream::new(id, config, of(forwarder.limits()), Arc::new(Nobody))
                    .with_context(|| format!("upstream {} cannot be used", config.name))?;
                let made = Arc::new(made);
                Handle::current().spawn(made.watch());
                made
            }
        };
        wanted.push((*partition, upstream));
    }
    forwarder.install(wanted);
    Ok(())
}

fn of(limits: &config::Limits) -> upstream::Limits {
    upstream::Limits {
        deadline: limits.upstream_timeout,
        waiters: limits.waiters,
        questions: limits.in_flight,
    }
}

struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: Event) {}
}
