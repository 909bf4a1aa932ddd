//! `dnsgate learn`: proposes rules for the names that a dnsgate in mode observe has recorded, or that query logs hold. It
//! changes no file.

use std::{
    fmt,
    io::{self, Read, Write as _},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::{
    http::{AdminUrl, BadAdminUrl},
    input,
    logs::{self, ReadLogs},
};
use dnsgate_config::Config;
use dnsgate_logs::LogRecord;
use dnsgate_whatif::learn::{
    AskedNames, ExistingPolicy, GroupBy, LeftOut, LogSelection, ObservedPage, is_label, log_page,
    proposal,
};

/// The largest page, in bytes. The record is bounded, and its page needs some hundred bytes per entry;
/// this is room for a hundred thousand entries.
const MAX_PAGE: u64 = 32 << 20;
/// The page with the record.
const PATH: &str = "/observed";

/// What is learnt from, and for which configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LearnArgs {
    /// What to learn from: the record of mode observe, at the admin address of the running dnsgate (127.0.0.1:9153, or the
    /// whole URL) or in a file that holds its page /observed; or query logs, as files or directories, packed by gzip or
    /// not: of dnsgate, Cloud DNS, Route 53 Resolver, CoreDNS, Unbound, or dnstap. - is standard input.
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<LearnSource>,
    /// The upstream that the rules forward to. Default: that of `mode: { observe: … }`, or the only one.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// The configuration that the rules are for; - for standard input. Names that it allows are left out, names that
    /// its rules deny stay denied, and a rule names groups only if not all of them asked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave out names that were asked for fewer than N times in all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_count: u64,
    /// Leave out names that fewer than N clients asked for. For logs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    min_clients: u16,
    /// Leave out questions before this: a date, a time such as 2026-11-01T00:00:00Z, or an age such as 30d or 12h. For
    /// logs; questions without a time are left out, too.
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// Write rules for groups of clients: config (the groups of --config; the default with it), none (the default without
    /// it), network (the VPC that the log names), or /N (IPv4 networks of this length, such as /16). For logs.
    #[arg(long, value_name = "WHAT")]
    group_by: Option<GroupChoice>,
    /// Write rules for these names of logs as well, which are otherwise only listed; may be repeated. blocked and own: the
    /// server of the log denied or answered them itself; absent: they never existed; search, reverse and canary: noise.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    include: Vec<Included>,
}

const EXAMPLES: &str = "Examples:
  dnsgate learn 127.0.0.1:9153 --config dnsgate.yaml --min-count 3
  dnsgate learn queries.json.gz --upstream public --since 30d --min-clients 2
  gcloud logging read 'resource.type=dns_query' --format=json | dnsgate learn - --config dnsgate.yaml
  dnsgate learn AWSLogs/ --upstream public --group-by network";

/// From when on questions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Time(Timestamp),
    Age(Duration),
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "write a date (2026-11-01), a time (2026-11-01T00:00:00Z) or an age (30d, 12h, 90m)";
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        if let Ok(time) = format!("{text}T00:00:00Z").parse() {
            return Ok(Self::Time(time));
        }
        let unit = match text.chars().last() {
            Some('w') => 7 * 86_400,
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('m') => 60,
            _ => return Err(WRONG),
        };
        let number = text
            .get(..text.len() - 1)
            .and_then(|text| text.parse().ok());
        let seconds = number.and_then(|number: u64| number.checked_mul(unit));
        // A hundred years are enough for any log.
        let seconds = seconds.filter(|&seconds| seconds <= 100 * 366 * 86_400);
        seconds
            .map(|seconds| Self::Age(Duration::from_secs(seconds)))
            .ok_or(WRONG)
    }
}

/// The groups of clients that rules are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupChoice {
    Config,
    Nothing,
    Network,
    Prefix(u8),
}

impl FromStr for GroupChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "config" => Ok(Self::Config),
            "none" => Ok(Self::Nothing),
            "network" => Ok(Self::Network),
            _ => {
                let len = text.strip_prefix('/').and_then(|len| len.parse().ok());
                let len = len.filter(|&len| (1..=32).contains(&len));
                len.map(Self::Prefix)
                    .ok_or("write config, none, network, or a length such as /16")
            }
        }
    }
}

/// A kind of names that logs hold and that need no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Included(LeftOut);

impl FromStr for Included {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = LeftOut::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.map(Self).ok_or_else(|| {
            let kinds = LeftOut::ALL.map(LeftOut::as_str);
            format!("write one of {}", kinds.join(", "))
        })
    }
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LearnSource {
    Url(AdminUrl),
    /// A file or directory; `-` is standard input.
    File(PathBuf),
}

impl FromStr for LearnSource {
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

impl fmt::Display for LearnSource {
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

/// Reads the record or the logs, and prints the rules.
pub(super) fn run(args: LearnArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().map(Some).map(dnsgate_config::read);
    let config = config.transpose()?;
    let upstream = upstream(args.upstream.clone(), config.as_ref())?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let now = SystemTime::now();
    let page = match found(&args.sources)? {
        Found::Page(page) => page,
        Found::Logs(open) => match from_logs(&args, open, config.as_ref(), now)? {
            Ok(page) => page,
            Err(none) => {
                writeln!(
                    io::stderr(),
                    "dnsgate: there is neither the page {PATH} nor a question to learn from; {none}"
                )?;
                return Ok(ExitCode::from(2));
            }
        },
    };
    let policy = config.as_ref().map(|config| &config.policy);
    let existing = ExistingPolicy::new(policy, now);
    let sources: Vec<_> = args.sources.iter().map(ToString::to_string).collect();
    let source = sources.join(", ");
    let text = proposal(&page, &source, &upstream, existing, args.min_count);
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What the sources are.
enum Found {
    /// The page /observed.
    Page(ObservedPage),
    /// Query logs; a single one is open already.
    Logs(Option<Box<dyn Read>>),
}

/// Tells the page from logs. A single source is opened once, because standard input cannot be read again.
fn found(sources: &[LearnSource]) -> anyhow::Result<Found> {
    let parsed = |source: &LearnSource, page: &[u8]| {
        let page = ObservedPage::parse(page);
        let page = page.with_context(|| format!("{source} is not the page {PATH}"))?;
        anyhow::Ok(Found::Page(page))
    };
    let [source] = sources else {
        let url = sources.iter().find(|it| matches!(it, LearnSource::Url(_)));
        return match url {
            Some(url) => bail!("{url} is not a log; learn from it alone"),
            None => Ok(Found::Logs(None)),
        };
    };
    match source {
        LearnSource::Url(url) => {
            let url = url.clone().or_path(PATH);
            let page = url.page(PATH, MAX_PAGE)?;
            parsed(&LearnSource::Url(url), &page)
        }
        LearnSource::File(path) if path.is_dir() => Ok(Found::Logs(None)),
        LearnSource::File(path) => {
            let (start, input) = logs::open(path)?;
            if !is_page(&start) {
                return Ok(Found::Logs(Some(input)));
            }
            let page = input::read_all(input, MAX_PAGE)
                .with_context(|| format!("{source} cannot be read"))?;
            parsed(source, &page)
        }
    }
}

/// Whether a file begins like the page: an object with a list of what was observed.
fn is_page(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let behind = text
        .split_once("\"observed\"")
        .map(|(_, behind)| behind.trim_ascii_start());
    let is_list = behind
        .and_then(|behind| behind.strip_prefix(':'))
        .is_some_and(|behind| behind.trim_ascii_start().starts_with('['));
    text.trim_ascii_start().starts_with('{') && is_list
}

/// Counts the questions of logs; if they have none, returns what was read.
fn from_logs(
    args: &LearnArgs,
    open: Option<Box<dyn Read>>,
    config: Option<&Config>,
    now: SystemTime,
) -> anyhow::Result<Result<ObservedPage, ReadLogs>> {
    let group_by = match (args.group_by, config) {
        (None | Some(GroupChoice::Config), Some(config)) => GroupBy::Policy(&config.policy),
        (Some(GroupChoice::Config), None) => bail!("--group-by config needs --config FILE"),
        (None | Some(GroupChoice::Nothing), _) => GroupBy::Nothing,
        (Some(GroupChoice::Network | GroupChoice::Prefix(_)), Some(_)) => {
            bail!("the configuration has its own client groups; leave out --config or --group-by")
        }
        (Some(GroupChoice::Network), None) => GroupBy::Network,
        (Some(GroupChoice::Prefix(len)), None) => GroupBy::Prefix(len),
    };
    let since = match args.since {
        None => None,
        Some(Since::Time(time)) => Some(time),
        Some(Since::Age(age)) => {
            let time = now.checked_sub(age).context("the age is too large")?;
            Some(Timestamp::try_from(time).context("the age is too large")?)
        }
    };
    let min_clients = usize::from(args.min_clients);
    let mut asked = AskedNames::new(group_by, since, min_clients);
    let paths = args.sources.iter().filter_map(|source| match source {
        LearnSource::File(path) => Some(path.clone()),
        LearnSource::Url(_) => None,
    });
    let paths: Vec<PathBuf> = paths.collect();
    let count = |record: &LogRecord<'_>| asked.add(record);
    let read = match (open, &paths[..]) {
        (Some(input), [path]) => logs::read_open(path, input, count)?,
        _ => logs::read(&paths, count)?,
    };
    if read.summary.questions == 0 {
        return Ok(Err(read));
    }
    let selection = LogSelection {
        min_clients,
        include: args.include.iter().map(|&Included(kind)| kind).collect(),
        now,
    };
    Ok(Ok(log_page(asked, read.summary, &selection)))
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
            if let [only] = &known[..] {
                return Ok((*only).to_owned());
            }
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
            let source: LearnSource = text.parse().expect(text);
            assert_eq!(source.to_string(), shown);
        }
        assert!("https://h:1/observed".parse::<LearnSource>().is_err());
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
