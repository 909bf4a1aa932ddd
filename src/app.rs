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

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{
    config::{self, Config, Listen},
    dns::Transport,
    reload::Live,
    server::{Running, Server, StreamLimits},
    telemetry::{self, Labels, LogSettings, Severity, Telemetry},
};

pub mod probe;
mod worker;

use worker::Worker;

/// How long the probe waits for our own answer, a few times over. A machine that needs longer for a
/// refusal is not ready.
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
    let config = configured(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(run(config, &runtime))
}

/// The configuration, with what the command line overrides.
fn configured(options: Options) -> anyhow::Result<Config> {
    let mut config = match &options.config {
        Some(path) => config::load(path)?,
        None => config::default_config(),
    };
    if !options.listen.is_empty() {
        config.listen = options.listen;
    }
    if options.admin.is_some() {
        config.admin = options.admin;
    }
    Ok(config)
}

async fn run(config: Config) -> anyhow::Result<()> {
    // Before anything is started, so that no signal is missed.
    let mut signals = Signals::new().context("signals cannot be watched")?;
    let telemetry = Telemetry::start(&log_settings(&config)).context("telemetry cannot be started")?;
    let Config { listen, admin, workers, limits, policy, zones, summary, .. } = config;
    let live = Live::new(policy, zones);
    publish(&telemetry, &live);

    let listen: Vec<_> = listen.iter().map(|listen| (transport(*listen), listen.address())).collect();
    let server = Server::bind(&listen, workers, stream_limits(&limits))?;
    let admin = match admin {
        Some(address) => Some(Admin::start(address, &telemetry).await?),
        None => None,
    };
    let mut server = server
        .start(|| Worker::new(live.reader(), &telemetry))
        .context("the workers cannot be started")?;
    probe_all(&server).await?;
    telemetry.health().ready();
    tell_ready(&telemetry, &server, admin.as_ref(), &summary);

    let ended_well = tokio::select! {
        name = signals.next() => {
            drain(&telemetry, name, limits.drain, &mut signals).await;
            true
        }
        () = server.worker_ended() => false,
    };
    let stopped = server.shutdown(limits.tcp_message).await;
    if let Some(admin) = admin {
        admin.stop().await;
    }
    let done = match stopped {
        Err(errors) => Err(anyhow::Error::from(errors)),
        Ok(()) if !ended_well => bail_worker(),
        Ok(()) => Ok(()),
    };
    telemetry.event(Severity::Notice, "stopped", &[]);
    telemetry.flush(FLUSH_PATIENCE);
    done
}
