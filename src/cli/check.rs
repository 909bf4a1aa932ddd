//! `dnsgate check`: everything that is wrong with a configuration, or a line of what it holds.

use std::{
    io::{self, Write as _},
    path::Path,
    time::SystemTime,
};

use crate::app;

/// Checks the file, or the built-in configuration. Warnings go to standard error and do not fail.
pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let config = app::read_config(file)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    for warning in config.warnings(now) {
        writeln!(io::stderr(), "{warning}")?;
    }
    writeln!(io::stdout(), "{}", config.summary)?;
    Ok(())
}
