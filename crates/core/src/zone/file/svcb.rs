//! Reads the RDATA of SVCB and HTTPS records (RFC 9460 section 2.1).
//!
//! The output has the parameters in ascending order of key, as the wire format requires; a
//! duplicate is an error. hickory-proto's reader is unsuitable: it keeps the parameters in the
//! given order, does not complete the target with the origin, does not support escapes in values,
//! and panics on an empty item in a protocol list.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use data_encoding::BASE64;

use super::{
    Fault,
    field::{U16, name, number, shown},
    scan::Word,
    word::{RdataText, push_string},
};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const OHTTP: u16 = 8;

/// Parameter names and numbers (RFC 9460 section 14.3.2, RFC 9461, RFC 9540).
const KEYS: [(&str, u16); 9] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
    ("dohpath", 7),
    ("ohttp", OHTTP),
];

/// One parameter in presentation format.
struct Param<'t> {
    key: u16,
    value: Option<&'t str>,
}

pub(super) fn read(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let [priority, target, params @ ..] = data.words else {
        return Err(data.fault_at_end(format!(
            "data are missing: {} is followed by priority target parameters",
            data.rtype
        )));
    };
    let priority_number: u16 = number(priority, "a priority from 0 to 65535")?;
    let target = name(target, data.origin)?;
    let mut read = Vec::with_capacity(params.len());
    for word in params {
        read.push((param(word)?, word));
    }
    read.sort_by_key(|(param, _)| param.key);
    let twice = read.windows(2).find_map(|pair| match pair {
        [(first, _), (second, word)] if first.key == second.key => Some(word),
        _ => None,
    });
    if let Some(word) = twice {
        return Err(word.fault("this parameter stands there twice"));
    }
    out.extend(priority_number.to_be_bytes());
    out.extend_from_slice(target.wire());
    for (param, word) in &read {
        let value = param.wire(word)?;
        let length = u16::try_from(value.len())
            .map_err(|_| word.fault("the value is longer than 65535 bytes"))?;
        out.extend(param.key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

fn key_of(text: &str) -> Option<u16> {
    let named = KEYS.iter().find(|(name, _)| *name == text);
    let number = || {
        let digits = text.strip_prefix("key")?;
        // RFC 9460 section 2.1 forbids leading zeros; section 14.3.2 makes 65535 invalid.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = plain && (digits == "0" || !digits.starts_with('0'));
        let number: Option<u16> = canonical.then(|| digits.parse().ok())?;
        number.filter(|&key| key != u16::MAX)
    };
    named.map(|&(_, key)| key).or_else(number)
}

fn param<'t>(word: &Word<'t>) -> Result<Param<'t>, Fault> {
    let (key, value) = match word.text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (word.text, None),
    };
    let key = key_of(key).filter(|_| !word.quoted).ok_or_else(|| {
        word.fault(format!(
            "{:?} is not a parameter; write alpn=, port=, ipv4hint=, … or key65400=",
            shown(word)
        ))
    })?;
    let value = value.map(|value| {
        let inner = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        inner.unwrap_or(value)
    });
    Ok(Param { key, value })
}

impl Param<'_> {
    /// The value in wire form (RFC 9460 sections 7 and 8, RFC 9461 section 5).
    fn wire(&self, word: &Word<'_>) -> Result<Vec<u8>, Fault> {
        let Some(value) = self.value.filter(|value| !value.is_empty()) else {
            return match self.key {
                MANDATORY | ALPN | PORT | IPV4HINT | ECH | IPV6HINT => {
                    Err(word.fault("this parameter needs a value"))
                }
                _ => Ok(Vec::new()),
            };
        };
        let mut bytes = Vec::new();
        push_string(value, &mut bytes).map_err(|error| word.fault(error.to_string()))?;
        let mut wire = Vec::new();
        match self.key {
            MANDATORY => return mandatory(word, &plain(word, &bytes)?),
            ALPN => {
                for item in items(word, &bytes)? {
                    let length = u8::try_from(item.len())
                        .map_err(|_| word.fault("a protocol is longer than 255 bytes"))?;
                    wire.push(length);
                    wire.extend(item);
                }
            }
            NO_DEFAULT_ALPN | OHTTP => return Err(word.fault("this parameter has no value")),
            PORT => wire.extend(part::<u16>(word, &plain(word, &bytes)?, U16)?.to_be_bytes()),
            IPV4HINT => {
                for item in items(word, &bytes)? {
                    let address: Ipv4Addr = part(word, &plain(word, &item)?, "an IPv4 address")?;
                    wire.extend(address.octets());
                }
            }
            IPV6HINT => {
                for item in items(word, &bytes)? {
                    let address: Ipv6Addr = part(word, &plain(word, &item)?, "an IPv6 address")?;
                    wire.extend(address.octets());
                }
            }
            ECH => {
                let decoded = BASE64.decode(&bytes);
                wire = decoded.map_err(|error| {
                    word.fault(format!("the value cannot be read as base 64: {error}"))
                })?;
            }
            // A path, or a key without a specific form: the bytes are the value.
            _ => wire = bytes,
        }
        Ok(wire)
    }
}

/// Splits a list at its commas. A backslash escapes a comma or a backslash within an item (RFC 9460
/// appendix A.1).
fn items(word: &Word<'_>, value: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut items = vec![Vec::new()];
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        let byte = match byte {
            b',' => {
                items.push(Vec::new());
                continue;
            }
            b'\\' => match bytes.next() {
                Some(&escaped @ (b',' | b'\\')) => escaped,
                _ => {
                    return Err(word.fault(
                        "in a list, a backslash stands before a comma or another backslash",
                    ));
                }
            },
            byte => byte,
        };
        if let Some(item) = items.last_mut() {
            item.push(byte);
        }
    }
    if items.iter().any(Vec::is_empty) {
        return Err(word.fault("an item of this list is empty; remove the comma too many"));
    }
    Ok(items)
}

/// Requires an ASCII value.
fn plain(word: &Word<'_>, bytes: &[u8]) -> Result<String, Fault> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| word.fault("the value cannot be read: it is no plain text"))?;
    Ok(text.to_owned())
}

/// Parses a value or list item as `T`. It rejects a leading plus sign.
fn part<T: FromStr>(word: &Word<'_>, text: &str, what: &str) -> Result<T, Fault> {
    let value = (!text.starts_with('+'))
        .then(|| text.parse().ok())
        .flatten();
    value.ok_or_else(|| word.fault(format!("the value cannot be read: {text:?} is not {what}")))
}

/// The keys of `mandatory` in ascending order, as the wire format requires (RFC 9460 section 8).
fn mandatory(word: &Word<'_>, value: &str) -> Result<Vec<u8>, Fault> {
    let mut keys = Vec::new();
    for item in value.split(',') {
        if item.is_empty() {
            return Err(word.fault("an item of this list is empty; remove the comma too many"));
        }
        let key = key_of(item)
            .filter(|&key| key != MANDATORY)
            .ok_or_else(|| {
                word.fault(format!("{item:?} is not a parameter that can be mandatory"))
            })?;
        keys.push(key);
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(word.fault("a parameter stands in this list twice"));
    }
    Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
}
