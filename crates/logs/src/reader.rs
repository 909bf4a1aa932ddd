//! Reads a whole log: finds its form by its beginning, and passes each question on.

use std::{
    fmt,
    io::{self, BufRead, Cursor, Read as _},
};

use jiff::Timestamp;

use crate::{
    dnstap::{self, TapCounts, TapSaid},
    entries::{LogEntries, LogForm},
    frames::{FrameError, FrameReader, is_frame_stream},
    json,
    looks::looks_like,
    record::{LogFormat, LogRecord},
    text,
    unpack::Unpacked,
};

/// The bytes by which the form of a log is found, and whether it logs replies beside queries.
const START: u64 = 256 << 10;
/// The bytes by which a log without a question is told from other files.
const SHOWN: usize = 4096;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The contents of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The number of questions; a sampled line counts as all the questions that it represents.
    pub questions: u64,
    /// Lines or entries without a question: starts, stops, malformed packets, other programs' lines.
    pub others: u64,
    /// Questions whose entries have no time.
    pub timeless: u64,
    /// The time of the earliest question.
    pub first: Option<Timestamp>,
    /// The time of the latest question.
    pub last: Option<Timestamp>,
    /// The format that a log without a question looks like.
    pub looks: Option<&'static str>,
    form: LogForm,
    /// A bit for each format with a question.
    formats: u8,
}

impl LogSummary {
    /// The formats that questions were found in.
    pub fn formats(&self) -> impl Iterator<Item = LogFormat> {
        let bits = self.formats;
        let has = move |format: &LogFormat| bits >> (*format as u8) & 1 == 1;
        LogFormat::ALL.into_iter().filter(has)
    }

    /// Adds another log's contents.
    pub fn add(&mut self, other: &Self) {
        self.questions += other.questions;
        self.others += other.others;
        self.timeless += other.timeless;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        self.formats |= other.formats;
        self.form = other.form;
        self.looks = self.looks.or(other.looks);
    }

    fn note(&mut self, record: &LogRecord<'_>) {
        self.questions += record.times;
        self.formats |= 1 << record.format as u8;
        match record.time {
            Some(time) => {
                self.first = Some(self.first.map_or(time, |first| first.min(time)));
                self.last = Some(self.last.map_or(time, |last| last.max(time)));
            }
            None => self.timeless += record.times,
        }
    }
}

impl fmt::Display for LogSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: u64, one, many| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        let questions = counted(self.questions, "question", "questions");
        let others = match self.form {
            LogForm::Lines => counted(self.others, "line", "lines"),
            LogForm::Objects => counted(self.others, "entry", "entries"),
            LogForm::Frames => counted(self.others, "frame", "frames"),
        };
        let formats: Vec<_> = self.formats().map(|format| format.to_string()).collect();
        let of = match &*formats {
            [] => String::new(),
            formats => format!(" ({})", formats.join(", ")),
        };
        write!(f, "log: {questions}{of}, {others} without a question")?;
        match self.looks.filter(|_| self.questions == 0) {
            Some(looks) => write!(f, "; it looks like {looks}"),
            None => Ok(()),
        }
    }
}

/// Why a log cannot be read to its end, and how far it was read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The input cannot be read, or cannot be unpacked.
    #[error("behind {read} {what}: {why}")]
    Input {
        /// The lines, entries or frames before.
        read: u64,
        /// What they are.
        what: &'static str,
        /// What is wrong.
        why: io::Error,
    },
    /// A frame stream is cut or damaged.
    #[error("{0}")]
    Frames(String),
}

/// Reads a log, and passes each of its questions to `visit`.
///
/// # Errors
/// [`LogError`]; what was read before has been passed on.
pub fn read(
    log: impl BufRead,
    mut visit: impl FnMut(&LogRecord<'_>),
) -> Result<LogSummary, LogError> {
    let failed = |why| LogError::Input {
        read: 0,
        what: "bytes",
        why,
    };
    let mut log = Unpacked::of(log).map_err(failed)?;
    let mut start = Vec::new();
    let end = log.by_ref().take(START).read_to_end(&mut start);
    // A log that breaks within its beginning is read as far as it goes; the error comes again behind it.
    let broken = end.err();
    let is_tap = is_frame_stream(&start);
    let counts = if is_tap {
        Counts::of_frames(&start)
    } else {
        Counts::of_text(&start)
    };
    let form = LogForm::of(&start);
    let mut done = LogSummary {
        form: if is_tap { LogForm::Frames } else { form },
        ..LogSummary::default()
    };
    let shown = start.get(..SHOWN).unwrap_or(&start).to_vec();
    let log = Cursor::new(start).chain(log);
    let mut noted = |record: &LogRecord<'_>| {
        done.note(record);
        visit(record);
    };
    let others = if is_tap {
        frames(FrameReader::new(log), counts.frames, &mut noted)
    } else {
        entries(LogEntries::new(log, form), counts.replies, &mut noted)
    };
    done.others = others?;
    if done.formats == 0 {
        done.looks = looks_like(&shown);
    }
    match broken {
        Some(why) => Err(failed(why)),
        None => Ok(done),
    }
}

/// Which of a question's entries count, where a log has two.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    frames: TapCounts,
    /// Only Unbound's replies count.
    replies: bool,
}

impl Counts {
    fn of_frames(start: &[u8]) -> Self {
        let mut reader = FrameReader::new(start);
        let mut counts = Self::default();
        while let Ok(Some(frame)) = reader.next() {
            if TapCounts::has_response(frame) {
                counts.frames = TapCounts::Responses;
                break;
            }
        }
        counts
    }

    fn of_text(start: &[u8]) -> Self {
        let mut lines = start.split(|&byte| byte == b'\n');
        let is_reply = |line: &[u8]| {
            let line = std::str::from_utf8(line).ok();
            line.and_then(text::is_reply) == Some(true)
        };
        Self {
            frames: TapCounts::default(),
            replies: lines.any(is_reply),
        }
    }
}

/// Reads the entries of a text: the number of those without a question.
fn entries(
    mut entries: LogEntries<impl BufRead>,
    replies_only: bool,
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> Result<u64, LogError> {
    let (mut read, mut others) = (0, 0);
    loop {
        let entry = entries.next().map_err(|why| LogError::Input {
            read,
            what: "lines",
            why,
        })?;
        let Some(entry) = entry else {
            return Ok(others);
        };
        read += 1;
        if self::entry(entry, replies_only, visit).is_none() {
            others += u64::from(!entry.trim_ascii().is_empty());
        }
    }
}

fn entry(entry: &[u8], replies_only: bool, visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    let entry = entry.strip_prefix(BYTE_ORDER_MARK).unwrap_or(entry);
    let entry = entry.trim_ascii();
    if entry.first() == Some(&b'{') {
        return json::read(entry, visit);
    }
    let line = std::str::from_utf8(entry).ok()?;
    if replies_only && text::is_reply(line) == Some(false) {
        // The reply to it counts.
        return Some(0);
    }
    if entry.last() == Some(&b'}') {
        // A container's output: time and stream in front of the object.
        return json::read(line.get(line.find('{')?..)?.as_bytes(), visit);
    }
    text::read(line, visit)
}

/// Reads the frames of a stream: the number of those without a question.
fn frames(
    mut frames: FrameReader<impl BufRead>,
    counts: TapCounts,
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> Result<u64, LogError> {
    let (mut read, mut others) = (0, 0);
    loop {
        let frame = frames.next().map_err(|error| match error {
            FrameError::Io(why) => LogError::Input {
                read,
                what: "frames",
                why,
            },
            other => LogError::Frames(other.to_string()),
        })?;
        let Some(frame) = frame else {
            return Ok(others);
        };
        read += 1;
        if dnstap::read(frame, counts, visit) == TapSaid::Other {
            others += 1;
        }
    }
}
