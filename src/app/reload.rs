//! Reloads of a running dnsgate: on SIGHUP, on `POST /reload`, and when a file that the
//! configuration was read from has changed. One at a time; what asks meanwhile waits its turn.
//!
//! Reading happens on a thread of its own, which gives way to queries, and admin pages are served
//! meanwhile. Who asks has no say in what is read: it is always the file that the operator named at
//! the start.

use std::{convert::Infallible, fmt, path::PathBuf, sync::Arc};

use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{self, MissedTickBehavior},
};

use super::{
    aside::aside,
    explain,
    files::{self, Files},
    forward::Forwarder,
    notify, tell, upstreams,
};
use crate::{
    reload::{Refused, Reloader},
    telemetry::{
        Telemetry,
        http::{AdminRequest, ReloadAnswer, ReloadRequest, ReloadResult},
    },
};

/// What asks for reloads.
pub(super) struct Causes {
    /// SIGHUP came.
    pub(super) signals: mpsc::Receiver<()>,
    /// Somebody asks by way of the admin pages, for this or for an explanation of what is in force.
    pub(super) requests: mpsc::Receiver<AdminRequest>,
    /// Whether changes of files do.
    pub(super) watch: bool,
}

/// What asked for one.
#[derive(Debug)]
pub(super) enum Cause {
    Signal,
    Request(ReloadRequest),
    Change(PathBuf),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("SIGHUP"),
            Self::Request(_) => f.write_str("POST /reload"),
            Self::Change(path) => write!(f, "{} changed", path.display()),
        }
    }
}

/// Reloads whenever asked, until dropped.
///
/// # Errors
/// Only when a thread that reads panicked, which is a bug.
pub(super) async fn keep(
    telemetry: &Telemetry,
    forwarder: &Arc<Forwarder>,
    mut reloader: Reloader,
    mut causes: Causes,
) -> anyhow::Result<Infallible> {
    let mut looks = time::interval(files::INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut files = Files::new(reloader.files());
    loop {
        let cause = tokio::select! {
            Some(()) = causes.signals.recv() => Cause::Signal,
            Some(request) = causes.requests.recv() => match request {
                AdminRequest::Reload(request) => Cause::Request(request),
                AdminRequest::Explain(request) => {
                    explain::answer(&reloader, request);
                    continue;
                }
            },
            _ = looks.tick(), if causes.watch => {
                let changed;
                (files, changed) = look(files).await?;
                match changed {
                    Some(path) => Cause::Change(path),
                    None => continue,
                }
            }
        };
        reloader = reload(telemetry, forwarder, reloader, cause).await?;
        // Other files, perhaps; and those of before as they were read this time.
        files = Files::new(reloader.files());
    }
}

async fn look(mut files: Files) -> anyhow::Result<(Files, Option<PathBuf>)> {
    let look = move || {
        let changed = files.look().map(PathBuf::from);
        (files, changed)
    };
    Ok(spawn_blocking(look).await?)
}

/// Reads the configuration again, puts it in force if nothing is wrong with it, and tells.
async fn reload(
    telemetry: &Telemetry,
    forwarder: &Arc<Forwarder>,
    mut reloader: Reloader,
    cause: Cause,
) -> anyhow::Result<Reloader> {
    notify::reloading();
    let asked_by = cause.to_string();
    let read = move || {
        let next = reloader.read(tell::now());
        (reloader, next)
    };
    let (mut reloader, next) = aside(read).await?;
    // Before any query can be forwarded under its permits.
    let next = next.and_then(|next| {
        let groups = next.snapshot.policy().groups().len();
        let installed = upstreams::install(forwarder, telemetry, &next.upstreams, groups);
        installed.map_err(|error| Refused::Upstream(format!("{error:#}")))?;
        Ok(next)
    });
    let answer = match next {
        Ok(next) => {
            // Before any query can be counted under its labels.
            tell::labels(telemetry, &next.snapshot, &next.upstreams);
            // Told when it is true: who reads of it may ask at once.
            let applied = reloader.apply(next);
            let report = tell::reloaded(telemetry, &applied, &asked_by);
            ReloadAnswer {
                result: ReloadResult::Reloaded,
                report,
            }
        }
        Err(refused) => ReloadAnswer {
            result: match refused {
                Refused::Invalid(_) | Refused::Tests(_) | Refused::Upstream(_) => {
                    ReloadResult::Invalid
                }
                Refused::NoFile | Refused::ReadOnce(_) | Refused::Fixed(_) => {
                    ReloadResult::Impossible
                }
            },
            report: tell::refused(telemetry, &refused, &asked_by),
        },
    };
    notify::ready(&answer.report);
    if let Cause::Request(request) = cause {
        request.answer(answer);
    }
    Ok(reloader)
}
