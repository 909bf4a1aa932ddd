//! Formats a record as a line: a JSON object with Cloud Logging's keys and Cloud DNS's field names,
//! or text for people.
//!
//! No content can break or forge a line: JSON escapes quotes and control characters, names are
//! printed in zone-file form, and the text form escapes characters that would move the cursor.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use hickory_proto::{
    rr::Record,
    serialize::binary::{BinDecodable, BinDecoder},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::metrics::labels::LabelSet;
use dnsgate_core::{
    dns::{
        NameBuf, Transport,
        query::{CLASS_IN, HEADER},
    },
    engine::FilterCheck,
};

use super::record::{LogSeverity, QueryRecord};

/// The key of the labels that Cloud Logging indexes.
pub(crate) const LABELS: &str = "logging.googleapis.com/labels";

/// The fields of every line. A time outside the years that RFC 3339 can represent is omitted.
#[derive(Serialize)]
pub(crate) struct LineHead<'a> {
    severity: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(rename = "logging.googleapis.com/labels")]
    labels: LineLabels,
}

/// The labels: the name of the log.
#[derive(Serialize)]
struct LineLabels {
    log: &'static str,
}

impl<'a> LineHead<'a> {
    pub(crate) fn new(
        severity: LogSeverity,
        message: &'a str,
        time: SystemTime,
        log: &'static str,
    ) -> Self {
        let time = Timestamp::try_from(time).ok();
        Self {
            severity: severity.as_str(),
            message,
            time: time.map(|time| format!("{time:.6}")),
            labels: LineLabels { log },
        }
    }

    /// `2026-01-01T00:00:00.000000Z NOTICE   message`
    pub(crate) fn text(&self) -> String {
        let time = self.time.as_deref().unwrap_or("-");
        format!("{time} {:<8} {}", self.severity, self.message)
    }
}

/// The line of a query. Keys without a value are omitted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryLine<'a> {
    #[serde(flatten)]
    head: LineHead<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_type: Option<&'a str>,
    /// Present if it is not IN.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdata: Option<String>,
    #[serde(rename = "sourceIP")]
    source_ip: String,
    protocol: &'static str,
    /// Milliseconds.
    server_latency: f64,
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'a str>,
    generation: u64,
    /// The number of queries that the line stands for, if it is sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
}

/// Appends the line of a query, as text or JSON.
pub(crate) fn query(out: &mut Vec<u8>, text: bool, record: &QueryRecord, labels: &LabelSet) {
    let outcome = &record.outcome;
    let qtype = outcome.qtype.map(|qtype| qtype.to_string());
    let name = qtype.as_ref().and_then(|_| question_name(record.message()));
    let class = qtype.as_ref().and_then(|_| other_class(record.message()));
    let source = record.source.ip().to_canonical();
    let message = format!(
        "{} {} {} for {source}: {}",
        outcome.ending().as_str(),
        name.as_deref().unwrap_or("a packet"),
        qtype.as_deref().unwrap_or("without a question"),
        outcome.reason.as_str(),
    );
    let line = QueryLine {
        head: LineHead::new(record.severity(), &message, record.time, "query"),
        query_name: name.as_deref(),
        query_type: qtype.as_deref(),
        query_class: class.as_deref(),
        response_code: outcome.rcode.map(|rcode| rcode.as_str()),
        rdata: outcome.rcode.and_then(|_| answers(record.message())),
        source_ip: source.to_string(),
        protocol: match record.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        },
        server_latency: millis(record.latency),
        verdict: outcome.ending().as_str(),
        reason: outcome.reason.as_str(),
        rule: outcome.rule.map(|rule| labels.rule(rule)),
        group: outcome.group.map(|group| labels.group(group)),
        upstream: outcome.upstream.map(|upstream| labels.upstream(upstream)),
        check: outcome.check.map(FilterCheck::as_str),
        rejected: record.rejected.as_deref(),
        generation: record.generation,
        sample_rate: record.sample_rate(),
    };
    if text {
        query_text(out, &line);
    } else {
        push_json(out, &line);
    }
}

/// Appends a line in JSON.
pub(crate) fn push_json(out: &mut Vec<u8>, line: &impl Serialize) {
    let start = out.len();
    // A line contains only strings, numbers and string keys, so JSON can represent it.
    if serde_json::to_writer(&mut *out, line).is_err() {
        out.truncate(start);
        return;
    }
    out.push(b'\n');
}

fn query_text(out: &mut Vec<u8>, line: &QueryLine<'_>) {
    let mut text = line.head.text();
    if let Some(class) = line.query_class {
        let _ = write!(text, " class={class}");
    }
    if let Some(rule) = line.rule {
        let _ = write!(text, " rule={rule}");
    }
    if let Some(group) = line.group {
        let _ = write!(text, " group={group}");
    }
    if let Some(upstream) = line.upstream {
        let _ = write!(text, " upstream={upstream}");
    }
    if let Some(check) = line.check {
        let _ = write!(text, " check={check}");
    }
    let _ = write!(
        text,
        " {} {} {:.3} ms",
        line.response_code.unwrap_or("dropped"),
        line.protocol,
        line.server_latency
    );
    if let Some(rate) = line.sample_rate {
        let _ = write!(text, ", 1 in {rate}");
    }
    if let Some(rejected) = line.rejected {
        let _ = write!(text, ", rejected {rejected}");
    }
    if let Some(rdata) = &line.rdata {
        for record in rdata.lines() {
            let mut fields = record.splitn(5, '\t').skip(3);
            let rtype = fields.next().unwrap_or_default();
            let data = fields.next().unwrap_or_default();
            let _ = write!(text, ", {rtype} {data}");
        }
    }
    push_text(out, &text);
}

/// Appends a line of text. Escapes characters that would end the line, move the cursor or change
/// the writing direction.
pub(crate) fn push_text(out: &mut Vec<u8>, line: &str) {
    let mut safe = String::with_capacity(line.len() + 1);
    for c in line.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe.push('\n');
    out.extend_from_slice(safe.as_bytes());
}

/// Milliseconds, rounded to a microsecond.
fn millis(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

/// The name of the first question, with its trailing dot.
///
/// The message was written by dnsgate, or came from a client and had a valid question; it may be
/// truncated at any byte. The text never contains control characters from the message, only the
/// tabs and line feeds that separate fields and records.
pub(crate) fn question_name(message: &[u8]) -> Option<String> {
    let (name, _) = NameBuf::read(message.get(HEADER..)?).ok()?;
    Some(name.as_ref().to_string())
}

/// The class of the first question, if it is not IN.
pub(crate) fn other_class(message: &[u8]) -> Option<String> {
    let (_, name) = NameBuf::read(message.get(HEADER..)?).ok()?;
    let class = message.get(HEADER + name + 2..)?.first_chunk()?;
    let known = match u16::from_be_bytes(*class) {
        CLASS_IN => return None,
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "ANY",
        other => return Some(format!("CLASS{other}")), // RFC 3597 section 5
    };
    Some(known.to_owned())
}

/// The answers in Cloud DNS's form: one record per line, fields separated by tabs. Truncated
/// records are omitted; `None` if no record is left.
pub(crate) fn answers(message: &[u8]) -> Option<String> {
    let count = u16::from_be_bytes([*message.get(6)?, *message.get(7)?]);
    let (_, name) = NameBuf::read(message.get(HEADER..)?).ok()?;
    let start = HEADER + name + 4;
    message.get(start..)?; // the decoder must not be set behind the end
    let start = u16::try_from(start).ok()?;
    let mut decoder = BinDecoder::new(message).clone(start);
    let mut text = String::new();
    for _ in 0..count {
        let Ok(record) = Record::read(&mut decoder) else {
            break;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        push_record(&mut text, &record);
    }
    (!text.is_empty()).then_some(text)
}

fn push_record(text: &mut String, record: &Record) {
    push_plain(text, &record.name.to_ascii());
    let _ = write!(text, "\t{}\tIN\t{}\t", record.ttl, record.record_type());
    push_plain(text, &record.data.to_string());
}

/// Appends text from a record, with control characters escaped as in a zone file.
fn push_plain(text: &mut String, from: &str) {
    for c in from.chars() {
        if c.is_control() {
            let _ = write!(text, "\\{:03}", u32::from(c));
        } else {
            text.push(c);
        }
    }
}
