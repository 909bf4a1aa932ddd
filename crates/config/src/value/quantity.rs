//! Durations, amounts of memory and counts.

use std::{str::FromStr, time::Duration};

use super::super::{
    limits::{Bounded, seconds},
    strict,
};

/// A duration: a whole number and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Interval(pub Duration);

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// It is not a whole number and a unit.
    #[error("write a whole number and its unit: 500ms, 10s, 5m, 1h or 1d")]
    Form,
    /// It is a number without a unit.
    #[error("there is no unit; write {0}s for seconds, or ms, m, h, d")]
    NoUnit(u64),
    /// It is too long to be represented.
    #[error("this is longer than any span that makes sense")]
    TooLong,
    /// The number begins with a zero.
    #[error("write the number without zeros before it")]
    LeadingZero,
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(IntervalError::Form);
        }
        if !strict::is_number(number) {
            return Err(IntervalError::LeadingZero);
        }
        let number: u64 = number.parse().map_err(|_| IntervalError::TooLong)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(IntervalError::NoUnit(number)),
            _ => return Err(IntervalError::Form),
        };
        let total = number
            .checked_mul(milliseconds)
            .ok_or(IntervalError::TooLong)?;
        Ok(Self(Duration::from_millis(total)))
    }
}

impl Bounded for Interval {
    fn shown(self) -> String {
        match self.0.as_millis() {
            ms if ms % 1000 != 0 => format!("{ms}ms"),
            _ => seconds(self.0.as_secs()),
        }
    }
}

/// A duration in whole seconds, as TTLs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Seconds(pub(crate) u32);

/// Why a text is not a duration in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecondsError {
    #[error(transparent)]
    Interval(#[from] IntervalError),
    #[error("this is a time to live: write whole seconds, such as 30s or 1h")]
    Fraction,
}

impl FromStr for Seconds {
    type Err = SecondsError;

    fn from_str(text: &str) -> Result<Self, SecondsError> {
        let Interval(span) = text.parse()?;
        if span.subsec_millis() != 0 {
            return Err(SecondsError::Fraction);
        }
        let seconds = u32::try_from(span.as_secs()).map_err(|_| IntervalError::TooLong)?;
        Ok(Self(seconds))
    }
}

impl Bounded for Seconds {
    fn shown(self) -> String {
        seconds(self.0.into())
    }
}

/// An amount of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Bytes(pub usize);

/// Why a text is not an amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// It is not a whole number and a unit.
    #[error("write a whole number and its unit: 512KiB, 64MiB or 1GiB")]
    Form,
    /// It is a number without a unit.
    #[error("there is no unit; write KiB, MiB or GiB behind the number")]
    NoUnit,
    /// A decimal unit, a power of ten.
    #[error("write {0}iB: memory is counted in powers of 1024")]
    Decimal(char),
    /// It exceeds the address space.
    #[error("this is more memory than any machine has")]
    TooMuch,
    /// Leading zeros, which some programs read as octal.
    #[error("write the number without zeros before it")]
    LeadingZero,
}

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        if number.is_empty() {
            return Err(BytesError::Form);
        }
        if !strict::is_number(number) {
            return Err(BytesError::LeadingZero);
        }
        let number: usize = number.parse().map_err(|_| BytesError::TooMuch)?;
        let bytes: usize = match unit {
            // Zero needs no unit.
            "" if number == 0 => 0,
            "" => return Err(BytesError::NoUnit),
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "K" | "KB" | "kB" | "k" => return Err(BytesError::Decimal('K')),
            "M" | "MB" => return Err(BytesError::Decimal('M')),
            "G" | "GB" => return Err(BytesError::Decimal('G')),
            _ => return Err(BytesError::Form),
        };
        let bytes = number.checked_mul(bytes).ok_or(BytesError::TooMuch)?;
        Ok(Self(bytes))
    }
}

impl Bounded for Bytes {
    fn shown(self) -> String {
        match self.0 {
            gib if gib > 0 && gib % (1 << 30) == 0 => format!("{}GiB", gib >> 30),
            mib if mib > 0 && mib % (1 << 20) == 0 => format!("{}MiB", mib >> 20),
            bytes => format!("{}KiB", bytes >> 10),
        }
    }
}

/// A count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Count(pub(crate) usize);

impl Bounded for Count {
    fn shown(self) -> String {
        self.0.to_string()
    }
}

/// A sampling rate: one in this many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OneIn(pub(crate) u32);

impl FromStr for OneIn {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, CountError> {
        // A number that does not fit is above the maximum, so it fails the later bounds check.
        let Count(count) = text.parse()?;
        Ok(Self(count.try_into().unwrap_or(u32::MAX)))
    }
}

/// The text is not a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number: digits only, and no zero before others")]
pub(crate) struct CountError;

impl FromStr for Count {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, CountError> {
        strict::is_number(text)
            .then(|| text.parse().map(Self).ok())
            .flatten()
            .ok_or(CountError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Interval(Duration::from_millis(milliseconds))),
                "{text}"
            );
        }
        for (text, error) in [
            ("", IntervalError::Form),
            ("s", IntervalError::Form),
            ("-1s", IntervalError::Form),
            ("1.5s", IntervalError::Form),
            ("1 s", IntervalError::Form),
            ("1e3", IntervalError::Form),
            ("007s", IntervalError::LeadingZero),
            ("00s", IntervalError::LeadingZero),
            ("10", IntervalError::NoUnit(10)),
            ("99999999999999999999s", IntervalError::TooLong),
            ("18446744073709551615d", IntervalError::TooLong),
        ] {
            assert_eq!(text.parse::<Interval>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn whole_seconds() {
        for (text, seconds) in [("0s", Ok(0)), ("1000ms", Ok(1)), ("7d", Ok(604_800))] {
            assert_eq!(
                text.parse().map(|Seconds(seconds)| seconds),
                seconds,
                "{text}"
            );
        }
        for (text, error) in [
            ("1500ms", SecondsError::Fraction),
            ("30", IntervalError::NoUnit(30).into()),
            ("50000d", IntervalError::TooLong.into()),
        ] {
            assert_eq!(text.parse::<Seconds>(), Err(error), "{text}");
        }
    }

    #[test]
    fn bytes() {
        for (text, bytes, shown) in [
            ("0", 0, "0KiB"),
            ("512KiB", 512 << 10, "512KiB"),
            ("64MiB", 64 << 20, "64MiB"),
            ("2048MiB", 2 << 30, "2GiB"),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).shown(), shown);
        }
        for (text, error) in [
            ("", BytesError::Form),
            ("64", BytesError::NoUnit),
            ("64MB", BytesError::Decimal('M')),
            ("64mib", BytesError::Form),
            ("064MiB", BytesError::LeadingZero),
            ("00", BytesError::LeadingZero),
            ("64 MiB", BytesError::Form),
            ("-1MiB", BytesError::Form),
            ("1.5GiB", BytesError::Form),
            ("99999999999GiB", BytesError::TooMuch),
            ("99999999999999999999999KiB", BytesError::TooMuch),
        ] {
            assert_eq!(text.parse::<Bytes>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!("1000".parse(), Ok(Count(1000)));
        for text in [
            "",
            "-1",
            "+1",
            "1e3",
            "1_000",
            "0x10",
            "024",
            "99999999999999999999999",
        ] {
            assert_eq!(text.parse::<Count>(), Err(CountError), "{text:?}");
        }
    }
}
