//! Reads the RDATA of IPSECKEY (RFC 4025), AMTRELAY (RFC 8777) and HIP (RFC 8005): types whose
//! fields depend on each other.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    Fault,
    field::{U8, base64, hex, name, number},
    rdata_text::RdataText,
    scan::Word,
    word::WrittenName,
};

const TOO_FEW: &str = "data are missing behind this";

/// Syntax: `precedence gateway-type algorithm gateway [public-key]` (RFC 4025 section 3.1).
pub(super) fn ipseckey(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let [precedence, kind, algorithm, gateway, key @ ..] = data.words else {
        return Err(data.fault_at_end(TOO_FEW));
    };
    let kind_number: u8 = number(kind, "a gateway type from 0 to 3")?;
    let algorithm_number: u8 = number(algorithm, U8)?;
    out.extend([number(precedence, U8)?, kind_number, algorithm_number]);
    relay(kind_number, kind, gateway, data.origin, out)?;
    match (key.first(), algorithm_number) {
        (None, 1..) => {
            Err(gateway.fault("the public key is missing; algorithm 0 says that there is none"))
        }
        (Some(word), 0) => Err(word.fault("algorithm 0 says that there is no public key")),
        _ => base64(key, out),
    }
}

/// Syntax: `precedence discovery-optional type relay` (RFC 8777 section 4.3).
pub(super) fn amtrelay(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let [precedence, discovery, kind, address] = data.words else {
        return Err(match data.words {
            [_, _, _, _, extra, ..] => extra.fault("too many words"),
            _ => data.fault_at_end(TOO_FEW),
        });
    };
    let optional = match discovery.text {
        "0" => 0,
        "1" => 0x80,
        _ => return Err(discovery.fault("discovery-optional is 0 or 1")),
    };
    let kind_number: u8 = number(kind, "a relay type from 0 to 3")?;
    out.extend([number(precedence, U8)?, optional | kind_number]);
    relay(kind_number, kind, address, data.origin, out)
}

/// Reads a gateway or relay by its type from 0 to 3: none, an IPv4 address, an IPv6 address or a
/// name.
fn relay(
    kind: u8,
    kind_word: &Word<'_>,
    word: &Word<'_>,
    origin: &WrittenName,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match kind {
        0 if word.is(".") => {}
        0 => return Err(word.fault("type 0 says that there is none, which is written as a dot")),
        1 => out.extend(number::<Ipv4Addr>(word, "an IPv4 address")?.octets()),
        2 => out.extend(number::<Ipv6Addr>(word, "an IPv6 address")?.octets()),
        3 => out.extend_from_slice(name(word, origin)?.wire()),
        _ => return Err(kind_word.fault("this type is a number from 0 to 3")),
    }
    Ok(())
}

/// Syntax: `algorithm hit public-key [rendezvous-server ...]` (RFC 8005 section 6).
pub(super) fn hip(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let [algorithm, hit, key, servers @ ..] = data.words else {
        return Err(data.fault_at_end(TOO_FEW));
    };
    let mut bytes = Vec::new();
    base64(std::slice::from_ref(key), &mut bytes)?;
    let key_length = u16::try_from(bytes.len()).map_err(|_| key.fault("the key is too long"))?;
    let mut tag = Vec::new();
    hex(std::slice::from_ref(hit), &mut tag)?;
    let tag_length = u8::try_from(tag.len()).map_err(|_| hit.fault("the tag is too long"))?;
    out.extend([tag_length, number(algorithm, U8)?]);
    out.extend(key_length.to_be_bytes());
    out.extend(tag);
    out.extend(bytes);
    for server in servers {
        out.extend_from_slice(name(server, data.origin)?.wire());
    }
    Ok(())
}
