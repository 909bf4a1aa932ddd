//! A running dnsgate, from its start to its end: `dnsgate serve`.
//!
//! ```text
//! configuration ─▶ telemetry ─▶ bind ─▶ start workers ─▶ probe ─▶ ready
//!                                                                    │ SIGTERM, SIGINT
//!                   exit 0 ◀─ flush the log ◀─ stop workers ◀─ drain ◀┘
//! ```
//!
//! Everything that can be wrong is wrong before the first port is bound or before "ready" is said;
//! after that only the end of a worker ends the process. `/readyz` says 503 until the probe was
//! answered and again from the first moment of the drain, while queries are still answered.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, anyhow};
use serde_json::json;

use crate::{
    config::{self, Config, Limits, Listen},
    dns::Transport,
    engine::Snapshot,
    reload::Live,
    server::{Running, Server, StreamLimits, WorkerError},
    telemetry::{Labels, LogSettings, Severity, Telemetry},
};

mod admin;
pub mod probe;
mod signals;
mod worker;

use admin::Admin;
use signals::Signals;
use worker::Worker;

/// How long the probe waits for our own answer. A machine that needs longer for a refusal is not
/// ready.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);
/// How long the last lines of the log may take to be written.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Debug, Default)]
pub struct Options {
    /// The configuration file; the built-in one if absent.
    pub config: Option<PathBuf>,
    /// Where to listen instead of where the configuration says.
    pub listen: Vec<Listen>,
    /// Where to serve the admin pages instead.
    pub admin: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT. A second signal cuts the drain short.
///
/// # Errors
/// What is wrong with the configuration or an address, or how a worker ended.
pub fn serve(options: Options) -> anyhow::Result<()> {
    let mut config = read_config(options.config.as_deref())?;
    if !options.listen.is_empty() {
        config.listen = options.listen;
    }
    config.admin = options.admin.or(config.admin);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("the runtime cannot be started")?
        .block_on(run(config))
}

/// The configuration in the file, or the built-in one.
///
/// # Errors
/// Everything that is wrong with the file, as a person would want to read it.
pub fn read_config(file: Option<&Path>) -> anyhow::Result<Config> {
    match file {
        Some(path) => config::load(path).map_err(anyhow::Error::from),
        None => Ok(config::default_config()),
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    // First of all, so that no signal is missed.
    let mut signals = Signals::watch().context("signals cannot be watched")?;
    let telemetry =
        Telemetry::start(&log_settings(&config)).context("telemetry cannot be started")?;
    tell_warnings(&telemetry, &config);
    let Config {
        listen,
        admin,
        workers,
        limits,
        policy,
        zones,
        summary,
        ..
    } = config;

    let workers = workers.unwrap_or_else(one_a_core);
    let server = Server::bind(&addresses(&listen), workers, stream_limits(&limits))?;
    let admin = match admin {
        Some(address) => Some(Admin::start(address, &telemetry).await?),
        None => None,
    };
    let live = Live::new(policy, zones);
    publish(&telemetry, &live.current());
    let mut server = server
        .start(|| Worker::new(live.reader(), &telemetry))
        .context("the workers cannot be started")?;
    let probed = probe_all(&server).await;
    if probed.is_ok() {
        telemetry.health().ready();
        tell_ready(&telemetry, &server, admin.as_ref(), &summary);
    }
    let ended = match probed {
        Ok(()) => until_told(&telemetry, &mut server, &mut signals, limits.drain).await,
        Err(error) => Err(error),
    };

    let stopped = server
        .shutdown(limits.tcp_message)
        .await
        .map_err(worker_errors);
    if let Some(admin) = admin {
        admin.stop().await;
    }
    telemetry.event(Severity::Notice, "stopped", &[]);
    telemetry.flush(FLUSH_PATIENCE);
    // How a worker ended says more than that one did.
    stopped.and(ended)
}

/// Serves until a signal, and then for the time of the drain; an error if a worker ends before.
async fn until_told(
    telemetry: &Telemetry,
    server: &mut Running,
    signals: &mut Signals,
    drain: Duration,
) -> anyhow::Result<()> {
    let signal = tokio::select! {
        signal = signals.next() => signal,
        () = server.worker_ended() => return Err(anyhow!("a worker ended by itself")),
    };
    telemetry.health().draining(signal);
    let seconds = drain.as_secs_f64();
    telemetry.event(
        Severity::Notice,
        "draining",
        &[("signal", json!(signal)), ("seconds", json!(seconds))],
    );
    tokio::select! {
        () = tokio::time::sleep(drain) => {}
        _ = signals.next() => {}
        () = server.worker_ended() => {}
    }
    Ok(())
}

/// Asks every UDP listener a question of our own.
async fn probe_all(server: &Running) -> anyhow::Result<()> {
    for &(transport, address) in server.addresses() {
        if transport == Transport::Udp {
            let asked =
                tokio::task::spawn_blocking(move || probe::ask(address, PROBE_PATIENCE)).await?;
            asked.with_context(|| format!("udp://{address} does not answer a query of our own"))?;
        }
    }
    Ok(())
}

/// Makes the names of groups and rules known before the first query can be counted under them.
fn publish(telemetry: &Telemetry, snapshot: &Snapshot) {
    let policy = snapshot.policy();
    let labels = Labels {
        groups: policy
            .groups()
            .iter()
            .map(|group| group.name.to_string())
            .collect(),
        rules: policy
            .rules()
            .iter()
            .map(|rule| rule.name.to_string())
            .collect(),
    };
    telemetry.loaded(snapshot.generation(), labels, now());
}

fn tell_warnings(telemetry: &Telemetry, config: &Config) {
    for warning in config.warnings(now()) {
        telemetry.event(Severity::Warning, &warning.to_string(), &[]);
    }
}

fn tell_ready(telemetry: &Telemetry, server: &Running, admin: Option<&Admin>, summary: &str) {
    let listen: Vec<String> = server
        .addresses()
        .iter()
        .map(|(transport, address)| format!("{}://{address}", transport.as_str()))
        .collect();
    let admin = admin.map(|admin| admin.address().to_string());
    telemetry.event(
        Severity::Notice,
        "ready",
        &[
            ("listen", json!(listen)),
            ("admin", json!(admin)),
            ("configuration", json!(summary)),
        ],
    );
}

fn worker_errors(errors: Vec<WorkerError>) -> anyhow::Error {
    let told: Vec<String> = errors
        .into_iter()
        .map(|error| format!("{:#}", anyhow::Error::from(error)))
        .collect();
    anyhow!("{}", told.join("; "))
}

fn addresses(listen: &[Listen]) -> Vec<(Transport, SocketAddr)> {
    let pair = |listen: &Listen| match *listen {
        Listen::Udp(address) => (Transport::Udp, address),
        Listen::Tcp(address) => (Transport::Tcp, address),
    };
    listen.iter().map(pair).collect()
}

fn log_settings(config: &Config) -> LogSettings {
    LogSettings {
        queries: config.log.queries,
        format: config.log.format,
        queue: config.limits.log_queue,
    }
}

fn one_a_core() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn stream_limits(limits: &Limits) -> StreamLimits {
    StreamLimits {
        connections: limits.tcp_connections,
        per_client: limits.tcp_connections_per_client,
        idle: limits.tcp_idle,
        message: limits.tcp_message,
        write: limits.tcp_message,
        pipeline: limits.tcp_pipeline,
    }
}

fn now() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of a start; no decision hangs on it"
    )]
    SystemTime::now()
}
