//! What of an upstream's answer may pass.
//!
//! An allowed name is leave to learn what the name is for, not to be led anywhere. So the answer
//! is looked through each time that it is about to be sent, from an upstream or from the cache:
//! every address must be in the rule's ranges, wherever in the answer it stands, and the aliases
//! must lead where the rule lets them. One record that fails is enough to deny the whole answer:
//! what is left of it would be no answer that anybody gave.
//!
//! Records that the question does not lead to are no concern of the screen: facts have none
//! (`dns::facts`).

use std::{fmt, net::IpAddr};

use crate::{
    dns::{NameRef, RecordType, Rrset},
    policy::AnswerRanges,
};

/// What the screen looks at: the label `check` of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// The address of an A or AAAA record is in the rule's ranges.
    Address,
    /// The address hints of an HTTPS or SVCB record are in the rule's ranges (RFC 9460 section 7.3).
    Hint,
    /// An alias leads to a name that the client may ask for.
    Cname,
}

impl Check {
    /// Every check, in the order of their positions (`as usize`).
    pub const ALL: [Self; 3] = [Self::Address, Self::Hint, Self::Cname];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Hint => "hint",
            Self::Cname => "cname",
        }
    }
}

/// The record that failed a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) check: Check,
    /// The record, or what is wrong, for people.
    pub(super) record: String,
}

impl Rejection {
    pub(super) fn new(check: Check, owner: NameRef<'_>, what: impl fmt::Display) -> Self {
        Self {
            check,
            record: format!("{owner} {what}"),
        }
    }
}

/// Looks through the records of one name. A set of a type that holds no address passes.
pub(super) fn check(
    owner: NameRef<'_>,
    set: &Rrset,
    ranges: &AnswerRanges,
) -> Result<(), Rejection> {
    let rtype = set.rtype();
    let check = match rtype {
        RecordType::A | RecordType::AAAA => Check::Address,
        RecordType::HTTPS | RecordType::SVCB => Check::Hint,
        _ => return Ok(()),
    };
    for address in set.addresses() {
        if !ranges.allow(address) {
            return Err(Rejection::new(
                check,
                owner,
                format_args!("{rtype} {address}"),
            ));
        }
    }
    if check == Check::Hint {
        for rdata in set.rdatas() {
            check_hints(owner, rtype, rdata, ranges)?;
        }
    }
    Ok(())
}

/// Looks through the parameters of a service binding. One that cannot be read does not pass: a
/// client may read it in another way.
fn check_hints(
    owner: NameRef<'_>,
    rtype: RecordType,
    rdata: &[u8],
    ranges: &AnswerRanges,
) -> Result<(), Rejection> {
    let unreadable = || Rejection::new(Check::Hint, owner, format_args!("{rtype} not well-formed"));
    let mut rest = parameters(rdata).ok_or_else(unreadable)?;
    while !rest.is_empty() {
        let (key, value, after) = parameter(rest).ok_or_else(unreadable)?;
        let hints = hints(key, value).ok_or_else(unreadable)?;
        for address in hints {
            if !ranges.allow(address) {
                let what = format_args!("{rtype} hint {address}");
                return Err(Rejection::new(Check::Hint, owner, what));
            }
        }
        rest = after;
    }
    Ok(())
}

/// The parameters, behind the priority and the target's name, which is never compressed
/// (RFC 9460 section 2.2).
fn parameters(rdata: &[u8]) -> Option<&[u8]> {
    let (_, mut rest) = rdata.split_first_chunk::<2>()?;
    loop {
        let (&len, after) = rest.split_first()?;
        match len {
            0 => return Some(after),
            1..=63 => rest = after.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}

/// The first parameter: its key, its value, and what follows.
fn parameter(wire: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[k1, k0, l1, l0], rest) = wire.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l0])))?;
    Some((u16::from_be_bytes([k1, k0]), value, rest))
}

/// The addresses of a parameter; none of one that is no hint, `None` where they are not whole.
fn hints(key: u16, value: &[u8]) -> Option<impl Iterator<Item = IpAddr>> {
    const IPV4HINT: u16 = 4;
    const IPV6HINT: u16 = 6;
    let (v4, v6): (&[u8], &[u8]) = match key {
        IPV4HINT => (value, &[]),
        IPV6HINT => (&[], value),
        _ => (&[], &[]),
    };
    let (v4, rest4) = v4.as_chunks::<4>();
    let (v6, rest6) = v6.as_chunks::<16>();
    let addresses = v4.iter().map(|&v4| IpAddr::from(v4));
    (rest4.is_empty() && rest6.is_empty())
        .then(|| addresses.chain(v6.iter().map(|&v6| IpAddr::from(v6))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    /// The rejections of an HTTPS record with these bytes, under protection against rebinding.
    fn https(rdata: &[u8]) -> Result<(), String> {
        let mut set = Rrset::new(RecordType::HTTPS, 300);
        set.push(rdata).expect("short");
        let owner: Name = "x.example".parse().expect("a name");
        check(owner.as_ref(), &set, &AnswerRanges::Public)
            .map_err(|rejection| format!("{}: {}", rejection.check.as_str(), rejection.record))
    }

    #[test]
    fn hints_are_addresses() {
        for (rdata, want) in [
            (&b"\0\x01\0"[..], Ok(())),
            (b"\0\x01\x03svc\0\0\x01\0\x03\x02h2", Ok(())),
            (b"\0\x01\0\0\x04\0\x04\x08\x08\x08\x08", Ok(())),
            (
                b"\0\x01\0\0\x04\0\x08\x08\x08\x08\x08\x0a\0\0\x01",
                Err("hint: x.example. HTTPS hint 10.0.0.1"),
            ),
            (
                b"\0\x01\0\0\x06\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\xa9\xfe\xa9\xfe",
                Err("hint: x.example. HTTPS hint ::ffff:169.254.169.254"),
            ),
            (
                b"\0\x01\0\0\x04\0\x03\x08\x08\x08",
                Err("hint: x.example. HTTPS not well-formed"),
            ),
            (
                b"\0\x01\0\0\x04\0\x09\x08",
                Err("hint: x.example. HTTPS not well-formed"),
            ),
            (
                b"\0\x01\x40a\0",
                Err("hint: x.example. HTTPS not well-formed"),
            ),
            (b"\0", Err("hint: x.example. HTTPS not well-formed")),
        ] {
            let want = want.map_err(str::to_owned);
            match (https(rdata), want) {
                (Ok(()), Ok(())) => {}
                (Err(found), want) => assert_eq!(Err(found), want, "{rdata:?}"),
                (found, want) => assert_eq!(found, want, "{rdata:?}"),
            }
        }
    }

    #[test]
    fn addresses_are_compared_with_the_ranges() {
        let within = AnswerRanges::Within(["192.0.2.0/24".parse().expect("a net")].into());
        let owner: Name = "x.example".parse().expect("a name");
        for (rtype, address, passes) in [
            (RecordType::A, "192.0.2.1", true),
            (RecordType::A, "198.51.100.1", false),
            (RecordType::AAAA, "::ffff:192.0.2.1", true),
            (RecordType::AAAA, "2001:db8::1", false),
        ] {
            let address = address.parse().expect("an address");
            let set = Rrset::of_addresses(rtype, 300, &[address]);
            assert_eq!(
                check(owner.as_ref(), &set, &within).is_ok(),
                passes,
                "{address}"
            );
        }
    }
}
