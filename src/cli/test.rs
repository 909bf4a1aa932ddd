//! `dnsgate test`: runs the tests of configurations, and reports the results to people and, as JUnit
//! XML, to build servers.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;

use dnsgate_whatif::plural;

mod junit;

/// What is tested, and where it is reported.
#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// Configuration files; - for standard input. Default: the built-in configuration. NAME.test.yaml stands for
    /// NAME.yaml beside it.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also write the results to this file as JUnit XML; - writes them to standard output, and the report to standard error.
    #[arg(long, value_name = "OUT")]
    junit: Option<PathBuf>,
}

/// The tests of one file.
#[derive(Debug)]
struct Suite {
    file: String,
    /// The error if the configuration is not valid; it has no results then.
    invalid: Option<String>,
    results: Vec<Ran>,
}

/// One test that was run.
#[derive(Debug)]
struct Ran {
    /// `file:line: NAME TYPE from IP`.
    name: String,
    failure: Option<String>,
    warning: Option<String>,
}

impl Suite {
    fn failed(&self) -> usize {
        let failed = |ran: &&Ran| ran.failure.is_some();
        self.results.iter().filter(failed).count()
    }
}

/// Runs the tests of every file.
pub(super) fn run(args: &TestArgs) -> anyhow::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that states no time is asked now"
    )]
    let now = SystemTime::now();
    let suites = suites(&args.files, now);
    let report = report(&suites);
    match &args.junit {
        // Standard output then contains only the XML document.
        Some(path) if path.as_os_str() == "-" => {
            io::stderr().write_all(report.as_bytes())?;
            io::stdout().write_all(junit::document(&suites).as_bytes())?;
        }
        Some(path) => {
            io::stdout().write_all(report.as_bytes())?;
            fs::write(path, junit::document(&suites))
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        None => io::stdout().write_all(report.as_bytes())?,
    }
    let good = |suite: &Suite| suite.invalid.is_none() && suite.failed() == 0;
    if suites.iter().all(good) {
        Ok(())
    } else {
        Err(anyhow!("not every test passed"))
    }
}

/// The warning about a test that passes now, but will fail when its rule expires.
pub(super) fn warning(tried: &dnsgate_whatif::PolicyTestResult<'_>) -> Option<String> {
    let ends = Timestamp::try_from(tried.ends?).ok()?;
    Some(format!(
        "{tried}: warning: its rule ends {ends}, and the outcome changes then; write `at:`"
    ))
}

fn suites(files: &[PathBuf], now: SystemTime) -> Vec<Suite> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = configuration_of(file);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if files.is_empty() {
        return vec![suite(None, now)];
    }
    paths.iter().map(|path| suite(Some(path), now)).collect()
}

/// The configuration to which a file of tests belongs; any other file is itself the configuration.
fn configuration_of(file: &Path) -> PathBuf {
    let stem = file.file_name().and_then(|name| name.to_str());
    let stem = stem.and_then(|name| name.strip_suffix(".test.yaml"));
    let beside = stem.into_iter().flat_map(|stem| {
        [".yaml", ".yml"].map(|extension| file.with_file_name(format!("{stem}{extension}")))
    });
    let mut there = beside.filter(|path| path.exists());
    there.next().unwrap_or_else(|| file.to_owned())
}

fn suite(path: Option<&Path>, now: SystemTime) -> Suite {
    let file = path.map_or(dnsgate_config::DEFAULT_NAME.into(), Path::to_string_lossy);
    let mut suite = Suite {
        file: file.into_owned(),
        invalid: None,
        results: Vec::new(),
    };
    match dnsgate_config::read(path) {
        Ok(config) => {
            let count = config.upstreams.len();
            let snapshot = dnsgate_whatif::snapshot(config.policy, config.zones, count);
            let subject = dnsgate_whatif::Subject::new(&snapshot, &config.upstreams);
            let tried = dnsgate_whatif::run_tests(&config.cases, &subject, now);
            suite.results = tried
                .map(|tried| Ran {
                    name: tried.to_string(),
                    warning: warning(&tried),
                    failure: tried.failure,
                })
                .collect();
        }
        Err(error) => suite.invalid = Some(error.to_string()),
    }
    suite
}

/// A line for each failure, a line for each file, and a line with the totals.
fn report(suites: &[Suite]) -> String {
    let mut text = String::new();
    for suite in suites {
        for ran in &suite.results {
            if let Some(failure) = &ran.failure {
                let _ = writeln!(text, "FAILED {}: {failure}", ran.name);
            }
            if let Some(warning) = &ran.warning {
                let _ = writeln!(text, "{warning}");
            }
        }
        let (count, failed) = (suite.results.len(), suite.failed());
        let _ = match &suite.invalid {
            Some(errors) => writeln!(text, "{errors}\n{}: not valid, nothing tested", suite.file),
            None if count == 0 => writeln!(text, "{}: no tests", suite.file),
            None => writeln!(text, "{}: {}", suite.file, passed(count, failed)),
        };
    }
    let count: usize = suites.iter().map(|suite| suite.results.len()).sum();
    let failed = suites.iter().map(Suite::failed).sum();
    let invalid = suites.iter().filter(|suite| suite.invalid.is_some());
    let _ = write!(
        text,
        "{}: {}",
        plural(count as u64, "test", "tests"),
        passed(count, failed)
    );
    let _ = match invalid.count() {
        0 => writeln!(text),
        1 => writeln!(text, ", 1 file not valid"),
        files => writeln!(text, ", {files} files not valid"),
    };
    text
}

fn passed(count: usize, failed: usize) -> String {
    format!("{} passed, {failed} failed", count - failed)
}

#[cfg(test)]
mod tests;
