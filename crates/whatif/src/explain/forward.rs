//! Describes the upstream of a forwarded question, and the limits on its answer.

use std::time::SystemTime;

use crate::ask::Subject;
use dnsgate_config::{Strategy, described_budget};
use dnsgate_core::{
    engine::Forward,
    policy::{AnswerRanges, Budget, CnameMode, Forwarding, OverBudget, Verdict},
};

/// The lines of the description, each with its heading.
pub(super) fn lines(
    ask: &Forward,
    subject: &Subject<'_>,
    now: SystemTime,
) -> Vec<(&'static str, String)> {
    let (permit, policy) = (&ask.permit, subject.snapshot.policy());
    let verdict = ask
        .outcome
        .group
        .map(|group| policy.decide(group, permit.name(), permit.qtype(), now));
    let mut lines = vec![("upstream", servers(ask, subject))];
    let Some(Verdict::Forward(grant)) = verdict else {
        return lines;
    };
    lines.push(("answers", answers(grant.forwarding())));
    lines.push(("aliases", aliases(grant.forwarding())));
    let rule = grant.rule().and_then(|id| policy.rule(id));
    if let Some(rule) = rule.filter(|_| !grant.is_observed()) {
        lines.push(("types", rule.types.to_string()));
        lines.push(("budget", budget(grant.forwarding().budget.as_ref())));
    }
    lines
}

fn servers(ask: &Forward, subject: &Subject<'_>) -> String {
    let id = ask.permit.upstream();
    let name = subject.name_of(id);
    let Some(upstream) = subject.upstream(id) else {
        return name.to_owned();
    };
    let servers: Vec<_> = upstream.servers.iter().map(ToString::to_string).collect();
    let order = match upstream.strategy {
        _ if servers.len() < 2 => "",
        Strategy::Fastest => ", the fastest first",
        Strategy::Ordered => ", in this order",
        Strategy::Spread => ", each in turn",
    };
    format!("{name}: {}{order}", servers.join(" "))
}

/// How much may leave, and what happens beyond it.
fn budget(budget: Option<&Budget>) -> String {
    let Some(budget) = budget else {
        return "none: any number of names may be asked for".to_owned();
    };
    let over = match budget.over {
        OverBudget::Report => "more is reported",
        OverBudget::Deny => "more is denied",
    };
    format!("{}; {over}", described_budget(budget))
}

/// The addresses that the reply may contain.
fn answers(forwarding: &Forwarding) -> String {
    let addresses = match &forwarding.answers {
        AnswerRanges::Public => "public addresses only".to_owned(),
        within => format!("addresses within {within} only"),
    };
    format!("{addresses}, along the whole alias chain, whoever answers")
}

/// The names to which its aliases may lead.
fn aliases(forwarding: &Forwarding) -> String {
    let mode = forwarding.cname.as_str();
    let to = match forwarding.cname {
        CnameMode::Any => "to every name that no rule denies",
        CnameMode::Allowed => "to allowed names only",
    };
    format!("{to} (cname: {mode})")
}
