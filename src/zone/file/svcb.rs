//! The data of SVCB and HTTPS records (RFC 9460 section 2.1), read by hickory-proto.
//!
//! Its reader takes the parameters in the order given, where the wire wants them ascending and
//! each once; it does not complete the target with the origin; and it panics where a list of
//! protocols has an empty item. So it gets the parameters sorted and checked, with the root for a
//! target, and the target is put into the wire form here.

use super::{
    Fault,
    field::{name, shown},
    rdata::{Written, parse_by_hickory},
    scan::Word,
};

/// The names of parameters and their numbers (RFC 9460 section 14.3.2, RFC 9461, RFC 9540).
const KEYS: [(&str, u16); 9] = [
    ("mandatory", 0),
    ("alpn", 1),
    ("no-default-alpn", 2),
    ("port", 3),
    ("ipv4hint", 4),
    ("ech", 5),
    ("ipv6hint", 6),
    ("dohpath", 7),
    ("ohttp", 8),
];
/// Those that hickory-proto knows by name.
const KNOWN_TO_HICKORY: u16 = 6;
/// Bytes of the priority, which stands before the target.
const PRIORITY: usize = 2;

/// One parameter as written.
struct Param<'t> {
    key: u16,
    value: Option<&'t str>,
}

pub(super) fn read(data: &Written<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let [priority, target, params @ ..] = data.words else {
        return Err(data.fault_at_end(format!(
            "data are missing: {} is followed by priority target parameters",
            data.rtype
        )));
    };
    if priority.quoted || priority.text.parse::<u16>().is_err() {
        return Err(priority.fault(format!(
            "{:?} is not a priority from 0 to 65535",
            shown(priority)
        )));
    }
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
    let mut text = format!("{} .", priority.text);
    for (param, word) in &read {
        param.write(word, &mut text)?;
    }
    parse_by_hickory(data, &text, out)?;
    out.splice(PRIORITY..=PRIORITY, target.wire().iter().copied());
    Ok(())
}

fn key_of(text: &str) -> Option<u16> {
    let named = KEYS.iter().find(|(name, _)| *name == text);
    let number = || {
        let digits = text.strip_prefix("key")?;
        // RFC 9460 section 2.1: without leading zeros; section 14.3.2: 65535 is invalid.
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
    fn write(&self, word: &Word<'_>, text: &mut String) -> Result<(), Fault> {
        text.push(' ');
        match KEYS.iter().find(|(_, key)| *key == self.key) {
            Some((name, key)) if *key <= KNOWN_TO_HICKORY => text.push_str(name),
            _ => text.push_str(&format!("key{}", self.key)),
        }
        let Some(value) = self.value.filter(|value| !value.is_empty()) else {
            return match self.key {
                0 | 1 | 3..=6 => Err(word.fault("this parameter needs a value")),
                _ => Ok(()),
            };
        };
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\;()@$".contains(&byte);
        if !value.bytes().all(plain) {
            return Err(word.fault(
                "a value with escapes or unusual characters; write the whole data as \
                 \\# LENGTH HEXADECIMAL (RFC 3597)",
            ));
        }
        if matches!(self.key, 0 | 1 | 4 | 6) && value.split(',').any(str::is_empty) {
            return Err(word.fault("an item of this list is empty; remove the comma too many"));
        }
        text.push('=');
        match self.key {
            0 => text.push_str(&mandatory(word, value)?),
            _ => text.push_str(value),
        }
        Ok(())
    }
}

/// The keys of `mandatory` in ascending order, as the wire wants them (RFC 9460 section 8).
fn mandatory(word: &Word<'_>, value: &str) -> Result<String, Fault> {
    let mut keys = Vec::new();
    for item in value.split(',') {
        let key = key_of(item).filter(|&key| key != 0).ok_or_else(|| {
            word.fault(format!("{item:?} is not a parameter that can be mandatory"))
        })?;
        keys.push(key);
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(word.fault("a parameter stands in this list twice"));
    }
    let text: Vec<_> = keys.iter().map(|key| format!("key{key}")).collect();
    Ok(text.join(","))
}
