//! `dnsgate test`: the tests of configurations, run and reported to people and, as JUnit XML, to
//! build servers.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;

use super::plural;

mod junit;

/// What is tested, and where it is reported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configurations, - for standard input; the built-in one if absent. A file of tests stands for the configuration
    /// beside it.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the results here as JUnit XML, too.
    #[arg(long, value_name = "OUT")]
    junit: Option<PathBuf>,
}

/// The tests of one file.
#[derive(Debug)]
struct Suite {
    file: String,
    /// Why there are none; the configuration is not valid then.
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
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that states no time is asked now"
    )]
    let now = SystemTime::now();
    let suites = suites(&args.files, now);
    io::stdout().write_all(report(&suites).as_bytes())?;
    if let Some(path) = &args.junit {
        fs::write(path, junit::document(&suites))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let good = |suite: &Suite| suite.invalid.is_none() && suite.failed() == 0;
    if suites.iter().all(good) {
        Ok(())
    } else {
        Err(anyhow!("not every test passed"))
    }
}

/// What must be heard of a test that passes: that it will not always.
pub(super) fn warning(tried: &dnsgate_whatif::Tried<'_>) -> Option<String> {
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

/// The configuration that a file of tests is beside; any other file is one itself.
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
            let tried = dnsgate_whatif::run(&config.cases, &subject, now);
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

/// A line for each failure, one for each file, and one that counts.
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
