//! What an owner of a policy zone is about, and what its records do.

use dnsgate_core::{
    dns::{Name, NameBuf, RecordType},
    policy::{DenyWith, Pattern},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::statement::ZoneLine;

/// What the records of one owner say.
pub(super) enum Action {
    Deny(DenyWith),
    Pass,
    TcpOnly,
    Data(Vec<ZoneLine>),
    /// It cannot be said; the names are denied.
    Unsayable(&'static str),
}

/// What a trigger looks at.
pub(super) enum Trigger {
    Qname,
    ClientIp,
    Answer(&'static str),
}

pub(super) fn kind_of(owner: &Name) -> Trigger {
    match owner.as_ref().labels().last() {
        Some(b"rpz-client-ip") => Trigger::ClientIp,
        Some(b"rpz-ip") => Trigger::Answer("rpz-ip"),
        Some(b"rpz-nsdname") => Trigger::Answer("rpz-nsdname"),
        Some(b"rpz-nsip") => Trigger::Answer("rpz-nsip"),
        _ => Trigger::Qname,
    }
}

/// `*.x` is every name below x; `*` elsewhere, as in `*x.example`, is a character like others.
pub(super) fn pattern_of(owner: &Name) -> Pattern {
    match owner.as_ref().labels().next() {
        Some(b"*") => {
            let parent = owner
                .as_ref()
                .parent()
                .map_or_else(Name::root, |parent| parent.to_name());
            Pattern::Below(parent)
        }
        _ => Pattern::Exact(owner.clone()),
    }
}

/// What the records of an owner do, and what about them was not kept.
pub(super) fn action_of(owner: &Name, lines: &[ZoneLine]) -> (Action, Option<&'static str>) {
    let cname = lines.iter().find(|line| line.rtype == RecordType::CNAME);
    let Some(cname) = cname else {
        if lines.iter().any(|line| {
            matches!(
                line.rtype,
                RecordType::DNAME | RecordType::NS | RecordType::SOA
            )
        }) {
            return (
                Action::Unsayable("a policy's data cannot be a DNAME, an NS or an SOA record"),
                None,
            );
        }
        let signed = |line: &ZoneLine| {
            matches!(
                line.rtype,
                RecordType::RRSIG
                    | RecordType::NSEC
                    | RecordType::NSEC3
                    | RecordType::DNSKEY
                    | RecordType::DS
            )
        };
        let data: Vec<ZoneLine> = lines.iter().filter(|line| !signed(line)).cloned().collect();
        return match data.is_empty() {
            true => (Action::Unsayable("it has only records of DNSSEC"), None),
            false if data.len() < lines.len() => {
                (Action::Data(data), Some("records of DNSSEC are left out"))
            }
            false => (Action::Data(data), None),
        };
    };
    if lines.len() > 1 {
        return (
            Action::Unsayable(
                "a CNAME stands beside other records, and which of them holds cannot be told",
            ),
            None,
        );
    }
    let Ok((target, _)) = NameBuf::read(&cname.rdata) else {
        return (Action::Unsayable("the CNAME cannot be read"), None);
    };
    let target = target.as_ref().to_name();
    let labels: Vec<&[u8]> = target.as_ref().labels().collect();
    let action = match &*labels {
        [] => Action::Deny(DenyWith::NxDomain),
        [b"*"] => Action::Deny(DenyWith::NoData),
        _ if target == *owner => Action::Pass, // PASSTHRU before it had a name of its own
        [b"rpz-passthru"] => Action::Pass,
        [b"rpz-drop"] => Action::Deny(DenyWith::Drop),
        [b"rpz-tcp-only"] => Action::TcpOnly,
        [b"*", ..] => {
            Action::Unsayable("its CNAME puts the name that was asked for before another name")
        }
        [last] if last.starts_with(b"rpz-") => Action::Unsayable("there is no such action"),
        _ => Action::Data(lines.to_vec()),
    };
    (action, None)
}

pub(super) fn shown(lines: &[ZoneLine]) -> String {
    let shown = lines.iter().map(|line| {
        format!(
            "{} {}",
            line.rtype,
            crate::present::rdata(line.rtype, &line.rdata)
        )
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// `24.0.2.0.192.rpz-client-ip` and `48.zz.db8.2001.rpz-client-ip`: the length and the address from its end.
pub(super) fn client_range(owner: &Name) -> Option<IpNet> {
    let labels: Vec<&str> = owner
        .as_ref()
        .labels()
        .map(|label| std::str::from_utf8(label).ok())
        .collect::<Option<_>>()?;
    let (length, parts) = match &*labels {
        [length, parts @ .., "rpz-client-ip"] => (length.parse::<u8>().ok()?, parts),
        _ => return None,
    };
    let range = if let [d, c, b, a] = parts
        && !parts.contains(&"zz")
    {
        let address = format!("{a}.{b}.{c}.{d}").parse().ok()?;
        IpNet::V4(Ipv4Net::new(address, length).ok()?)
    } else {
        let groups: Vec<&str> = parts.iter().rev().copied().collect();
        let text = groups.join(":");
        let text = match groups.iter().position(|group| *group == "zz") {
            None => text,
            Some(_) => {
                let text = format!(":{text}:").replace(":zz:", "::");
                text.strip_prefix(':')
                    .filter(|rest| !rest.starts_with(':'))
                    .map_or_else(|| text.clone(), str::to_owned)
            }
        };
        let text = match text.ends_with("::") {
            true => text,
            false => text.trim_end_matches(':').to_owned(),
        };
        IpNet::V6(Ipv6Net::new(text.parse().ok()?, length).ok()?)
    };
    (range == range.trunc()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_addresses_are_read_from_their_end() {
        for (owner, range) in [
            ("32.1.2.0.192.rpz-client-ip", Some("192.0.2.1/32")),
            ("8.0.0.0.10.rpz-client-ip", Some("10.0.0.0/8")),
            ("48.zz.1.db8.2001.rpz-client-ip", Some("2001:db8:1::/48")),
            ("128.1.zz.db8.2001.rpz-client-ip", Some("2001:db8::1/128")),
            ("128.1.zz.rpz-client-ip", Some("::1/128")),
            (
                "128.8.7.6.5.4.3.2.1.rpz-client-ip",
                Some("1:2:3:4:5:6:7:8/128"),
            ),
            ("8.1.0.0.10.rpz-client-ip", None),
            ("33.1.0.0.10.rpz-client-ip", None),
            ("x.1.0.0.10.rpz-client-ip", None),
            ("32.rpz-client-ip", None),
        ] {
            let name: Name = owner.parse().expect(owner);
            assert_eq!(
                client_range(&name),
                range.map(|range| range.parse().expect(range)),
                "{owner}"
            );
        }
    }
}
