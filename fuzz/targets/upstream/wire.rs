//! A reader of messages that knows nothing of dnsgate's: records with their names written out. What a message says, it
//! says by this reader, by hickory-proto and by dnsgate alike.

use std::ops::Range;

/// One record of a message.
pub(super) struct Record {
    /// 0 for the answer, 1 for authority, 2 for additional.
    pub(super) section: usize,
    /// In lower case, uncompressed.
    pub(super) owner: Vec<u8>,
    /// Where the type stands.
    pub(super) type_at: usize,
    pub(super) rtype: u16,
    pub(super) ttl: u32,
    /// Where the RDATA stands.
    pub(super) rdata: Range<usize>,
}

/// The records of a message, if it is whole.
pub(super) fn records(message: &[u8]) -> Option<Vec<Record>> {
    let (_, mut at) = name(message, 12)?;
    at += 4;
    let mut records = Vec::new();
    for section in 0..3 {
        for _ in 0..number(message, 6 + 2 * section)? {
            let (owner, type_at) = name(message, at)?;
            let start = type_at + 10;
            let end = start + usize::from(number(message, type_at + 8)?);
            message.get(start..end)?;
            records.push(Record {
                section,
                owner,
                type_at,
                rtype: number(message, type_at)?,
                ttl: u32::from(number(message, type_at + 4)?) << 16
                    | u32::from(number(message, type_at + 6)?),
                rdata: start..end,
            });
            at = end;
        }
    }
    Some(records)
}

/// The records of a message that may not be whole, as far as their lengths lead. An owner that cannot be read is no name.
pub(super) fn torn_records(message: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let Some((_, mut at)) = name(message, 12) else {
        return records;
    };
    at += 4;
    for section in 0..3 {
        for _ in 0..number(message, 6 + 2 * section).unwrap_or_default() {
            let Some((type_at, rdata)) = after_name(message, at).and_then(|type_at| {
                let start = type_at + 10;
                let end = start + usize::from(number(message, type_at + 8)?);
                (end <= message.len()).then_some((type_at, start..end))
            }) else {
                return records;
            };
            records.push(Record {
                section,
                owner: name(message, at)
                    .map(|(owner, _)| owner)
                    .unwrap_or_default(),
                type_at,
                rtype: number(message, type_at).unwrap_or_default(),
                ttl: 0,
                rdata: rdata.clone(),
            });
            at = rdata.end;
        }
    }
    records
}

/// Where the name at `at` ends.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            len @ 1..64 => at += 1 + usize::from(len),
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// The two bytes at `at`.
pub(super) fn number(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The name at `at`, in lower case and uncompressed, and where it ends.
pub(super) fn name(message: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let (mut name, mut at, mut end) = (Vec::new(), at, None);
    for _ in 0..256 {
        match *message.get(at)? {
            0 => {
                name.push(0);
                return Some((name, end.unwrap_or(at + 1)));
            }
            len @ 1..64 => {
                let label = message.get(at..=at + usize::from(len))?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at += label.len();
            }
            192.. => {
                end = end.or(Some(at + 2));
                at = usize::from(number(message, at)? & 0x3fff);
            }
            _ => return None,
        }
    }
    None
}

/// Whether `name` is `above` or below it.
pub(super) fn is_within(name: &[u8], above: &[u8]) -> bool {
    let mut rest = name;
    while rest != above {
        match rest {
            [len, tail @ ..] if *len > 0 => rest = &tail[usize::from(*len)..],
            _ => return false,
        }
    }
    true
}
