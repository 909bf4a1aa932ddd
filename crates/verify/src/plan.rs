//! Plans the checks: everything that the preset promises, and everything that must be impossible.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::SystemTime,
};

use super::{
    check::{BypassWay, EgressCheck, Endpoint, Host, shown},
    machine::Machine,
};
use crate::check::Bucket;
use dnsgate_config::{Config, Served};
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{Action, GroupId, Verdict},
};

/// Public resolvers; programs that bypass the system's resolver have them built in. For each way to
/// bypass it, some of them answer (DNS over QUIC only the last IPv4 one). So if none answers, that
/// way is blocked.
pub const BYPASS: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
    IpAddr::V4(Ipv4Addr::new(94, 140, 14, 14)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
];

/// Web servers of the internet that are not resolvers, as of 2026: GitHub, Fastly and Cloudflare, the
/// last one over IPv6. They accept connections on ports 443 and 80 under any name.
pub const LITERALS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(140, 82, 112, 3)),
    IpAddr::V4(Ipv4Addr::new(151, 101, 1, 140)),
    IpAddr::V4(Ipv4Addr::new(104, 16, 132, 229)),
    IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0x6810, 0x84e5)),
];
/// The ports on which a literal address must not accept a connection.
const LITERAL_PORTS: [u16; 2] = [443, 80];

/// The ways out that no check tries, listed at the end of each report.
const NOT_TRIED: [&str; 6] = [
    "ICMP",
    "NTP (udp:123)",
    "other protocols and ports than those listed",
    "other addresses than those listed",
    "resolvers that bypass resolv.conf and /etc/hosts (nsswitch.conf, nscd, systemd-resolved, mDNS)",
    "data in names that a rule allows",
];
/// An additional entry if a server was given.
const NOT_RESOLV_CONF: &str = "the name servers of /etc/resolv.conf (--server was given)";

/// The ways out that a run does not try.
#[must_use]
pub fn not_tried(machine: &Machine) -> Vec<&'static str> {
    let one_more = machine.resolv_conf.is_none().then_some(NOT_RESOLV_CONF);
    NOT_TRIED.into_iter().chain(one_more).collect()
}

/// The checks in addition to those of the preset.
#[derive(Clone, Debug, Default)]
pub struct VerifyPlan {
    /// Services that must answer where their names lead.
    pub apis: Vec<Name>,
    /// A bucket that must be readable.
    pub bucket: Option<Bucket>,
    /// Targets that must be denied and unreachable.
    pub blocked: Vec<Endpoint>,
    /// Resolvers that must be unreachable.
    pub bypass: Vec<IpAddr>,
    /// Further addresses that must be unreachable on ports 443 and 80.
    pub literals: Vec<IpAddr>,
}

/// The checks, in the order of the report.
#[must_use]
pub fn checks(
    config: &Config,
    plan: VerifyPlan,
    machine: &Machine,
    now: SystemTime,
) -> Vec<EgressCheck> {
    let mut checks: Vec<EgressCheck> = preset(config, now);
    let served = config.served.iter();
    let in_hosts = served.filter_map(|it| {
        let vip = it.leads.as_ref().ok()?;
        machine.hosts_of_preset(&it.name, vip)
    });
    let in_hosts: Vec<EgressCheck> = in_hosts.collect();
    checks.extend(vips(&checks));
    checks.extend(plan.apis.into_iter().map(EgressCheck::Api));
    checks.extend(plan.bucket.map(EgressCheck::Bucket));
    checks.extend(machine.resolv_conf());
    checks.extend(in_hosts);
    let mut literals = Vec::new();
    for target in plan.blocked {
        match &target.host {
            Host::Name(name) => {
                checks.push(EgressCheck::Denied(name.clone()));
                checks.push(EgressCheck::Data(name.clone()));
                checks.push(machine.hosts(name));
            }
            Host::Address(address) => literals.push(*address),
        }
        checks.push(EgressCheck::Unreachable(target));
    }
    // The addresses of the preset are permitted destinations.
    let own = machine.public_addresses().filter(|address| {
        let vips = config.served.iter().filter_map(|it| it.leads.as_ref().ok());
        !vips
            .flat_map(|vip| &vip.ranges)
            .any(|range| range.contains(address))
    });
    literals.extend(plan.literals.into_iter().chain(own));
    for address in literals {
        checks.extend(LITERAL_PORTS.map(|port| {
            EgressCheck::Unreachable(Endpoint {
                host: Host::Address(address),
                port,
            })
        }));
    }
    checks.extend(machine.proxies());
    for address in plan.bypass {
        checks.extend(BypassWay::ALL.map(|way| EgressCheck::Bypass(address, way)));
    }
    let mut distinct: Vec<EgressCheck> = Vec::with_capacity(checks.len());
    for check in checks {
        // An argument may be repeated, but two results with the same label would be an error.
        if !distinct.contains(&check) {
            distinct.push(check);
        }
    }
    distinct
}

fn preset(config: &Config, now: SystemTime) -> Vec<EgressCheck> {
    if config.served.is_empty() {
        let why = "the configuration says vip: off".to_owned();
        return vec![EgressCheck::Skip("preset".to_owned(), why)];
    }
    let served = config.served.iter();
    let check = |served: &Served| {
        let named = || format!("name {}", shown(&served.name));
        match &served.leads {
            Err(why) => EgressCheck::Skip(named(), (*why).to_owned()),
            Ok(vip) => match overruled(config, &served.name, now) {
                Some(rule) => EgressCheck::Skip(
                    named(),
                    format!("rule `{rule}` takes precedence over the preset"),
                ),
                None => EgressCheck::Name(served.name.clone(), vip.clone()),
            },
        }
    };
    served.map(check).collect()
}

/// The rule, if any, that overrides the preset's answer for some client.
fn overruled<'c>(config: &'c Config, name: &Name, now: SystemTime) -> Option<&'c str> {
    let policy = &config.policy;
    let groups = 0..policy.groups().len();
    groups.flat_map(|at| u8::try_from(at).ok()).find_map(|at| {
        let verdict = policy.decide(GroupId(at), name.as_ref(), RecordType::A, now);
        let rule = match verdict {
            Verdict::Zone { rule, .. } | Verdict::Answer { rule, .. } => Some(rule),
            Verdict::Forward(grant) => grant.rule(),
            Verdict::Deny(denial) => denial.rule,
        };
        let rule = policy.rule(rule?)?;
        let is_preset =
            matches!(rule.action, Action::Zone(_)) && rule.name.starts_with("google_apis ");
        (!is_preset).then_some(&*rule.name)
    })
}

/// The addresses that the names lead to, each once.
fn vips(names: &[EgressCheck]) -> Vec<EgressCheck> {
    let mut all: Vec<EgressCheck> = Vec::new();
    for check in names {
        let EgressCheck::Name(_, vip) = check else {
            continue;
        };
        for &address in &vip.addresses {
            let check = EgressCheck::Vip(address, vip.label);
            if !all.contains(&check) {
                all.push(check);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
