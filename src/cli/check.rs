//! `dnsgate check`: prints every error of a configuration, or a line that summarises it. It also runs the
//! configuration's tests, because a start would refuse a configuration whose tests fail.
//!
//! `--probe` asks each server of each upstream once: whether it responds, speaks the protocol and has the expected
//! certificate cannot be seen in the file. Without `--probe` nothing is sent. `--digest` prints the digest of the policy,
//! to compare with that of a running instance.

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
use dnsgate_whatif::plural;

/// The arguments of the verb.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The configuration file; - for standard input. Default: the built-in configuration.
    file: Option<PathBuf>,
    /// Check the configuration as `dnsgate serve` with this --listen would use it; may be repeated.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<ListenArg>,
    /// Ask each server of each upstream once, for a name that does not exist, and print the result;
    /// exit code 1 if a server cannot be used.
    #[arg(long)]
    probe: bool,
    /// Print only the digest of the policy: the SHA-256 that /readyz and dnsgate_policy_info of an
    /// instance show when it decides alike. Order, comments and written defaults do not change it.
    #[arg(long, conflicts_with = "probe")]
    digest: bool,
}

/// Checks the file, or the built-in configuration. Warnings go to standard error, and are not failures.
pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
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
    for tried in dnsgate_whatif::run_tests(&cases, &subject, now) {
        if let Some(warning) = test::warning(&tried) {
            writeln!(io::stderr(), "{warning}")?;
        }
    }
    dnsgate_whatif::check_tests(&cases, &subject, now)?;
    if args.digest {
        writeln!(io::stdout(), "{}", config.digest)?;
        return Ok(ExitCode::SUCCESS);
    }
    let tests = match cases.len() as u64 {
        0 => "no tests".to_owned(),
        count => plural(count, "test passed", "tests passed"),
    };
    writeln!(io::stdout(), "{summary}, {tests}")?;
    if args.file.is_none() {
        let note = "no FILE was given, so this is the built-in configuration";
        writeln!(io::stdout(), "{note}")?;
    }
    if args.probe {
        return probe(&config.upstreams, patience);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks each server once, and prints a line for each.
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
