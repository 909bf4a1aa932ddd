//! The snapshot in force, and how another takes its place.
//!
//! A snapshot is one whole configuration, seen by every query from its beginning to its end. A
//! worker keeps a [`SnapshotReader`] and asks it once for each batch of queries: one atomic load, no lock. A
//! snapshot lives as long as somebody still reads it.
//!
//! ```text
//! file ─▶ read, check, build whole ─▶ compare with what cannot change ─▶ its own tests ─▶ swap ─▶ report
//!              │ wrong                        │ changed                      │ failed
//!              └──────────────────────────────┼──────────────────────────────┘
//!                                             ▼
//!                                 nothing changes; told why
//! ```
//!
//! Not here: what asks for a reload and who is told of it (`app`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::serve::LiveSnapshot;
use dnsgate_config::{
    self, Case, Changes, Config, Contents, Listen, LogQueries, Notice, ReadFile, Startup,
};
use dnsgate_core::engine::Snapshot;
use dnsgate_whatif::{Failures, Subject};

mod blocking;
mod file_watch;
mod partitions;
mod refused;
pub(crate) mod report;
mod task;
mod watched_files;

pub use partitions::NumberedUpstreams;
pub use refused::ReloadRefused;
pub(crate) use task::{Causes, keep};

use partitions::Partitions;

/// The number of the first snapshot of a process.
const FIRST_GENERATION: u64 = 1;

/// What may be put in force next, and how it differs from what is.
#[derive(Debug)]
pub struct NextConfiguration {
    /// The snapshot, with the next number.
    pub snapshot: Snapshot,
    /// What is different.
    pub changes: Changes,
    /// What was perhaps not meant.
    pub warnings: Vec<Notice>,
    /// Who may be asked, in the order of their numbers in the snapshot's policy.
    pub upstreams: NumberedUpstreams,
    /// Which queries are logged, and one in how many.
    pub log: (LogQueries, u32),
    contents: Arc<Contents>,
    startup: Startup,
}

/// One attempt to read the configuration again. It has what it needs, so that it can be made on
/// another thread, and nothing is lost when that never ends.
#[derive(Debug)]
pub struct ReloadAttempt {
    path: Option<PathBuf>,
    read_once: bool,
    generation: u64,
    contents: Arc<Contents>,
    startup: Startup,
    listen: Vec<Listen>,
    partitions: Partitions,
}

/// What came of an attempt.
#[derive(Debug)]
pub struct AttemptResult {
    /// What may be put in force next, or why nothing may.
    pub next: Result<NextConfiguration, ReloadRefused>,
    /// What was read; `None` if nothing was.
    files: Option<Vec<ReadFile>>,
    partitions: Partitions,
}

/// What is to be told of a configuration once it is in force.
#[derive(Debug)]
pub struct Applied {
    /// The number of its snapshot.
    pub generation: u64,
    /// What is different.
    pub changes: Changes,
    /// What was perhaps not meant.
    pub warnings: Vec<Notice>,
}

/// Owns the snapshot in force: the only one that replaces it.
#[derive(Debug)]
pub struct Reloader {
    path: Option<PathBuf>,
    /// Whether the file was none that can be read again.
    read_once: bool,
    live: LiveSnapshot,
    contents: Arc<Contents>,
    startup: Startup,
    /// Where it listens, whatever the file says: no upstream may be one of these.
    listen: Vec<Listen>,
    partitions: Partitions,
    files: Vec<ReadFile>,
}

impl Reloader {
    /// Puts the first configuration of this process in force. `path` is where it came from, `None`
    /// for the built-in one; `now` is when its tests are asked.
    ///
    /// # Errors
    /// Its own tests, where they fail.
    pub fn new(path: Option<PathBuf>, config: Config, now: SystemTime) -> Result<Self, Failures> {
        let mut partitions = Partitions::default();
        let upstreams = partitions.number(config.upstreams);
        let snapshot = Snapshot::new(FIRST_GENERATION, config.policy, config.zones)
            .with_upstreams(partitions::of(&upstreams));
        rehearse(&config.cases, &snapshot, &upstreams, now)?;
        partitions.apply(upstreams);
        Ok(Self {
            read_once: path.as_deref().is_some_and(is_no_file),
            path,
            live: LiveSnapshot::new(snapshot),
            partitions,
            contents: Arc::new(config.contents),
            listen: config.startup.listen.clone(),
            startup: config.startup,
            files: config.files,
        })
    }

    /// The same for a server that listens there.
    #[must_use]
    pub fn listening(self, listen: &[Listen]) -> Self {
        Self {
            listen: listen.to_vec(),
            ..self
        }
    }

    /// The snapshot in force, for those who read it.
    #[must_use]
    pub const fn live(&self) -> &LiveSnapshot {
        &self.live
    }

    /// The file that it came from; `None` for the built-in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Who may be asked under the snapshot in force.
    #[must_use]
    pub const fn upstreams(&self) -> &NumberedUpstreams {
        self.partitions.in_force()
    }

    /// The files that the last configuration was read from, whether it was taken or refused: what
    /// must change before reading it again can have another end.
    #[must_use]
    pub fn files(&self) -> &[ReadFile] {
        &self.files
    }

    /// An attempt to put what the file says now in the place of what is in force.
    #[must_use]
    pub fn attempt(&self) -> ReloadAttempt {
        ReloadAttempt {
            path: self.path.clone(),
            read_once: self.read_once,
            generation: self.live.current().generation() + 1,
            contents: Arc::clone(&self.contents),
            startup: self.startup.clone(),
            listen: self.listen.clone(),
            partitions: self.partitions.clone(),
        }
    }

    /// Takes note of what an attempt has read, and returns what came of it. Nothing is in force yet.
    ///
    /// # Errors
    /// [`ReloadRefused`], and the snapshot in force stays.
    pub fn take(&mut self, read: AttemptResult) -> Result<NextConfiguration, ReloadRefused> {
        if let Some(files) = read.files {
            self.files = files;
        }
        self.partitions.skip(&read.partitions);
        read.next
    }

    /// Puts what was read in force: queries that begin from now on see it.
    pub fn apply(&mut self, next: NextConfiguration) -> Applied {
        let generation = next.snapshot.generation();
        self.partitions.apply(next.upstreams);
        self.live.set(next.snapshot);
        self.contents = next.contents;
        self.startup = next.startup;
        Applied {
            generation,
            changes: next.changes,
            warnings: next.warnings,
        }
    }
}

impl ReloadAttempt {
    /// Reads the file, builds everything that it says, and holds it to its own tests, asked at
    /// `now`.
    #[must_use]
    pub fn read(mut self, now: SystemTime) -> AttemptResult {
        let mut files = None;
        let next = self.next(now, &mut files);
        AttemptResult {
            next,
            files,
            partitions: self.partitions,
        }
    }

    fn next(
        &mut self,
        now: SystemTime,
        files: &mut Option<Vec<ReadFile>>,
    ) -> Result<NextConfiguration, ReloadRefused> {
        let path = self.path.as_ref().ok_or(ReloadRefused::NoFile)?;
        if is_no_file(path) {
            if self.read_once {
                return Err(ReloadRefused::ReadOnce(path.clone()));
            }
            // A file in its place is a change, whatever is in it.
            *files = Some(vec![ReadFile::unread(path)]);
            return Err(ReloadRefused::NotAFile(path.clone()));
        }
        let mut config = match dnsgate_config::load_for(path, &self.listen) {
            Ok(config) => config,
            Err(report) => {
                *files = Some(report.files().to_vec());
                return Err(report.into());
            }
        };
        *files = Some(std::mem::take(&mut config.files));
        let changes = self.contents.changes(&config.contents);
        if let Some(key) = self.startup.first_difference(&config.startup) {
            let how = changes.of_key(key);
            return Err(ReloadRefused::Fixed { key, how });
        }
        let warnings = config.warnings(now);
        let upstreams = self.partitions.number(config.upstreams);
        let snapshot = Snapshot::new(self.generation, config.policy, config.zones)
            .with_upstreams(partitions::of(&upstreams));
        rehearse(&config.cases, &snapshot, &upstreams, now)?;
        let log = &config.startup.log;
        Ok(NextConfiguration {
            snapshot,
            changes,
            warnings,
            upstreams,
            log: (log.queries, log.sample),
            contents: Arc::new(config.contents),
            startup: config.startup,
        })
    }
}

/// Whether there is something at a path that cannot be read twice: a pipe, a device.
fn is_no_file(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Holds a configuration to its own tests.
fn rehearse(
    cases: &[Case],
    snapshot: &Snapshot,
    upstreams: &NumberedUpstreams,
    now: SystemTime,
) -> Result<(), Failures> {
    let subject = Subject::new(snapshot, upstreams.iter().map(|(_, it)| it));
    dnsgate_whatif::check(cases, &subject, now)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const GOOD: &str = "rules: [{name: x, domains: [x.test], deny: nxdomain}]";

    impl Reloader {
        /// An attempt on this thread.
        fn read(&mut self, now: SystemTime) -> Result<NextConfiguration, ReloadRefused> {
            let read = self.attempt().read(now);
            self.take(read)
        }
    }

    /// A reloader of a file with this text, and the file.
    fn reloader(text: &str) -> (Reloader, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("written");
        let config = dnsgate_config::load(file.path()).expect("valid");
        let reloader = Reloader::new(Some(file.path().to_owned()), config, NOW);
        (reloader.expect("no test fails"), file)
    }

    #[test]
    fn a_good_file_becomes_the_next_generation() {
        let (mut reloader, file) = reloader(GOOD);
        let mut reader = reloader.live().reader();
        let before = Arc::clone(reader.snapshot());
        fs::write(file.path(), GOOD.replace("name: x", "name: y")).expect("written");
        let next = reloader.read(NOW).expect("valid");
        assert_eq!(next.changes.to_string(), "added rule y; removed rule x");
        assert_eq!(reader.snapshot().generation(), 1, "not in force yet");
        reloader.apply(next);
        assert_eq!(reader.snapshot().generation(), 2);
        assert_eq!(before.generation(), 1, "whoever reads the old one keeps it");
        // The next report is about what is in force by then.
        let next = reloader.read(NOW).expect("valid");
        assert_eq!(next.changes.to_string(), "nothing changed");
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let (mut reloader, file) = reloader(GOOD);
        for (text, told) in [
            ("rules: [{name: x}]", "error: "),
            ("rules: [", "error: "),
            ("listen: [udp://127.0.0.1:5300]", "`listen` ("),
            (
                "admin: 127.0.0.1:1",
                "`admin` (127.0.0.1:9153 -> 127.0.0.1:1) cannot change",
            ),
            ("workers: 3", "`workers` (one a core -> 3) cannot change"),
            (
                "limits: {drain: 1s}",
                "`limits.drain` (5s -> 1s) cannot change",
            ),
            (
                "cache: {size: 0}",
                "`cache.size` (64MiB -> 0) cannot change",
            ),
            (
                "log: {queries: all, format: text}",
                "`log.format` (auto -> text) cannot change",
            ),
            (
                "log: {output: stdout}",
                "`log.output` (stderr -> stdout) cannot change",
            ),
            (
                "tests: [{ask: x.test, from: 10.0.0.1, expect: {verdict: answered}}]",
                "1 of 1 policy tests failed\n",
            ),
        ] {
            fs::write(file.path(), text).expect("written");
            let refused = reloader.read(NOW).expect_err(text);
            let unquoted = refused.unquoted().to_string();
            assert!(!unquoted.contains("127.0.0.1") && !unquoted.contains("x.test"));
            let refused = refused.to_string();
            assert!(refused.contains(told), "{text}: {refused}");
        }
        fs::remove_file(file.path()).expect("removed");
        assert!(matches!(reloader.read(NOW), Err(ReloadRefused::Invalid(_))));
        assert_eq!(reloader.live().current().generation(), 1);
        let mut built_in =
            Reloader::new(None, dnsgate_config::default_config(), NOW).expect("its tests pass");
        assert!(matches!(built_in.read(NOW), Err(ReloadRefused::NoFile)));
    }

    #[test]
    fn the_files_are_those_of_the_last_attempt() {
        let dir = tempfile::tempdir().expect("directory");
        let path = |name: &str| dir.path().join(name);
        let put = |name: &str, text: &str| fs::write(path(name), text).expect("written");
        let config = "zones: [{origin: a.test, file: zones/a}, {origin: b.test, file: zones/b}]";
        fs::create_dir(path("zones")).expect("directory");
        put("gate.yaml", config);
        let soa = "@ 300 SOA ns hostmaster 1 2 3 4 5\n@ 300 NS ns\nns 300 A 10.0.0.1\n";
        put("zones/a", &format!("{soa}$INCLUDE more\n"));
        put("zones/more", "x 300 A 10.0.0.2\n");
        put("zones/b", soa);
        let names = |files: &[ReadFile]| -> Vec<String> {
            let below = |file: &ReadFile| {
                let path: &Path = file.path().strip_prefix(dir.path()).expect("in it");
                path.display().to_string()
            };
            files.iter().map(below).collect()
        };
        let config = dnsgate_config::load(&path("gate.yaml")).expect("valid");
        let all = [
            "gate.yaml",
            "gate.test.yaml",
            "zones/a",
            "zones/more",
            "zones/b",
        ];
        assert_eq!(names(&config.files), all);
        let mut reloader = Reloader::new(Some(path("gate.yaml")), config, NOW).expect("no tests");
        assert!(!reloader.files().iter().any(ReadFile::differs));
        // What is missing is waited for as well.
        fs::remove_file(path("zones/more")).expect("removed");
        assert!(reloader.read(NOW).is_err());
        assert_eq!(names(reloader.files()), all);
        assert!(!reloader.files().iter().any(ReadFile::differs));
        put("zones/more", "x 300 A 10.0.0.2\n");
        assert!(reloader.files().iter().any(ReadFile::differs));
        assert!(reloader.read(NOW).is_ok());
        put("gate.yaml", "workers: 3");
        assert!(reloader.read(NOW).is_err());
        assert_eq!(names(reloader.files()), ["gate.yaml", "gate.test.yaml"]);
    }
}
