//! Writes the data of records as zone files do.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use dnsgate_core::dns::{NameBuf, RecordType};

/// The data of a record. Types whose form is not known here are written as RFC 3597 has it, which every reader takes.
pub(crate) fn rdata(rtype: RecordType, wire: &[u8]) -> String {
    known(rtype, wire).unwrap_or_else(|| generic(wire))
}

fn known(rtype: RecordType, wire: &[u8]) -> Option<String> {
    Some(match rtype {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(wire).ok()?).to_string(),
        RecordType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(wire).ok()?).to_string(),
        RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => {
            whole_name(wire)?
        }
        RecordType::MX => {
            let (preference, name) = wire.split_first_chunk()?;
            format!("{} {}", u16::from_be_bytes(*preference), whole_name(name)?)
        }
        RecordType::SRV => {
            let (&[a, b, c, d, e, f], name) = wire.split_first_chunk()?;
            let number = |high, low| u16::from_be_bytes([high, low]);
            let numbers = (number(a, b), number(c, d), number(e, f));
            let (priority, weight, port) = numbers;
            format!("{priority} {weight} {port} {}", whole_name(name)?)
        }
        RecordType::TXT => strings(wire)?,
        RecordType::SOA => {
            let (server, rest) = name(wire)?;
            let (mailbox, rest) = name(rest)?;
            let mut text = format!("{server} {mailbox}");
            let (numbers, []) = rest.as_chunks() else {
                return None;
            };
            for number in numbers {
                let _ = write!(text, " {}", u32::from_be_bytes(*number));
            }
            text
        }
        _ => return None,
    })
}

fn name(wire: &[u8]) -> Option<(String, &[u8])> {
    let (name, len) = NameBuf::read(wire).ok()?;
    Some((name.as_ref().to_string(), wire.get(len..)?))
}

fn whole_name(wire: &[u8]) -> Option<String> {
    let (name, rest) = name(wire)?;
    rest.is_empty().then_some(name)
}

fn strings(mut wire: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let Some((&len, rest)) = wire.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(len))?;
        wire = rest;
        text.push_str(if text.is_empty() { "\"" } else { " \"" });
        for &byte in string {
            match byte {
                b'"' | b'\\' => {
                    let _ = write!(text, "\\{}", char::from(byte));
                }
                0x20..=0x7e => text.push(char::from(byte)),
                _ => {
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
        text.push('"');
    }
    (!text.is_empty()).then_some(text)
}

fn generic(wire: &[u8]) -> String {
    let mut text = format!("\\# {}", wire.len());
    if !wire.is_empty() {
        text.push(' ');
    }
    for byte in wire {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use dnsgate_core::{dns::Name, zone::parse_record};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn data_read_back_to_the_same_bytes() {
        for text in [
            "A 10.0.0.1",
            "AAAA 2001:db8::1",
            "CNAME a\\.b.example.",
            "MX 10 mail.example.",
            "SRV 1 2 3 host.example.",
            "TXT \"a \\\" b\" \"\\001c;d\"",
            "TXT \"\"",
            "SOA ns.example. host.example. 1 2 3 4 5",
            "CAA 0 issue \"ca.example\"",
            "HTTPS 1 . alpn=h2 ipv4hint=10.0.0.1",
            "NAPTR 1 2 \"s\" \"a\" \"\" x.example.",
            "TYPE65280 \\# 0",
        ] {
            let record = parse_record(&format!("@ {text}"), &Name::root()).expect(text);
            let again = format!("@ {} {}", record.rtype, rdata(record.rtype, &record.rdata));
            let read = parse_record(&again, &Name::root()).expect(&again);
            assert_eq!(read.rdata, record.rdata, "{again}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(rtype in 1u16..70, wire in prop::collection::vec(any::<u8>(), 0..60)) {
            let text = format!("@ TYPE{rtype} {}", rdata(RecordType(rtype), &wire));
            if let Ok(record) = parse_record(&text, &Name::root()) {
                prop_assert_eq!(record.rdata.len(), wire.len());
            }
        }
    }
}
