//! The simple values of the file. Each has a type that can be made only from a valid text.
//!
//! Their errors are the second half of a sentence; the reader in `read` puts the key and the text
//! before it.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::SystemTime,
};

use ipnet::IpNet;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{error::is_unsafe, strict};

mod quantity;

pub use quantity::Bytes;
pub(super) use quantity::{Count, OneIn, Seconds};
pub use quantity::{Interval, IntervalError};

/// The longest name of a group or a rule: it is a metric label and part of every denial.
pub(super) const MAX_LABEL: usize = 64;
/// The longest reason of a rule, in bytes: every denial's response contains it.
pub(super) const MAX_REASON: usize = 160;

/// The version of the file format. There is only one so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version;

/// The text is not a version of the format that this dnsgate reads.
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

/// Why a text is not a range of addresses.
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

/// The text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an IP address, such as 10.1.1.5")]
pub(super) struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        text.parse().map(Self).map_err(|_| AddressError)
    }
}

/// The name that an operator gives to a group or a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Label(pub(super) Box<str>);

/// Why a text is not a valid name for a group or a rule.
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

/// The reason of a rule, written for clients that it denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReasonText(pub(super) Box<str>);

/// Why a text is not a valid reason.
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

/// The moment at which a rule expires.
///
/// A date means the end of that day, UTC: "until the 31st" includes the 31st. A time means that
/// moment.
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

/// The address of the admin pages; `off` switches them off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin(pub Option<SocketAddr>);

/// The text is not an address for the admin pages.
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
