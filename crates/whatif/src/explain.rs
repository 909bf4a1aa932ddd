//! Explains the decision about a question. The engine decides, as in the server; this module only
//! describes the decision, the upstream of a forwarded question, and the reply in the format of dig.

mod tally;

use std::{fmt::Write as _, net::IpAddr, time::SystemTime};

use hickory_proto::{
    op::Message,
    rr::{Record, rdata::opt::EdnsOption},
};

use crate::ask::{ClientQuestion, Subject, packet, rule_of};
use dnsgate_config::{Strategy, described_budget};
use dnsgate_core::{
    dns::{Ede, Rcode},
    engine::{self, Client, Context, Ending, Forward, GroupId, Outcome, Policy, Reason, Step},
    policy::{
        Action, AnswerRanges, Budget, Candidate, CnameMode, Disposition, Forwarding, OverBudget,
        Pattern, Verdict,
    },
};

pub use tally::VerdictTally;

/// The column at which descriptions begin.
const MARGIN: usize = 10;

/// Explains one question, asked at `now`. `origin` is the name of the policy.
#[must_use]
pub fn explain(
    question: ClientQuestion<'_>,
    subject: &Subject<'_>,
    origin: &str,
    now: SystemTime,
) -> String {
    explain_running(question, subject, origin, now, &|_| None)
}

/// Explains one question, asked at `now`, in a running dnsgate. `left` tells what is left of the budget
/// of a question that would be forwarded.
#[must_use]
pub fn explain_running(
    question: ClientQuestion<'_>,
    subject: &Subject<'_>,
    origin: &str,
    now: SystemTime,
    left: &dyn Fn(&Forward) -> Option<String>,
) -> String {
    let ClientQuestion {
        name,
        rtype,
        source,
        transport,
    } = question;
    let snapshot = subject.snapshot;
    let policy = snapshot.policy();
    let group = policy.admit(source);
    let mut text = String::new();
    let mut say = |what: &str, said: &str| {
        let _ = writeln!(text, "{what:MARGIN$}{said}");
    };
    say("question", &format!("{name} {rtype}"));
    say("client", &client_line(policy, group, source));
    say("policy", origin);
    if let Some(group) = group {
        let candidates = policy.explain(group, name, rtype, now);
        say("rules", rules_line(&candidates));
        table(&candidates, subject)
            .iter()
            .for_each(|row| say("", row));
    }
    let mut reply = vec![0; engine::max_reply(transport)];
    let step = engine::begin(
        &packet(name, rtype),
        Client { source, transport },
        &Context::new(snapshot, now),
        &mut reply,
    );
    say("verdict", &verdict_line(subject, step.outcome()));
    if let Some(near) = near_miss(policy, question, step.outcome(), now) {
        say("nearest", &near);
    }
    if let Step::Forward(ask) = &step {
        for (what, said) in lines(ask, subject, now) {
            say(what, &said);
        }
        if let Some(left) = left(ask) {
            say("left", &left);
        }
    }
    text.push('\n');
    match step {
        Step::Reply { len, .. } => text.push_str(&dig(reply.get(..len).unwrap_or_default())),
        Step::Drop(..) => {
            text.push_str(";; no reply is sent: the client waits until it times out\n")
        }
        Step::Forward(ask) => {
            let (name, qtype) = (ask.permit.name(), ask.permit.qtype());
            let _ = writeln!(
                text,
                ";; the reply holds what {} says of {name} {qtype}, as far as the response filter lets it pass",
                subject.name_of(ask.permit.upstream())
            );
        }
    }
    text
}

fn client_line(policy: &Policy, group: Option<GroupId>, client: IpAddr) -> String {
    match group.and_then(|id| policy.group_of(id)) {
        Some(group) => format!("{client}, which is in group {}", group.name),
        None => {
            let names: Vec<&str> = policy.groups().iter().map(|group| &*group.name).collect();
            format!("{client}, which is in no group of: {}", names.join(", "))
        }
    }
}

fn rules_line(candidates: &[Candidate<'_>]) -> &'static str {
    let decided = candidates
        .iter()
        .any(|it| it.disposition == Disposition::Wins);
    match candidates {
        [] => "no rule matches this name",
        _ if !decided => "these rules match this name, but none applies:",
        [_] => "one rule matches this name:",
        _ => "these rules match this name; the one marked > decides:",
    }
}

/// The candidate rules, one per line: which one wins, by which pattern, and why the others do not.
fn table(candidates: &[Candidate<'_>], subject: &Subject<'_>) -> Vec<String> {
    let rows: Vec<[String; 4]> = candidates.iter().map(|it| row(it, subject)).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, pattern, action) = (width(0), width(1), width(2));
    let lines = rows.iter().map(|[rule, about, does, disposition]| {
        format!("{rule:name$}   {about:pattern$}   {does:action$}   {disposition}")
    });
    let mark = |candidate: &Candidate<'_>| match candidate.disposition {
        Disposition::Wins => '>',
        _ => ' ',
    };
    candidates
        .iter()
        .zip(lines)
        .map(|(candidate, line)| format!("{} {line}", mark(candidate)))
        .collect()
}

fn row(candidate: &Candidate<'_>, subject: &Subject<'_>) -> [String; 4] {
    let rule = candidate.rule;
    let action = match &rule.action {
        Action::Zone(_) => "answers from its zone".to_owned(),
        Action::Answer(_) => "answers with its records".to_owned(),
        Action::Forward(forwarding) => {
            format!("forwards to {}", subject.name_of(forwarding.upstream))
        }
        Action::Deny => "denies".to_owned(),
    };
    let reason = rule
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    [
        rule.name.to_string(),
        meaning(&candidate.pattern),
        action,
        format!("{}{reason}", candidate.disposition),
    ]
}

/// The meaning of a pattern, in words.
fn meaning(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(name) => format!("exactly {name}"),
        Pattern::Subtree(name) => format!("{name} and all below"),
        Pattern::Below(name) => format!("all below {name}"),
    }
}

/// For a name that no rule covers: the nearest rule, and the pattern that would cover the name.
fn near_miss(
    policy: &Policy,
    question: ClientQuestion<'_>,
    outcome: &Outcome,
    now: SystemTime,
) -> Option<String> {
    let is_missed = matches!(outcome.reason, Reason::NoRule | Reason::Search);
    let group = outcome.group.filter(|_| is_missed)?;
    let near = policy.near_miss(group, question.name, question.rtype, now)?;
    let has = match near.pattern {
        Pattern::Exact(_) => format!("exactly {}", written(&near.pattern)),
        Pattern::Subtree(_) | Pattern::Below(_) => written(&near.pattern),
    };
    let (rule, cover) = (&near.rule.name, written(&near.would_cover));
    Some(format!("{rule} has {has}; {cover} would cover it"))
}

/// A pattern in the form of the file.
fn written(pattern: &Pattern) -> String {
    let text = pattern.to_string();
    match pattern.name().is_root() {
        true => text,
        false => text.trim_end_matches('.').to_owned(),
    }
}

fn verdict_line(subject: &Subject<'_>, outcome: &Outcome) -> String {
    let rule = rule_of(outcome, subject.snapshot.policy());
    let upstream = subject.upstream_of(outcome).unwrap_or("nobody");
    if outcome.reason == Reason::Observed {
        let why = match rule {
            Some(rule) => format!("by `{rule}`"),
            None => "because no rule allows the name".to_owned(),
        };
        return format!("would be denied {why}; observed only: forwarded to `{upstream}`");
    }
    let rule = rule.unwrap_or_default();
    match (outcome.reason, outcome.reason.ending()) {
        (Reason::Zone, _) => format!("answered from its zone by `{rule}`"),
        (Reason::Rule, _) => format!("answered with its records by `{rule}`"),
        (Reason::Any, _) => "answered by RFC 8482: no upstream is asked for ANY".to_owned(),
        (Reason::Upstream, _) => format!("forwarded to `{upstream}` by `{rule}`"),
        (Reason::Blocked, _) => format!("denied by `{rule}`"),
        (Reason::NoRule, _) => "denied, because no rule allows the name".to_owned(),
        (Reason::OtherGroup, _) => format!("denied, because `{rule}` is for other groups"),
        (Reason::OtherType, _) => format!("denied, because `{rule}` is for other types"),
        (Reason::Expired, _) => format!("denied, because `{rule}` has ended"),
        (Reason::Search, _) => {
            format!("denied by `{rule}`, as a name that cannot exist in the public DNS")
        }
        (Reason::UnknownClient, _) => "denied, because the client is in no group".to_owned(),
        (Reason::ChainTooLong, _) => {
            "failed: the chain of aliases is a loop or too long".to_owned()
        }
        (Reason::MetaType, _) => "refused: the type is not a type of records".to_owned(),
        (reason, Ending::Rejected) => {
            format!("refused before any rule is looked up: {}", reason.as_str())
        }
        (reason, _) => reason.as_str().to_owned(),
    }
}

/// The text of a reply in wire form; one line of explanation if it cannot be decoded.
fn dig(reply: &[u8]) -> String {
    match Message::from_vec(reply) {
        Ok(message) => of_message(&message),
        Err(error) => format!(";; the reply cannot be decoded: {error}\n"),
    }
}

fn of_message(message: &Message) -> String {
    let mut text = String::new();
    let flags = [
        ("aa", message.authoritative),
        ("tc", message.truncation),
        ("rd", message.recursion_desired),
        ("ra", message.recursion_available),
        ("cd", message.checking_disabled),
    ];
    let flags: String = flags
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| format!(" {name}"))
        .collect();
    let number = u16::from(message.response_code);
    let status = Rcode::ALL
        .into_iter()
        .find(|rcode| rcode.number() == number)
        .map_or("?", Rcode::as_str);
    let _ = writeln!(text, ";; status: {status}, flags: qr{flags}");
    for option in message.edns.iter().flat_map(|edns| edns.options().as_ref()) {
        if let (15, EdnsOption::Unknown(_, data)) = (u16::from(option.0), &option.1) {
            let _ = writeln!(text, ";; {}", extended_error(data));
        }
    }
    section(&mut text, "ANSWER", &message.answers);
    section(&mut text, "AUTHORITY", &message.authorities);
    section(&mut text, "ADDITIONAL", &message.additionals);
    text
}

fn section(text: &mut String, title: &str, records: &[Record]) {
    if records.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n;; {title} SECTION:");
    for record in records {
        let _ = writeln!(text, "{record}");
    }
}

/// The option data of an extended DNS error: two bytes of code, then text (RFC 8914 section 2).
fn extended_error(data: &[u8]) -> String {
    let (code, reason) = data.split_at_checked(2).unwrap_or((data, &[]));
    let number = code
        .iter()
        .fold(0u16, |number, &byte| number << 8 | u16::from(byte));
    let known = [Ede::Blocked, Ede::Filtered, Ede::Prohibited]
        .into_iter()
        .find(|ede| ede.number() == number);
    let name = known.map_or_else(String::new, |ede| format!(" ({ede:?})"));
    format!("EDE: {number}{name}: {}", String::from_utf8_lossy(reason))
}

/// The lines of the description, each with its heading.
fn lines(ask: &Forward, subject: &Subject<'_>, now: SystemTime) -> Vec<(&'static str, String)> {
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
