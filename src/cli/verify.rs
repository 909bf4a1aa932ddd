//! `dnsgate verify`: proves, from where it is run, that egress is limited. What is checked and
//! judged is in [`dnsgate_verify`]; this reads files and clocks, and prints.

use std::{
    fmt, fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};

use dnsgate_config::strict;
use dnsgate_core::dns::Name;
use dnsgate_verify::{
    self, BYPASS, Bucket, Check, LITERALS, Plan, Ports, Probe, Report, Resolver, Roots, Target,
};

mod machine;
mod watch;

/// What must not be reachable if nothing else is said.
const BLOCKED: &str = "https://www.example.com/";
/// The largest file of a token or of certificates, in bytes: all that Debian trusts has 250 kB.
const MAX_FILE: u64 = 4 << 20;

/// What is proved, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration that dnsgate runs with, - for standard input; the built-in one if absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask this name server instead of those of /etc/resolv.conf; the port is 53 if absent.
    #[arg(long, value_name = "ADDR[:PORT]")]
    server: Option<Server>,
    /// A service that must be served where its name leads, such as
    /// cloudbilling.googleapis.com; may be repeated.
    #[arg(long, value_name = "NAME")]
    api: Vec<Name>,
    /// List the objects of this bucket; an empty listing fails.
    #[arg(long, value_name = "NAME")]
    bucket: Option<Bucket>,
    /// The token for the bucket, `-` for standard input; the metadata server is asked for one if
    /// absent.
    #[arg(long, value_name = "FILE", requires = "bucket")]
    token_file: Option<PathBuf>,
    /// Its name must be denied, and no connection possible; may be repeated.
    #[arg(long, value_name = "URL", default_value = BLOCKED)]
    expect_blocked: Vec<Target>,
    /// Resolvers that must not answer on udp:53, tcp:53, tcp:853, udp:853, tcp:443, udp:443 and
    /// tcp:80; a list by commas, or repeated.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values_t = BYPASS)]
    bypass: Vec<IpAddr>,
    /// Addresses that must not take a connection on tcp:443 and tcp:80; a list by commas, or
    /// repeated. The machine's own addresses outside of private networks are tried as well.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values_t = LITERALS)]
    literal: Vec<IpAddr>,
    /// Certificates (PEM) that Google's must go back to, `-` for standard input; the system's if
    /// absent.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long each step of a check may take.
    #[arg(long, value_name = "DURATION", default_value = "3s")]
    timeout: Span,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Repeat it, each time so long after the last, until SIGTERM or SIGINT.
    #[arg(long, value_name = "DURATION")]
    watch: Option<Span>,
    /// Serve the results of the last round to Prometheus here.
    #[arg(long, value_name = "ADDR", requires = "watch", value_parser = super::http::address)]
    metrics: Option<SocketAddr>,
    /// Other ports, for tests on one machine: dns=5300,dot=8530,https=4430,
    /// http=8080,metadata=8000.
    #[arg(long, value_name = "PORTS", hide = true, value_delimiter = ',')]
    ports: Vec<Port>,
}

/// Verifies, once or until it is told to stop. An error is that nothing could be checked.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    match args.watch {
        Some(every) => {
            runtime.block_on(watch::run(args, every.0))?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let (report, took) = runtime.block_on(round(args))?;
            print(args, &report, took)?;
            Ok(ExitCode::from(u8::from(!report.passed())))
        }
    }
}

/// One round. Its files are read anew, because tokens and configurations change.
async fn round(args: &Args) -> anyhow::Result<(Report, Duration)> {
    let (checks, probe) = prepare(args)?;
    let begin = now();
    let mut shown = Progress::new(checks.len());
    let report = dnsgate_verify::run(&checks, &probe, |done| shown.show(done)).await;
    shown.clear();
    Ok((report, now().saturating_duration_since(begin)))
}

fn prepare(args: &Args) -> anyhow::Result<(Vec<Check>, Probe)> {
    let stdin = Some(Path::new("-"));
    let files = [&args.config, &args.token_file, &args.ca];
    if files.iter().filter(|it| it.as_deref() == stdin).count() > 1 {
        bail!("standard input can be one file only: write `-` once");
    }
    let config = dnsgate_config::read(args.config.as_deref())?;
    let mut ports = Ports::default();
    args.ports.iter().for_each(|port| port.set(&mut ports));
    let machine = machine::read(args.server.is_none())?;
    let servers = match (args.server, &machine.resolv_conf) {
        (Some(Server(address)), _) => vec![address],
        (None, read) => read.iter().flat_map(|it| it.servers.clone()).collect(),
    };
    let patience = args.timeout.0;
    let ca = args.ca.as_deref().map(read).transpose()?;
    let roots = Roots::read(ca.as_deref()).with_context(|| match &args.ca {
        Some(path) => format!("{} is of no use", path.display()),
        None => "nobody can be trusted".to_owned(),
    })?;
    let probe = Probe {
        resolver: Resolver { servers, patience },
        machine,
        roots,
        token: args.token_file.as_deref().map(token).transpose()?,
        timeout: patience,
        ports,
    };
    let plan = Plan {
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

/// The table, or one line of JSON.
fn print(args: &Args, report: &Report, took: Duration) -> io::Result<()> {
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
        bail!("{} holds no token: one line without spaces", path.display());
    }
    Ok(token)
}

/// A file; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    /// It can be read once, and each round wants it.
    static STDIN: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    if path == Path::new("-") {
        let read = STDIN.get_or_init(|| {
            let mut bytes = Vec::new();
            let stdin = io::stdin().lock().take(MAX_FILE).read_to_end(&mut bytes);
            stdin.map(|_| bytes).map_err(|error| error.to_string())
        });
        return match read {
            Ok(bytes) => Ok(bytes.clone()),
            Err(error) => bail!("standard input cannot be read: {error}"),
        };
    }
    let read = || {
        let mut bytes = Vec::new();
        let file = fs::File::open(path)?;
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    read().with_context(|| format!("{} cannot be read", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a round takes is told to people; nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

/// How far it is, on standard error, where somebody looks on.
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
            // Whether it can be shown does not change the result.
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

/// A name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server(SocketAddr);

/// It is no address.
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

/// A duration: 3s, 500ms, 5m, 1h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(Duration);

/// It is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a duration between 10ms and 24h, such as 3s, 500ms, 5m")]
struct BadSpan;

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let end = text.find(|c: char| !c.is_ascii_digit()).ok_or(BadSpan)?;
        let (digits, unit) = text.split_at(end);
        let count: u64 = digits.parse().map_err(|_| BadSpan)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(BadSpan),
        };
        let all = count.checked_mul(millis).ok_or(BadSpan)?;
        let fits = (10..=86_400_000).contains(&all);
        fits.then(|| Self(Duration::from_millis(all)))
            .ok_or(BadSpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

/// A port of a test.
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
    fn spans_have_units_and_bounds() {
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
            let span = text.parse::<Span>().ok();
            assert_eq!(span.map(|it| it.0.as_millis()), want, "{text}");
        }
    }

    #[test]
    fn servers_are_addresses() {
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
