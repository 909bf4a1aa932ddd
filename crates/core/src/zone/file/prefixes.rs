//! Reads the RDATA of an APL record (RFC 3123): address prefixes, optionally negated.

use std::net::IpAddr;

use super::{Fault, field::shown, scan::Word};

/// Syntax: `[!]afi:address/prefix` (RFC 3123 section 5).
#[expect(
    clippy::cast_possible_truncation,
    reason = "an address has at most 16 bytes"
)]
pub(super) fn read(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
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
