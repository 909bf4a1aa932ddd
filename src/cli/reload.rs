//! `dnsgate reload`: makes the running dnsgate read its configuration again, and prints the result.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::http::{AdminUrl, HttpRequest};
use crate::admin::RELOAD_HEADER;

/// How long to wait: longer than the admin port lets a request last.
const PATIENCE: Duration = Duration::from_secs(15);
/// More than a report can have.
const MAX_ANSWER: u64 = 1 << 20;
/// Where reloads are asked for.
const PATH: &str = "/reload";

/// What `reload` is told on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    /// The admin address of the running dnsgate (127.0.0.1:9153, localhost:9153 or the URL); it accepts reloads from its
    /// own machine only.
    #[arg(long, value_name = "ADDR", default_value = "http://127.0.0.1:9153")]
    admin: AdminUrl,
}

/// Asks and prints the report; an error is the report of a reload that was refused.
pub(super) fn run(args: ReloadArgs) -> anyhow::Result<()> {
    let url = args.admin.or_path(PATH);
    let response = url
        .ask(HttpRequest {
            method: "POST",
            header: Some(RELOAD_HEADER),
            patience: PATIENCE,
            most: MAX_ANSWER,
        })
        .with_context(|| format!("{url} does not answer; its log may say why"))?;
    match response.code() {
        Some("200") => {
            writeln!(io::stdout(), "{}", response.body.trim_end())?;
            Ok(())
        }
        Some("409" | "422" | "403" | "503") => bail!("{}", response.body.trim_end()),
        // It was cut off: the reload goes on, and ends in the log.
        None => bail!("{url} did not report how the reload ended; its log does"),
        Some(_) => bail!("{url} answered {:?}", response.status),
    }
}
