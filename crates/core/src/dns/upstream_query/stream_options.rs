//! The EDNS options of queries over streams: padding (RFC 7830, RFC 8467) and the time that a server
//! keeps an idle connection (RFC 7828).

use std::time::Duration;

use crate::dns::{RecordType, query::HEADER};

/// Queries are padded to a multiple of this length (RFC 8467 section 4.1).
const BLOCK: usize = 128;
/// The option codes.
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
/// The bytes of an option's code and length.
const OPTION: usize = 4;

/// Adds options to the OPT record that ends an encoded query: a request for the server's idle
/// time-out, and padding, as an observer of an encrypted stream could tell names by their lengths.
#[must_use]
pub fn add(mut query: Vec<u8>, keepalive: bool, padded: bool) -> Vec<u8> {
    let begin = query.len();
    if keepalive {
        query.extend(KEEPALIVE.to_be_bytes());
        query.extend([0, 0]);
    }
    if padded {
        let padding = (query.len() + OPTION).next_multiple_of(BLOCK) - query.len() - OPTION;
        query.extend(PADDING.to_be_bytes());
        // Below the block length.
        query.extend(u16::try_from(padding).unwrap_or_default().to_be_bytes());
        query.resize(query.len() + padding, 0);
    }
    let added = u16::try_from(query.len() - begin).unwrap_or_default();
    if let Some(length) = query.get_mut(begin.saturating_sub(2)..begin) {
        length.copy_from_slice(&added.to_be_bytes());
    }
    query
}

/// How long the server says that it keeps an idle connection; zero if it asks to close it. `None` if
/// the reply does not say so, or is not well-formed.
#[must_use]
pub fn idle_timeout(reply: &[u8]) -> Option<Duration> {
    let (head, mut rest) = reply.split_first_chunk::<HEADER>()?;
    let count = |at: usize| {
        let pair = head.get(at..)?.first_chunk::<2>()?;
        Some(u32::from(u16::from_be_bytes(*pair)))
    };
    for _ in 0..count(4)? {
        rest = after_name(rest)?.get(4..)?;
    }
    for _ in 0..count(6)? + count(8)? + count(10)? {
        let record = after_name(rest)?;
        let (&[high, low, _, _, _, _, _, _, long, short], data) = record.split_first_chunk()?;
        let data_len = usize::from(u16::from_be_bytes([long, short]));
        let (data, after) = data.split_at_checked(data_len)?;
        if RecordType(u16::from_be_bytes([high, low])) == RecordType::OPT {
            return keepalive(data);
        }
        rest = after;
    }
    None
}

/// The value of the option, in units of 100 milliseconds.
fn keepalive(mut options: &[u8]) -> Option<Duration> {
    loop {
        let (&[high, low, long, short], data) = options.split_first_chunk::<OPTION>()?;
        let len = usize::from(u16::from_be_bytes([long, short]));
        let (data, rest) = data.split_at_checked(len)?;
        if u16::from_be_bytes([high, low]) == KEEPALIVE {
            let units = u16::from_be_bytes(<[u8; 2]>::try_from(data).ok()?);
            return Some(Duration::from_millis(100) * u32::from(units));
        }
        options = rest;
    }
}

/// The bytes after a name, which may end with a compression pointer.
fn after_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (&len, rest) = bytes.split_first()?;
        match len {
            0 => return Some(rest),
            1..64 => bytes = rest.get(usize::from(len)..)?,
            192.. => return rest.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Name, Query, edns::OPT_LEN, upstream_query::encode};

    fn query(name: &str) -> Vec<u8> {
        let name: Name = name.parse().expect(name);
        encode(7, name.as_ref(), RecordType::A, false, false)
    }

    #[test]
    fn padded_queries_tell_no_lengths() {
        for len in 1..=60 {
            for keepalive in [false, true] {
                let plain = query(&format!("{}.example", "a".repeat(len)));
                let padded = add(plain.clone(), keepalive, true);
                assert_eq!(padded.len() % BLOCK, 0, "{len}");
                assert!(padded.len() - plain.len() < BLOCK + 2 * OPTION, "{len}");
                let read = Query::parse(&padded).expect("well-formed");
                assert!(read.edns().is_some());
                assert!(padded.starts_with(&plain[..plain.len() - 2]));
            }
        }
        let asked = add(query("x"), true, false);
        assert!(asked.ends_with(&[0, 4, 0, 11, 0, 0]), "{asked:?}");
        assert!(Query::parse(&asked).is_ok());
        assert_eq!(add(query("x"), false, false), query("x"));
    }

    #[test]
    fn reads_the_servers_idle_timeout() {
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x05";
        let reply = |answers: u8, options: &[u8]| {
            let mut reply = query("www.example");
            reply.truncate(reply.len() - OPT_LEN);
            reply[7] = answers;
            for _ in 0..answers {
                reply.extend(record);
            }
            reply.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0");
            reply.push(u8::try_from(options.len()).expect("short"));
            reply.extend(options);
            reply
        };
        let seconds = |text| Some(Duration::from_millis(text));
        for (options, want) in [
            (&b""[..], None),
            (b"\0\x0b\0\x02\0\x0a", seconds(1000)),
            (b"\0\x0c\0\x01x\0\x0b\0\x02\x01\0", seconds(25_600)),
            (b"\0\x0b\0\x02\0\0", seconds(0)),
            (b"\0\x0b\0\0", None),
            (b"\0\x0b\0\x02\0", None),
            (b"\0\x0a\0\x08", None),
        ] {
            for answers in 0..3 {
                let reply = reply(answers, options);
                assert_eq!(idle_timeout(&reply), want, "{options:?}");
                for len in 0..reply.len() {
                    let _ = idle_timeout(&reply[..len]);
                }
            }
        }
        assert_eq!(idle_timeout(&query("x")), None);
    }
}
