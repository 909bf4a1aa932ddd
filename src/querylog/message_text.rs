//! The question and the answers of a message, as shown in the log.
//!
//! The message was written by dnsgate, or came from a client and had a valid question; it may be
//! truncated at any byte. The text never contains control characters from the message, only the
//! tabs and line feeds that separate fields and records.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

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
        if let Some(end) = push_common(&mut text, message, decoder.index()) {
            decoder = decoder.clone(end);
            continue;
        }
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

/// Appends the record at `start` if it is an address or an alias, as nearly all are: this needs no
/// allocation. Returns where it ends; nothing is appended if it is another record or is cut.
fn push_common(text: &mut String, message: &[u8], start: usize) -> Option<u16> {
    let mut name = NameBuf::new();
    let owner_end = read_name(&mut name, message, start)?;
    let (&[high, low, class @ .., long, short], _) =
        message.get(owner_end..)?.split_first_chunk::<10>()?;
    let (rtype, len) = (
        u16::from_be_bytes([high, low]),
        u16::from_be_bytes([long, short]),
    );
    let [0, 1, ttl @ ..] = class else { return None };
    let begin = owner_end + 10;
    let end = begin + usize::from(len);
    let data = message.get(begin..end)?;
    let (kind, target) = match (rtype, data.len()) {
        (1, 4) | (28, 16) => (if rtype == 1 { "A" } else { "AAAA" }, None),
        (5, _) => {
            let mut target = NameBuf::new();
            (read_name(&mut target, message, begin)? == end).then_some(())?;
            ("CNAME", Some(target))
        }
        _ => return None,
    };
    if !text.is_empty() {
        text.push('\n');
    }
    let ttl = u32::from_be_bytes(ttl);
    let _ = write!(text, "{}\t{ttl}\tIN\t{kind}\t", name.as_ref());
    let _ = match (
        target,
        <[u8; 4]>::try_from(data),
        <[u8; 16]>::try_from(data),
    ) {
        (Some(target), ..) => write!(text, "{}", target.as_ref()),
        (None, Ok(address), _) => write!(text, "{}", Ipv4Addr::from(address)),
        (None, _, Ok(address)) => write!(text, "{}", Ipv6Addr::from(address)),
        _ => Ok(()),
    };
    u16::try_from(end).ok()
}

/// Reads the name at `start`, which may be compressed. Returns where it ends there.
fn read_name(name: &mut NameBuf, message: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut end) = (start, None);
    // A pointer leads back, and a name has no more labels than this.
    for _ in 0..256 {
        let len = *message.get(at)?;
        match len {
            0 => return Some(end.unwrap_or(at + 1)),
            1..64 => {
                let next = at + 1 + usize::from(len);
                name.push_label(message.get(at + 1..next)?).ok()?;
                at = next;
            }
            192.. => {
                let to = usize::from(u16::from_be_bytes([len & 0x3f, *message.get(at + 1)?]));
                end = end.or(Some(at + 2));
                at = (to < at).then_some(to)?;
            }
            _ => return None,
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with this answer section behind the question `www.x. A IN`.
    fn message(count: u8, answers: &[u8]) -> Vec<u8> {
        let head = [0, 7, 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
        [&head, &b"\x03www\x01x\0\0\x01\0\x01"[..], answers].concat()
    }

    #[test]
    fn common_records_read_as_any_other() {
        let address = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x08\x08\x08\x08";
        let long = b"\xc0\x0c\0\x1c\0\x01\0\0\0\0\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        let alias = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x05\x02y-\xc0\x10";
        let odd = b"\x03a.b\x02\x07(\0\0\x01\0\x01\0\0\x01\x2c\0\x04\x08\x08\x08\x08";
        let target = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x05\x01*\xc0\x10\0";
        for (answer, common) in [
            (&address[..], true),
            (long, true),
            (alias, true),
            (odd, true),
            // Something is left behind the alias' name.
            (target, false),
            (b"\xc0\x0c\0\x10\0\x01\0\0\x01\x2c\0\x02\x01x", false),
            (
                b"\xc0\x0c\0\x01\0\x03\0\0\x01\x2c\0\x04\x08\x08\x08\x08",
                false,
            ),
            (
                b"\xc0\x17\0\x01\0\x01\0\0\x01\x2c\0\x04\x08\x08\x08\x08",
                false,
            ),
        ] {
            let message = message(1, answer);
            let mut quick = String::new();
            let end = push_common(&mut quick, &message, 23);
            assert_eq!(end.is_some(), common, "{answer:?}");
            if common {
                let mut decoder = BinDecoder::new(&message).clone(23);
                let record = Record::read(&mut decoder).expect("well-formed");
                let mut slow = String::new();
                push_record(&mut slow, &record);
                assert_eq!((quick, end.map(usize::from)), (slow, Some(decoder.index())));
            } else {
                assert_eq!(quick, "");
            }
            for len in 0..message.len() {
                let _ = answers(&message[..len]);
            }
        }
    }

    #[test]
    fn records_stand_in_their_order() {
        let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x05";
        let text = b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x02\x01t";
        let all = [&address[..], text, address].concat();
        let want =
            "www.x.\t60\tIN\tA\t10.0.0.5\nwww.x.\t60\tIN\tTXT\tt\nwww.x.\t60\tIN\tA\t10.0.0.5";
        assert_eq!(answers(&message(3, &all)).as_deref(), Some(want));
    }
}
