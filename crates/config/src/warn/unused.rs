//! Warns of suspicious upstreams, and of a mode that is meant to be temporary.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
};

use super::super::{
    error::{Faults, MAX_NOTICES, Notice},
    file::{File, Mode, UpstreamEntry},
    given::NamedEntry,
};

/// The metadata server of Compute Engine, which is also the name server of its machines.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// The warnings about upstreams and the mode.
pub(crate) fn upstreams(file: &File, faults: &Faults<'_>) -> Vec<Notice> {
    let observed = match file.mode.value() {
        Some(Mode::Observe(upstream)) => Some(upstream),
        Some(Mode::Enforce) | None => None,
    };
    let forwarded = file.rules.values().filter_map(|rule| rule.forward.as_ref());
    let used: HashSet<_> = forwarded.chain(observed).map(|name| &name.value).collect();
    let entries = file.upstreams.entries();
    let unused = entries
        .iter()
        .filter(|entry| !used.contains(&entry.name.value))
        .map(|entry| unused(entry, faults));
    let metadata = entries.iter().flat_map(|entry| metadata(entry, faults));
    let observed = observed.map(|upstream| {
        let message = format!(
            "mode observe denies nothing: what no rule allows is forwarded to `{}` and recorded",
            upstream.value.0
        );
        let help = "mode: enforce, once the rules allow what is needed".to_owned();
        faults.warning(upstream.place, message, Some(help))
    });
    let all = observed.into_iter().chain(metadata).chain(unused);
    all.take(MAX_NOTICES).collect()
}

fn unused(entry: &NamedEntry<UpstreamEntry>, faults: &Faults<'_>) -> Notice {
    let name = &entry.name.value.0;
    faults.warning(
        entry.name.place,
        format!("no rule forwards to upstream `{name}`"),
        Some(format!("write a rule with forward: {name}, or remove it")),
    )
}

/// Servers that may forward queries back to dnsgate.
fn metadata<'f>(
    entry: &'f NamedEntry<UpstreamEntry>,
    faults: &'f Faults<'_>,
) -> impl Iterator<Item = Notice> + 'f {
    let servers = entry.servers.iter().flat_map(|servers| &servers.value);
    servers
        .filter(|server| server.value.address().ip() == METADATA)
        .map(|server| {
            faults.warning(
                server.place,
                format!("{METADATA} is the metadata server: where an outbound server policy of this VPC names dnsgate, it forwards every question back to dnsgate, in a circle"),
                Some("ask a resolver that no server policy governs, such as tls://8.8.8.8#dns.google; or leave it where there is no such policy".to_owned()),
            )
        })
}
