//! Reads RDATA whose form only one or two types have.
//!
//! They are LOC, the types whose fields depend on each other (IPSECKEY (RFC 4025), AMTRELAY (RFC
//! 8777) and HIP (RFC 8005)), APL, WKS, and the sets of types in NSEC and NXT.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Fault,
    field::{self, U8, U16, base64, hex, name, number, shown},
    scan::Word,
    word::{RdataText, WrittenName},
};

/// The value of the equator and of the prime meridian (RFC 1876 section 2).
const ZERO_ANGLE: i64 = 1 << 31;
/// Thousandths of an arc second in a degree.
const DEGREE: i64 = 3_600_000;
/// The lowest altitude, in centimetres below the reference spheroid.
const LOWEST: i64 = 10_000_000;
/// The highest altitude, in centimetres.
const HIGHEST: i64 = u32::MAX as i64 - LOWEST;
/// The largest size and precision, in centimetres: 9 × 10^9.
const LARGEST: i64 = 9_000_000_000;
/// The default size, horizontal precision and vertical precision, in centimetres (RFC 1876 section
/// 3).
const DEFAULTS: [i64; 3] = [100, 1_000_000, 1_000];

/// Reads LOC RDATA: a geographical location (RFC 1876).
///
/// Syntax: `d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]]`
pub(super) fn location(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let (latitude, rest) = angle(data, data.words, ["N", "S"], 90)?;
    let (longitude, rest) = angle(data, rest, ["E", "W"], 180)?;
    let Some((word, rest)) = rest.split_first() else {
        return Err(data.fault_at_end("the altitude is missing behind this"));
    };
    let altitude = metres(word, -LOWEST, HIGHEST)?;
    if let [_, _, _, extra, ..] = rest {
        return Err(extra.fault("too many words behind the altitude"));
    }
    out.push(0); // the version
    for (at, default) in DEFAULTS.into_iter().enumerate() {
        let length = rest
            .get(at)
            .map_or(Ok(default), |word| metres(word, 0, LARGEST))?;
        out.push(rounded(length));
    }
    for value in [
        latitude + ZERO_ANGLE,
        longitude + ZERO_ANGLE,
        altitude + LOWEST,
    ] {
        // The bounds of the parts keep each value within 32 bits.
        out.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
    }
    Ok(())
}

/// Returns an angle in thousandths of an arc second, and the words after it.
fn angle<'w, 't>(
    data: &RdataText<'w, 't>,
    words: &'w [Word<'t>],
    [positive, negative]: [&str; 2],
    most: i64,
) -> Result<(i64, &'w [Word<'t>]), Fault> {
    let turn = |word: &Word<'_>| word.is(positive) || word.is(negative);
    let at = words.iter().take(4).position(turn);
    let split = at.and_then(|at| words.split_at_checked(at));
    let Some((numbers, [turn, rest @ ..])) = split else {
        return Err(data.fault_at_end(format!(
            "{positive} or {negative} is missing behind degrees, minutes and seconds"
        )));
    };
    let mut sum = 0;
    for (word, (unit, decimals, bound)) in
        numbers
            .iter()
            .zip([(DEGREE, 0, most + 1), (DEGREE / 60, 0, 60), (1, 3, 60_000)])
    {
        let value = fixed(word, decimals).filter(|value| (0..bound).contains(value));
        let value = value.ok_or_else(|| {
            word.fault(format!(
                "{:?} is out of range for a part of an angle",
                shown(word)
            ))
        })?;
        sum += value * unit;
    }
    if numbers.is_empty() || sum > most * DEGREE {
        return Err(turn.fault(format!("before this, up to {most} degrees should stand")));
    }
    Ok((if turn.is(negative) { -sum } else { sum }, rest))
}

/// Reads a length in centimetres from metres, with an optional `m` suffix.
fn metres(word: &Word<'_>, least: i64, most: i64) -> Result<i64, Fault> {
    let bare = word.text.strip_suffix(['m', 'M']).unwrap_or(word.text);
    let value = fixed(
        &Word {
            text: bare,
            ..*word
        },
        2,
    )
    .filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| {
        let (least, most) = (least / 100, most / 100);
        word.fault(format!(
            "{:?} is not a length in metres from {least} to {most}, with up to two decimals",
            shown(word)
        ))
    })
}

/// Reads a decimal number as an integer scaled by ten to the power of `decimals`.
fn fixed(word: &Word<'_>, decimals: usize) -> Option<i64> {
    let (sign, digits) = match word.text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // The largest value has ten digits; more digits could overflow.
    let fits = (1..=10).contains(&whole.len()) && fraction.len() <= decimals;
    if word.quoted || !fits || !plain(whole) || !plain(fraction) {
        return None;
    }
    let text = format!("{whole}{fraction:0<decimals$}");
    text.parse::<i64>().ok().map(|value| sign * value)
}

/// Encodes a length as one digit and a power of ten (RFC 1876 section 2). It truncates the digits
/// after the first one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "digit and power are below ten, as the largest length has ten digits"
)]
fn rounded(centimetres: i64) -> u8 {
    let (mut digit, mut power) = (centimetres, 0u8);
    while digit >= 10 {
        digit /= 10;
        power += 1;
    }
    (digit as u8) << 4 | power
}

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

/// Reads the RDATA of an APL record (RFC 3123): address prefixes, optionally negated.
///
/// Syntax: `[!]afi:address/prefix` (RFC 3123 section 5).
#[expect(
    clippy::cast_possible_truncation,
    reason = "an address has at most 16 bytes"
)]
pub(super) fn prefixes(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    for word in words {
        let item = item(word.text).filter(|_| !word.quoted);
        let (negated, address, length) = item.ok_or_else(|| {
            word.fault(format!(
                "{:?} is not a prefix as in 1:192.0.2.0/24, !1:192.0.2.64/28 or 2:2001:db8::/32",
                shown(word)
            ))
        })?;
        let (family, octets) = match address {
            IpAddr::V4(address) => (1u16, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        // Trailing zero bytes are omitted (RFC 3123 section 4).
        let kept = octets
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        out.extend(family.to_be_bytes());
        out.extend([length, (u8::from(negated) << 7) | kept as u8]); // 16 at most
        out.extend(octets.into_iter().take(kept));
    }
    Ok(())
}

fn item(text: &str) -> Option<(bool, IpAddr, u8)> {
    let (negated, text) = match text.strip_prefix('!') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (family, prefix) = text.split_once(':')?;
    let (address, length) = prefix.split_once('/')?;
    let (address, most): (IpAddr, u8) = match family {
        "1" => (IpAddr::V4(address.parse().ok()?), 32),
        "2" => (IpAddr::V6(address.parse().ok()?), 128),
        _ => return None,
    };
    let zeros_before = length.len() > 1 && length.starts_with('0');
    let plain = length.bytes().all(|byte| byte.is_ascii_digit()) && !zeros_before;
    let length = length
        .parse()
        .ok()
        .filter(|&length| plain && length <= most)?;
    Some((negated, address, length))
}

/// Protocols by name.
const PROTOCOLS: [(&str, u8); 3] = [("ICMP", 1), ("TCP", 6), ("UDP", 17)];
/// Service names in old files and their ports (RFC 1010). Other services are written as numbers.
const SERVICES: [(&str, u16); 16] = [
    ("ECHO", 7),
    ("DISCARD", 9),
    ("DAYTIME", 13),
    ("FTP-DATA", 20),
    ("FTP", 21),
    ("SSH", 22),
    ("TELNET", 23),
    ("SMTP", 25),
    ("TIME", 37),
    ("DOMAIN", 53),
    ("TFTP", 69),
    ("FINGER", 79),
    ("HTTP", 80),
    ("POP3", 110),
    ("NNTP", 119),
    ("NTP", 123),
];

/// Reads the RDATA of a WKS record after its address (RFC 1035 section 3.4.2): a protocol and the
/// ports of its services.
///
/// Syntax: `protocol service ...`
pub(super) fn services(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some((protocol, services)) = words.split_first() else {
        return Ok(());
    };
    out.push(match PROTOCOLS.iter().find(|(name, _)| protocol.is(name)) {
        Some(&(_, protocol)) => protocol,
        None => number(protocol, "a protocol: TCP, UDP or its number")?,
    });
    let mut ports = Vec::with_capacity(services.len());
    for word in services {
        ports.push(match SERVICES.iter().find(|(name, _)| word.is(name)) {
            Some(&(_, port)) => usize::from(port),
            None => usize::from(number::<u16>(word, U16).map_err(|_| {
                word.fault(format!(
                    "{:?} is not the name of a service known here; write its port",
                    shown(word)
                ))
            })?),
        });
    }
    out.extend(bits(ports));
    Ok(())
}

/// Types per window of the bitmap (RFC 4034 section 4.1.2).
const WINDOW: u16 = 256;
/// The first type that does not fit into the NXT bitmap (RFC 2535 section 5.2).
const OLD_END: u16 = 128;

/// Writes the bitmap of NSEC, NSEC3 and CSYNC (RFC 4034 section 4.1.2): windows of 256 types, each
/// with its number and length.
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are 256 windows of at most 32 bytes"
)]
pub(super) fn bitmap(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut types = Vec::with_capacity(words.len());
    for word in words {
        types.push(field::rtype(word)?);
    }
    types.sort_unstable();
    for block in types.chunk_by(|a, b| a.0 / WINDOW == b.0 / WINDOW) {
        let bits = bits(block.iter().map(|rtype| usize::from(rtype.0 % WINDOW)));
        let window = block.first().map_or(0, |rtype| rtype.0 / WINDOW);
        // Both fit: there are 256 windows of at most 32 bytes.
        out.extend([window as u8, bits.len() as u8]);
        out.extend(bits);
    }
    Ok(())
}

/// Writes the bitmap of NXT (RFC 2535 section 5.2): one run of bits, for types below 128.
pub(super) fn old_bitmap(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut types = Vec::with_capacity(words.len());
    for word in words {
        let rtype = field::rtype(word)?;
        if rtype.0 >= OLD_END {
            return Err(word.fault(format!("NXT cannot hold {rtype}: only types below 128")));
        }
        types.push(rtype);
    }
    out.extend(bits(types.into_iter().map(|rtype| usize::from(rtype.0))));
    Ok(())
}

/// Sets one bit for each position. Position 0 is the highest bit of the first byte; there are no
/// trailing zero bytes.
pub(super) fn bits(places: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bits = Vec::new();
    for at in places {
        if bits.len() <= at / 8 {
            bits.resize(at / 8 + 1, 0u8);
        }
        if let Some(byte) = bits.get_mut(at / 8) {
            *byte |= 0x80 >> (at % 8);
        }
    }
    bits
}
