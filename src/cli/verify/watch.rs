//! `dnsgate verify --watch`: repeats the checks, and serves the results to Prometheus.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use super::{VerifyArgs, print, round};
use crate::admin;
use dnsgate_verify::Exporter;

/// Repeats the checks until a signal arrives. The signal is not an error: the output and the metrics
/// contain the results of the rounds.
pub(super) async fn run(args: &VerifyArgs, every: Duration) -> anyhow::Result<()> {
    let exporter = Exporter::new().context("the metrics cannot be registered")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    let pages = match args.metrics {
        Some(address) => Some(serve(address, exporter.clone(), stopped).await?),
        None => None,
    };
    let rounds = async {
        loop {
            let (report, took) = round(args).await?;
            exporter.set(&report, since_1970(), took);
            print(args, &report, took)?;
            sleep(every).await;
        }
    };
    let ended: anyhow::Result<()> = tokio::select! {
        ended = rounds => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    stop.send_replace(true);
    if let Some(pages) = pages {
        pages.await??;
    }
    ended
}

/// Serves the page until it is stopped.
async fn serve(
    address: SocketAddr,
    exporter: Exporter,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<io::Result<()>>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for --metrics"))?;
    let page = move || exporter.page();
    Ok(tokio::spawn(admin::serve_metrics(
        listener,
        page,
        async move {
            // A closed channel also means stop.
            let _ = stopped.wait_for(|stop| *stop).await;
        },
    )))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the metrics tell when a round ended"
)]
fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}
