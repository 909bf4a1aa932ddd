//! The destination of lines: a stream, a file or a Unix socket.
//!
//! A line is written completely, or it is lost and counted. If a write ends within a line, because
//! the disk is full or a reader is stuck, the rest of that line is kept and written first next
//! time, so that no other line is appended to a partial one. Only a reader that disconnects can see
//! half a line, as its last; the next reader starts with a complete one.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use dnsgate_config::LogOutput;

use super::collector::Collector;

/// An unbuffered stream.
pub(crate) type Sink = Box<dyn Write + Send>;

/// The permissions of the log file. Queries reveal what people do, so not everybody may read it.
/// The umask applies in addition.
const MODE: u32 = 0o640;

/// Number of attempts to write lines: to a connection that turns out to be closed, and to the next
/// one.
const TRIES: usize = 2;

/// The output for the lines of one thread.
pub(crate) struct Output {
    to: To,
    /// The unwritten rest of a partial line.
    rest: Vec<u8>,
}

enum To {
    Stream(Sink),
    File { path: PathBuf, file: File },
    Unix(Collector),
}

/// The result of writing lines.
#[derive(Debug, Default)]
pub(crate) struct WriteResult {
    /// The number of lost lines.
    pub(crate) lost: u64,
    /// Why some lines could not be written.
    pub(crate) fault: Option<io::Error>,
}

impl Output {
    pub(crate) const fn stream(sink: Sink) -> Self {
        Self::new(To::Stream(sink))
    }

    /// Opens a separate output; `None` for standard error, which is shared.
    ///
    /// # Errors
    /// A file cannot be opened. A socket is not checked yet, because its listener may start later.
    pub(crate) fn open(output: &LogOutput) -> io::Result<Option<Self>> {
        let to = match output {
            LogOutput::Stderr => return Ok(None),
            // Bypasses the standard library's buffer, which would hide how much was written.
            LogOutput::Stdout => {
                let stdout = io::stdout().as_fd().try_clone_to_owned()?;
                To::Stream(Box::new(File::from(stdout)))
            }
            LogOutput::File(path) => To::File {
                file: open(path)?,
                path: path.clone(),
            },
            LogOutput::Unix(path) => To::Unix(Collector::new(path)),
        };
        Ok(Some(Self::new(to)))
    }

    const fn new(to: To) -> Self {
        Self {
            to,
            rest: Vec::new(),
        }
    }

    /// Reopens a file by its name, because it may have been renamed. Other outputs need no
    /// reopening. If it fails, the old file stays in use.
    pub(crate) fn reopen(&mut self) -> Option<io::Result<()>> {
        let To::File { path, file } = &mut self.to else {
            return None;
        };
        let reopened = open(path).map(|new| *file = new);
        if reopened.is_ok() {
            // The rest of a partial line must not appear as a line in the new file.
            self.rest.clear();
        }
        Some(reopened)
    }

    /// Writes as many complete lines as possible.
    pub(crate) fn write(&mut self, mut lines: &[u8]) -> WriteResult {
        let mut written = WriteResult::default();
        for _ in 0..TRIES {
            let attempt = self.connect().and_then(|lost| {
                written.lost += lost;
                self.push(&mut lines)
            });
            match attempt {
                Ok(()) => {
                    return WriteResult {
                        fault: None,
                        ..written
                    };
                }
                Err(error) => {
                    let again = self.gone(&error);
                    written.fault = Some(error);
                    if !again {
                        break;
                    }
                }
            }
        }
        written.lost += count(lines);
        written
    }

    /// Connects if necessary. Returns the number of lost lines: the partial line whose first half
    /// went to the previous connection.
    pub(crate) fn connect(&mut self) -> io::Result<u64> {
        let To::Unix(collector) = &mut self.to else {
            return Ok(0);
        };
        if !collector.connect()? || self.rest.is_empty() {
            return Ok(0);
        }
        self.rest.clear();
        Ok(1)
    }

    /// Whether an error means that the connection is closed and a new attempt is possible.
    fn gone(&mut self, error: &io::Error) -> bool {
        match &mut self.to {
            To::Unix(collector) if error.kind() != io::ErrorKind::TimedOut => collector.leave(),
            _ => false,
        }
    }

    /// Continues to write. On an error, `lines` is the part of which no line was started.
    fn push(&mut self, lines: &mut &[u8]) -> io::Result<()> {
        let out: &mut dyn Write = match &mut self.to {
            To::Stream(sink) => sink,
            To::File { file, .. } => file,
            To::Unix(collector) => collector,
        };
        let mut rest = self.rest.as_slice();
        let done = put(out, &mut rest);
        self.rest = rest.to_vec();
        done?;
        let all = *lines;
        let done = put(out, lines);
        let begun = all.len() - lines.len();
        if done.is_err() && begun > 0 && all.get(begun - 1) != Some(&b'\n') {
            let end = lines.iter().position(|&byte| byte == b'\n');
            let (torn, whole) = lines.split_at(end.map_or(lines.len(), |end| end + 1));
            self.rest = torn.to_vec();
            *lines = whole;
        }
        done
    }
}

/// Writes until nothing is left. On an error, `bytes` is the unwritten part.
fn put(out: &mut dyn Write, bytes: &mut &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => *bytes = bytes.get(len..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe without a reader would block forever.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::other("it is there and no regular file"));
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes so many bytes, fails once, and so on.
    struct Steps {
        steps: Vec<usize>,
        room: usize,
        paper: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Steps {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                self.room = self.steps.pop().unwrap_or(usize::MAX);
                return Err(io::ErrorKind::StorageFull.into());
            }
            let len = bytes.len().min(self.room).min(3);
            self.room -= len;
            let mut paper = self.paper.lock().expect("not poisoned");
            paper.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn wherever_a_write_ends_lines_stay_whole_and_are_counted() {
        const LINES: &[u8] = b"one\nfour\n\nseven..\n";
        for first in 0..=LINES.len() {
            for second in 1..=LINES.len() {
                let paper = Arc::default();
                let steps = Steps {
                    steps: vec![second],
                    room: first,
                    paper: Arc::clone(&paper),
                };
                let mut output = Output::stream(Box::new(steps));
                let lost: u64 = (0..4).map(|_| output.write(LINES).lost).sum();
                let text = paper.lock().expect("not poisoned").clone();
                let text = String::from_utf8(text).expect("UTF-8");
                assert!(text.ends_with('\n'), "{first} {second}: {text:?}");
                let known = ["one", "four", "", "seven.."];
                assert!(
                    text.lines().all(|line| known.contains(&line)),
                    "{first} {second}: {text:?}"
                );
                assert_eq!(count(text.as_bytes()) + lost, 16, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_file_is_appended_to_and_opened_again_by_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, old) = (dir.path().join("q.log"), dir.path().join("q.log.1"));
        std::fs::write(&path, "zero\n").expect("room");
        let to = LogOutput::File(path.clone());
        let mut output = Output::open(&to).expect("opened").expect("its own");
        assert_eq!(output.write(b"one\n").lost, 0);
        std::fs::rename(&path, &old).expect("renamed");
        assert_eq!(output.write(b"two\n").lost, 0);
        assert!(output.reopen().is_some_and(|it| it.is_ok()));
        assert_eq!(output.write(b"three\n").lost, 0);
        let text = |path: &Path| std::fs::read_to_string(path).expect("a text");
        assert_eq!(
            (&*text(&old), &*text(&path)),
            ("zero\none\ntwo\n", "three\n")
        );
        // What cannot be opened leaves the one that is open.
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("a directory");
        assert!(output.reopen().is_some_and(|it| it.is_err()));
        assert_eq!(output.write(b"four\n").lost, 0);
        for (path, told) in [
            (path, "no regular file"),
            (dir.path().join("no/q"), "No such"),
        ] {
            let error = Output::open(&LogOutput::File(path)).err().expect("refused");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
