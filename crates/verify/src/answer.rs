//! What a DNS reply says, decoded by hickory-proto: by other code than dnsgate writes it with.

use std::{fmt, net::IpAddr};

use hickory_proto::{
    op::Message,
    rr::{RData, rdata::opt::EdnsOption},
};

use super::check::shown;
use dnsgate_core::dns::{Name, NameBuf, Rcode, RecordType};

/// The most aliases that are followed: more than dnsgate or Cloud DNS ever sends.
const MAX_ALIASES: usize = 16;

/// What a reply says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rcode: u16,
    /// Code and text of an extended error (RFC 8914).
    pub(super) ede: Option<(u16, String)>,
    /// Aliases that lead from the name to others; at most [`MAX_ALIASES`].
    pub(super) aliases: Vec<String>,
    /// The addresses at the chain's end.
    pub(super) addresses: Vec<IpAddr>,
    /// Addresses of other names.
    pub(super) strays: Vec<IpAddr>,
    /// How many records the answer section has, of whatever type.
    pub(super) records: usize,
    /// The server and the mailbox of the SOA record that a negative answer comes with: they tell a
    /// denial of dnsgate's from a negative answer of the name's own servers.
    pub(super) authority: Option<String>,
}

impl Answer {
    /// Reads the reply to a question; `None` if it cannot be decoded.
    pub(super) fn read(reply: &[u8], name: &Name, rtype: RecordType) -> Option<Self> {
        let message = Message::from_vec(reply).ok()?;
        let mut answer = Self {
            rcode: u16::from(message.response_code),
            ede: extended_error(&message),
            records: message.answers.len(),
            authority: authority(&message),
            ..Self::default()
        };
        let mut addresses: Vec<(Name, IpAddr)> = Vec::new();
        let mut aliases: Vec<(Name, Name)> = Vec::new();
        for record in &message.answers {
            let owner = own(&record.name)?;
            match &record.data {
                RData::A(a) if rtype == RecordType::A => addresses.push((owner, a.0.into())),
                RData::AAAA(a) if rtype == RecordType::AAAA => {
                    addresses.push((owner, a.0.into()));
                }
                RData::CNAME(target) => aliases.push((owner, own(&target.0)?)),
                _ => {}
            }
        }
        let mut at = name.clone();
        for _ in 0..MAX_ALIASES {
            let Some((_, target)) = aliases.iter().find(|(owner, _)| *owner == at) else {
                break;
            };
            answer.aliases.push(shown(target));
            at = target.clone();
        }
        for (owner, address) in addresses {
            if owner == at {
                answer.addresses.push(address);
            } else {
                answer.strays.push(address);
            }
        }
        Some(answer)
    }

    /// Whether the name is denied, or does not exist for this client.
    pub(super) fn is_denial(&self) -> bool {
        let denials = [Rcode::Refused.number(), Rcode::NxDomain.number()];
        let no_data = self.rcode == 0;
        // Any record, be it an alias, carries what somebody else wrote.
        let empty = self.records == 0 && self.all().next().is_none();
        empty && (denials.contains(&self.rcode) || no_data || self.says_blocked())
    }

    /// Whether it says so: Blocked, Censored, Filtered, Prohibited (RFC 8914 sections 4.16 to 4.19).
    pub(super) fn says_blocked(&self) -> bool {
        self.ede
            .as_ref()
            .is_some_and(|(code, _)| (15..=18).contains(code))
    }

    /// Whether a stub resolver would ask the next server: as glibc and musl do.
    pub(super) fn is_trouble(&self) -> bool {
        [Rcode::ServFail, Rcode::NotImp, Rcode::Refused]
            .iter()
            .any(|rcode| rcode.number() == self.rcode)
    }
}

impl fmt::Display for Answer {
    /// The response code, the extended error if there is one, the addresses if there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Rcode::ALL.into_iter().find(|it| it.number() == self.rcode);
        let empty = self.addresses.is_empty() && self.strays.is_empty();
        match known {
            Some(Rcode::NoError) if empty && self.records > 0 => {
                let plural = if self.records == 1 { "" } else { "s" };
                write!(f, "{} record{plural}", self.records)?;
            }
            Some(Rcode::NoError) if empty => f.write_str("NODATA")?,
            Some(Rcode::NoError) => f.write_str(&listed(self.all()))?,
            Some(rcode) => f.write_str(rcode.as_str())?,
            None => write!(f, "RCODE{}", self.rcode)?,
        }
        if empty && let Some(last) = self.aliases.last() {
            write!(f, " at {last}")?;
        }
        match &self.ede {
            Some((code, text)) if text.is_empty() => write!(f, ", EDE {code}"),
            Some((code, text)) => write!(f, ", EDE {code}: {text}"),
            None => Ok(()),
        }
    }
}

impl Answer {
    /// Every address, wherever it stands.
    pub(super) fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().chain(&self.strays).copied()
    }
}

/// Addresses as text.
pub(super) fn listed(addresses: impl Iterator<Item = IpAddr>) -> String {
    /// More say less.
    const SHOWN: usize = 8;
    let mut all: Vec<IpAddr> = addresses.collect();
    all.sort_unstable();
    let more = all.len().saturating_sub(SHOWN);
    let texts: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let text = texts.join(" ");
    if more == 0 {
        text
    } else {
        format!("{text} … and {more} more")
    }
}

/// A name in our form.
fn own(name: &hickory_proto::rr::Name) -> Option<Name> {
    let mut own = NameBuf::new();
    for label in name.iter() {
        own.push_label(label).ok()?;
    }
    Some(own.as_ref().to_name())
}

/// The server and the mailbox of the SOA record in the authority section.
fn authority(message: &Message) -> Option<String> {
    message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(format!(
                "{} {}",
                shown(&own(&soa.mname)?),
                shown(&own(&soa.rname)?)
            )),
            _ => None,
        })
}

fn extended_error(message: &Message) -> Option<(u16, String)> {
    let options = message.edns.iter().flat_map(|edns| edns.options().as_ref());
    options.into_iter().find_map(|(code, option)| {
        let EdnsOption::Unknown(_, data) = option else {
            return None;
        };
        let (number, text) = data.split_first_chunk::<2>()?;
        let text = String::from_utf8_lossy(text);
        // It is somebody else's text, on its way to a terminal.
        let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
        (u16::from(*code) == 15).then(|| (u16::from_be_bytes(*number), text))
    })
}

#[cfg(test)]
mod tests;
