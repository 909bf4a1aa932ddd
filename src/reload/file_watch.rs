//! Polls the files of the configuration on a separate thread, so a file system that does not
//! respond blocks only that thread. [`WatchedFiles`] defines a change.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    future::pending,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use tokio::time::{self, Instant};

use crate::telemetry::Telemetry;
use dnsgate_config::ReadFile;

use super::{
    blocking::{BlockingError, BlockingThreads},
    report,
};

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
        let pause = if was_read { INTERVAL } else { PAUSE };
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
                self.rest(INTERVAL);
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

/// Time between checks. A change takes effect after at most twice this time.
///
/// It polls them. inotify watches inodes and directories, so files that are replaced by rename, and
/// Kubernetes volumes, which switch `..data` and thereby every path through it to another
/// directory, need a watch on every link of the path, renewed after each change. Network file
/// systems report nothing at all. `stat` follows the whole path each time and works everywhere; a
/// hundred files cost a hundred microseconds every two seconds.
///
/// A change counts when the files are stable, that is, unchanged between two checks, and the
/// content differs from what was read. A file that is being written is therefore not read yet, and
/// a file that was only touched or rewritten with the same content causes no reload.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

/// The files of one attempt to load a configuration, successful or not.
#[derive(Debug)]
pub(super) struct WatchedFiles(BTreeMap<PathBuf, WatchedFile>);

#[derive(Debug)]
struct WatchedFile {
    file: ReadFile,
    seen: FileStat,
    /// It has changed since its content was last compared.
    moved: bool,
}

/// The state of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileStat {
    /// Not checked yet.
    Unknown,
    /// No file to read.
    Absent,
    /// A pipe or device, which shows no changes.
    Unwatchable,
    File {
        device: u64,
        inode: u64,
        len: u64,
        /// Seconds and nanoseconds.
        modified: (i64, i64),
    },
}

impl WatchedFiles {
    pub(super) fn new(files: &[ReadFile]) -> Self {
        let state = |file: &ReadFile| {
            let state = WatchedFile {
                file: file.clone(),
                // The first checks compare with the content that was read, because the file may
                // already have changed.
                seen: FileStat::Unknown,
                moved: true,
            };
            (file.path().to_owned(), state)
        };
        Self(files.iter().map(state).collect())
    }

    /// Checks the files once. Returns the path of a file that has changed and is stable.
    pub(super) fn look(&mut self) -> Option<&Path> {
        let mut at_rest = true;
        for (path, state) in &mut self.0 {
            let now = FileStat::of(path);
            if now != state.seen {
                (state.seen, state.moved) = (now, true);
                at_rest = false;
            }
        }
        // Only when all files are stable, because a zone file and the configuration that names it
        // change together.
        let moved = self.0.values_mut().filter(|state| at_rest && state.moved);
        for state in moved {
            state.moved = false;
            if state.seen != FileStat::Unwatchable && state.file.differs() {
                return Some(state.file.path());
            }
        }
        None
    }
}

impl FileStat {
    fn of(path: &Path) -> Self {
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => Self::of_file(&metadata),
            Ok(metadata) if metadata.is_dir() => Self::Absent,
            Ok(_) => Self::Unwatchable,
            Err(_) => Self::Absent,
        }
    }

    fn of_file(metadata: &Metadata) -> Self {
        Self::File {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    const CONFIG: &str = "zones: [{origin: a.test, file: zone}]";
    const ZONE: &str = "@ 300 SOA ns hostmaster 1 2 3 4 5\n@ 300 NS ns\nns 300 A 10.0.0.1\n";

    /// What was read of a configuration, good or bad.
    fn read(path: &Path) -> WatchedFiles {
        match dnsgate_config::load(path) {
            Ok(config) => WatchedFiles::new(&config.files),
            Err(report) => WatchedFiles::new(report.files()),
        }
    }

    /// Looks until nothing moves any more; what has changed.
    fn settle(files: &mut WatchedFiles) -> Option<PathBuf> {
        assert_eq!(files.look(), None, "it has moved, and is not at rest yet");
        files.look().map(Path::to_owned)
    }

    fn directory() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().expect("directory");
        let (config, zone) = (dir.path().join("gate.yaml"), dir.path().join("zone"));
        fs::write(&config, CONFIG).expect("written");
        fs::write(&zone, ZONE).expect("written");
        (dir, config, zone)
    }

    #[test]
    fn notices_every_way_to_replace_a_file() {
        let (dir, config, zone) = directory();
        let mut files = read(&config);
        assert_eq!(settle(&mut files), None);
        assert_eq!(files.look(), None);

        // Another inode with the same text is no change; with another text it is.
        let new = dir.path().join(".zone.swp");
        for (text, changed) in [(ZONE, None), (&*ZONE.replace('1', "2"), Some(&zone))] {
            fs::write(&new, text).expect("written");
            fs::rename(&new, &zone).expect("renamed");
            assert_eq!(settle(&mut files).as_ref(), changed);
        }
        // Told once.
        assert_eq!(files.look(), None);

        let mut files = read(&config);
        assert_eq!(settle(&mut files), None);
        fs::remove_file(&config).expect("removed");
        assert_eq!(settle(&mut files), Some(config.clone()));
        // What is read now is an absence, which a file ends.
        let mut files = read(&config);
        assert_eq!(settle(&mut files), None);
        fs::write(&config, CONFIG).expect("written");
        assert_eq!(settle(&mut files), Some(config));
    }

    #[test]
    fn notices_a_test_file_that_appears_or_disappears() {
        let (dir, config, _) = directory();
        let tests = dir.path().join("gate.test.yaml");
        let mut files = read(&config);
        assert_eq!(settle(&mut files), None);
        fs::write(&tests, "tests: []").expect("written");
        assert_eq!(settle(&mut files), Some(tests.clone()));
        let mut files = read(&config);
        assert_eq!(settle(&mut files), None);
        fs::remove_file(&tests).expect("removed");
        assert_eq!(settle(&mut files), Some(tests));
    }

    #[test]
    fn notices_a_change_of_a_kubernetes_volume() {
        let dir = tempfile::tempdir().expect("directory");
        let path = |name: &str| dir.path().join(name);
        for (data, zone) in [("..1", ZONE), ("..2", &ZONE.replace('1', "2"))] {
            fs::create_dir(path(data)).expect("directory");
            fs::write(path(data).join("gate.yaml"), CONFIG).expect("written");
            fs::write(path(data).join("zone"), zone).expect("written");
        }
        symlink("..1", path("..data")).expect("linked");
        for name in ["gate.yaml", "zone"] {
            symlink(Path::new("..data").join(name), path(name)).expect("linked");
        }
        let mut files = read(&path("gate.yaml"));
        assert_eq!(settle(&mut files), None);
        symlink("..2", path("..data_tmp")).expect("linked");
        fs::rename(path("..data_tmp"), path("..data")).expect("renamed");
        assert_eq!(settle(&mut files), Some(path("zone")));
    }

    #[test]
    fn notices_early_changes_and_waits_for_files_at_rest() {
        let (_dir, config, zone) = directory();
        let mut files = read(&config);
        fs::write(&zone, ZONE.replace('1', "2")).expect("written");
        assert_eq!(settle(&mut files), Some(zone.clone()));

        let mut files = read(&config);
        for len in 1..5 {
            fs::write(&zone, "; written bit by bit\n".repeat(len)).expect("written");
            assert_eq!(files.look(), None, "it is not at rest");
        }
        assert_eq!(files.look(), Some(&*zone));
    }
}
