//! Reads LOC RDATA: a geographical location (RFC 1876).

use super::{Fault, field::shown, rdata_text::RdataText, scan::Word};

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

/// Syntax: `d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]]`
pub(super) fn read(data: &RdataText<'_, '_>, out: &mut Vec<u8>) -> Result<(), Fault> {
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
