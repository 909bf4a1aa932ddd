//! Opens query logs: files, directories of them, standard input. What is in them is read by `dnsgate-logs`.

use std::{
    fmt,
    io::{self, BufReader, IsTerminal as _, Read, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::input;
use dnsgate_logs::{LogRecord, LogSummary};
use dnsgate_whatif::{ClientQuestion, plural};

/// The size of the buffer in front of a log: large, because a log is read once and in order.
const BUFFER: usize = 256 << 10;
/// The deepest directory below a given one. Exports to buckets have a directory for each part of the date.
const MAX_DEPTH: usize = 16;
/// The bytes by which a log is told from other input.
const START: u64 = 4096;
/// The most files of all directories: a year of hourly logs of a hundred servers.
const MAX_FILES: usize = 1_000_000;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct ReadLogs {
    pub(super) summary: LogSummary,
    /// The number of files.
    pub(super) files: u64,
    /// Files of directories that could not be read to their end, with the reason.
    pub(super) broken: Vec<String>,
}

impl fmt::Display for ReadLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        if self.files > 1 {
            write!(f, ", in {} files", self.files)?;
        }
        match self.broken.len() {
            0 => Ok(()),
            count => write!(
                f,
                ", {} not read to the end",
                plural(count as u64, "file", "files")
            ),
        }
    }
}

/// Reads every question of these logs. A file of a directory that cannot be read to its end is reported on standard error,
/// and the others are read nevertheless.
pub(super) fn read(
    logs: &[PathBuf],
    mut visit: impl FnMut(&LogRecord<'_>),
) -> anyhow::Result<ReadLogs> {
    let mut files = Vec::new();
    for path in logs {
        find(path, 0, &mut files)?;
    }
    let total = files.iter().map(|file| file.size).sum();
    let mut progress = Progress::new(total);
    let mut done = ReadLogs::default();
    for file in &files {
        let shown = file.path.display();
        let input = input::open(&file.path);
        let read = input.and_then(|input| one(&file.path, input, &mut progress, &mut visit));
        done.files += 1;
        match read {
            Ok(summary) => {
                if !file.is_given && summary.questions == 0 && summary.others > 0 {
                    progress.end();
                    let _ = writeln!(io::stderr(), "dnsgate: warning: {shown}: {summary}");
                }
                done.summary.add(&summary);
            }
            Err(error) if file.is_given => {
                progress.end();
                return Err(error);
            }
            Err(error) => {
                progress.end();
                // Standard error may be closed.
                let _ = writeln!(io::stderr(), "dnsgate: warning: {error:#}");
                done.broken.push(shown.to_string());
            }
        }
    }
    progress.end();
    Ok(done)
}

/// Passes every question of a query log to `ask`, with its number of occurrences; `-` is standard input.
pub(super) fn replay(
    log: &Path,
    mut ask: impl FnMut(ClientQuestion<'_>, u64),
) -> anyhow::Result<ReadLogs> {
    read(&[log.to_owned()], |record| {
        if record.times > 0 {
            ask(question(record), record.times);
        }
    })
}

/// The question of a record.
pub(super) fn question<'l>(record: &LogRecord<'l>) -> ClientQuestion<'l> {
    ClientQuestion {
        name: record.name,
        rtype: record.rtype,
        source: record.client,
        transport: record.transport,
    }
}

/// Opens a file, and returns its beginning, which is read again from what is returned with it.
pub(super) fn open(path: &Path) -> anyhow::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut input = input::open(path)?;
    let mut start = Vec::new();
    input
        .by_ref()
        .take(START)
        .read_to_end(&mut start)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let again = io::Cursor::new(start.clone()).chain(input);
    Ok((start, Box::new(again)))
}

/// Reads every question of a log that is open already.
pub(super) fn read_open(
    path: &Path,
    input: Box<dyn Read>,
    mut visit: impl FnMut(&LogRecord<'_>),
) -> anyhow::Result<ReadLogs> {
    let mut progress = Progress::new(path.metadata().map_or(0, |about| about.len()));
    let summary = one(path, input, &mut progress, &mut visit);
    progress.end();
    Ok(ReadLogs {
        summary: summary?,
        files: 1,
        broken: Vec::new(),
    })
}

fn one(
    path: &Path,
    input: Box<dyn Read>,
    progress: &mut Progress,
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> anyhow::Result<LogSummary> {
    let input = Watched { input, progress };
    let log = BufReader::with_capacity(BUFFER, input);
    dnsgate_logs::read(log, visit)
        .with_context(|| format!("{} cannot be read to its end", path.display()))
}

/// A file to read.
struct FoundFile {
    path: PathBuf,
    size: u64,
    /// Whether the arguments name it, and not only a directory above it.
    is_given: bool,
}

/// Finds the files: those of a directory in the order of their names, without hidden ones. Links to directories are not
/// followed, because they may lead in a circle.
fn find(path: &Path, depth: usize, files: &mut Vec<FoundFile>) -> anyhow::Result<()> {
    if path == Path::new(dnsgate_config::STDIN) {
        files.push(FoundFile {
            path: path.to_owned(),
            size: 0,
            is_given: true,
        });
        return Ok(());
    }
    let fault = || format!("{} cannot be read", path.display());
    let about = path.metadata().with_context(fault)?;
    if !about.is_dir() {
        files.push(FoundFile {
            path: path.to_owned(),
            size: about.len(),
            is_given: depth == 0,
        });
        return Ok(());
    }
    if depth >= MAX_DEPTH || files.len() >= MAX_FILES {
        bail!(
            "{} is more than {MAX_DEPTH} directories deep, or there are more than {MAX_FILES} files",
            path.display()
        );
    }
    let mut inside = Vec::new();
    for entry in path.read_dir().with_context(fault)? {
        let entry = entry.with_context(fault)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let is_link_to_dir = entry.path().is_symlink() && entry.path().is_dir();
        if !is_hidden && !is_link_to_dir && (entry.path().is_file() || entry.path().is_dir()) {
            inside.push(entry.path());
        }
    }
    inside.sort_unstable();
    for path in inside {
        find(&path, depth + 1, files)?;
    }
    Ok(())
}

/// Shows on a terminal how much of the files is read.
struct Progress {
    is_shown: bool,
    total: u64,
    read: u64,
    /// The tenths of a percent that were shown last; for standard input, the units of 16 MiB.
    shown: u64,
}

impl Progress {
    fn new(total: u64) -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            total,
            read: 0,
            shown: 0,
        }
    }

    fn add(&mut self, read: u64) {
        const UNIT: u64 = 16 << 20;
        const WIDTH: usize = 30;
        self.read += read;
        if !self.is_shown {
            return;
        }
        let mebibytes = self.read >> 20;
        let (now, line) = if self.total > UNIT {
            let tenths = self.read.saturating_mul(1000) / self.total;
            let filled = usize::try_from(tenths).unwrap_or_default().min(1000) * WIDTH / 1000;
            let bar = format!("{:<WIDTH$}", "#".repeat(filled));
            let (whole, tenth) = (tenths / 10, tenths % 10);
            (
                tenths,
                format!("[{bar}] {whole}.{tenth} %, {mebibytes} MiB"),
            )
        } else {
            (self.read / UNIT, format!("{mebibytes} MiB"))
        };
        if now != self.shown {
            self.shown = now;
            let _ = write!(io::stderr(), "\r{line} read");
        }
    }

    /// Clears the line.
    fn end(&mut self) {
        if std::mem::take(&mut self.shown) > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// An input that counts what is read of it.
struct Watched<'p, R> {
    input: R,
    progress: &'p mut Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_is_read_in_order_and_without_circles() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("2026/11")).expect("room");
        for (name, number) in [("b.log", 1), ("2026/11/a.log", 2), (".hidden", 3)] {
            let line = format!(
                "{{\"queryName\":\"n{number}.example\",\"queryType\":\"A\",\"sourceIP\":\"10.0.0.1\"}}\n"
            );
            fs::write(at(name), line).expect("room");
        }
        fs::write(at("c.png"), b"\x89PNG\r\n\x1a\n\0\xff").expect("room");
        fs::write(at("d.gz"), b"\x1f\x8b\x08\0cut").expect("room");
        std::os::unix::fs::symlink(dir.path(), at("2026/circle")).expect("a link");
        let mut names = Vec::new();
        let read = read(&[dir.path().to_owned()], |record| {
            names.push(record.name.to_string());
        });
        let read = read.expect("readable");
        assert_eq!(names, ["n2.example.", "n1.example."]);
        assert_eq!((read.summary.questions, read.files), (2, 4));
        assert_eq!(read.broken, [at("d.gz").display().to_string()]);
        // A file that is named is not left out.
        assert!(super::read(&[at("d.gz")], |_| ()).is_err());
        assert!(super::read(&[at("gone")], |_| ()).is_err());
    }
}
