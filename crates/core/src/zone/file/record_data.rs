//! Converts the RDATA of a record from words to wire form.
//!
//! [`form`] has a row for each type. A relative name is completed with the origin and keeps its
//! letter case, escapes follow RFC 1035 section 5.1, and an extra word is an error. Every type
//! accepts the form `\# length hexadecimal` (RFC 3597 section 5); a type without a presentation
//! format accepts no other.

use crate::dns::{RecordType, rrset::MAX_RDATA};

use super::{
    Fault,
    field::{self, hex, number, shown},
    form::{self, RdataField, RdataForm},
    scan::Word,
    special_fields, svcb,
    word::RdataText,
};

/// Parses a record type.
pub(super) fn type_of(word: &Word<'_>) -> Result<RecordType, Fault> {
    if word.quoted {
        return Err(word.fault("here the record type should stand, without quotation marks"));
    }
    shown(word).parse::<RecordType>().map_err(|unknown| {
        word.fault(format!(
            "{unknown}; an entry is: name [TTL] [IN] type data, and a line that begins with a \
             blank has the name of the one before"
        ))
    })
}

/// Replaces the contents of `out` with the RDATA of a record.
pub(super) fn read(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.clear();
    match (data.words, form::of(data.rtype)) {
        ([mark, digits @ ..], _) if mark.is("\\#") => generic(mark, digits, out)?,
        (_, Some(form)) => by_form(data, &form, out)?,
        ([], None) => return Err(data.head.fault("data are missing behind this type")),
        _ if matches!(data.rtype, RecordType::SVCB | RecordType::HTTPS) => svcb::read(data, out)?,
        ([word, ..], None) => {
            return Err(word.fault(format!(
                "{} has no form of its own; write its data as \\# LENGTH HEXADECIMAL (RFC 3597)",
                data.rtype
            )));
        }
    }
    if out.len() > MAX_RDATA {
        return Err(data.head.fault("the data are longer than 65535 bytes"));
    }
    Ok(())
}

fn by_form(data: &RdataText<'_, '_>, form: &RdataForm, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut rest = data.words;
    for &field in form.fields {
        let Some((word, after)) = rest.split_first() else {
            if field.may_be_absent() {
                continue;
            }
            return Err(missing(data, form));
        };
        if field.takes_rest() {
            let words = std::mem::take(&mut rest);
            all_words(field, words, data, out)
        } else {
            rest = after;
            field::read(field, word, data.origin, out)
        }
        .map_err(|fault| explain(fault, data.rtype, form))?;
    }
    match rest.first() {
        Some(word) => Err(word.fault(format!(
            "too many words: {} is followed by {}; a comment begins with ;",
            data.rtype, form.names
        ))),
        None => Ok(()),
    }
}

/// Reads a field that takes all remaining words.
fn all_words(
    field: RdataField,
    words: &[Word<'_>],
    data: &RdataText<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match field {
        RdataField::Hex => hex(words, out),
        RdataField::Base64 => field::base64(words, out),
        RdataField::Types => special_fields::bitmap(words, out),
        RdataField::OldTypes => special_fields::old_bitmap(words, out),
        RdataField::Location => special_fields::location(data, out),
        RdataField::Prefixes => special_fields::prefixes(words, out),
        RdataField::Services => special_fields::services(words, out),
        RdataField::Ipseckey => special_fields::ipseckey(data, out),
        RdataField::Amtrelay => special_fields::amtrelay(data, out),
        RdataField::Hip => special_fields::hip(data, out),
        // Strings are the only other field that takes all remaining words.
        _ => {
            for word in words {
                field::string(word, out)?;
                if out.len() > MAX_RDATA {
                    break; // the caller objects
                }
            }
            Ok(())
        }
    }
}

fn missing(data: &RdataText<'_, '_>, form: &RdataForm) -> Fault {
    data.fault_at_end(format!(
        "data are missing behind this: {} is followed by {}",
        data.rtype, form.names
    ))
}

fn explain(mut fault: Fault, rtype: RecordType, form: &RdataForm) -> Fault {
    let several =
        form.fields.len() > 1
            || matches!(
                form.fields,
                [RdataField::Location
                    | RdataField::Ipseckey
                    | RdataField::Amtrelay
                    | RdataField::Hip]
            );
    if several {
        let order = format!(" ({rtype} is followed by {})", form.names);
        fault.message.push_str(&order);
    }
    fault
}

/// Reads the generic form of RFC 3597 section 5: `\#`, the length, and that many bytes in
/// hexadecimal.
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
