//! What is checked: everything that the preset promises, and everything that must not be.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::SystemTime,
};

use super::{
    Bucket, Check, Target,
    check::{Host, Way, shown},
};
use crate::{
    config::{Config, Served},
    dns::{Name, RecordType},
    policy::{Action, GroupId, Verdict},
};

/// Resolvers that anybody may ask: programs that go round the system's resolver have these built
/// in. They answer on all four ways, so what does not answer was stopped on its way.
pub const BYPASS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
];

/// What is to be checked beside the preset.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Services that must be served where their names lead.
    pub apis: Vec<Name>,
    /// A bucket that must be readable.
    pub bucket: Option<Bucket>,
    /// What must be denied and out of reach.
    pub blocked: Vec<Target>,
    /// Resolvers that must be out of reach.
    pub bypass: Vec<IpAddr>,
}

/// The checks, in the order in which they are reported.
#[must_use]
pub fn checks(config: &Config, plan: Plan, now: SystemTime) -> Vec<Check> {
    let mut checks: Vec<Check> = preset(config, now);
    checks.extend(vips(&checks));
    checks.extend(plan.apis.into_iter().map(Check::Api));
    checks.extend(plan.bucket.map(Check::Bucket));
    for target in plan.blocked {
        if let Host::Name(name) = &target.host {
            checks.push(Check::Denied(name.clone()));
        }
        checks.push(Check::Unreachable(target));
    }
    for address in plan.bypass {
        checks.extend(Way::ALL.map(|way| Check::Bypass(address, way)));
    }
    let mut distinct: Vec<Check> = Vec::with_capacity(checks.len());
    for check in checks {
        // An argument may be given twice; two results under one label would be a mistake.
        if !distinct.contains(&check) {
            distinct.push(check);
        }
    }
    distinct
}

fn preset(config: &Config, now: SystemTime) -> Vec<Check> {
    if config.served.is_empty() {
        let why = "the configuration has vip: off".to_owned();
        return vec![Check::Skip("preset".to_owned(), why)];
    }
    let served = config.served.iter();
    let check = |served: &Served| {
        let named = || format!("name {}", shown(&served.name));
        match &served.leads {
            Err(why) => Check::Skip(named(), (*why).to_owned()),
            Ok(vip) => match overruled(config, &served.name, now) {
                Some(rule) => Check::Skip(named(), format!("rule `{rule}` goes before the preset")),
                None => Check::Name(served.name.clone(), vip.clone()),
            },
        }
    };
    served.map(check).collect()
}

/// The rule by which some client is not answered from the preset.
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

/// The addresses that names lead to, each once.
fn vips(names: &[Check]) -> Vec<Check> {
    let mut all: Vec<Check> = Vec::new();
    for check in names {
        let Check::Name(_, vip) = check else { continue };
        for &address in &vip.addresses {
            let check = Check::Vip(address, vip.label);
            if !all.contains(&check) {
                all.push(check);
            }
        }
    }
    all
}
