//! Polls the files of the configuration on a separate thread, so a file system that does not
//! respond blocks only that thread. [`WatchedFiles`] defines a change.

use std::{future::pending, path::PathBuf, pin::Pin, time::Duration};

use tokio::time::{self, Instant};

use super::{
    blocking::{BlockingError, BlockingThreads},
    report,
    watched_files::{self, WatchedFiles},
};
use crate::telemetry::Telemetry;
use dnsgate_config::ReadFile;

/// Timeout of one check. It reads the changed files, so 256 MiB from a slow disk must fit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum number of abandoned checks that still hang.
const MAX_HANGING: usize = 2;
/// The pause before a failed check or reload is retried. Recovery needs no operator, and the log
/// gets one line per minute.
const PAUSE: Duration = Duration::from_secs(60);

/// A running check. It yields the observed files and the changed one.
type Looking =
    Pin<Box<dyn Future<Output = Result<(WatchedFiles, Option<PathBuf>), BlockingError>> + Send>>;

/// Polls until dropped.
pub(super) struct FileWatch {
    /// Time of the next check; `None` if changes cause no reload.
    next: Option<Instant>,
    looking: Option<Looking>,
    /// The files as last seen; `None` during a check.
    files: Option<WatchedFiles>,
    /// The files as they were read.
    read: Vec<ReadFile>,
    /// The last reload failed before it read the files, so it is retried even without a change.
    again: bool,
    blocking: BlockingThreads,
    /// The last check failed.
    failing: bool,
}

impl FileWatch {
    /// Watches the files of a configuration if `wanted`, otherwise none.
    pub(super) fn new(wanted: bool, read: &[ReadFile]) -> Self {
        Self {
            next: wanted.then(Instant::now),
            looking: None,
            files: None,
            read: read.to_vec(),
            again: false,
            blocking: BlockingThreads::new(MAX_HANGING),
            failing: false,
        }
    }

    /// Waits for a cause of a reload and returns it. Never ready if nothing is watched.
    /// Cancel-safe.
    pub(super) async fn cause(&mut self, telemetry: &Telemetry) -> String {
        loop {
            let Some(next) = self.next else {
                return pending().await;
            };
            if self.looking.is_none() {
                time::sleep_until(next).await;
                if self.again {
                    return "the last attempt failed".to_owned();
                }
            }
            if let Some(path) = self.look(telemetry).await {
                return format!("{} changed", path.display());
            }
        }
    }

    /// Records the end of a reload. It has read these files, or failed before that and will be
    /// retried.
    pub(super) fn after(&mut self, was_read: bool, read: &[ReadFile]) {
        self.looking = None;
        self.files = None;
        // The files as read by this reload.
        self.read = read.to_vec();
        self.again = !was_read;
        let pause = if was_read {
            watched_files::INTERVAL
        } else {
            PAUSE
        };
        self.rest(pause);
    }

    async fn look(&mut self, telemetry: &Telemetry) -> Option<PathBuf> {
        let looking = self.looking.get_or_insert_with(|| {
            let (blocking, read) = (self.blocking.clone(), &self.read);
            let files = self.files.take();
            let mut files = files.unwrap_or_else(|| WatchedFiles::new(read));
            Box::pin(async move {
                let look = move || {
                    #[cfg(feature = "faults")]
                    crate::faults::reload(crate::faults::Reloading::Looking);
                    let changed = files.look().map(PathBuf::from);
                    (files, changed)
                };
                blocking.run(PATIENCE, look).await
            })
        });
        let looked = looking.await;
        self.looking = None;
        self.tell(telemetry, looked.as_ref().err());
        match looked {
            Ok((files, changed)) => {
                self.files = Some(files);
                self.rest(watched_files::INTERVAL);
                changed
            }
            Err(_) => {
                // The abandoned check owns the file state, so that state is lost.
                self.rest(PAUSE);
                None
            }
        }
    }

    fn rest(&mut self, pause: Duration) {
        if let Some(next) = &mut self.next {
            *next = Instant::now() + pause;
        }
    }

    /// Logs once that checks fail, and once that they work again.
    fn tell(&mut self, telemetry: &Telemetry, failed: Option<&BlockingError>) {
        let was_failing = std::mem::replace(&mut self.failing, failed.is_some());
        match failed {
            Some(why) if !was_failing => report::watching(telemetry, Some(&why.to_string())),
            None if was_failing => report::watching(telemetry, None),
            _ => {}
        }
    }
}
