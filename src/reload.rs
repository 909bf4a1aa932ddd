//! Replaces the configuration: reads it, checks it, and swaps the snapshot.
//!
//! ```text
//! file ─▶ read, check, build ─▶ compare the fixed keys ─▶ its own tests ─▶ swap ─▶ report
//!              │ invalid              │ changed                │ failed
//!              └──────────────────────┴────────────────────────┘
//!                                     ▼
//!                       nothing changes; the reason is reported
//! ```
//!
//! `task` has the causes of a reload, `report` its log and metrics.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{serve::LiveSnapshot, telemetry::Telemetry};
use dnsgate_config::{
    self, Case, Changes, Config, Contents, Listen, LogQueries, Notice, PolicyDigest, ReadFile,
    Startup,
};
use dnsgate_core::engine::Snapshot;
use dnsgate_whatif::{Failures, Subject};

mod blocking;
mod file_watch;
mod partitions;
pub(crate) mod report;
mod task;

pub(crate) use partitions::NumberedUpstreams;
pub(crate) use report::ReloadRefused;
pub(crate) use task::{Causes, keep};

use partitions::Partitions;

/// The generation of the first snapshot of a process.
const FIRST_GENERATION: u64 = 1;

/// A valid configuration that can replace the current one, and the differences.
#[derive(Debug)]
pub(crate) struct NextConfiguration {
    /// The snapshot, with the next generation number.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The differences.
    pub(crate) changes: Changes,
    /// The warnings.
    pub(crate) warnings: Vec<Notice>,
    /// The upstreams, in the order of their IDs in the snapshot's policy.
    pub(crate) upstreams: NumberedUpstreams,
    /// Which queries are logged, and the sampling rate (one in N).
    pub(crate) log: (LogQueries, u32),
    /// The digest of the policy.
    pub(crate) digest: PolicyDigest,
    contents: Arc<Contents>,
    startup: Startup,
}

/// One attempt to read the configuration again. It owns copies of everything it needs, so nothing
/// is lost if its thread hangs.
#[derive(Debug)]
pub(crate) struct ReloadAttempt {
    path: Option<PathBuf>,
    read_once: bool,
    generation: u64,
    contents: Arc<Contents>,
    startup: Startup,
    listen: Vec<Listen>,
    partitions: Partitions,
}

/// The result of an attempt.
#[derive(Debug)]
pub(crate) struct AttemptResult {
    /// The new configuration, or why there is none.
    pub(crate) next: Result<NextConfiguration, ReloadRefused>,
    /// The files that were read; `None` if none was.
    files: Option<Vec<ReadFile>>,
    partitions: Partitions,
}

/// The parts of a report about a configuration that is now in force.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The generation of its snapshot.
    pub(crate) generation: u64,
    /// The digest of its policy.
    pub(crate) digest: PolicyDigest,
    /// The differences.
    pub(crate) changes: Changes,
    /// The warnings.
    pub(crate) warnings: Vec<Notice>,
}

/// Owns the current snapshot. Only the reloader replaces it.
#[derive(Debug)]
pub(crate) struct Reloader {
    path: Option<PathBuf>,
    /// Whether the configuration came from a pipe or device, which cannot be read again.
    read_once: bool,
    live: LiveSnapshot,
    digest: PolicyDigest,
    contents: Arc<Contents>,
    startup: Startup,
    /// The addresses that the process listens on. No upstream may have one of these.
    listen: Vec<Listen>,
    partitions: Partitions,
    files: Vec<ReadFile>,
}

impl Reloader {
    /// Loads the first configuration of this process. `path` is its file, `None` for the built-in
    /// configuration; `now` is the time for its tests.
    ///
    /// # Errors
    /// Its own tests failed.
    pub(crate) fn new(
        path: Option<PathBuf>,
        config: Config,
        now: SystemTime,
    ) -> Result<Self, Failures> {
        let mut partitions = Partitions::default();
        let upstreams = partitions.number(config.upstreams);
        let snapshot = Snapshot::new(FIRST_GENERATION, config.policy, config.zones)
            .with_upstreams(partitions::of(&upstreams));
        run_policy_tests(&config.cases, &snapshot, &upstreams, now)?;
        partitions.apply(upstreams);
        Ok(Self {
            read_once: path.as_deref().is_some_and(is_no_file),
            path,
            live: LiveSnapshot::new(Arc::new(snapshot)),
            digest: config.digest,
            partitions,
            contents: Arc::new(config.contents),
            listen: config.startup.listen.clone(),
            startup: config.startup,
            files: config.files,
        })
    }

    /// Sets the addresses that the server listens on.
    #[must_use]
    pub(crate) fn listening(self, listen: &[Listen]) -> Self {
        Self {
            listen: listen.to_vec(),
            ..self
        }
    }

    /// The current snapshot, for its readers.
    #[must_use]
    pub(crate) const fn live(&self) -> &LiveSnapshot {
        &self.live
    }

    /// Registers the labels of the first configuration.
    pub(crate) fn register(&self, telemetry: &Telemetry) {
        let snapshot = self.live.current();
        report::labels(telemetry, &snapshot, self.digest, self.upstreams());
    }

    /// The configuration file; `None` for the built-in configuration.
    #[must_use]
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The upstreams of the current snapshot.
    #[must_use]
    pub(crate) const fn upstreams(&self) -> &NumberedUpstreams {
        self.partitions.in_force()
    }

    /// The files of the last attempt, successful or not. These are watched for changes.
    #[must_use]
    pub(crate) fn files(&self) -> &[ReadFile] {
        &self.files
    }

    /// An attempt to load the current content of the file.
    #[must_use]
    pub(crate) fn attempt(&self) -> ReloadAttempt {
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

    /// Keeps the list of files that an attempt has read, and returns its result. Does not yet
    /// change the snapshot.
    ///
    /// # Errors
    /// [`ReloadRefused`]. The current snapshot stays.
    pub(crate) fn take(&mut self, read: AttemptResult) -> Result<NextConfiguration, ReloadRefused> {
        if let Some(files) = read.files {
            self.files = files;
        }
        self.partitions.skip(&read.partitions);
        read.next
    }

    /// Puts the new configuration in force. Queries that begin from now on see it.
    pub(crate) fn apply(&mut self, next: NextConfiguration) -> Applied {
        let (generation, digest) = (next.snapshot.generation(), next.digest);
        self.partitions.apply(next.upstreams);
        self.live.set(next.snapshot);
        self.digest = digest;
        self.contents = next.contents;
        self.startup = next.startup;
        Applied {
            generation,
            digest,
            changes: next.changes,
            warnings: next.warnings,
        }
    }
}

impl ReloadAttempt {
    /// Reads the file, builds the snapshot, and runs its policy tests as of `now`.
    #[must_use]
    pub(crate) fn read(mut self, now: SystemTime) -> AttemptResult {
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
            // A regular file that appears at this path counts as a change, whatever its content.
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
        let fixed = self.startup.differences(&config.startup);
        if !fixed.is_empty() {
            let how = fixed.iter().map(|key| changes.of_key(key)).collect();
            return Err(ReloadRefused::Fixed { keys: fixed, how });
        }
        let warnings = config.warnings(now);
        let upstreams = self.partitions.number(config.upstreams);
        let snapshot = Snapshot::new(self.generation, config.policy, config.zones)
            .with_upstreams(partitions::of(&upstreams));
        run_policy_tests(&config.cases, &snapshot, &upstreams, now)?;
        let log = &config.startup.log;
        Ok(NextConfiguration {
            snapshot: Arc::new(snapshot),
            changes,
            warnings,
            upstreams,
            log: (log.queries, log.sample),
            digest: config.digest,
            contents: Arc::new(config.contents),
            startup: config.startup,
        })
    }
}

/// Whether a path refers to a pipe or a device, which cannot be read twice.
fn is_no_file(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Runs a configuration's policy tests.
fn run_policy_tests(
    cases: &[Case],
    snapshot: &Snapshot,
    upstreams: &NumberedUpstreams,
    now: SystemTime,
) -> Result<(), Failures> {
    let subject = Subject::new(snapshot, upstreams.iter().map(|(_, it)| it));
    dnsgate_whatif::check_tests(cases, &subject, now)
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
    fn a_refused_reload_changes_nothing() {
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
    fn lists_the_files_of_the_last_attempt() {
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
