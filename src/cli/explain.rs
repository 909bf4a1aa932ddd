//! `dnsgate explain`: explains the decision about a question, by a configuration file or by the configuration in
//! force in a running dnsgate; or about every question of a query log, one line each.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use super::{
    http::{AdminUrl, HttpRequest, encoded},
    logs::{self, ReadLogs},
};
use crate::admin::EXPLAIN_HEADER;
use dnsgate_config::Upstream;
use dnsgate_core::{
    dns::{Name, RecordType, Transport},
    engine::Snapshot,
};
use dnsgate_whatif::{
    ClientQuestion, Subject,
    explain::{VerdictTally, explain},
};

/// The time limit for a running dnsgate: longer than the limit that its admin port has for a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest response, in bytes: no explanation is as long.
const MAX_ANSWER: u64 = 1 << 20;

/// What is asked, by whom.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The name to ask about.
    #[arg(required_unless_present = "replay")]
    name: Option<Name>,
    /// The type to ask for.
    #[arg(value_name = "TYPE", default_value = "A")]
    rtype: RecordType,
    /// The address of the client.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client: IpAddr,
    /// The configuration file; - for standard input. Default: the built-in configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the running dnsgate at this admin address (127.0.0.1:9153, localhost:9153 or the URL), which explains by
    /// the policy in force; it answers requests from its own machine only.
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    admin: Option<AdminUrl>,
    /// Explain every question of a query log, most asked first: JSON lines as dnsgate writes them, or lines or an
    /// array of entries as Cloud Logging exports them; - for standard input. Exit code 2 if it has none.
    #[arg(long, value_name = "LOG", conflicts_with_all = ["name", "rtype", "client", "admin"])]
    replay: Option<PathBuf>,
}

/// Explains a question or a log.
pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let text = match (&args.name, &args.admin, &args.replay) {
        (_, _, Some(log)) => match replayed(args, log)? {
            Ok(text) => text,
            Err(none) => {
                writeln!(
                    io::stderr(),
                    "dnsgate: the log has no question to explain; {none}"
                )?;
                return Ok(ExitCode::from(2));
            }
        },
        (Some(name), Some(url), None) => running(args, name, url)?,
        (Some(name), None, None) => explained(args, name)?,
        (None, _, None) => bail!("give the NAME to explain"),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Explains by a configuration file.
fn explained(args: &ExplainArgs, name: &Name) -> anyhow::Result<String> {
    let (snapshot, upstreams) = read(args)?;
    let subject = Subject::new(&snapshot, &upstreams);
    let question = ClientQuestion {
        name: name.as_ref(),
        rtype: args.rtype,
        source: args.client,
        transport: Transport::Udp,
    };
    let origin = match &args.config {
        Some(path) => path.display().to_string(),
        None => "built-in; give another with --config FILE".to_owned(),
    };
    Ok(explain(question, &subject, &origin, now()))
}

/// Explains by the configuration in force in a running dnsgate.
fn running(args: &ExplainArgs, name: &Name, url: &AdminUrl) -> anyhow::Result<String> {
    let (name, rtype) = (encoded(&name.to_string()), args.rtype);
    let path = format!("/explain?name={name}&type={rtype}&client={}", args.client);
    let asked = url.clone().or_path(&path);
    let response = asked
        .ask(HttpRequest {
            method: "GET",
            header: Some(EXPLAIN_HEADER),
            patience: PATIENCE,
            most: MAX_ANSWER,
        })
        .with_context(|| format!("{url} does not answer"))?;
    match response.code() {
        Some("200") => Ok(response.body),
        Some("400" | "403" | "503") => bail!("{}", response.body.trim_end()),
        Some("404") => bail!("{url} has no page /explain: does it run another version?"),
        _ => bail!("{url} answered {:?}", response.status),
    }
}

/// Explains every question of a log; if it has none, returns the summary of the log.
fn replayed(args: &ExplainArgs, log: &Path) -> anyhow::Result<Result<String, ReadLogs>> {
    let (snapshot, upstreams) = read(args)?;
    let mut tally = VerdictTally::new(Subject::new(&snapshot, &upstreams), now());
    let replayed = logs::replay(log, |question, times| tally.ask(question, times))?;
    Ok(match replayed.summary.questions {
        0 => Err(replayed),
        _ => Ok(format!("{tally}\n{replayed}\n")),
    })
}

/// Reads the configuration as it would be in force.
fn read(args: &ExplainArgs) -> anyhow::Result<(Snapshot, Vec<Upstream>)> {
    let config = dnsgate_config::read(args.config.as_deref())?;
    let count = config.upstreams.len();
    let snapshot = dnsgate_whatif::snapshot(config.policy, config.zones, count);
    Ok((snapshot, config.upstreams))
}

fn now() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "the question is asked now")]
    SystemTime::now()
}
