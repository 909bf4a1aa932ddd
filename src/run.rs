//! A running dnsgate (`dnsgate serve`), from start to end.
//!
//! ```text
//! configuration ─▶ telemetry ─▶ bind ─▶ start workers ─▶ probe ─▶ ready ◀─▶ reload
//!                                                                    │ SIGTERM, SIGINT
//!                   exit 0 ◀─ flush the log ◀─ stop workers ◀─ drain ◀┘
//! ```
//!
//! A stop signal before "ready" ends the process at once, also with exit code 0.
//!
//! Every error of the configuration or the machine shows before "ready"; after that only the end of
//! a worker ends the process. `/readyz` returns 503 until the listeners have answered dnsgate's own
//! query, and again from the start of the drain, while queries are still answered.

use std::{
    convert::Infallible, future::Future, net::SocketAddr, num::NonZeroUsize, panic::catch_unwind,
    path::PathBuf, pin::pin, sync::Arc, thread, time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::{runtime::Runtime, sync::mpsc, task::JoinSet};

use crate::{
    admin::{AdminRequest, listener::AdminServer},
    clock::{calendar, monotonic},
    reload::{self, Causes, Reloader, report},
    serve::{
        ClientRateLimiter, Forwarder, Listeners, Running, StreamLimits, Worker, WorkerError,
        self_query, upstream_setup,
    },
    systemd,
    telemetry::{LogSettings, LogSeverity, Reading, SelfQuery, Telemetry},
    usage::state_file::{self, StateFile},
};
use dnsgate_config::{Config, HostName, Limits, Listen, Startup};
use dnsgate_core::{cache::Cache, dns::Transport};

mod signals;
mod size;
mod start_log;
mod watchdog;

use signals::{SignalRequest, Signals};
use size::Size;

pub use signals::catch_signals;

/// Timeout of dnsgate's own query. A machine that needs longer for a refusal is not ready.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);
/// Admin requests that can wait during a reload; the pages limit their number as well.
const REQUESTS: usize = 1;
/// Timeout of writing the last log lines.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// The arguments of `serve`.
#[derive(Debug, Default)]
pub struct Options {
    /// The configuration file; the built-in one if absent.
    pub config: Option<PathBuf>,
    /// Addresses to listen on instead of the configured ones.
    pub listen: Vec<Listen>,
    /// The admin address instead of the configured one, or none.
    pub admin: Option<dnsgate_config::Admin>,
    /// Host names that the admin pages accept, beside the configured ones.
    pub admin_hosts: Vec<HostName>,
    /// Reload only on request, not when a file has changed.
    pub no_watch: bool,
    /// The directory of the state file; without it a restart loses the usage.
    pub state_dir: Option<PathBuf>,
}

/// Serves until SIGTERM or SIGINT. A second signal ends the drain.
///
/// # Errors
/// An invalid configuration or address, or the end of a worker.
pub fn serve(options: Options) -> anyhow::Result<()> {
    catch_signals().context("signals cannot be caught")?;
    size::raise();
    let config = dnsgate_config::read_for(options.config.as_deref(), &options.listen)?;
    let mut startup = config.startup.clone();
    if !options.listen.is_empty() {
        startup.listen = options.listen;
    }
    startup.admin = options.admin.map_or(startup.admin, |admin| admin.0);
    startup.admin_hosts.extend(options.admin_hosts);
    let size = Size::of(&startup, cores());
    let runtime = runtime(size)?;
    let from = Origin {
        path: options.config,
        watch: !options.no_watch,
        state: options.state_dir.as_deref().map(StateFile::of),
    };
    let ended = runtime.block_on(run(&startup, size, config, from));
    // A thread that reads from a network file system may hang forever. Do not wait for it.
    runtime.shutdown_background();
    ended
}

/// The runtime for upstream connections and admin pages.
fn runtime(size: Size) -> anyhow::Result<Runtime> {
    let build = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(size.runtime)
            .max_blocking_threads(size::BLOCKING)
            .thread_name("connections")
            .enable_all()
            .build()
    };
    // tokio panics if the system refuses to create a thread.
    match catch_unwind(build) {
        Ok(built) => built.context("the runtime cannot be started"),
        Err(_) => Err(anyhow!("the runtime cannot be started: {}", size.advice())),
    }
}

/// The files of the process.
struct Origin {
    /// The configuration.
    path: Option<PathBuf>,
    /// Whether changes of the configuration cause reloads.
    watch: bool,
    /// The state file.
    state: Option<StateFile>,
}

async fn run(startup: &Startup, size: Size, config: Config, from: Origin) -> anyhow::Result<()> {
    let Origin { path, watch, state } = from;
    // First, so that no signal is missed.
    let mut signals = Signals::watch().context("signals cannot be watched")?;
    let telemetry =
        Telemetry::start(&log_settings(startup)).context("telemetry cannot be started")?;
    telemetry.budgets().start(&startup.limits);
    report::warnings(&telemetry, &config.warnings(calendar()));
    let summary = config.summary.clone();
    let reloader = Reloader::new(path, config, calendar())?.listening(&startup.listen);

    let workers = size.workers;
    let limits = size::share_out(&startup.limits, &startup.listen, workers.get(), &telemetry);
    let server = bind(&telemetry, startup, workers, &limits)?;
    let (requests, asked) = mpsc::channel(REQUESTS);
    let admin = admin_pages(startup, &telemetry, requests).await?;
    if let Some(state) = &state {
        state.restore(&telemetry);
    }
    reloader.register(&telemetry);
    let forwarder = forwarder(Cache::new(startup.cache), limits, &telemetry, &reloader)?;
    read_at_scrape(&telemetry, &forwarder, &server);
    let rate_limiter = ClientRateLimiter::of(&startup.limits, server.addresses());
    let worker = || {
        let reader = reloader.live().reader();
        Worker::new(
            reader,
            &telemetry,
            Arc::clone(&forwarder),
            rate_limiter.clone(),
        )
    };
    let mut server = server
        .start(worker)
        .with_context(|| format!("the workers cannot be started: {}", size.advice()))?;
    // Kept until the end, because the watchdog also runs during the drain.
    let mut watches = JoinSet::new();
    let ended = match probe_all(&telemetry, &server).await {
        Ok(()) => {
            signals::started();
            telemetry.health().ready();
            let pages = admin.as_ref().map(AdminServer::address);
            start_log::ready(&telemetry, server.addresses(), pages, &summary);
            systemd::ready(&summary);
            self_watch(&telemetry, &server, &mut watches);
            if let Some(state) = state.clone() {
                watches.spawn(keep_state(state, telemetry.clone()));
            }
            let keep = |signals| {
                let requests = asked;
                let causes = Causes {
                    signals,
                    requests,
                    watch,
                };
                reload::keep(&telemetry, &forwarder, reloader, causes)
            };
            until_told(&telemetry, &mut server, &mut signals, keep).await
        }
        Err(error) => Err(error),
    };
    if let Ok(signal) = ended {
        let drain = startup.limits.drain;
        self::drain(&telemetry, &mut server, &mut signals, signal, drain).await;
    }
    let stopped = stop(server, &startup.limits, &forwarder, admin).await;
    if let Some(state) = state {
        state.write(&telemetry, &mut false);
    }
    telemetry.event(LogSeverity::Notice, "stopped", &[]);
    write_last_lines(&telemetry);
    // The reason why a worker ended takes precedence.
    stopped.map_err(worker_errors).and(ended.map(|_| ()))
}

/// The admin pages, if they have an address.
async fn admin_pages(
    startup: &Startup,
    telemetry: &Telemetry,
    requests: mpsc::Sender<AdminRequest>,
) -> anyhow::Result<Option<AdminServer>> {
    let Some(address) = startup.admin else {
        return Ok(None);
    };
    let pages = AdminServer::start(address, &startup.admin_hosts, telemetry, requests);
    Ok(Some(pages.await?))
}

/// Lets a scrape read the numbers of the cache, of queries in flight and of unread replies.
fn read_at_scrape(telemetry: &Telemetry, forwarder: &Arc<Forwarder>, server: &Listeners) {
    let numbers = Arc::clone(forwarder);
    let unread = server.unread();
    telemetry.read_at_scrape(move || Reading {
        tcp_unread_bytes: unread(),
        ..numbers.reading()
    });
}

/// Writes the state file from time to time, on a thread that may wait for the disk.
async fn keep_state(state: StateFile, telemetry: Telemetry) {
    let mut failed = false;
    loop {
        tokio::time::sleep(state_file::PACE).await;
        let (state, telemetry) = (state.clone(), telemetry.clone());
        let write = move || {
            state.write(&telemetry, &mut failed);
            failed
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(now) => failed = now,
            Err(_) => return,
        }
    }
}

/// Binds the listeners, and logs those that were skipped on a host without IPv6.
fn bind(
    telemetry: &Telemetry,
    startup: &Startup,
    workers: NonZeroUsize,
    limits: &Limits,
) -> anyhow::Result<Listeners> {
    let listen = addresses(&startup.listen);
    let server = Listeners::bind(&listen, workers, stream_limits(limits))?;
    for without in server.without() {
        start_log::without_ipv6(
            telemetry,
            without.transport,
            without.address,
            &without.error,
        );
    }
    Ok(server)
}

/// Writes the log lines that still wait. Reports it if some are lost, because the process ends.
fn write_last_lines(telemetry: &Telemetry) {
    if telemetry.flush(FLUSH_PATIENCE) {
        return;
    }
    let message =
        "the process ends before every log line is written: the lines that still wait are lost";
    telemetry.event(LogSeverity::Warning, message, &[]);
    telemetry.flush(FLUSH_PATIENCE / 10);
}

/// Finishes the in-flight queries first, then stops the admin pages.
async fn stop(
    server: Running,
    limits: &Limits,
    forwarder: &Forwarder,
    admin: Option<AdminServer>,
) -> Result<(), Vec<WorkerError>> {
    // Every in-flight query has its reply by then.
    let last = monotonic() + limits.upstream_timeout;
    let longest = limits.tcp_message_timeout.max(limits.upstream_timeout);
    let stopped = server.shutdown(longest).await;
    forwarder.finish(last).await;
    if let Some(admin) = admin {
        admin.stop().await;
    }
    stopped
}

/// The forwarder with the upstreams of the current configuration.
fn forwarder(
    cache: Cache,
    limits: Limits,
    telemetry: &Telemetry,
    reloader: &Reloader,
) -> anyhow::Result<Arc<Forwarder>> {
    let forwarder = Arc::new(Forwarder::new(cache, limits, telemetry));
    let made = upstream_setup::prepare(&forwarder, telemetry, reloader.upstreams())?;
    let groups = reloader.live().current().policy().groups().len();
    forwarder.install(made, groups);
    Ok(forwarder)
}

/// Serves until a stop signal and returns its name. An error if a worker ends first. `keep`
/// receives each SIGHUP and reloads; the log file is reopened at once, independent of the reload.
async fn until_told<K: Future<Output = Infallible>>(
    telemetry: &Telemetry,
    server: &mut Running,
    signals: &mut Signals,
    keep: impl FnOnce(mpsc::Receiver<()>) -> K,
) -> anyhow::Result<&'static str> {
    let (hangup, hangups) = mpsc::channel(1);
    let mut keep = pin!(keep(hangups));
    let reload = || {
        telemetry.reopen();
        // A full channel means that a reload is already pending. It will read the newest files.
        let _ = hangup.try_send(());
    };
    if signals::hung_up_early() {
        reload();
    }
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                SignalRequest::Stop(signal) => return Ok(signal),
                SignalRequest::Reload => reload(),
            },
            () = server.worker_ended() => return Err(anyhow!("a worker ended by itself")),
            never = &mut keep => match never {},
        }
    }
}

/// Queries the UDP listeners periodically, and notifies systemd's watchdog while they answer.
fn self_watch(telemetry: &Telemetry, server: &Running, watches: &mut JoinSet<()>) {
    for &(transport, address) in server.addresses() {
        if transport == Transport::Udp {
            let telemetry = telemetry.clone();
            let shared = Arc::clone(telemetry.shared());
            watches.spawn(watchdog::watch(
                address,
                watchdog::PACE,
                move |address, answers| {
                    start_log::answers(&telemetry, address, answers);
                },
                move |answered| shared.self_query(self_query_result(answered)),
            ));
        }
    }
    watches.spawn(systemd::watchdog(telemetry.clone()));
}

/// Continues to answer while load balancers learn from `/readyz` to send queries elsewhere.
async fn drain(
    telemetry: &Telemetry,
    server: &mut Running,
    signals: &mut Signals,
    signal: &str,
    drain: Duration,
) {
    telemetry.health().draining(signal);
    start_log::draining(telemetry, signal, drain);
    systemd::stopping(&format!("{signal}: draining for {} s", drain.as_secs_f64()));
    let again = async {
        while signals.next().await == SignalRequest::Reload {
            telemetry.reopen();
        }
    };
    tokio::select! {
        () = tokio::time::sleep(drain) => {}
        () = again => {}
        () = server.worker_ended() => {}
    }
}

/// Sends dnsgate's own query to every UDP listener. On a host with disabled IPv6, `[::]` can be
/// bound but not reached; that is logged, and is no error if another listener answers.
async fn probe_all(telemetry: &Telemetry, server: &Running) -> anyhow::Result<()> {
    let (mut answered, mut unreachable) = (false, None);
    for &(transport, address) in server.addresses() {
        if transport == Transport::Udp {
            let asked =
                tokio::task::spawn_blocking(move || self_query::ask_own(address, PROBE_PATIENCE))
                    .await?;
            telemetry
                .shared()
                .self_query(self_query_result(asked.is_ok()));
            let every_ipv6 = address.is_ipv6() && address.ip().is_unspecified();
            let told = format!("udp://{address} does not answer dnsgate's own query");
            match asked {
                Ok(()) => answered = true,
                Err(error) if every_ipv6 && self_query::is_unreachable(&error) => {
                    start_log::without_ipv6(telemetry, Transport::Udp, address, &error);
                    unreachable = Some(anyhow::Error::from(error).context(told));
                }
                Err(error) => return Err(anyhow::Error::from(error).context(told)),
            }
        }
    }
    match unreachable {
        Some(error) if !answered => Err(error),
        _ => Ok(()),
    }
}

const fn self_query_result(answered: bool) -> SelfQuery {
    if answered {
        SelfQuery::Answered
    } else {
        SelfQuery::Lost
    }
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

fn log_settings(startup: &Startup) -> LogSettings {
    LogSettings {
        queries: startup.log.queries,
        sample: startup.log.sample,
        format: startup.log.format,
        output: startup.log.output.clone(),
        queue: startup.limits.log_queue,
    }
}

fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn stream_limits(limits: &Limits) -> StreamLimits {
    StreamLimits {
        connections: limits.tcp_connections,
        per_client: limits.tcp_connections_per_client,
        idle: limits.tcp_idle_timeout,
        message: limits.tcp_message_timeout,
        write: limits.tcp_message_timeout,
        pipeline: limits.tcp_pipeline,
        unread: limits.tcp_unread,
        unread_per_connection: limits.tcp_unread_per_connection,
        socket_buffer: limits.tcp_socket_buffer,
    }
}
