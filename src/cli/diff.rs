//! `dnsgate diff`: what would change if one configuration took the place of another: by name, and
//! by question, probed or taken from a query log.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::bail;

use dnsgate_whatif::{Diff, Subject};

use super::replay;

/// What is compared, and by which questions.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration that is in force; - for standard input.
    old: PathBuf,
    /// The one that is to take its place; - for standard input.
    new: PathBuf,
    /// Ask what was really asked: a query log, JSON lines as dnsgate writes them, or a JSON array of entries as Cloud
    /// Logging exports them; - for standard input. The log must have every query, or a sample: `log: { queries: all }`.
    #[arg(long, value_name = "LOG")]
    replay: Option<PathBuf>,
}

/// Compares two files.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    #[expect(clippy::disallowed_methods, reason = "the questions are asked now")]
    let now = SystemTime::now();
    let (text, code) = compared(args, now)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(code)
}

/// The whole text, and the exit code.
fn compared(args: &Args, now: SystemTime) -> anyhow::Result<(String, ExitCode)> {
    let (old, new) = (
        dnsgate_config::read(Some(&args.old))?,
        dnsgate_config::read(Some(&args.new))?,
    );
    let changes = old.contents.changes(&new.contents);
    let one = dnsgate_whatif::snapshot(old.policy, old.zones, old.upstreams.len());
    let other = dnsgate_whatif::snapshot(new.policy, new.zones, new.upstreams.len());
    let mut diff = Diff::new(
        Subject::new(&one, &old.upstreams),
        Subject::new(&other, &new.upstreams),
        now,
    );
    let replayed = match &args.replay {
        Some(log) => Some(replay::read(log, |question, times| {
            diff.ask(question, times)
        })?),
        None => {
            diff.probe();
            None
        }
    };
    if let Some(replayed) = replayed.filter(|replayed| replayed.questions == 0) {
        bail!("there is no question to compare by; {replayed}");
    }
    let mut text = format!(
        "{} -> {}: {changes}\n\n",
        args.old.display(),
        args.new.display()
    );
    let _ = write!(text, "{diff}");
    if let Some(replayed) = replayed {
        let _ = writeln!(text, "{replayed}");
    }
    Ok((text, ExitCode::from(u8::from(diff.changed() > 0))))
}

#[cfg(test)]
mod tests;
