//! `dnsgate check`: everything that is wrong with a configuration, or a line of what it holds. What
//! it passes can be started: so it runs the tests, too.
//!
//! With `--probe` each server of each upstream is asked once, which shows what no file can: that it is
//! there, speaks the protocol and has the certificate that is expected. Without, nothing is sent.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;

use crate::upstream;
use dnsgate_config::ListenArg;
use dnsgate_core::dns::Rcode;

use super::test;

/// The arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration, - for standard input; the built-in one if absent.
    file: Option<PathBuf>,
    /// Check it for a dnsgate that is started with this --listen; may be repeated.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<ListenArg>,
    /// Ask each server of each upstream once, for a name that does not exist, and tell what came:
    /// exit code 1 if one cannot be used.
    #[arg(long)]
    probe: bool,
}

/// Checks the file, or the built-in configuration. Warnings go to standard error and do not fail.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let listen: Vec<_> = args.listen.into_iter().flatten().collect();
    let config = dnsgate_config::read_for(args.file.as_deref(), &listen)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    for warning in config.warnings(now) {
        writeln!(io::stderr(), "{warning}")?;
    }
    let patience = config.startup.limits.upstream_timeout;
    let (cases, summary) = (config.cases, config.summary);
    let snapshot = dnsgate_whatif::snapshot(config.policy, config.zones, config.upstreams.len());
    let subject = dnsgate_whatif::Subject::new(&snapshot, &config.upstreams);
    for tried in dnsgate_whatif::run(&cases, &subject, now) {
        if let Some(warning) = test::warning(&tried) {
            writeln!(io::stderr(), "{warning}")?;
        }
    }
    dnsgate_whatif::check(&cases, &subject, now)?;
    let tests = match cases.len() {
        0 => "no tests".to_owned(),
        1 => "1 test passed".to_owned(),
        count => format!("{count} tests passed"),
    };
    writeln!(io::stdout(), "{summary}, {tests}")?;
    if args.file.is_none() {
        let note = "this is the built-in configuration, as no FILE was named";
        writeln!(io::stdout(), "{note}")?;
    }
    if args.probe {
        return probe(&config.upstreams, patience);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks each server once, a line each.
fn probe(upstreams: &[dnsgate_config::Upstream], patience: Duration) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let mut out = io::stdout().lock();
    if upstreams.is_empty() {
        writeln!(out, "nothing to probe: there is no upstream")?;
    }
    let mut code = ExitCode::SUCCESS;
    for upstream in upstreams {
        for (server, result) in runtime.block_on(upstream::probe(upstream, patience)) {
            let name = &upstream.name;
            match result {
                Ok(alive) => {
                    let ms = alive.rtt.as_secs_f64() * 1e3;
                    let said = told(alive.code);
                    writeln!(out, "{name} {server}: ok, {said} after {ms:.1} ms")?;
                }
                Err(dead) => {
                    writeln!(out, "{name} {server}: failed, {dead}")?;
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    Ok(code)
}

/// A response code as dig prints it.
fn told(code: u16) -> String {
    let known = Rcode::ALL.iter().find(|rcode| rcode.number() == code);
    known.map_or_else(|| format!("code {code}"), |rcode| rcode.as_str().to_owned())
}
