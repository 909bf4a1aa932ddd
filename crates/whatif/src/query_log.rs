//! Reads the questions of a query log: dnsgate's own JSON lines, or entries as Cloud Logging exports
//! them, one per line or all in one JSON array (`gcloud logging read --format=json`).
//!
//! A log may be truncated and mixed with other programs' lines, and contains data from clients. A line or an entry
//! without a question is counted and skipped.

use std::{
    fmt,
    io::{self, BufRead},
    net::IpAddr,
};

use serde::Deserialize;
use serde_json::Number;

use super::{ask::ClientQuestion, words::plural};
use dnsgate_config::limits::LOG_SAMPLE;
use dnsgate_core::dns::{Name, RecordType, Transport};

mod entries;

use entries::{LogEntries, LogForm};

/// The contents of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The number of questions; a sampled line counts as all the questions that it represents.
    pub questions: u64,
    /// Lines or entries without a question: starts, stops, malformed packets, other programs' lines.
    pub others: u64,
    form: LogForm,
}

impl fmt::Display for LogSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, many) = match self.form {
            LogForm::Lines => ("line", "lines"),
            LogForm::Objects => ("entry", "entries"),
        };
        write!(
            f,
            "log: {}, {} without a question",
            plural(self.questions, "question", "questions"),
            plural(self.others, one, many)
        )
    }
}

/// The fields of a line that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedQuery {
    query_name: String,
    query_type: String,
    /// Absent for IN, the only class that a policy covers.
    query_class: Option<String>,
    #[serde(rename = "sourceIP")]
    source_ip: IpAddr,
    protocol: Option<String>,
    /// The number of questions that it represents. Cloud Logging stores all numbers as floating point.
    sample_rate: Option<Number>,
}

impl LoggedQuery {
    fn times(&self) -> u64 {
        let rate = self.sample_rate.as_ref().map(Number::to_string);
        // A whole number in floating point is written `10.0`.
        let whole = rate.as_deref().and_then(|rate| rate.split('.').next());
        let times: Option<u64> = whole.and_then(|whole| whole.parse().ok());
        times.unwrap_or(1).clamp(1, LOG_SAMPLE.most.into())
    }
}

/// A line in the form of a Cloud Logging export.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportedEntry {
    json_payload: LoggedQuery,
}

/// Reads a log, and passes each of its questions to `ask`, with its number of occurrences.
///
/// # Errors
/// If the log cannot be read.
pub fn read(
    log: impl BufRead,
    mut ask: impl FnMut(ClientQuestion<'_>, u64),
) -> io::Result<LogSummary> {
    let mut entries = LogEntries::of(log)?;
    let mut done = LogSummary {
        form: entries.form(),
        ..LogSummary::default()
    };
    while let Some(entry) = entries.next()? {
        match question(entry) {
            Some((name, rtype, line)) => {
                let times = line.times();
                done.questions += times;
                let tcp = line.protocol.as_deref() == Some("TCP");
                let question = ClientQuestion {
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

fn question(entry: &[u8]) -> Option<(Name, RecordType, LoggedQuery)> {
    let entry = entry.strip_prefix(b"\xef\xbb\xbf").unwrap_or(entry);
    let own = serde_json::from_slice::<LoggedQuery>(entry);
    let exported = || serde_json::from_slice::<ExportedEntry>(entry).map(|line| line.json_payload);
    let line = own.or_else(|_| exported()).ok()?;
    if line.query_class.as_ref().is_some_and(|class| class != "IN") {
        return None;
    }
    let name = line.query_name.parse().ok()?;
    let rtype = line.query_type.parse().ok()?;
    Some((name, rtype, line))
}
