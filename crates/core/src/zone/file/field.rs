//! Converts one word of RDATA to wire form.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32_DNSSEC, BASE64};
use jiff::{civil::DateTime, tz::Offset};

use crate::dns::{RecordType, rrset::MAX_RDATA};

use super::{
    Fault,
    form::RdataField,
    scan::Word,
    word::{WrittenName, push_string, time},
};

/// DNSSEC algorithm mnemonics (IANA registry "DNS Security Algorithm Numbers", and the older
/// spellings that BIND writes).
const ALGORITHMS: [(&str, u8); 19] = [
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
    ("PRIVATE", 253),
];

/// Certificate type mnemonics (RFC 4398 section 2.1).
const CERTIFICATE_TYPES: [(&str, u16); 10] = [
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// Reads a field of one word.
pub(super) fn read(
    field: RdataField,
    word: &Word<'_>,
    origin: &WrittenName,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match field {
        RdataField::Ipv4 => out.extend(number::<Ipv4Addr>(word, "an IPv4 address")?.octets()),
        RdataField::Ipv6 => out.extend(number::<Ipv6Addr>(word, "an IPv6 address")?.octets()),
        RdataField::U8 => out.push(number(word, U8)?),
        RdataField::U16 => out.extend(number::<u16>(word, U16)?.to_be_bytes()),
        RdataField::U32 => {
            out.extend(number::<u32>(word, "a number from 0 to 4294967295")?.to_be_bytes());
        }
        RdataField::Time => {
            let seconds = time(word.text).filter(|_| !word.quoted).ok_or_else(|| {
                word.fault(format!(
                    "{:?} is not a time; write seconds, or units as in 1h30m",
                    shown(word)
                ))
            })?;
            out.extend(seconds.to_be_bytes());
        }
        RdataField::Timestamp => out.extend(timestamp(word)?.to_be_bytes()),
        RdataField::Algorithm => {
            out.push(named(word, &ALGORITHMS, "an algorithm, by number or name")?)
        }
        RdataField::CertificateType => {
            let what = "a certificate type, by number or name";
            out.extend(named(word, &CERTIFICATE_TYPES, what)?.to_be_bytes());
        }
        RdataField::Type => out.extend(rtype(word)?.0.to_be_bytes()),
        RdataField::Name => out.extend_from_slice(name(word, origin)?.wire()),
        RdataField::String | RdataField::OptionalString => string(word, out)?,
        RdataField::Tag => {
            if word.text.is_empty() || !word.text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(word.fault("a property tag is made of letters and digits, as in issue"));
            }
            string(word, out)?;
        }
        RdataField::Text => plain_string(word, out)?,
        RdataField::Salt => salt(word, out)?,
        RdataField::Hash => hash(word, out)?,
        RdataField::Eui(bytes) => eui(word, bytes, out)?,
        RdataField::Groups => groups(word, out)?,
        RdataField::Nsap => nsap(word, out)?,
        // The caller reads these, because they take all remaining words.
        RdataField::Strings
        | RdataField::Hex
        | RdataField::Base64
        | RdataField::Types
        | RdataField::OldTypes
        | RdataField::Location
        | RdataField::Prefixes
        | RdataField::Services
        | RdataField::Ipseckey
        | RdataField::Amtrelay
        | RdataField::Hip => {}
    }
    Ok(())
}

/// The expected value of a one-byte number, for messages.
pub(super) const U8: &str = "a number from 0 to 255";
/// The expected value of a two-byte number, for messages.
pub(super) const U16: &str = "a number from 0 to 65535";

/// Reads a name, which may be relative.
pub(super) fn name(word: &Word<'_>, origin: &WrittenName) -> Result<WrittenName, Fault> {
    if word.quoted || word.mixed {
        return Err(word.fault("a name stands without quotation marks"));
    }
    WrittenName::parse(word.text, origin)
        .map_err(|error| word.fault(format!("{:?} is not a name: {error}", shown(word))))
}

/// Parses an unquoted value without a plus sign.
pub(super) fn number<T: std::str::FromStr>(word: &Word<'_>, what: &str) -> Result<T, Fault> {
    let plain = !word.quoted && !word.text.starts_with('+');
    let value = plain.then(|| word.text.parse().ok()).flatten();
    value.ok_or_else(|| word.fault(format!("{:?} is not {what}", shown(word))))
}

/// The word as shown in a message.
pub(super) fn shown<'t>(word: &Word<'t>) -> &'t str {
    short(word.text)
}

/// The first 80 characters of a text, for messages.
pub(super) fn short(text: &str) -> &str {
    let end = text.char_indices().nth(80).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Writes a string of up to 255 bytes with a length prefix.
pub(super) fn string(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    counted(word, out, |out| plain_string(word, out))
}

/// Writes the bytes of a string without a length prefix.
fn plain_string(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    if word.mixed {
        return Err(word.fault("a quotation mark inside a word; put the whole word into quotes"));
    }
    push_string(word.text, out).map_err(|error| word.fault(error.to_string()))
}

/// Decodes hexadecimal digits in one or more words.
pub(super) fn hex(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut high: Option<u8> = None;
    for word in words {
        for character in word.text.chars() {
            let digit = character.to_digit(16).filter(|_| !word.quoted);
            let digit = digit
                .and_then(|digit| u8::try_from(digit).ok())
                .ok_or_else(|| word.fault(format!("{:?} is not hexadecimal", shown(word))))?;
            match high.take() {
                Some(high) => out.push(high << 4 | digit),
                None => high = Some(digit),
            }
        }
        if out.len() > MAX_RDATA {
            return Ok(()); // the caller objects
        }
    }
    match (high, words.last()) {
        (Some(_), Some(last)) => {
            Err(last.fault("an odd number of hexadecimal digits; every byte has two"))
        }
        _ => Ok(()),
    }
}

/// Decodes base 64 in one or more words.
pub(super) fn base64(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some(first) = words.first() else {
        return Ok(());
    };
    let mut text = String::new();
    for word in words {
        if word.quoted {
            return Err(word.fault("base 64 stands without quotation marks"));
        }
        text.push_str(word.text);
    }
    let bytes = BASE64
        .decode(text.as_bytes())
        .map_err(|error| first.fault(format!("this is not base 64: {error}")))?;
    out.extend(bytes);
    Ok(())
}

/// Reads a record type within RDATA.
pub(super) fn rtype(word: &Word<'_>) -> Result<RecordType, Fault> {
    let rtype = shown(word).parse().ok().filter(|_| !word.quoted);
    rtype.ok_or_else(|| word.fault(format!("{:?} is not a record type", shown(word))))
}

/// Reads a number or a mnemonic for one.
fn named<T: Copy + std::str::FromStr>(
    word: &Word<'_>,
    names: &[(&str, T)],
    what: &str,
) -> Result<T, Fault> {
    match names.iter().find(|(name, _)| word.is(name)) {
        Some(&(_, value)) => Ok(value),
        None => number(word, what),
    }
}

/// Reads a time as seconds since 1970, modulo 2^32 (RFC 4034 section 3.1.5).
fn timestamp(word: &Word<'_>) -> Result<u32, Fault> {
    let date = || {
        let digits = |from: usize, to: usize| word.text.get(from..to)?.parse::<i16>().ok();
        let two = |from: usize| i8::try_from(digits(from, from + 2)?).ok();
        let date = DateTime::new(
            digits(0, 4)?,
            two(4)?,
            two(6)?,
            two(8)?,
            two(10)?,
            two(12)?,
            0,
        );
        let seconds = Offset::UTC.to_timestamp(date.ok()?).ok()?.as_second();
        // The remainder is below 2^32.
        u32::try_from(seconds.rem_euclid(1 << 32)).ok()
    };
    let plain = !word.quoted && word.text.bytes().all(|byte| byte.is_ascii_digit());
    let value = match word.text.len() {
        14 if plain => date(),
        _ if plain => word.text.parse().ok(),
        _ => None,
    };
    value.ok_or_else(|| {
        word.fault(format!(
            "{:?} is not a time; write YYYYMMDDHHmmSS, or seconds since 1970",
            shown(word)
        ))
    })
}

/// Writes the output of `fill` with a one-byte length prefix.
pub(super) fn counted(
    word: &Word<'_>,
    out: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let start = out.len();
    out.push(0);
    fill(out)?;
    let len = u8::try_from(out.len() - start - 1).map_err(|_| {
        word.fault("a string is longer than 255 bytes; split it into several, each in quotes")
    })?;
    if let Some(first) = out.get_mut(start) {
        *first = len;
    }
    Ok(())
}

fn salt(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    counted(word, out, |out| match word.is("-") {
        true => Ok(()),
        false => hex(std::slice::from_ref(word), out),
    })
}

fn hash(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = BASE32_DNSSEC.decode(word.text.as_bytes()).ok();
    let bytes = bytes.filter(|bytes| !word.quoted && !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| {
        word.fault(format!(
            "{:?} is not a hash in base 32 (RFC 4648 section 7)",
            shown(word)
        ))
    })?;
    counted(word, out, |out| {
        out.extend(bytes);
        Ok(())
    })
}

fn eui(word: &Word<'_>, bytes: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let byte = |pair: &str| match pair.len() {
        2 => hexadecimal(pair).and_then(|value| u8::try_from(value).ok()),
        _ => None,
    };
    let read: Option<Vec<u8>> = word.text.split('-').map(byte).collect();
    let read = read.filter(|read| read.len() == bytes && !word.quoted);
    let read = read.ok_or_else(|| {
        let text = shown(word);
        word.fault(format!(
            "{text:?} is not {bytes} bytes, each of two hexadecimal digits, with hyphens between"
        ))
    })?;
    out.extend(read);
    Ok(())
}

fn groups(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let group = |text: &str| match text.len() {
        1..=4 => hexadecimal(text),
        _ => None,
    };
    let read: Option<Vec<u16>> = word.text.split(':').map(group).collect();
    let read = read.filter(|read| read.len() == 4 && !word.quoted);
    let read = read.ok_or_else(|| {
        let text = shown(word);
        word.fault(format!(
            "{text:?} is not four groups of hexadecimal digits, as in 2001:db8:1140:1000"
        ))
    })?;
    out.extend(read.into_iter().flat_map(u16::to_be_bytes));
    Ok(())
}

/// Parses up to four hexadecimal digits without a sign.
fn hexadecimal(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

fn nsap(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let digits = match word.text.split_at_checked(2) {
        Some((prefix, digits)) if prefix.eq_ignore_ascii_case("0x") && !word.quoted => digits,
        _ => {
            return Err(word.fault(format!(
                "{:?} is not an NSAP address: 0x and hexadecimal digits",
                shown(word)
            )));
        }
    };
    let digits = digits.replace('.', "");
    let bare = Word {
        text: &digits,
        ..*word
    };
    hex(&[bare], out)
}
