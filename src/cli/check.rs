//! `dnsgate check`: everything that is wrong with a configuration, or a line of what it holds. What
//! it passes can be started: so it runs the tests, too.

use std::{
    io::{self, Write as _},
    path::Path,
    time::SystemTime,
};

use crate::{app, config::Listen, rehearsal};

use super::test;

/// Checks the file, or the built-in configuration, for a dnsgate that listens there, or where the file
/// says. Warnings go to standard error and do not fail.
pub(super) fn run(file: Option<&Path>, listen: &[Listen]) -> anyhow::Result<()> {
    let config = app::read_config_for(file, listen)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    for warning in config.warnings(now) {
        writeln!(io::stderr(), "{warning}")?;
    }
    let (cases, summary) = (config.cases, config.summary);
    let snapshot = rehearsal::snapshot(config.policy, config.zones, config.upstreams.len());
    let subject = rehearsal::Subject::new(&snapshot, &config.upstreams);
    for tried in rehearsal::run(&cases, &subject, now) {
        if let Some(warning) = test::warning(&tried) {
            writeln!(io::stderr(), "{warning}")?;
        }
    }
    rehearsal::check(&cases, &subject, now)?;
    let tests = match cases.len() {
        0 => "no tests".to_owned(),
        1 => "1 test passed".to_owned(),
        count => format!("{count} tests passed"),
    };
    writeln!(io::stdout(), "{summary}, {tests}")?;
    Ok(())
}
