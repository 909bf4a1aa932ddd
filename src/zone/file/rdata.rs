//! The data of a record, from words to wire form.
//!
//! Types with names, strings and numbers are rows of a table here ([`Form`]): a name is completed
//! with the origin and keeps its letters, escapes mean what RFC 1035 section 5.1 says, and a word
//! too many is an error. hickory-proto reads the remaining types that it knows ([`hickory`]); in
//! names and strings it takes other liberties. Every type can be written as
//! `\# length hexadecimal` (RFC 3597 section 5).

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::RData;

use crate::dns::{
    RecordType,
    rrset::{MAX_RDATA, wire_rdata},
};

use super::{
    Fault,
    scan::Word,
    svcb,
    word::{WrittenName, push_string, time},
};

/// One field of a record's data.
#[derive(Clone, Copy, Debug)]
enum Field {
    Ipv4,
    Ipv6,
    Name,
    U8,
    U16,
    U32,
    /// Seconds, with or without units.
    Time,
    /// Up to 255 bytes behind their length.
    String,
    /// One or more strings: all remaining words.
    Strings,
    /// CAA's property tag: letters and digits behind their length.
    Tag,
    /// CAA's value: a string without a length.
    Text,
    /// Hexadecimal digits: all remaining words.
    Hex,
}

/// How the data of a type are written.
struct Form {
    /// For messages: the fields by their names in the type's RFC.
    names: &'static str,
    fields: &'static [Field],
}

/// The types of RFC 1035 and their like that have no name in [`RecordType`]: nobody asks for
/// them, but old files have them.
const RARE: [(&str, RecordType); 8] = [
    ("MB", RecordType(7)),
    ("MG", RecordType(8)),
    ("MR", RecordType(9)),
    ("MINFO", RecordType(14)),
    ("RP", RecordType(17)),
    ("AFSDB", RecordType(18)),
    ("KX", RecordType(36)),
    ("SPF", RecordType(99)),
];

/// The type that a word names.
pub(super) fn type_of(word: &Word<'_>) -> Result<RecordType, Fault> {
    let rare = RARE.iter().find(|(name, _)| word.is(name));
    if let Some(&(_, rtype)) = rare {
        return Ok(rtype);
    }
    if word.quoted {
        return Err(word.fault("here the record type should stand, without quotation marks"));
    }
    let rtype = shown(word).parse::<RecordType>();
    rtype.map_err(|unknown| {
        word.fault(format!(
            "{unknown}; an entry is: name [TTL] [IN] type data, and a line that begins with a \
             blank has the name of the one before"
        ))
    })
}

fn form(rtype: RecordType) -> Option<Form> {
    use Field::{Hex, Ipv4, Ipv6, Name, Strings, Tag, Text, Time, U8, U16, U32};
    let (names, fields): (_, &[Field]) = match rtype {
        RecordType::A => ("an IPv4 address", &[Ipv4]),
        RecordType::AAAA => ("an IPv6 address", &[Ipv6]),
        RecordType::NS
        | RecordType::CNAME
        | RecordType::PTR
        | RecordType::DNAME
        | RecordType(7..=9) => ("a name", &[Name]),
        RecordType::SOA => (
            "mname rname serial refresh retry expire minimum",
            &[Name, Name, U32, Time, Time, Time, Time],
        ),
        RecordType::MX | RecordType(18 | 36) => ("preference name", &[U16, Name]),
        RecordType(14 | 17) => ("mailbox name", &[Name, Name]),
        RecordType::TXT | RecordType(99) => ("one or more strings", &[Strings]),
        RecordType::HINFO => ("cpu os", &[Field::String, Field::String]),
        RecordType::SRV => ("priority weight port target", &[U16, U16, U16, Name]),
        RecordType::NAPTR => (
            "order preference flags services regexp replacement",
            &[U16, U16, Field::String, Field::String, Field::String, Name],
        ),
        RecordType::CAA => ("flags tag value", &[U8, Tag, Text]),
        RecordType::DS | RecordType::CDS => {
            ("key-tag algorithm digest-type digest", &[U16, U8, U8, Hex])
        }
        RecordType::TLSA | RecordType::SMIMEA => {
            ("usage selector matching-type data", &[U8, U8, U8, Hex])
        }
        RecordType::SSHFP => ("algorithm fingerprint-type fingerprint", &[U8, U8, Hex]),
        _ => return None,
    };
    Some(Form { names, fields })
}

/// A record's data as written.
pub(super) struct Written<'a, 't> {
    pub(super) rtype: RecordType,
    /// The word that named the type.
    pub(super) head: &'a Word<'t>,
    /// The words behind it.
    pub(super) words: &'a [Word<'t>],
    pub(super) origin: &'a WrittenName,
}

/// Reads the data of a record into `out`.
pub(super) fn read(data: &Written<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.clear();
    match (data.words, form(data.rtype)) {
        ([mark, digits @ ..], _) if mark.is("\\#") => generic(mark, digits, out)?,
        (_, Some(form)) => by_form(data, &form, out)?,
        ([], None) => return Err(data.head.fault("data are missing behind this type")),
        _ if matches!(data.rtype, RecordType::SVCB | RecordType::HTTPS) => svcb::read(data, out)?,
        _ => hickory(data, out)?,
    }
    if out.len() > MAX_RDATA {
        return Err(data.head.fault("the data are longer than 65535 bytes"));
    }
    Ok(())
}

fn by_form(data: &Written<'_, '_>, form: &Form, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut rest = data.words;
    for &field in form.fields {
        let Some((word, after)) = rest.split_first() else {
            return Err(data.words.last().unwrap_or(data.head).fault(format!(
                "data are missing behind this: {} is followed by {}",
                data.rtype, form.names
            )));
        };
        let taken = match field {
            Field::Strings | Field::Hex => std::mem::take(&mut rest),
            _ => {
                rest = after;
                std::slice::from_ref(word)
            }
        };
        match field {
            Field::Hex => hex(taken, out)?,
            Field::Strings => {
                for word in taken {
                    string(word, out)?;
                    if out.len() > MAX_RDATA {
                        break; // the caller objects
                    }
                }
            }
            _ => one_word(field, word, data.origin, out)
                .map_err(|fault| explain(fault, data.rtype, form))?,
        }
    }
    match rest.first() {
        Some(word) => Err(word.fault(format!(
            "too many words: {} is followed by {}; a comment begins with ;",
            data.rtype, form.names
        ))),
        None => Ok(()),
    }
}

fn explain(mut fault: Fault, rtype: RecordType, form: &Form) -> Fault {
    if form.fields.len() > 1 {
        let order = format!(" ({rtype} is followed by {})", form.names);
        fault.message.push_str(&order);
    }
    fault
}

fn one_word(
    field: Field,
    word: &Word<'_>,
    origin: &WrittenName,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match field {
        Field::Ipv4 => out.extend(number::<Ipv4Addr>(word, "an IPv4 address")?.octets()),
        Field::Ipv6 => out.extend(number::<Ipv6Addr>(word, "an IPv6 address")?.octets()),
        Field::U8 => out.push(number(word, "a number from 0 to 255")?),
        Field::U16 => {
            out.extend(number::<u16>(word, "a number from 0 to 65535")?.to_be_bytes());
        }
        Field::U32 => {
            out.extend(number::<u32>(word, "a number from 0 to 4294967295")?.to_be_bytes());
        }
        Field::Time => {
            let seconds = time(word.text).filter(|_| !word.quoted).ok_or_else(|| {
                word.fault(format!(
                    "{:?} is not a time; write seconds, or units as in 1h30m",
                    shown(word)
                ))
            })?;
            out.extend(seconds.to_be_bytes());
        }
        Field::Name => out.extend_from_slice(name(word, origin)?.wire()),
        Field::String => string(word, out)?,
        Field::Tag => {
            if word.text.is_empty() || !word.text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(word.fault("a property tag is made of letters and digits, as in issue"));
            }
            string(word, out)?;
        }
        Field::Text => plain_string(word, out)?,
        Field::Strings | Field::Hex => {} // take all words, so their caller reads them
    }
    Ok(())
}

/// A name that may be relative.
pub(super) fn name(word: &Word<'_>, origin: &WrittenName) -> Result<WrittenName, Fault> {
    if word.quoted || word.mixed {
        return Err(word.fault("a name stands without quotation marks"));
    }
    WrittenName::parse(word.text, origin)
        .map_err(|error| word.fault(format!("{:?} is not a name: {error}", shown(word))))
}

/// Any value with a parser of its own: plain, so neither quoted nor with a sign.
fn number<T: std::str::FromStr>(word: &Word<'_>, what: &str) -> Result<T, Fault> {
    let plain = !word.quoted && !word.text.starts_with('+');
    let value = plain.then(|| word.text.parse().ok()).flatten();
    value.ok_or_else(|| word.fault(format!("{:?} is not {what}", shown(word))))
}

/// The word as a message shows it.
pub(super) fn shown<'t>(word: &Word<'t>) -> &'t str {
    short(word.text)
}

/// Not more of a text than helps in a message.
pub(super) fn short(text: &str) -> &str {
    let end = text.char_indices().nth(80).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn string(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    out.push(0);
    plain_string(word, out)?;
    let len = u8::try_from(out.len() - start - 1).map_err(|_| {
        word.fault("a string is longer than 255 bytes; split it into several, each in quotes")
    })?;
    if let Some(first) = out.get_mut(start) {
        *first = len;
    }
    Ok(())
}

/// The bytes of a string without a length before them.
fn plain_string(word: &Word<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    if word.mixed {
        return Err(word.fault("a quotation mark inside a word; put the whole word into quotes"));
    }
    push_string(word.text, out).map_err(|error| word.fault(error.to_string()))
}

/// RFC 3597 section 5: `\#`, the length, and so many bytes in hexadecimal.
fn generic(mark: &Word<'_>, words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let (length, digits) = words
        .split_first()
        .ok_or_else(|| mark.fault("\\# is followed by the length of the data, then the data"))?;
    let wanted: u16 = number(length, "a number of bytes from 0 to 65535")?;
    if !digits.is_empty() {
        hex(digits, out)?;
    }
    if out.len() != usize::from(wanted) {
        return Err(length.fault(format!(
            "the length says {wanted} bytes, but there are {}",
            out.len()
        )));
    }
    Ok(())
}

/// The bytes that hexadecimal digits in one or more words stand for.
fn hex(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut high: Option<u8> = None;
    for word in words {
        for character in word.text.chars() {
            let digit = character.to_digit(16).filter(|_| !word.quoted);
            let digit = digit
                .ok_or_else(|| word.fault(format!("{:?} is not hexadecimal", shown(word))))?
                as u8; // below 16
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

/// What hickory-proto reads of a type that has no [`Form`].
///
/// It gets words of plain characters only: its reader has ideas of its own about quotation marks,
/// escapes and `@`, and none of these types needs any. Base64 comes in one word there, so that
/// what follows the numbers of these types is joined.
fn hickory(data: &Written<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let separate = match data.rtype {
        RecordType::CERT => 3,
        RecordType::OPENPGPKEY => 0,
        _ => usize::MAX,
    };
    let mut text = String::new();
    for (at, word) in data.words.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-._:".contains(&byte);
        if word.quoted || !word.text.bytes().all(plain) {
            return Err(word.fault(format!(
                "{:?} has characters that {} cannot have here",
                shown(word),
                data.rtype
            )));
        }
        if at > 0 && at <= separate {
            text.push(' ');
        }
        text.push_str(word.text);
    }
    if data.rtype == RecordType::CSYNC {
        text.make_ascii_uppercase(); // its type names are read in upper case only
    }
    parse_by_hickory(data, &text, out)
}

/// Hands text to hickory-proto's reader and takes the wire form of what it read.
pub(super) fn parse_by_hickory(
    data: &Written<'_, '_>,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let fault = |error: String| {
        data.head.fault(format!(
            "these data of type {} cannot be read: {}; any type's data can be written as \
             \\# LENGTH HEXADECIMAL (RFC 3597)",
            data.rtype,
            short(&error)
        ))
    };
    let rdata =
        RData::try_from_str(data.rtype.0.into(), text).map_err(|error| fault(error.to_string()))?;
    out.extend(wire_rdata(&rdata).map_err(|error| fault(error.to_string()))?);
    Ok(())
}
