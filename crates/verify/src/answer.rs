//! Decodes a DNS reply with hickory-proto, so that the checks share no decoder with dnsgate.

use std::{fmt, net::IpAddr};

use hickory_proto::{
    op::Message,
    rr::{RData, rdata::opt::EdnsOption},
};

use super::check::shown;
use dnsgate_core::dns::{Name, NameBuf, Rcode, RecordType};

/// The most aliases followed: dnsgate and Cloud DNS never send more.
const MAX_ALIASES: usize = 16;

/// The contents of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rcode: u16,
    /// The code and text of an extended DNS error (RFC 8914).
    pub(super) ede: Option<(u16, String)>,
    /// The chain of aliases from the queried name; at most [`MAX_ALIASES`].
    pub(super) aliases: Vec<String>,
    /// The addresses at the end of the chain.
    pub(super) addresses: Vec<IpAddr>,
    /// Addresses of other names.
    pub(super) strays: Vec<IpAddr>,
    /// The number of records in the answer section, of any type.
    pub(super) records: usize,
    /// The MNAME and RNAME of the SOA record in a negative answer: they distinguish a denial by dnsgate
    /// from a negative answer of the name's own servers.
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

    /// Whether the reply denies the name, or says that it does not exist.
    pub(super) fn is_denial(&self) -> bool {
        let denials = [Rcode::Refused.number(), Rcode::NxDomain.number()];
        let no_data = self.rcode == 0;
        // Any record, even an alias, carries data that somebody else wrote.
        let empty = self.records == 0 && self.all().next().is_none();
        empty && (denials.contains(&self.rcode) || no_data || self.says_blocked())
    }

    /// Whether its extended error is Blocked, Censored, Filtered or Prohibited (RFC 8914 sections 4.16 to 4.19).
    pub(super) fn says_blocked(&self) -> bool {
        self.ede
            .as_ref()
            .is_some_and(|(code, _)| (15..=18).contains(code))
    }

    /// Whether a stub resolver would ask the next server, as glibc and musl do.
    pub(super) fn is_trouble(&self) -> bool {
        [Rcode::ServFail, Rcode::NotImp, Rcode::Refused]
            .iter()
            .any(|rcode| rcode.number() == self.rcode)
    }
}

impl fmt::Display for Answer {
    /// The response code, then the extended error and the addresses, if any.
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
    /// All addresses, including those of other names.
    pub(super) fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().chain(&self.strays).copied()
    }
}

/// Addresses as text, sorted.
pub(super) fn listed(addresses: impl Iterator<Item = IpAddr>) -> String {
    /// Lists at most this many addresses.
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

/// Converts a name from hickory-proto's type to ours.
fn own(name: &hickory_proto::rr::Name) -> Option<Name> {
    let mut own = NameBuf::new();
    for label in name.iter() {
        own.push_label(label).ok()?;
    }
    Some(own.as_ref().to_name())
}

/// The MNAME and RNAME of the SOA record in the authority section.
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
        // Somebody else wrote this text, and it may reach a terminal.
        let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
        (u16::from(*code) == 15).then(|| (u16::from_be_bytes(*number), text))
    })
}

#[cfg(test)]
mod tests;
