//! `dnsgate verify`: proves, from the place where it runs, that egress is limited. [`dnsgate_verify`] does the
//! checks; this module reads files and clocks, and prints.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};

use super::input;
use dnsgate_config::{Interval, IntervalError, strict};
use dnsgate_core::dns::Name;
use dnsgate_verify::{
    self, BYPASS, Bucket, EgressCheck, Endpoint, LITERALS, Ports, Probe, Resolver, Roots,
    VerifyPlan, VerifyReport,
};

mod machine;
mod watch;

/// The default target that must be unreachable.
const BLOCKED: &str = "https://www.example.com/";
/// The largest file of a token or of certificates, in bytes: the certificates that Debian trusts have 250 kB.
const MAX_FILE: u64 = 4 << 20;

/// What is proved, and how.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The configuration that dnsgate runs with; - for standard input. Default: the built-in configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask this name server instead of those of /etc/resolv.conf. Default port: 53.
    #[arg(long, value_name = "ADDR[:PORT]")]
    server: Option<Server>,
    /// An API that must answer at the address that its name resolves to, such as
    /// cloudbilling.googleapis.com; may be repeated.
    #[arg(long, value_name = "NAME")]
    api: Vec<Name>,
    /// List the objects of this bucket; an empty listing is a failure.
    #[arg(long, value_name = "NAME")]
    bucket: Option<Bucket>,
    /// The access token for the bucket; `-` for standard input. Default: ask the metadata server.
    #[arg(long, value_name = "FILE", requires = "bucket")]
    token_file: Option<PathBuf>,
    /// A URL that must be blocked: its name denied, and no connection possible; may be repeated.
    #[arg(long, value_name = "URL", default_value = BLOCKED)]
    expect_blocked: Vec<Endpoint>,
    /// Resolvers that must not answer on udp:53, tcp:53, tcp:853, udp:853, tcp:443, udp:443 and
    /// tcp:80; a list by commas, or repeated.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values_t = BYPASS)]
    bypass: Vec<IpAddr>,
    /// Addresses that must not take a connection on tcp:443 and tcp:80; a list by commas, or
    /// repeated. The machine's own addresses outside of private networks are tried as well.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values_t = LITERALS)]
    literal: Vec<IpAddr>,
    /// The root certificates (PEM) to trust; `-` for standard input. Default: the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long each step of a check may take.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = span)]
    timeout: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Repeat the checks until SIGTERM or SIGINT, waiting this long after each round.
    #[arg(long, value_name = "DURATION", value_parser = span)]
    watch: Option<Duration>,
    /// Serve the results of the last round to Prometheus at this address.
    #[arg(long, value_name = "ADDR", requires = "watch", value_parser = super::http::address)]
    metrics: Option<SocketAddr>,
    /// Other ports, for tests on one machine: dns=5300,dot=8530,https=4430,
    /// http=8080,metadata=8000.
    #[arg(long, value_name = "PORTS", hide = true, value_delimiter = ',')]
    ports: Vec<Port>,
}

/// Runs the checks once, or until a signal arrives. An error means that nothing could be checked.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    match args.watch {
        Some(every) => {
            runtime.block_on(watch::run(args, every))?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let (report, took) = runtime.block_on(round(args))?;
            print(args, &report, took)?;
            Ok(ExitCode::from(u8::from(!report.passed())))
        }
    }
}

/// Runs one round. It reads its files again, because tokens and configurations change.
async fn round(args: &VerifyArgs) -> anyhow::Result<(VerifyReport, Duration)> {
    let (checks, probe) = prepare(args)?;
    let begin = now();
    let mut shown = Progress::new(checks.len());
    let report = dnsgate_verify::run(&checks, &probe, |done| shown.show(done)).await;
    shown.clear();
    Ok((report, now().saturating_duration_since(begin)))
}

fn prepare(args: &VerifyArgs) -> anyhow::Result<(Vec<EgressCheck>, Probe)> {
    let stdin = Some(Path::new("-"));
    let files = [&args.config, &args.token_file, &args.ca];
    if files.iter().filter(|it| it.as_deref() == stdin).count() > 1 {
        bail!("only one of the files can be standard input: write `-` once");
    }
    let config = dnsgate_config::read(args.config.as_deref())?;
    let mut ports = Ports::default();
    args.ports.iter().for_each(|port| port.set(&mut ports));
    let machine = machine::read(args.server.is_none())?;
    let servers = match (args.server, &machine.resolv_conf) {
        (Some(Server(address)), _) => vec![address],
        (None, read) => read.iter().flat_map(|it| it.servers.clone()).collect(),
    };
    let patience = args.timeout;
    let ca = args.ca.as_deref().map(read).transpose()?;
    let roots = Roots::read(ca.as_deref()).with_context(|| match &args.ca {
        Some(path) => format!("{} cannot be used", path.display()),
        None => "no root certificate can be used".to_owned(),
    })?;
    let probe = Probe {
        resolver: Resolver { servers, patience },
        machine,
        roots,
        token: args.token_file.as_deref().map(token).transpose()?,
        timeout: patience,
        ports,
    };
    let plan = VerifyPlan {
        apis: args.api.clone(),
        bucket: args.bucket.clone(),
        blocked: args.expect_blocked.clone(),
        bypass: args.bypass.clone(),
        literals: args.literal.clone(),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "what has expired has expired now"
    )]
    let at = SystemTime::now();
    Ok((
        dnsgate_verify::checks(&config, plan, &probe.machine, at),
        probe,
    ))
}

/// Prints the table, or one line of JSON.
fn print(args: &VerifyArgs, report: &VerifyReport, took: Duration) -> io::Result<()> {
    let text = if args.json {
        format!("{}\n", report.json(took))
    } else {
        report.table()
    };
    io::stdout().write_all(text.as_bytes())
}

fn token(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path)?;
    let token = String::from_utf8_lossy(&bytes).trim().to_owned();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!(
            "{} holds no token; a token is one line without spaces",
            path.display()
        );
    }
    Ok(token)
}

/// Reads a file; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    /// It can be read only once, but each round needs it.
    static STDIN: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    if path == Path::new("-") {
        let read = STDIN.get_or_init(|| {
            let read = input::read_all(io::stdin().lock(), MAX_FILE);
            read.map_err(|error| error.to_string())
        });
        return match read {
            Ok(bytes) => Ok(bytes.clone()),
            Err(error) => bail!("standard input cannot be read: {error}"),
        };
    }
    let read = fs::File::open(path).and_then(|file| input::read_all(file, MAX_FILE));
    read.with_context(|| format!("{} cannot be read", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a round takes is told to people; nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

/// Shows the progress on standard error if it is a terminal.
struct Progress {
    total: usize,
    terminal: bool,
}

impl Progress {
    fn new(total: usize) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { total, terminal }
    }

    fn show(&mut self, done: usize) {
        if self.terminal {
            // A failure to display progress does not affect the result.
            let _ = write!(
                io::stderr(),
                "\rverifying: {done} of {} checks done",
                self.total
            );
        }
    }

    fn clear(&mut self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// The address of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server(SocketAddr);

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an address such as 10.0.0.53, 127.0.0.1:5353 or [::1]:53")]
struct BadServer;

impl FromStr for Server {
    type Err = BadServer;

    fn from_str(text: &str) -> Result<Self, BadServer> {
        let alone = || Some((text.parse::<IpAddr>().ok()?, 53).into());
        strict::socket(text)
            .or_else(alone)
            .map(Self)
            .ok_or(BadServer)
    }
}

/// Parses a duration between 10ms and 24h, in the form of the configuration.
fn span(text: &str) -> Result<Duration, String> {
    let Interval(span) = text
        .parse()
        .map_err(|error: IntervalError| error.to_string())?;
    if (Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&span) {
        Ok(span)
    } else {
        Err("write a duration between 10ms and 24h, such as 3s, 500ms, 5m".to_owned())
    }
}

/// A port for tests, with the name of its service.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Port(String, u16);

impl Port {
    fn set(&self, ports: &mut Ports) {
        match &*self.0 {
            "dns" => ports.dns = self.1,
            "dot" => ports.dot = self.1,
            "https" => ports.https = self.1,
            "http" => ports.http = self.1,
            _ => ports.metadata = self.1,
        }
    }
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, port) = text.split_once('=').ok_or("write NAME=PORT")?;
        if !["dns", "dot", "https", "http", "metadata"].contains(&name) {
            return Err("the ports are dns, dot, https, http and metadata".to_owned());
        }
        let port = port.parse().map_err(|_| "a port is a number".to_owned())?;
        Ok(Self(name.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        for (text, want) in [
            ("60s", Some(60_000)),
            ("500ms", Some(500)),
            ("5m", Some(300_000)),
            ("24h", Some(86_400_000)),
            ("25h", None),
            ("0s", None),
            ("3", None),
            ("s", None),
            ("3d", None),
            ("99999999999999999999s", None),
        ] {
            let span = span(text).ok();
            assert_eq!(span.map(|it| it.as_millis()), want, "{text}");
        }
    }

    #[test]
    fn server_must_be_an_address() {
        for (text, want) in [
            ("10.0.0.53", Some("10.0.0.53:53")),
            ("127.0.0.1:5353", Some("127.0.0.1:5353")),
            ("::1", Some("[::1]:53")),
            ("[::1]:5353", Some("[::1]:5353")),
            ("dns.google", None),
        ] {
            let server = text.parse::<Server>().ok().map(|it| it.0.to_string());
            assert_eq!(server.as_deref(), want, "{text}");
        }
    }
}
