//! `dnsgate explain`: what would become of a question, and why. The decision is made by the same
//! code as in the server; this only writes down what it saw.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::SystemTime,
};

use crate::{
    app,
    dns::{Name, RecordType, Transport},
    engine::{self, Client, Ending, GroupId, Outcome, Reason, Snapshot},
    policy::{Action, Candidate, Fate, Pattern},
    rehearsal,
};

use super::dig;

/// What is asked, by whom.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name to ask about.
    name: Name,
    /// The type to ask for.
    #[arg(default_value = "A")]
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
    let snapshot = Snapshot::new(1, config.policy, config.zones);
    #[expect(clippy::disallowed_methods, reason = "the question is asked now")]
    let now = SystemTime::now();
    io::stdout().write_all(explained(args, &snapshot, now).as_bytes())?;
    Ok(())
}

/// The whole text.
fn explained(args: &Args, snapshot: &Snapshot, now: SystemTime) -> String {
    let Args {
        name,
        rtype,
        client,
        ..
    } = args;
    let mut text = format!("{name} {rtype}, asked by {client}\n\n");
    let group = snapshot.policy().admit(*client);
    let _ = writeln!(text, "group    {}", group_line(snapshot, group, *client));
    if let Some(group) = group {
        let candidates = snapshot.policy().explain(group, name.as_ref(), *rtype, now);
        let _ = writeln!(text, "rules    {}", rules_line(&candidates));
        text.push_str(&table(&candidates));
    }
    let asker = Client {
        source: *client,
        transport: Transport::Udp,
    };
    let mut reply = vec![0; engine::max_reply(Transport::Udp)];
    let step = engine::begin(
        &rehearsal::packet(name.as_ref(), *rtype),
        asker,
        snapshot,
        now,
        &mut reply,
    );
    let outcome = step.outcome();
    let _ = writeln!(text, "verdict  {}\n", verdict_line(snapshot, outcome));
    match step {
        engine::Step::Reply { len, .. } => {
            text.push_str(&dig::text(reply.get(..len).unwrap_or_default()))
        }
        engine::Step::Drop(_) => {
            text.push_str(";; no reply is sent: the client waits until it gives up\n")
        }
    }
    text
}

fn group_line(snapshot: &Snapshot, group: Option<GroupId>, client: IpAddr) -> String {
    match group.and_then(|id| snapshot.policy().group_of(id)) {
        Some(group) => group.name.to_string(),
        None => {
            let names: Vec<&str> = snapshot
                .policy()
                .groups()
                .iter()
                .map(|group| &*group.name)
                .collect();
            format!(
                "none: {client} is in no network of {}; --client asks as another address",
                names.join(", ")
            )
        }
    }
}

fn rules_line(candidates: &[Candidate<'_>]) -> &'static str {
    match candidates {
        [] => "none is about this name",
        [_] => "one is about this name",
        _ => "these are about this name; the first that applies wins",
    }
}

/// The candidates, a line each: who wins, with what, and why the others do not.
fn table(candidates: &[Candidate<'_>]) -> String {
    let rows: Vec<[String; 4]> = candidates.iter().map(row).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, pattern, action) = (width(0), width(1), width(2));
    rows.iter()
        .zip(candidates)
        .fold(String::new(), |mut text, ([a, b, c, d], candidate)| {
            let mark = if candidate.fate == Fate::Wins {
                '>'
            } else {
                ' '
            };
            let _ = writeln!(
                text,
                "       {mark} {a:name$}  {b:pattern$}  {c:action$}  {d}"
            );
            text
        })
}

fn row(candidate: &Candidate<'_>) -> [String; 4] {
    let rule = candidate.rule;
    let action = match &rule.action {
        Action::Zone(_) => "answers from its zone",
        Action::Answer(_) => "answers with its records",
        Action::Deny => "denies",
    };
    let reason = rule
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    [
        rule.name.to_string(),
        meaning(&candidate.pattern),
        action.to_owned(),
        format!("{}{reason}", candidate.fate),
    ]
}

/// What a pattern stands for, in words.
fn meaning(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(name) => format!("exactly {name}"),
        Pattern::Subtree(name) => format!("{name} and below"),
        Pattern::Below(name) => format!("below {name}"),
    }
}

fn verdict_line(snapshot: &Snapshot, outcome: &Outcome) -> String {
    let rule = outcome
        .rule
        .and_then(|id| snapshot.policy().rule(id))
        .map_or("", |rule| &rule.name);
    match (outcome.reason, outcome.reason.ending()) {
        (Reason::Zone, _) => format!("answered from a zone, by rule {rule}"),
        (Reason::Rule, _) => format!("answered with the records of rule {rule}"),
        (Reason::Blocked, _) => format!("denied by rule {rule}"),
        (Reason::NoRule, _) => "denied, because no rule allows the name".to_owned(),
        (Reason::Stranger, _) => "denied, because the client is in no group".to_owned(),
        (Reason::ChainTooLong, _) => {
            "failed: the chain of aliases is a loop or too long".to_owned()
        }
        (reason, Ending::Rejected) => {
            format!("refused before any rule is asked: {}", reason.as_str())
        }
        (reason, _) => reason.as_str().to_owned(),
    }
}
