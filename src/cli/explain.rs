//! `dnsgate explain`: what would become of a question, and why. The decision is made by the same
//! code as in the server; this only writes down what it saw.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    app,
    config::Upstream,
    dns::{Name, RecordType, Transport},
    engine::{
        self, Client, Context, Ending, GroupId, Outcome, Policy, Reason, Snapshot, Step, UpstreamId,
    },
    policy::{Action, Candidate, Fate, Pattern},
    rehearsal,
};

use super::dig;

mod forward;

/// How far from the left what is said begins.
const MARGIN: usize = 10;

/// What is asked, by whom.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name to ask about.
    name: Name,
    /// The type to ask for.
    #[arg(value_name = "TYPE", default_value = "A")]
    rtype: RecordType,
    /// The address that asks.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client: IpAddr,
    /// The configuration; the built-in one if absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Explains one question.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = app::read_config(args.config.as_deref())?;
    let count = config.upstreams.len();
    let snapshot = rehearsal::snapshot(config.policy, config.zones, count);
    #[expect(clippy::disallowed_methods, reason = "the question is asked now")]
    let now = SystemTime::now();
    let text = explained(args, &snapshot, &config.upstreams, now);
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The whole text.
fn explained(args: &Args, snapshot: &Snapshot, upstreams: &[Upstream], now: SystemTime) -> String {
    let Args {
        name,
        rtype,
        client,
        ..
    } = args;
    let group = snapshot.policy().admit(*client);
    let mut text = String::new();
    let mut say = |what: &str, said: &str| {
        let _ = writeln!(text, "{what:MARGIN$}{said}");
    };
    say("question", &format!("{name} {rtype}"));
    say("client", &client_line(snapshot, group, *client));
    say("policy", &policy_line(args.config.as_deref()));
    if let Some(group) = group {
        let candidates = snapshot.policy().explain(group, name.as_ref(), *rtype, now);
        say("rules", rules_line(&candidates));
        table(&candidates, upstreams)
            .iter()
            .for_each(|row| say("", row));
    }
    let asker = Client {
        source: *client,
        transport: Transport::Udp,
    };
    let mut reply = vec![0; engine::max_reply(Transport::Udp)];
    let step = engine::begin(
        &rehearsal::packet(name.as_ref(), *rtype),
        asker,
        &Context::new(snapshot, now),
        &mut reply,
    );
    let (policy, outcome) = (snapshot.policy(), step.outcome());
    say("verdict", &verdict_line(policy, outcome, upstreams));
    if let Step::Ask(ask) = &step {
        for (what, said) in forward::lines(ask, policy, upstreams, now) {
            say(what, &said);
        }
    }
    text.push('\n');
    match step {
        Step::Reply { len, .. } => text.push_str(&dig::text(reply.get(..len).unwrap_or_default())),
        Step::Drop(_) => text.push_str(";; no reply is sent: the client waits until it gives up\n"),
        Step::Ask(ask) => {
            let (name, qtype) = (ask.permit.name(), ask.permit.qtype());
            let _ = writeln!(
                text,
                ";; the reply has what {} says of {name} {qtype}, as far as it may pass",
                upstream_name(upstreams, ask.permit.upstream())
            );
        }
    }
    text
}

fn client_line(snapshot: &Snapshot, group: Option<GroupId>, client: IpAddr) -> String {
    let policy = snapshot.policy();
    match group.and_then(|id| policy.group_of(id)) {
        Some(group) => format!("{client}, which is in group {}", group.name),
        None => {
            let names: Vec<&str> = policy.groups().iter().map(|group| &*group.name).collect();
            format!("{client}, which is in no group of: {}", names.join(", "))
        }
    }
}

fn policy_line(config: Option<&Path>) -> String {
    match config {
        Some(path) => path.display().to_string(),
        None => "the built-in one; --config FILE reads another".to_owned(),
    }
}

fn rules_line(candidates: &[Candidate<'_>]) -> &'static str {
    let decided = candidates.iter().any(|it| it.fate == Fate::Wins);
    match candidates {
        [] => "none is about this name",
        _ if !decided => "none of those about this name applies:",
        [_] => "one is about this name:",
        _ => "these are about this name, the one marked > decides:",
    }
}

/// The candidates, a line each: who wins, with what, and why the others do not.
fn table(candidates: &[Candidate<'_>], upstreams: &[Upstream]) -> Vec<String> {
    let rows: Vec<[String; 4]> = candidates.iter().map(|it| row(it, upstreams)).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, pattern, action) = (width(0), width(1), width(2));
    let lines = rows.iter().map(|[rule, about, does, fate]| {
        format!("{rule:name$}   {about:pattern$}   {does:action$}   {fate}")
    });
    let mark = |candidate: &Candidate<'_>| match candidate.fate {
        Fate::Wins => '>',
        _ => ' ',
    };
    candidates
        .iter()
        .zip(lines)
        .map(|(candidate, line)| format!("{} {line}", mark(candidate)))
        .collect()
}

fn row(candidate: &Candidate<'_>, upstreams: &[Upstream]) -> [String; 4] {
    let rule = candidate.rule;
    let action = match &rule.action {
        Action::Zone(_) => "answers from its zone".to_owned(),
        Action::Answer(_) => "answers with its records".to_owned(),
        Action::Forward(forwarding) => {
            format!(
                "forwards to {}",
                upstream_name(upstreams, forwarding.upstream)
            )
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
        format!("{}{reason}", candidate.fate),
    ]
}

/// What a pattern stands for, in words.
fn meaning(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(name) => format!("exactly {name}"),
        Pattern::Subtree(name) => format!("{name} and all below"),
        Pattern::Below(name) => format!("all below {name}"),
    }
}

/// The operator's name for an upstream.
fn upstream_name(upstreams: &[Upstream], id: UpstreamId) -> &str {
    let upstream = upstreams.get(usize::from(id.0));
    upstream.map_or("nobody", |upstream| &upstream.name)
}

fn verdict_line(policy: &Policy, outcome: &Outcome, upstreams: &[Upstream]) -> String {
    let rule = outcome
        .rule
        .and_then(|id| policy.rule(id))
        .map(|rule| &*rule.name);
    let upstream = outcome.upstream.map(|id| upstream_name(upstreams, id));
    let upstream = upstream.unwrap_or("nobody");
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
        (Reason::Stranger, _) => "denied, because the client is in no group".to_owned(),
        (Reason::ChainTooLong, _) => {
            "failed: the chain of aliases is a loop or too long".to_owned()
        }
        (Reason::MetaType, _) => "refused: the type is not one of records".to_owned(),
        (reason, Ending::Rejected) => {
            format!("refused before any rule is asked: {}", reason.as_str())
        }
        (reason, _) => reason.as_str().to_owned(),
    }
}
