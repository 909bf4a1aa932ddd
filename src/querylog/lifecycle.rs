//! The lifecycle log, one line per event: start, reload, a server that goes down or up, drain, a
//! panic.
//!
//! It does not use `tracing`, which has no levels for two of the five severities and no JSON
//! fields; a layer for it would be longer than this file.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    format::{self, LABELS, LineHead},
    record::LogSeverity,
};

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct LifecycleEvent {
    time: SystemTime,
    severity: LogSeverity,
    message: String,
    fields: Map<String, Value>,
}

/// The line of an event. Its own fields come first, so that they cannot replace a key of the head.
#[derive(Serialize)]
struct LifecycleLine<'a> {
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
    #[serde(flatten)]
    head: LineHead<'a>,
}

impl LifecycleEvent {
    /// An event at this time. A field with the name of a standard key is omitted.
    pub(crate) fn new(
        time: SystemTime,
        severity: LogSeverity,
        message: &str,
        fields: &[(&str, Value)],
    ) -> Self {
        let taken = ["severity", "message", "time", LABELS];
        let fields = fields.iter().filter(|(key, _)| !taken.contains(key));
        let fields = fields.map(|(key, value)| ((*key).to_owned(), value.clone()));
        Self {
            time,
            severity,
            message: message.to_owned(),
            fields: fields.collect(),
        }
    }

    /// Appends the line, as text or JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>, text: bool) {
        let fields = &self.fields;
        let head = LineHead::new(self.severity, &self.message, self.time, "lifecycle");
        if !text {
            format::push_json(out, &LifecycleLine { fields, head });
            return;
        }
        let mut line = head.text();
        for (key, value) in fields {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            line.extend([" ", key, "=", &value]);
        }
        format::push_text(out, &line);
    }
}
