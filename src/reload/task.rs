//! Reloads a running dnsgate on SIGHUP, on `POST /reload`, and when a file of the configuration has
//! changed. One reload runs at a time. Requests that arrive meanwhile wait and share the next
//! reload's answer.
//!
//! The files are read on a low-priority thread while admin pages are served. A request cannot
//! choose the file: dnsgate always reads the one that the operator named at the start.
//!
//! If anything fails on that thread (a panic, no thread, a file that never responds), the current
//! snapshot stays, and the next attempt starts from scratch.

use std::{
    convert::Infallible,
    fmt::Write as _,
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    admin::{
        AdminRequest, ExplainQuestion, ExplainRequest, ReloadAnswer, ReloadRequest, ReloadResult,
    },
    budgets::{Budgets, Spender},
    clock::{calendar, monotonic},
    serve::{
        Forwarder,
        upstream_setup::{self, PreparedUpstreams},
    },
    systemd,
    telemetry::Telemetry,
};
use dnsgate_core::{dns::Transport, engine::Forward};
use dnsgate_whatif::{ClientQuestion, Subject, explain::explain_running};

use super::{
    AttemptResult, NextConfiguration, NumberedUpstreams, ReloadAttempt, ReloadRefused, Reloader,
    blocking::{BlockingError, BlockingThreads},
    file_watch::FileWatch,
    report,
};

/// Maximum number of abandoned reloads that still hang. Each keeps a thread and the text that it
/// has read so far. Large enough that a hanging file system can be removed from the configuration.
/// There is no official reference for the value.
const MAX_HANGING: usize = 8;
/// Maximum number of concurrent explanations. Each uses a thread for some milliseconds. A further
/// one is refused.
const MAX_EXPLAINING: usize = 4;
/// Maximum number of requests that wait for a reload; the admin pages allow fewer. A further one is
/// refused.
const MAX_WAITING: usize = 64;

/// The causes of reloads.
pub(crate) struct Causes {
    /// SIGHUP.
    pub(crate) signals: mpsc::Receiver<()>,
    /// Requests of the admin pages for reloads and for explanations by the current policy.
    pub(crate) requests: mpsc::Receiver<AdminRequest>,
    /// Whether changes of files cause reloads.
    pub(crate) watch: bool,
}

/// The causes of the next reload or of the running one.
#[derive(Debug, Default)]
struct ReloadCauses {
    signal: bool,
    requests: Vec<ReloadRequest>,
    /// The report of the file watch.
    watch: Option<String>,
}

impl ReloadCauses {
    const fn is_nobody(&self) -> bool {
        !self.signal && self.requests.is_empty() && self.watch.is_none()
    }

    fn add(&mut self, request: ReloadRequest) {
        // A request that is dropped here gets a refusal as its answer.
        if self.requests.len() < MAX_WAITING {
            self.requests.push(request);
        }
    }

    /// The causes, for the log.
    fn by(&self) -> String {
        let mut by = String::new();
        let mut add = |who: &str| {
            let and = if by.is_empty() { "" } else { " and " };
            let _ = write!(by, "{and}{who}");
        };
        if self.signal {
            add("SIGHUP");
        }
        if !self.requests.is_empty() {
            add("POST /reload");
        }
        if let Some(why) = &self.watch {
            add(why);
        }
        by
    }
}

/// The result of reading, and the upstreams to install if it is valid.
type ReadDone = (AttemptResult, Option<anyhow::Result<PreparedUpstreams>>);
type ReadInProgress = Pin<Box<dyn Future<Output = Result<ReadDone, BlockingError>> + Send>>;

/// Runs a reload for each cause, until dropped.
pub(crate) async fn keep(
    telemetry: &Telemetry,
    forwarder: &Arc<Forwarder>,
    reloader: Reloader,
    mut causes: Causes,
) -> Infallible {
    let mut watch = FileWatch::new(causes.watch, reloader.files());
    let mut task = ReloadTask {
        telemetry,
        forwarder,
        reloader,
        blocking: BlockingThreads::new(MAX_HANGING),
    };
    let explaining = BlockingThreads::new(MAX_EXPLAINING);
    let (mut waiting, mut asked) = (ReloadCauses::default(), ReloadCauses::default());
    let mut reading: Option<ReadInProgress> = None;
    loop {
        if reading.is_none() && !waiting.is_nobody() {
            asked = std::mem::take(&mut waiting);
            reading = Some(task.begin());
        }
        tokio::select! {
            Some(()) = causes.signals.recv() => waiting.signal = true,
            Some(request) = causes.requests.recv() => match request {
                AdminRequest::Reload(request) => waiting.add(request),
                AdminRequest::Explain(request) => {
                    let (blocking, work) = (explaining.clone(), prepare(&task.reloader, request, Arc::clone(telemetry.budgets()), calendar()));
                    tokio::spawn(async move { blocking.run(PATIENCE, work).await });
                },
            },
            why = watch.cause(telemetry), if reading.is_none() => waiting.watch = Some(why),
            done = end_of(&mut reading) => {
                reading = None;
                let was_read = done.is_ok();
                task.end(done, std::mem::take(&mut asked));
                watch.after(was_read, task.reloader.files());
            }
        }
    }
}

/// The result of the running attempt; never ready if there is none.
async fn end_of(reading: &mut Option<ReadInProgress>) -> Result<ReadDone, BlockingError> {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}

struct ReloadTask<'k> {
    telemetry: &'k Telemetry,
    forwarder: &'k Arc<Forwarder>,
    reloader: Reloader,
    blocking: BlockingThreads,
}

impl ReloadTask<'_> {
    /// Starts to read the configuration again.
    fn begin(&self) -> ReadInProgress {
        systemd::reloading();
        let (telemetry, forwarder) = (self.telemetry.clone(), Arc::clone(self.forwarder));
        let (attempt, runtime) = (self.reloader.attempt(), Handle::current());
        let (blocking, patience) = (self.blocking.clone(), self.patience());
        Box::pin(async move {
            let read = move || {
                let _entered = runtime.enter();
                read(attempt, &telemetry, &forwarder)
            };
            blocking.run(patience, read).await
        })
    }

    fn patience(&self) -> Duration {
        self.forwarder.limits().reload_timeout
    }

    /// Puts a valid configuration in force and reports the result.
    fn end(&mut self, done: Result<ReadDone, BlockingError>, asked: ReloadCauses) {
        let by = asked.by();
        // A panic ends only this attempt.
        let answer = catch_unwind(AssertUnwindSafe(|| self.apply(done, &by)));
        let answer = answer.unwrap_or_else(|_| {
            let refused = ReloadRefused::Failed(BlockingError::Panicked.unquoted());
            refusal(self.telemetry, &refused, &by)
        });
        systemd::ready(&answer.report.to_string());
        for request in asked.requests {
            request.answer(answer.clone());
        }
    }

    fn apply(&mut self, done: Result<ReadDone, BlockingError>, by: &str) -> ReloadAnswer {
        match self.usable(done) {
            Ok((next, made)) => {
                #[cfg(feature = "faults")]
                crate::faults::reload(crate::faults::Reloading::Applying);
                // Must be done before a query can be forwarded with its permits.
                let groups = next.snapshot.policy().groups().len();
                self.forwarder.install(made, groups);
                // Must be done before a query is counted under its labels, or logged.
                report::labels(self.telemetry, &next.snapshot, next.digest, &next.upstreams);
                let (queries, sample) = next.log;
                self.telemetry.log_queries(queries, sample);
                // Reported only when in force, because a reader of the report may query at once.
                let applied = self.reloader.apply(next);
                ReloadAnswer {
                    result: ReloadResult::Reloaded,
                    report: report::reloaded(self.telemetry, &applied, by),
                }
            }
            Err(refused) => refusal(self.telemetry, &refused, by),
        }
    }

    fn usable(
        &mut self,
        done: Result<ReadDone, BlockingError>,
    ) -> Result<(NextConfiguration, PreparedUpstreams), ReloadRefused> {
        let patience = self.patience();
        let (read, made) = done.map_err(|failed| {
            ReloadRefused::Failed(match failed {
                BlockingError::TooLong(_) => failed
                    .unquoted()
                    .and(" (limits.reload_timeout: ")
                    .and_span(patience)
                    .and(")"),
                _ => failed.unquoted(),
            })
        })?;
        let next = self.reloader.take(read)?;
        let made = made.unwrap_or_else(|| Ok(PreparedUpstreams::new()));
        let made = made.map_err(|error| ReloadRefused::Upstream(format!("{error:#}")))?;
        Ok((next, made))
    }
}

/// The slow part of an attempt.
fn read(attempt: ReloadAttempt, telemetry: &Telemetry, forwarder: &Forwarder) -> ReadDone {
    #[cfg(feature = "faults")]
    crate::faults::reload(crate::faults::Reloading::Reading);
    let read = attempt.read(calendar());
    let next = read.next.as_ref().ok();
    let made = next.map(|next| upstream_setup::prepare(forwarder, telemetry, &next.upstreams));
    (read, made)
}

fn refusal(telemetry: &Telemetry, refused: &ReloadRefused, by: &str) -> ReloadAnswer {
    let result = match refused {
        ReloadRefused::Invalid(_) | ReloadRefused::Tests(_) | ReloadRefused::Upstream(_) => {
            ReloadResult::Invalid
        }
        ReloadRefused::NoFile
        | ReloadRefused::ReadOnce(_)
        | ReloadRefused::NotAFile(_)
        | ReloadRefused::Fixed { .. }
        | ReloadRefused::Failed(_) => ReloadResult::Impossible,
    };
    ReloadAnswer {
        result,
        report: report::refused(telemetry, refused, by),
    }
}

/// Longer than an admin request may last.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Prepares an explanation by the current policy. The work runs on a separate thread, so that after
/// a panic, or without a thread, only this requester gets no answer.
pub(crate) fn prepare(
    reloader: &Reloader,
    request: ExplainRequest,
    budgets: Arc<Budgets>,
    now: SystemTime,
) -> impl FnOnce() + Send + 'static {
    let snapshot = reloader.live().current();
    let upstreams = NumberedUpstreams::clone(reloader.upstreams());
    let origin = match reloader.path() {
        Some(path) => path.display().to_string(),
        None => "the built-in one".to_owned(),
    };
    let origin = format!("{origin}, generation {}, in force", snapshot.generation());
    move || {
        let subject = Subject::new(&snapshot, upstreams.iter().map(|(_, it)| it));
        let ExplainQuestion {
            name,
            rtype,
            client,
        } = request.question();
        let question = ClientQuestion {
            name: name.as_ref(),
            rtype: *rtype,
            source: *client,
            transport: Transport::Udp,
        };
        let left = |ask: &Forward| {
            let spender = Spender {
                rule: ask.rule,
                group: ask.outcome.group,
                client: *client,
            };
            let spending = spender.spending(snapshot.policy(), ask.permit.name())?;
            Some(budgets.left(spending, monotonic(), now))
        };
        let text = explain_running(question, &subject, &origin, now, &left);
        request.answer(text);
    }
}
