//! Looks again and again whether the files of the configuration have changed, on a thread of its
//! own: a file system that does not answer holds up the looking and nothing else. What a change
//! looks like is for [`WatchedFiles`] to say.

use std::{future::pending, path::PathBuf, pin::Pin, time::Duration};

use tokio::time::{self, Instant};

use super::{
    blocking::{BlockingError, BlockingThreads},
    report,
    watched_files::{self, WatchedFiles},
};
use crate::telemetry::Telemetry;
use dnsgate_config::ReadFile;

/// How long one look may take. It reads what has moved, so that 256 MiB of a slow disk must fit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Looks that were given up and still hang, at most: one more would hang as well.
const MAX_HANGING: usize = 2;
/// How long it waits until it tries again what came to nothing, a look or a whole reload: often
/// enough that nobody has to ask once a file system answers again, and one line in the log a minute.
const PAUSE: Duration = Duration::from_secs(60);

/// A look under way: what it knows by then, and what has changed.
type Looking =
    Pin<Box<dyn Future<Output = Result<(WatchedFiles, Option<PathBuf>), BlockingError>> + Send>>;

/// The looking, as long as this is there.
pub(super) struct FileWatch {
    /// When to look next; `None` where changes are no cause for a reload.
    next: Option<Instant>,
    looking: Option<Looking>,
    /// What was seen so far; `None` during a look.
    files: Option<WatchedFiles>,
    /// The files as they were read.
    read: Vec<ReadFile>,
    /// Whether the last reload came to nothing, so that there is to be another, changes or none.
    again: bool,
    blocking: BlockingThreads,
    /// Whether the last look came to nothing.
    failing: bool,
}

impl FileWatch {
    /// Watches the files that a configuration was read from, or none at all.
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

    /// Why there should be a reload; never ready where nothing is watched. May be dropped and called
    /// again at any time.
    pub(super) async fn cause(&mut self, telemetry: &Telemetry) -> String {
        loop {
            let Some(next) = self.next else {
                return pending().await;
            };
            if self.looking.is_none() {
                time::sleep_until(next).await;
                if self.again {
                    return "the attempt before came to nothing".to_owned();
                }
            }
            if let Some(path) = self.look(telemetry).await {
                return format!("{} changed", path.display());
            }
        }
    }

    /// A reload has ended: it has read these files, or nothing, and then it is to be tried again.
    pub(super) fn after(&mut self, was_read: bool, read: &[ReadFile]) {
        self.looking = None;
        self.files = None;
        // Other files, perhaps; and those of before as they were read this time.
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
                // What it knew is gone with it.
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

    /// Tells once that the looking has come to nothing, and once that it works again.
    fn tell(&mut self, telemetry: &Telemetry, failed: Option<&BlockingError>) {
        let was_failing = std::mem::replace(&mut self.failing, failed.is_some());
        match failed {
            Some(why) if !was_failing => report::watching(telemetry, Some(&why.to_string())),
            None if was_failing => report::watching(telemetry, None),
            _ => {}
        }
    }
}
