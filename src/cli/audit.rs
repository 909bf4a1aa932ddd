//! `dnsgate audit`: what a configuration allows and nobody uses, and the configuration without it.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;

use super::{http::AdminUrl, input, logs};
use dnsgate_config::Config;
use dnsgate_whatif::{
    audit::{self, Audit, Audited, Evidence, FindingLevel},
    plural,
    usage::{MAX_PAGE, UsagePage},
};

/// The most bytes of a list: those that a configuration may have.
const MAX_LIST: u64 = 64 << 20;
/// The most bytes of a configuration.
const MAX_CONFIG: u64 = 16 << 20;

/// What is audited, by which evidence, and what is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dnsgate audit --config dnsgate.yaml --admin 127.0.0.1:9153
  dnsgate audit --config dnsgate.yaml --replay queries.jsonl --tighten tight.yaml
  dnsgate audit --config dnsgate.yaml --usage /var/lib/dnsgate/usage.json --sarif > audit.sarif")]
pub(super) struct AuditArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Evidence: the page /usage of a running dnsgate, by its admin address (127.0.0.1:9153) or the whole URL.
    #[arg(long, value_name = "ADDR", conflicts_with = "usage")]
    admin: Option<AdminUrl>,
    /// Evidence: a file that holds the page /usage, such as the state file of `serve --state-dir`; - for standard
    /// input.
    #[arg(long, value_name = "FILE")]
    usage: Option<PathBuf>,
    /// Evidence: the queries of this log, as `diff --replay` reads it; - for standard input. Write it with
    /// `log: { queries: all }`: with a sample, rare names look unused.
    #[arg(long, value_name = "LOG")]
    replay: Option<PathBuf>,
    /// Print the audit as JSON.
    #[arg(long)]
    json: bool,
    /// Print the audit as SARIF 2.1.0, for code hosts.
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Exit with code 1 if there is a finding of this level or a graver one.
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    fail_on: FailOn,
    /// Write a rule's list (`domains_file`) without the names that nobody asked for.
    #[arg(long, value_name = "OUT")]
    prune: Option<PathBuf>,
    /// The rule whose list --prune writes, if several have one.
    #[arg(long, value_name = "NAME", requires = "prune")]
    rule: Option<String>,
    /// Write the configuration that allows what was used and no more, and prove that it does. Comments stay.
    #[arg(long, value_name = "OUT")]
    tighten: Option<PathBuf>,
}

/// The level from which on findings are a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Note,
    Warning,
    Error,
    Never,
}

impl FailOn {
    const fn level(self) -> Option<FindingLevel> {
        match self {
            Self::Note => Some(FindingLevel::Note),
            Self::Warning => Some(FindingLevel::Warning),
            Self::Error => Some(FindingLevel::Error),
            Self::Never => None,
        }
    }
}

/// Audits, prints the findings, and writes what was asked for.
pub(super) fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    ensure!(
        args.config != Path::new(dnsgate_config::STDIN),
        "audit quotes places of the configuration, so name its file, not standard input"
    );
    let config = dnsgate_config::read(Some(&args.config))?;
    let file = args.config.display().to_string();
    let text = input::read_all(input::open(&args.config)?, MAX_CONFIG)
        .with_context(|| format!("{file} cannot be read"))?;
    let text = String::from_utf8(text).with_context(|| format!("{file} is not UTF-8"))?;
    let audited = Audited {
        config: &config,
        file: &file,
        text: text.strip_prefix('\u{feff}').unwrap_or(&text),
        now,
    };
    let evidence = gathered(args, &config, now)?;
    let audit = audit::audit(&audited, &evidence);
    write_files(args, &audited, &evidence)?;
    io::stdout().write_all(printed(args, &audit).as_bytes())?;
    let fails = args
        .fail_on
        .level()
        .is_some_and(|level| audit.worst() >= Some(level));
    Ok(ExitCode::from(u8::from(fails)))
}

fn printed(args: &AuditArgs, audit: &Audit) -> String {
    if args.sarif {
        format!("{:#}\n", audit::sarif(audit))
    } else if args.json {
        format!("{:#}\n", audit.json())
    } else {
        audit.to_string()
    }
}

/// Reads the page and the log.
fn gathered(args: &AuditArgs, config: &Config, now: SystemTime) -> anyhow::Result<Evidence> {
    let mut evidence = Evidence::new(&config.policy);
    let page = match (&args.admin, &args.usage) {
        (Some(url), _) => {
            let url = url.clone().or_path("/usage");
            Some((url.page("/usage", MAX_PAGE)?, url.to_string()))
        }
        (None, Some(path)) => {
            let bytes = input::read_all(input::open(path)?, MAX_PAGE);
            let bytes = bytes.with_context(|| format!("{} cannot be read", path.display()))?;
            Some((bytes, path.display().to_string()))
        }
        (None, None) => None,
    };
    if let Some((bytes, source)) = page {
        let page = UsagePage::parse(&bytes).with_context(|| format!("{source} cannot be used"))?;
        evidence.add_page(&page, &source, &config.policy);
    }
    if let Some(log) = &args.replay {
        let snapshot = dnsgate_whatif::snapshot(
            config.policy.clone(),
            config.zones.clone(),
            config.upstreams.len(),
        );
        evidence.begin_log();
        let replayed = logs::replay(log, |question, times| {
            evidence.ask(question, times, (&snapshot, now));
        })?;
        if replayed.summary.questions == 0 {
            bail!("the log has no question to go by; {replayed}");
        }
        evidence.end_log(format!("{}, {replayed}", log.display()));
    }
    Ok(evidence)
}

/// Writes the pruned list and the tighter configuration, and tells on standard error what they are.
fn write_files(args: &AuditArgs, audited: &Audited<'_>, evidence: &Evidence) -> anyhow::Result<()> {
    if let Some(out) = &args.prune {
        let dir = args.config.parent().unwrap_or(Path::new(""));
        let read = |path: &str| {
            let list = fs::File::open(dir.join(path))?;
            let bytes = input::read_all(list, MAX_LIST)?;
            String::from_utf8(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        };
        let (path, text, gone) = audit::pruned(audited, evidence, args.rule.as_deref(), read)?;
        write(out, &text)?;
        let names = plural(gone as u64, "name", "names");
        writeln!(io::stderr(), "{}: {path} without {names}", out.display())?;
    }
    if let Some(out) = &args.tighten {
        let tight = audit::tightened(audited, evidence)?;
        write(out, &tight.text)?;
        let mut told = String::new();
        for note in &tight.notes {
            told.push_str(&format!("  {note}\n"));
        }
        if tight.notes.is_empty() {
            told.push_str("  nothing to take away\n");
        }
        let asked = plural(tight.asked, "question", "questions");
        write!(
            io::stderr(),
            "{}: allows what was used and no more\n{told}proof: {asked} to both; none that was used is denied, none is newly allowed\n",
            out.display()
        )?;
    }
    Ok(())
}

/// Replaces a file whole: nobody sees half of it.
fn write(out: &Path, text: &str) -> anyhow::Result<()> {
    let mut name = out.as_os_str().to_owned();
    name.push(OsString::from(".new"));
    let temporary = PathBuf::from(name);
    let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, out));
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("{} cannot be written", out.display()))
}
