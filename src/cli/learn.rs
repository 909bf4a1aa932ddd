//! `dnsgate learn`: proposes rules for the names that a dnsgate in mode observe has recorded. It changes no file.

use std::{
    fmt,
    io::{self, Write as _},
    path::PathBuf,
    str::FromStr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use super::{
    http::{AdminUrl, BadAdminUrl, HttpRequest},
    input,
};
use dnsgate_config::Config;
use dnsgate_whatif::learn::{ExistingPolicy, ObservedPage, is_label, proposal};

/// The time limit for each step of the request: dnsgate writes the page while it answers queries.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest page, in bytes. The record is bounded, and its page needs some hundred bytes per entry;
/// this is room for a hundred thousand entries.
const MAX_PAGE: u64 = 32 << 20;
/// The most bytes of the response's head; the admin port sends fewer.
const MAX_HEAD: u64 = 64 << 10;
/// The page with the record.
const PATH: &str = "/observed";

/// What is learnt from, and for which configuration.
#[derive(Debug, clap::Args)]
pub(super) struct LearnArgs {
    /// Where to read the record of mode observe: the admin address of the running dnsgate (127.0.0.1:9153, or
    /// the whole URL), a file that holds its page /observed, or - for standard input.
    #[arg(value_name = "URL or FILE")]
    source: ObservedSource,
    /// The upstream that the rules forward to. Default: that of `mode: { observe: … }`.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// The configuration that the rules are for; - for standard input. Names that it allows are left out, names that
    /// its rules deny stay denied, and a rule names groups only if not all of them asked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave out names that were asked for fewer than N times in all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_count: u64,
}

/// The source of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ObservedSource {
    Url(AdminUrl),
    /// A file; `-` is standard input.
    File(PathBuf),
}

impl FromStr for ObservedSource {
    type Err = BadAdminUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return text.parse().map(Self::Url);
        }
        // A text that ends in a port is an address; a file with such a name is written ./NAME.
        let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| digits(port));
        if has_port && !text.contains('/') {
            return text.parse().map(Self::Url);
        }
        Ok(Self::File(text.into()))
    }
}

impl fmt::Display for ObservedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::File(path) if path.as_os_str() == dnsgate_config::STDIN => {
                f.write_str("standard input")
            }
            // Quoted, because a file name may contain a line break.
            Self::File(path) => write!(f, "{path:?}"),
        }
    }
}

/// Reads the record and prints the rules.
pub(super) fn run(args: LearnArgs) -> anyhow::Result<()> {
    let source = match args.source {
        ObservedSource::Url(url) => ObservedSource::Url(url.or_path(PATH)),
        other => other,
    };
    let config = args.config.as_deref().map(Some).map(dnsgate_config::read);
    let config = config.transpose()?;
    let upstream = upstream(args.upstream, config.as_ref())?;
    let page = read(&source)?;
    let page =
        ObservedPage::parse(&page).with_context(|| format!("{source} is not the page {PATH}"))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    let policy = config.as_ref().map(|config| &config.policy);
    let existing = ExistingPolicy::new(policy, now);
    let source = source.to_string();
    let text = proposal(&page, &source, &upstream, existing, args.min_count);
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The upstream for the rules.
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
        (Some(name), _) if !is_label(&name) => {
            bail!("{name:?} cannot be the name of an upstream")
        }
        (Some(name), _) => Ok(name),
        (None, Some(known)) => {
            let observed = config.and_then(|config| config.policy.observed());
            let observed = observed.and_then(|it| known.get(usize::from(it.upstream.0)));
            observed.map(|&name| name.to_owned()).with_context(|| {
                let listed = listed(&known);
                format!("the configuration is not in mode observe, so name the upstream of the rules with --upstream NAME; {listed}")
            })
        }
        (None, None) => bail!(
            "name the upstream of the rules: --upstream NAME, or --config FILE with the configuration in mode observe"
        ),
    }
}

/// Reads the bytes of the page.
fn read(source: &ObservedSource) -> anyhow::Result<Vec<u8>> {
    match source {
        ObservedSource::Url(url) => fetch(url),
        ObservedSource::File(path) => input::read_all(input::open(path)?, MAX_PAGE)
            .with_context(|| format!("{source} cannot be read")),
    }
}

fn fetch(url: &AdminUrl) -> anyhow::Result<Vec<u8>> {
    let response = url
        .ask(HttpRequest {
            method: "GET",
            header: None,
            patience: PATIENCE,
            most: MAX_PAGE + MAX_HEAD,
        })
        .with_context(|| format!("{url} does not answer; is it the admin address of dnsgate?"))?;
    match response.code() {
        Some("200") => Ok(response.body.into_bytes()),
        Some("404") => bail!("{url} does not exist; the record is at {PATH} of the admin port"),
        _ => bail!("{url} answered {:?}", response.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_a_url_or_a_file() {
        for (text, shown) in [
            ("127.0.0.1:9153", "http://127.0.0.1:9153/"),
            ("dns.corp:9153", "http://dns.corp:9153/"),
            ("[::1]:9153", "http://[::1]:9153/"),
            ("http://h:1/observed", "http://h:1/observed"),
            ("-", "standard input"),
            ("observed.json", "\"observed.json\""),
            ("./a:1", "\"./a:1\""),
        ] {
            let source: ObservedSource = text.parse().expect(text);
            assert_eq!(source.to_string(), shown);
        }
        assert!("https://h:1/observed".parse::<ObservedSource>().is_err());
    }

    #[test]
    fn the_upstream_is_the_one_that_observes() {
        let text = "google_apis: { vip: off }\nmode: { observe: public }\nupstreams: { corp: { servers: [udp://10.0.0.53] }, public: { servers: [udp://8.8.8.8] } }\n";
        let config =
            dnsgate_config::parse(text, "t.yaml", std::path::Path::new("")).expect("valid");
        let told = |given: Option<&str>, config: Option<&Config>| {
            upstream(given.map(str::to_owned), config).map_err(|error| error.to_string())
        };
        assert_eq!(told(None, Some(&config)).as_deref(), Ok("public"));
        assert_eq!(told(Some("corp"), Some(&config)).as_deref(), Ok("corp"));
        assert_eq!(told(Some("any"), None).as_deref(), Ok("any"));
        for (given, config, wrong) in [
            (
                Some("any"),
                Some(&config),
                "no upstream \"any\"; it has corp, public",
            ),
            (Some("a b"), None, "cannot be the name"),
            (None, None, "--upstream NAME"),
            (
                None,
                Some(&dnsgate_config::default_config()),
                "not in mode observe",
            ),
        ] {
            let error = told(given, config).expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
        }
    }
}
