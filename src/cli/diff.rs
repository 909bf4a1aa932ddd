//! `dnsgate diff`: the changes if one configuration replaced another: by key, and by question. The questions are
//! probed or taken from a query log.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::bail;

use super::logs;
use dnsgate_whatif::{Diff, Subject};

/// What is compared, and by which questions.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The old configuration file; - for standard input.
    old: PathBuf,
    /// The new configuration file; - for standard input.
    new: PathBuf,
    /// Compare by the queries of this log: JSON lines as dnsgate writes them, or a JSON array of entries as Cloud
    /// Logging exports them; - for standard input. Write it with `log: { queries: all }`, all queries or a sample.
    #[arg(long, value_name = "LOG")]
    replay: Option<PathBuf>,
}

/// Compares two files.
pub(super) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    #[expect(clippy::disallowed_methods, reason = "the questions are asked now")]
    let now = SystemTime::now();
    let (text, code) = compared(args, now)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(code)
}

/// The text of the report, and the exit code.
fn compared(args: &DiffArgs, now: SystemTime) -> anyhow::Result<(String, ExitCode)> {
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
        Some(log) => Some(logs::replay(log, |question, times| {
            diff.ask(question, times)
        })?),
        None => {
            diff.probe();
            None
        }
    };
    if let Some(replayed) = replayed
        .as_ref()
        .filter(|replayed| replayed.summary.questions == 0)
    {
        bail!("the log has no question to compare; {replayed}");
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
mod tests {
    use std::path::Path;

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
            };
            compared(&args, SystemTime::UNIX_EPOCH)
                .map(|(_, code)| code)
                .ok()
        };
        assert_eq!(code(&same), Some(ExitCode::SUCCESS));
        assert_eq!(code(&new), Some(ExitCode::from(1)));
        assert_eq!(code(&dir.path().join("gone.yaml")), None);
    }
}
