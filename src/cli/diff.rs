//! `dnsgate diff`: the changes if one configuration replaced another: by key, and by question. The questions are
//! probed or taken from a query log. The old one may be a file of another program.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::json;

use super::{
    import::{group, replace},
    logs::{self, ReadLogs},
};
use dnsgate_config::Config;
use dnsgate_import::{CLOSED_RULE, ImportOptions, Kept, SourceFormat, import};
use dnsgate_whatif::{
    Diff, Subject,
    diff::{DiffReport, PageContext, ReportSize, page},
};

/// The server of the upstream that an imported policy asks for everything that it does not mention. It is never asked.
const ELSEWHERE: (&str, &str) = ("elsewhere", "udp://192.0.2.53");

/// What is compared, and by which questions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dnsgate diff old.yaml new.yaml
  dnsgate diff old.yaml new.yaml --replay queries.json.gz --html change.html
  dnsgate diff --from rpz block.rpz dnsgate.yaml --replay AWSLogs/ --json")]
pub(super) struct DiffArgs {
    /// The old configuration file; - for standard input. With --from, a file of another program.
    old: PathBuf,
    /// The new configuration file; - for standard input.
    new: PathBuf,
    /// Compare by the queries of this log, a file or a directory, packed by gzip or not: of dnsgate (written with `log: {
    /// queries: all }`, all queries or a sample), Cloud DNS, Route 53 Resolver, CoreDNS, Unbound, or dnstap; - for standard
    /// input.
    #[arg(long, value_name = "LOG")]
    replay: Option<PathBuf>,
    /// The format of OLD, as dnsgate import knows it: gcloud-dns, gcloud-response-policy, rpz, unbound, corefile,
    /// route53-firewall, fqdn-policy, domains, or auto. What it allows by default counts as allowed, and only what a client
    /// notices counts as a change.
    #[arg(long, value_name = "FORMAT")]
    from: Option<SourceFormat>,
    /// The addresses of workloads that policies of OLD select by label, as in app=web=10.1.0.0/24; may be repeated.
    #[arg(long, value_name = "LABEL=CIDR", value_parser = group, requires = "from")]
    group: Vec<(String, IpNet)>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also write a page for the people who approve the change: one HTML file, for a screen and for paper.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

/// What is printed, and the exit code.
struct Compared {
    text: String,
    html: String,
    code: ExitCode,
}

/// The old configuration.
struct OldPolicy {
    config: Config,
    /// Where an imported one differs from its source, and why.
    notes: Vec<(String, String)>,
}

/// Compares two files.
pub(super) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    #[expect(clippy::disallowed_methods, reason = "the questions are asked now")]
    let now = SystemTime::now();
    let compared = compared(args, now)?;
    if let Some(path) = &args.html {
        replace(path, &compared.html)?;
    }
    io::stdout().write_all(compared.text.as_bytes())?;
    Ok(compared.code)
}

/// Compares, and writes the report in each form.
fn compared(args: &DiffArgs, now: SystemTime) -> anyhow::Result<Compared> {
    let old = old(args)?;
    let new = dnsgate_config::read(Some(&args.new))?;
    let changes = match args.from {
        None => old.config.contents.changes(&new.contents).to_string(),
        Some(_) => String::new(),
    };
    let OldPolicy { config, notes } = old;
    let one = dnsgate_whatif::snapshot(config.policy, config.zones, config.upstreams.len());
    let other = dnsgate_whatif::snapshot(new.policy, new.zones, new.upstreams.len());
    let mut diff = Diff::new(
        Subject::new(&one, &config.upstreams),
        Subject::new(&other, &new.upstreams),
        now,
    );
    if args.from.is_some() {
        diff = diff.by_effect(CLOSED_RULE);
    }
    let replayed = match &args.replay {
        Some(log) => Some(logs::replay(log, |question, times| {
            diff.ask(question, times);
        })?),
        None => {
            diff.probe();
            None
        }
    };
    let has_none = |replayed: &&ReadLogs| replayed.summary.questions == 0;
    if let Some(replayed) = replayed.as_ref().filter(has_none) {
        bail!("the log has no question to compare; {replayed}");
    }
    let context = PageContext {
        old: args.old.display().to_string(),
        new: args.new.display().to_string(),
        made: Timestamp::try_from(now).map_or_else(|_| String::new(), minute),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        questions: questions(args.replay.as_deref(), replayed.as_ref()),
        changes,
        notes,
    };
    Ok(Compared {
        text: if args.json {
            document(&diff.report(ReportSize::JSON), &context, replayed.as_ref())?
        } else {
            text(&diff, &context, replayed.as_ref())
        },
        html: match args.html {
            Some(_) => page(&diff.report(ReportSize::PAGE), &context),
            None => String::new(),
        },
        code: ExitCode::from(u8::from(diff.changed() > 0)),
    })
}

/// Reads the old configuration, or imports it.
fn old(args: &DiffArgs) -> anyhow::Result<OldPolicy> {
    let Some(format) = args.from else {
        return Ok(OldPolicy {
            config: dnsgate_config::read(Some(&args.old))?,
            notes: Vec::new(),
        });
    };
    let (name, server) = ELSEWHERE;
    let options = ImportOptions {
        upstreams: vec![(name.to_owned(), server.parse()?)],
        groups: args.group.clone(),
        keep_default_allow: true,
        ..ImportOptions::default()
    };
    let imported = import(format, std::slice::from_ref(&args.old), &options)?;
    let shown = args.old.display().to_string();
    let config = dnsgate_config::parse(&imported.text, &shown, Path::new(""))
        .with_context(|| format!("{shown} cannot be imported"))?;
    let items = imported.report.items.iter();
    // Types are not narrowed here: the comparison takes what the source forwards.
    let items = items.filter(|item| item.kept != Kept::Kept && item.what != "forwarded types");
    let notes = items.map(|item| {
        let what = format!("{} ({}): {}", item.what, item.kept.as_str(), item.why);
        (item.place.to_string(), what)
    });
    Ok(OldPolicy {
        config,
        notes: notes.collect(),
    })
}

/// Where the questions come from, in a sentence without its dot.
fn questions(log: Option<&Path>, replayed: Option<&ReadLogs>) -> String {
    let (Some(log), Some(replayed)) = (log, replayed) else {
        return "The questions are made from both configurations: every name in them, and one below each".to_owned();
    };
    let summary = &replayed.summary;
    let formats: Vec<_> = summary.formats().map(|it| it.to_string()).collect();
    let source = match log == Path::new(dnsgate_config::STDIN) {
        true => "standard input".to_owned(),
        false => log.display().to_string(),
    };
    let mut text = format!(
        "The questions were asked by clients, and logged by {} ({source}",
        formats.join(" and ")
    );
    if let Some((first, last)) = summary.first.zip(summary.last) {
        let _ = write!(text, ", from {} to {}", minute(first), minute(last));
    }
    text.push(')');
    text
}

/// A time as people write it, to the minute.
fn minute(time: Timestamp) -> String {
    let text = format!("{time:.0}");
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

fn text(diff: &Diff<'_>, context: &PageContext, replayed: Option<&ReadLogs>) -> String {
    let PageContext {
        old,
        new,
        changes,
        notes,
        ..
    } = context;
    let mut text = match &**changes {
        "" => format!("{old} -> {new}\n\n"),
        changes => format!("{old} -> {new}: {changes}\n\n"),
    };
    let _ = write!(text, "{diff}");
    if let Some(replayed) = replayed {
        let _ = writeln!(text, "{replayed}");
    }
    if !notes.is_empty() {
        text.push_str("\nThe old policy is not compared exactly as it is:\n");
    }
    for (place, what) in notes {
        let _ = writeln!(text, "  {place}: {what}");
    }
    text
}

fn document(
    report: &DiffReport,
    context: &PageContext,
    replayed: Option<&ReadLogs>,
) -> anyhow::Result<String> {
    let log = replayed.map(|replayed| {
        let summary = &replayed.summary;
        let formats: Vec<_> = summary.formats().map(|it| it.to_string()).collect();
        json!({
            "questions": summary.questions,
            "withoutQuestion": summary.others,
            "formats": formats,
            "first": summary.first.map(|time| time.to_string()),
            "last": summary.last.map(|time| time.to_string()),
            "files": replayed.files,
            "brokenFiles": replayed.broken,
        })
    });
    let notes = context.notes.iter();
    let notes = notes.map(|(place, what)| json!({"place": place, "what": what}));
    let document = json!({
        "old": context.old,
        "new": context.new,
        "changes": context.changes,
        "log": log,
        "notCompared": notes.collect::<Vec<_>>(),
        "report": serde_json::to_value(report)?,
    });
    Ok(format!("{document:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_is_0_for_equal_and_1_for_different() {
        const OLD: &str = "rules: [{ name: ci, domains: [ci.test], deny: nxdomain }]\n";
        let dir = tempfile::tempdir().expect("directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect(name);
            path
        };
        let (old, same) = (write("old.yaml", OLD), write("same.yaml", OLD));
        let new = write("new.yaml", &OLD.replace("ci.test", "cd.test"));
        let code = |new: &Path| {
            let args = DiffArgs {
                old: old.clone(),
                new: new.to_owned(),
                replay: None,
                from: None,
                group: Vec::new(),
                json: false,
                html: None,
            };
            compared(&args, SystemTime::UNIX_EPOCH)
                .map(|done| done.code)
                .ok()
        };
        assert_eq!(code(&same), Some(ExitCode::SUCCESS));
        assert_eq!(code(&new), Some(ExitCode::from(1)));
        assert_eq!(code(&dir.path().join("gone.yaml")), None);
    }
}
