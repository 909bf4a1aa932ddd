//! The question and the answers of a message, as shown in the log.
//!
//! The message was written by dnsgate, or came from a client and had a valid question; it may be
//! truncated at any byte. The text never contains control characters from the message, only the
//! tabs and line feeds that separate fields and records.

use std::fmt::Write;

use hickory_proto::{
    rr::Record,
    serialize::binary::{BinDecodable, BinDecoder},
};

use dnsgate_core::dns::{
    NameBuf,
    query::{CLASS_IN, HEADER},
};

/// The name of the first question, with its trailing dot.
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
