//! `dnsgate reload`: makes the running dnsgate reload its configuration, and prints the result.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::http::{AdminUrl, HttpRequest};
use crate::admin::RELOAD_HEADER;

/// The time limit: longer than the limit that the admin port has for a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest response, in bytes: no report is as long.
const MAX_ANSWER: u64 = 1 << 20;
/// The page that accepts reloads.
const PATH: &str = "/reload";

/// What `reload` is told on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    /// The admin address of the running dnsgate (127.0.0.1:9153, localhost:9153 or the URL); it accepts reloads from its
    /// own machine only.
    #[arg(long, value_name = "ADDR", default_value = "http://127.0.0.1:9153")]
    admin: AdminUrl,
}

/// Requests the reload and prints the report; if the reload is refused, the report is the error.
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
        // The response was cut off: the reload continues, and its result is in the log.
        None => bail!("{url} did not report how the reload ended; its log does"),
        Some(_) => bail!("{url} answered {:?}", response.status),
    }
}
