//! The small values of the file, each a type that only a good text becomes.
//!
//! Errors are the second half of a sentence that began with the key and the text: the reader in
//! `read` puts the two together.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{
    error::is_unsafe,
    limits::{Bounded, seconds},
    strict,
};

/// The longest name of a group or a rule: it is a label of metrics and part of every denial.
pub(super) const MAX_LABEL: usize = 64;
/// The longest reason of a rule, in bytes: it travels in every denial's reply.
pub(super) const MAX_REASON: usize = 160;

/// A span of time: a whole number and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(pub(super) Duration);

/// Why a text is no span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IntervalError {
    #[error("write a whole number and its unit: 500ms, 10s, 5m, 1h or 1d")]
    Form,
    #[error("there is no unit; write {0}s for seconds, or ms, m, h, d")]
    NoUnit(u64),
    #[error("this is longer than any span that makes sense")]
    TooLong,
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

/// A span of whole seconds, as TTLs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Seconds(pub(super) u32);

/// Why a text is no span of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecondsError {
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

/// Why a text is no amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// Not a number and a unit.
    #[error("write a whole number and its unit: 512KiB, 64MiB or 1GiB")]
    Form,
    /// A number alone.
    #[error("there is no unit; write KiB, MiB or GiB behind the number")]
    NoUnit,
    /// A unit of powers of ten.
    #[error("write {0}iB: memory is counted in powers of 1024")]
    Decimal(char),
    /// More than there are addresses for.
    #[error("this is more memory than any machine has")]
    TooMuch,
    /// Zeros before other digits, which some programs take for octal.
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
            // Nothing is nothing in any unit.
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

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) usize);

/// The text is no number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number: digits only, and no zero before others")]
pub(super) struct CountError;

impl FromStr for Count {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, CountError> {
        strict::is_number(text)
            .then(|| text.parse().map(Self).ok())
            .flatten()
            .ok_or(CountError)
    }
}

/// The version of the file's format. There is one so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version;

/// The text is no version of the format that this dnsgate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this dnsgate reads version 1; leave the key out for that")]
pub(super) struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        (text == "1").then_some(Self).ok_or(VersionError)
    }
}

/// A range of client addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr(pub(super) IpNet);

/// Why a text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CidrError {
    #[error("write an address and the length of its prefix, such as 10.0.0.0/8 or fd00::/8")]
    Form,
    #[error("there is no prefix length; write {0}/{len} for this one address", len = if .0.is_ipv4() { 32 } else { 128 })]
    NoLength(IpAddr),
    #[error("there are bits set behind the prefix; write {0}, or a longer prefix")]
    HostBits(IpNet),
    #[error("an IPv4 address that comes as IPv6 counts as IPv4; write the range as IPv4")]
    Mapped,
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        if let Ok(address) = text.parse() {
            return Err(CidrError::NoLength(address));
        }
        let net = strict::net(text).ok_or(CidrError::Form)?;
        if net != net.trunc() {
            return Err(CidrError::HostBits(net.trunc()));
        }
        match net {
            IpNet::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
                Err(CidrError::Mapped)
            }
            _ => Ok(Self(net)),
        }
    }
}

/// One address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) IpAddr);

/// The text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an IP address, such as 10.1.1.5")]
pub(super) struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        text.parse().map(Self).map_err(|_| AddressError)
    }
}

/// The operator's name for a group or a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Label(pub(super) Box<str>);

/// Why a text cannot name a group or a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LabelError {
    #[error("a name has letters, digits, `-`, `_` and `.`, and begins with a letter or a digit")]
    Characters,
    #[error(
        "a name has at most {MAX_LABEL} characters; it goes into every metric and every denial"
    )]
    TooLong,
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !text.bytes().all(allowed) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(LabelError::Characters);
        }
        if text.len() > MAX_LABEL {
            return Err(LabelError::TooLong);
        }
        Ok(Self(text.into()))
    }
}

/// Why a rule is there, in words for whoever is denied by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReasonText(pub(super) Box<str>);

/// Why a text cannot be a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReasonError {
    #[error("it is empty; leave the key out instead")]
    Empty,
    #[error("a reason has at most {MAX_REASON} bytes; it travels in every denial")]
    TooLong,
    #[error("a reason is one line without control characters")]
    Control,
}

impl FromStr for ReasonText {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        match text {
            _ if text.trim().is_empty() => Err(ReasonError::Empty),
            _ if text.len() > MAX_REASON => Err(ReasonError::TooLong),
            _ if text.contains(is_unsafe) => Err(ReasonError::Control),
            _ => Ok(Self(text.into())),
        }
    }
}

/// The moment from which a rule is no longer in force.
///
/// Written as a date, the rule is in force to the end of that day, UTC: whoever writes "until the
/// 31st" means the 31st, too. Written as a time, it ends at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Until(pub(super) SystemTime);

/// The text is neither a date nor a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UntilError {
    #[error(
        "write a date, 2027-01-31 (in force to the end of that day, UTC), or a time, 2027-01-31T12:00:00Z"
    )]
    Form,
    #[error("a time needs its offset: Z for UTC, or +01:00")]
    NoOffset,
}

impl FromStr for Until {
    type Err = UntilError;

    fn from_str(text: &str) -> Result<Self, UntilError> {
        if !text.contains(['T', 't', ' ', ':']) {
            let day: Date = text.parse().map_err(|_| UntilError::Form)?;
            let after = day.checked_add(1.day()).map_err(|_| UntilError::Form)?;
            let start = after.to_zoned_datetime(TimeZone::UTC);
            return moment(start.map_err(|_| UntilError::Form)?.timestamp());
        }
        match text.parse::<Timestamp>() {
            Ok(time) => moment(time),
            Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => Err(UntilError::NoOffset),
            Err(_) => Err(UntilError::Form),
        }
    }
}

fn moment(time: Timestamp) -> Result<Until, UntilError> {
    SystemTime::try_from(time)
        .map(Until)
        .map_err(|_| UntilError::Form)
}

/// Where the admin pages are served; `off` for nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin(pub Option<SocketAddr>);

/// The text is no address for the admin pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an IP address with a port, such as 127.0.0.1:9153 or [::1]:9153, or off")]
pub struct AdminError;

impl FromStr for Admin {
    type Err = AdminError;

    fn from_str(text: &str) -> Result<Self, AdminError> {
        match text {
            "off" => Ok(Self(None)),
            _ => strict::admin(text)
                .map(|address| Self(Some(address)))
                .ok_or(AdminError),
        }
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

    #[test]
    fn cidrs() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::/0",
            "::ffff:0:0/95",
            "fd00::/8",
            "192.0.2.1/32",
        ] {
            let net = text.parse::<IpNet>().expect(text).trunc();
            assert_eq!(
                text.parse::<Cidr>().ok(),
                (text != "::ffff:0:0/95").then_some(Cidr(net)),
                "{text}"
            );
        }
        for (text, told) in [
            (
                "10.0.0.0/33",
                "write an address and the length of its prefix, such as 10.0.0.0/8 or fd00::/8",
            ),
            (
                "10.0.0.0/08",
                "write an address and the length of its prefix, such as 10.0.0.0/8 or fd00::/8",
            ),
            (
                "10.0.0.1",
                "there is no prefix length; write 10.0.0.1/32 for this one address",
            ),
            (
                "::1",
                "there is no prefix length; write ::1/128 for this one address",
            ),
            (
                "10.8.0.1/16",
                "there are bits set behind the prefix; write 10.8.0.0/16, or a longer prefix",
            ),
            (
                "::ffff:10.0.0.0/104",
                "an IPv4 address that comes as IPv6 counts as IPv4; write the range as IPv4",
            ),
        ] {
            assert_eq!(
                text.parse::<Cidr>().map_err(|e| e.to_string()),
                Err(told.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn labels_and_reasons() {
        for text in ["github", "no-gists", "A.b_1", "1"] {
            assert_eq!(text.parse(), Ok(Label(text.into())), "{text}");
        }
        for text in ["", "-x", "a b", "ä", "a/b", "a\n"] {
            assert_eq!(
                text.parse::<Label>(),
                Err(LabelError::Characters),
                "{text:?}"
            );
        }
        assert_eq!(
            "x".repeat(MAX_LABEL + 1).parse::<Label>(),
            Err(LabelError::TooLong)
        );
        assert_eq!(
            "SEC-1234 für alle".parse::<ReasonText>().map(|r| r.0),
            Ok("SEC-1234 für alle".into())
        );
        assert_eq!(" ".parse::<ReasonText>(), Err(ReasonError::Empty));
        assert_eq!("a\x1b[1m".parse::<ReasonText>(), Err(ReasonError::Control));
        assert_eq!(
            "x".repeat(MAX_REASON + 1).parse::<ReasonText>(),
            Err(ReasonError::TooLong)
        );
    }

    #[test]
    fn a_date_lasts_to_its_end_and_a_time_to_itself() {
        let seconds = |text: &str| {
            let until: Until = text.parse().expect(text);
            until
                .0
                .duration_since(SystemTime::UNIX_EPOCH)
                .expect("after 1970")
                .as_secs()
        };
        assert_eq!(seconds("1970-01-01"), 86_400);
        assert_eq!(seconds("2027-01-31"), seconds("2027-02-01T00:00:00Z"));
        assert_eq!(
            seconds("2027-01-31T12:00:00+01:00"),
            seconds("2027-01-31T11:00:00Z")
        );
        for (text, error) in [
            ("", UntilError::Form),
            ("tomorrow", UntilError::Form),
            ("2027-02-30", UntilError::Form),
            ("31.01.2027", UntilError::Form),
            ("2027-01-31T25:00:00Z", UntilError::Form),
            ("2027-01-31T12:00:00", UntilError::NoOffset),
            ("9999-12-31", UntilError::Form),
        ] {
            assert_eq!(text.parse::<Until>(), Err(error), "{text}");
        }
    }

    #[test]
    fn admin_is_an_address_or_off() {
        assert_eq!("off".parse(), Ok(Admin(None)));
        assert!("127.0.0.1:9153".parse::<Admin>().is_ok());
        assert_eq!("localhost:9153".parse::<Admin>(), "127.0.0.1:9153".parse());
        assert_eq!("example.com:9153".parse::<Admin>(), Err(AdminError));
        assert_eq!("9153".parse::<Admin>(), Err(AdminError));
    }
}
