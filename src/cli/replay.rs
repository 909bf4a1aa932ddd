//! The questions of a query log: dnsgate's own JSON lines, or those that Cloud Logging hands out,
//! which have them one level deeper.
//!
//! A log is cut, mixed with other programs' lines, and full of what clients sent. A line that is no
//! question is counted and passed over.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    net::IpAddr,
    path::Path,
};

use anyhow::Context as _;
use serde::Deserialize;

use crate::{
    config::limits::LOG_SAMPLE,
    dns::{Name, RecordType, Transport},
    rehearsal::Question,
};

/// The longest line that is read, in bytes. Ours are shorter; one that is longer is passed over.
const MAX_LINE: u64 = 64 << 10;

/// What a log had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Questions: lines with one, and those that a line of a sample stands for.
    pub(super) questions: u64,
    /// Lines without one: starts, stops, packets that could not be read, other programs' lines.
    pub(super) others: u64,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { questions, others } = self;
        write!(f, "log: {questions} questions, {others} lines without one")
    }
}

/// What a line must have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    query_name: String,
    query_type: String,
    #[serde(rename = "sourceIP")]
    source_ip: IpAddr,
    protocol: Option<String>,
    /// For how many questions it stands.
    sample_rate: Option<u64>,
}

/// A line as Cloud Logging exports it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exported {
    json_payload: Line,
}

/// Asks every question of the log at a path, `-` for standard input, and tells how often it was
/// asked.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(log: &Path, ask: impl FnMut(Question<'_>, u64)) -> anyhow::Result<Replayed> {
    let told = || format!("{} cannot be read", log.display());
    if log == Path::new("-") {
        return replay(io::stdin().lock(), ask).with_context(told);
    }
    let file = File::open(log).with_context(told)?;
    replay(BufReader::new(file), ask).with_context(told)
}

/// Asks every question of a log.
pub(super) fn replay(
    mut log: impl BufRead,
    mut ask: impl FnMut(Question<'_>, u64),
) -> io::Result<Replayed> {
    let mut done = Replayed::default();
    let mut line = Vec::new();
    while read_line(&mut log, &mut line)? {
        match question(&line) {
            Some((name, rtype, line)) => {
                let rate = line.sample_rate.unwrap_or(1);
                let times = rate.clamp(1, LOG_SAMPLE.most.into());
                done.questions += times;
                let tcp = line.protocol.as_deref() == Some("TCP");
                let question = Question {
                    name: name.as_ref(),
                    rtype,
                    source: line.source_ip,
                    transport: if tcp { Transport::Tcp } else { Transport::Udp },
                };
                ask(question, times);
            }
            None => done.others += u64::from(!line.trim_ascii().is_empty()),
        }
    }
    Ok(done)
}

fn question(line: &[u8]) -> Option<(Name, RecordType, Line)> {
    let own = serde_json::from_slice::<Line>(line);
    let exported = || serde_json::from_slice::<Exported>(line).map(|line| line.json_payload);
    let line = own.or_else(|_| exported()).ok()?;
    let name = line.query_name.parse().ok()?;
    let rtype = line.query_type.parse().ok()?;
    Some((name, rtype, line))
}

/// Reads a line; of one that is too long nothing that could be taken for one is left. `false` at
/// the end.
fn read_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = log.by_ref().take(MAX_LINE).read_until(b'\n', line)?;
    if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        log.skip_until(b'\n')?;
        line.truncate(1);
    }
    Ok(read > 0)
}
