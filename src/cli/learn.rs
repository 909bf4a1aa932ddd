//! `dnsgate learn`: the rules that would allow what a dnsgate that only observes has recorded.
//!
//! ```text
//!   page ─▶ judge, against the configuration ─┬─▶ plan ─▶ rules, as YAML
//!                                             └─▶ what is not allowed, and why, as comments
//! ```
//!
//! A proposal for a person to read, and to paste. It opens as little as stays readable, lifts no
//! denial that somebody wrote down, and changes no file.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write as _},
    path::PathBuf,
    str::FromStr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use super::http::{Request, Url};
use dnsgate_config::Config;

mod collapse;
mod judge;
mod page;
mod plan;
#[cfg(test)]
mod tests;
mod text;

use judge::Existing;
use page::Page;

/// How long each step of asking for the page may take: it is made while queries are answered.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest page, in bytes. The record is bounded, and its page has some hundred bytes an entry;
/// this is a hundred thousand of them.
const MAX_PAGE: u64 = 32 << 20;
/// More than the head of the admin port's answers has, in bytes.
const MAX_HEAD: u64 = 64 << 10;
/// Where the record is.
const PATH: &str = "/observed";

/// What is learnt from, and for which configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record of mode observe: the admin address of the running dnsgate (127.0.0.1:9153, or
    /// the whole URL), a file with what its page /observed said, or - for standard input.
    #[arg(value_name = "URL or FILE")]
    source: Source,
    /// The upstream that the rules forward to; that of `mode: { observe: … }` if absent.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// The configuration that the rules are for, - for standard input: what it allows is left out, what it denies by a
    /// rule stays denied, and groups are named only where not all of them asked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave out names that were asked for fewer times in all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_count: u64,
}

/// Where the record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Url(Url),
    File(PathBuf),
    Stdin,
}

impl FromStr for Source {
    type Err = super::http::BadUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if text.contains("://") {
            return text.parse().map(Self::Url);
        }
        // What ends in a port is no file: who means one writes ./NAME.
        let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| digits(port));
        if has_port && !text.contains('/') {
            return text.parse().map(Self::Url);
        }
        Ok(Self::File(text.into()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            // In quotes: a file's name may have a line break.
            Self::File(path) => write!(f, "{path:?}"),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// Reads the record and prints the rules.
pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let source = match args.source {
        Source::Url(url) => Source::Url(url.or_path(PATH)),
        other => other,
    };
    let config = args.config.as_deref().map(Some).map(dnsgate_config::read);
    let config = config.transpose()?;
    let upstream = upstream(args.upstream, config.as_ref())?;
    let page = read(&source)?;
    let page = Page::parse(&page).with_context(|| format!("{source} is not the page {PATH}"))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    let policy = config.as_ref().map(|config| &config.policy);
    let existing = Existing::new(policy, now);
    let text = learnt(
        &page,
        &source.to_string(),
        &upstream,
        existing,
        args.min_count,
    );
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The whole text.
fn learnt(
    page: &Page,
    source: &str,
    upstream: &str,
    existing: Existing<'_>,
    min_count: u64,
) -> String {
    let judged = judge::all(page, existing, min_count);
    let rules = plan::rules(&judged.wanted, existing);
    text::written(page, source, upstream, &judged, &rules)
}

/// The upstream that the rules name.
fn upstream(given: Option<String>, config: Option<&Config>) -> anyhow::Result<String> {
    let names = config.map(|config| config.upstreams.iter().map(|it| &*it.name));
    let known: Option<Vec<&str>> = names.map(Iterator::collect);
    let listed = |known: &[&str]| match known {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ")),
    };
    match (given, known) {
        (Some(name), Some(known)) if !known.contains(&&*name) => {
            bail!(
                "the configuration has no upstream {name:?}; {}",
                listed(&known)
            )
        }
        (Some(name), _) if !page::is_label(&name) => {
            bail!("{name:?} cannot be the name of an upstream")
        }
        (Some(name), _) => Ok(name),
        (None, Some(known)) => {
            let observed = config.and_then(|config| config.policy.observed());
            let observed = observed.and_then(|it| known.get(usize::from(it.upstream.0)));
            observed.map(|&name| name.to_owned()).with_context(|| {
                let listed = listed(&known);
                format!("the configuration is not in mode observe, so --upstream NAME must tell whom the rules forward to; {listed}")
            })
        }
        (None, None) => bail!(
            "tell whom the rules forward to: --upstream NAME, or --config FILE with the configuration that observes"
        ),
    }
}

/// The bytes of the page.
fn read(source: &Source) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_PAGE + 1;
    match source {
        Source::Url(url) => bytes = fetch(url)?,
        Source::File(path) => {
            let file = File::open(path).with_context(|| format!("{source} cannot be read"))?;
            let read = file.take(most).read_to_end(&mut bytes);
            read.with_context(|| format!("{source} cannot be read"))?;
        }
        Source::Stdin if dnsgate_config::stdin_is_read() => {
            bail!("standard input is the configuration already; name a file for one of the two")
        }
        Source::Stdin => {
            let read = io::stdin().lock().take(most).read_to_end(&mut bytes);
            read.with_context(|| format!("{source} cannot be read"))?;
        }
    }
    if bytes.len() as u64 > MAX_PAGE {
        bail!("{source} has more than {MAX_PAGE} bytes; the page {PATH} never has");
    }
    Ok(bytes)
}

fn fetch(url: &Url) -> anyhow::Result<Vec<u8>> {
    let response = url
        .ask(Request {
            method: "GET",
            header: None,
            patience: PATIENCE,
            most: MAX_PAGE + MAX_HEAD,
        })
        .with_context(|| format!("{url} does not answer; is it the admin address of dnsgate?"))?;
    match response.code() {
        Some("200") => Ok(response.body.into_bytes()),
        Some("404") => bail!("{url} is not there; the record is at {PATH} of the admin port"),
        _ => bail!("{url} answered {:?}", response.status),
    }
}
