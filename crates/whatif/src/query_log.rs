//! The questions of a query log: dnsgate's own JSON lines, or those that Cloud Logging hands out,
//! which have them one level deeper: a line each, or all in one array over many lines, as
//! `gcloud logging read --format=json` prints them.
//!
//! A log is cut, mixed with other programs' lines, and full of what clients sent. A line or an entry that is no
//! question is counted and passed over.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    net::IpAddr,
    path::Path,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::plural;
use dnsgate_config::limits::LOG_SAMPLE;
use dnsgate_core::dns::{Name, RecordType, Transport};
use dnsgate_whatif::Question;

mod entries;

use entries::{Entries, Form};

/// What a log had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Questions: lines with one, and those that a line of a sample stands for.
    pub(super) questions: u64,
    /// Lines or entries without one: starts, stops, packets that could not be read, other programs' lines.
    pub(super) others: u64,
    form: Form,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, many) = match self.form {
            Form::Lines => ("line", "lines"),
            Form::Objects => ("entry", "entries"),
        };
        write!(
            f,
            "log: {}, {} without one",
            plural(self.questions, "question", "questions"),
            plural(self.others, one, many)
        )
    }
}

/// What a line must have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    query_name: String,
    query_type: String,
    /// Absent for IN, the only class that a policy is about.
    query_class: Option<String>,
    #[serde(rename = "sourceIP")]
    source_ip: IpAddr,
    protocol: Option<String>,
    /// For how many questions it stands. Cloud Logging knows no whole numbers.
    sample_rate: Option<f64>,
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
    if log == Path::new(dnsgate_config::STDIN) {
        ensure!(
            !dnsgate_config::stdin_is_read(),
            "standard input is the configuration already; name a file for one of the two"
        );
        return replay(io::stdin().lock(), ask).with_context(told);
    }
    let file = File::open(log).with_context(told)?;
    replay(BufReader::new(file), ask).with_context(told)
}

/// Asks every question of a log.
pub(super) fn replay(
    log: impl BufRead,
    mut ask: impl FnMut(Question<'_>, u64),
) -> io::Result<Replayed> {
    let mut entries = Entries::of(log)?;
    let mut done = Replayed {
        form: entries.form(),
        ..Replayed::default()
    };
    while let Some(entry) = entries.next()? {
        match question(entry) {
            Some((name, rtype, line)) => {
                let rate = line.sample_rate.unwrap_or(1.0) as u64;
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
            None => done.others += u64::from(!entry.trim_ascii().is_empty()),
        }
    }
    Ok(done)
}

fn question(entry: &[u8]) -> Option<(Name, RecordType, Line)> {
    let entry = entry.strip_prefix(b"\xef\xbb\xbf").unwrap_or(entry);
    let own = serde_json::from_slice::<Line>(entry);
    let exported = || serde_json::from_slice::<Exported>(entry).map(|line| line.json_payload);
    let line = own.or_else(|_| exported()).ok()?;
    if line.query_class.as_ref().is_some_and(|class| class != "IN") {
        return None;
    }
    let name = line.query_name.parse().ok()?;
    let rtype = line.query_type.parse().ok()?;
    Some((name, rtype, line))
}
