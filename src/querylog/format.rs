//! Formats a record as a line: a JSON object with Cloud Logging's keys and Cloud DNS's field names,
//! or text for people.
//!
//! No content can break or forge a line: JSON escapes quotes and control characters, names are
//! printed in zone-file form, and the text form escapes characters that would move the cursor.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde::Serialize;

use crate::metrics::labels::LabelSet;
use dnsgate_core::{dns::Transport, engine::FilterCheck};

use super::{
    message_text,
    record::{LogSeverity, QueryRecord},
};

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
    let name = qtype
        .as_ref()
        .and_then(|_| message_text::question_name(record.message()));
    let class = qtype
        .as_ref()
        .and_then(|_| message_text::other_class(record.message()));
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
        rdata: outcome
            .rcode
            .and_then(|_| message_text::answers(record.message())),
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
