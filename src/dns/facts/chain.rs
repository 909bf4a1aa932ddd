//! What of a reply the question leads to.
//!
//! One pass over the records files them by owner; the walk along the aliases then looks up each
//! name once. So the work is in proportion to the reply, however many aliases are in it.

use std::collections::{HashMap, HashSet};

use super::{
    End, Facts, Failure, Link, MAX_LINKS,
    message::{self, Record, Section},
    rdata,
};
use crate::dns::{Name, NameBuf, NameRef, Rcode, RecordType, Rrset};

/// The most bytes of names and RDATA that are kept of one reply, uncompressed: twice what a message
/// can carry, so that what compression saves in a real one is paid for, and no bomb is.
const MAX_KEPT: usize = 128 << 10;

/// One record, its owner aside. Its RDATA is in [`Found::data`].
#[derive(Clone, Copy)]
struct Kept {
    rtype: RecordType,
    /// Of an RRSIG, what it signs; of others, their own type.
    covered: RecordType,
    ttl: u32,
    start: usize,
    end: usize,
}

/// The records of one owner in the answer section.
#[derive(Default)]
struct Owner {
    alias: Option<Alias>,
    records: Vec<Kept>,
}

struct Alias {
    record: Kept,
    target: Name,
}

/// The records of a reply that could matter.
struct Found {
    qtype: RecordType,
    dnssec_ok: bool,
    owners: HashMap<Name, Owner>,
    authority: Vec<(Name, Kept)>,
    /// Whether there were name servers in the authority section.
    servers: bool,
    data: Vec<u8>,
    /// What more may be kept.
    room: usize,
}

/// See [`Facts::parse`].
pub(super) fn facts(
    message: &[u8],
    name: NameRef<'_>,
    qtype: RecordType,
    dnssec_ok: bool,
) -> Result<Facts, Failure> {
    let mut found = Found {
        qtype,
        dnssec_ok,
        owners: HashMap::new(),
        authority: Vec::new(),
        servers: false,
        data: Vec::new(),
        room: MAX_KEPT,
    };
    let head = message::read(message, name, qtype, |record| found.take(&record))
        .ok_or(Failure::Malformed)?;
    let rcode = match head.code {
        0 => Rcode::NoError,
        3 => Rcode::NxDomain,
        code => return Err(Failure::Code(code)),
    };
    found.walk(name, rcode).ok_or(Failure::Malformed)
}

impl Found {
    /// Files one record, if it is of any use. `None` when it contradicts what was there.
    fn take(&mut self, record: &Record<'_>) -> Option<()> {
        let signature = record.rtype == RecordType::RRSIG;
        let covered = if signature {
            rdata::covered(record.rdata)?
        } else {
            record.rtype
        };
        let asked = record.rtype == self.qtype;
        let welcome = !signature || self.dnssec_ok;
        match (record.section, covered) {
            (Section::Answer, RecordType::CNAME) if !signature => self.take_alias(record),
            (Section::Answer, _)
                if asked || welcome && (covered == self.qtype || covered == RecordType::CNAME) =>
            {
                let kept = self.keep(record, covered)?;
                self.owner(record.owner)?.records.push(kept);
                Some(())
            }
            (Section::Authority, RecordType::NS) => {
                self.servers = true;
                Some(())
            }
            (Section::Authority, RecordType::SOA) if welcome => {
                self.take_authority(record, covered)
            }
            (Section::Authority, RecordType::NSEC | RecordType::NSEC3) if self.dnssec_ok => {
                self.take_authority(record, covered)
            }
            _ => Some(()),
        }
    }

    fn take_alias(&mut self, record: &Record<'_>) -> Option<()> {
        let (target, _) = NameBuf::read(record.rdata).ok()?;
        if let Some(alias) = &mut self.owner(record.owner)?.alias {
            alias.record.ttl = alias.record.ttl.min(record.ttl);
            // RFC 2181 section 10.1: a name is an alias for one other.
            return (alias.target.as_ref() == target.as_ref()).then_some(());
        }
        let alias = Alias {
            record: self.keep(record, RecordType::CNAME)?,
            target: self.keep_name(target.as_ref())?,
        };
        self.owner(record.owner)?.alias = Some(alias);
        Some(())
    }

    fn take_authority(&mut self, record: &Record<'_>, covered: RecordType) -> Option<()> {
        let kept = self.keep(record, covered)?;
        let owner = self.keep_name(record.owner)?;
        self.authority.push((owner, kept));
        Some(())
    }

    fn owner(&mut self, name: NameRef<'_>) -> Option<&mut Owner> {
        if !self.owners.contains_key(name.wire()) {
            let name = self.keep_name(name)?;
            self.owners.insert(name, Owner::default());
        }
        self.owners.get_mut(name.wire())
    }

    fn keep_name(&mut self, name: NameRef<'_>) -> Option<Name> {
        self.room = self.room.checked_sub(name.wire().len())?;
        Some(name.to_name())
    }

    fn keep(&mut self, record: &Record<'_>, covered: RecordType) -> Option<Kept> {
        self.room = self.room.checked_sub(record.rdata.len())?;
        let start = self.data.len();
        self.data.extend_from_slice(record.rdata);
        Some(Kept {
            rtype: record.rtype,
            covered,
            ttl: record.ttl,
            start,
            end: self.data.len(),
        })
    }

    fn data(&self, record: &Kept) -> &[u8] {
        self.data.get(record.start..record.end).unwrap_or_default()
    }

    /// The alias at `name` that is to be followed: none where the type itself is to be had.
    fn alias(&self, name: NameRef<'_>) -> Option<(&Owner, &Alias)> {
        let owner = self.owners.get(name.wire())?;
        let here = self.qtype == RecordType::CNAME
            || owner
                .records
                .iter()
                .any(|record| record.rtype == self.qtype);
        let alias = owner.alias.as_ref().filter(|_| !here)?;
        Some((owner, alias))
    }

    fn walk(&self, question: NameRef<'_>, rcode: Rcode) -> Option<Facts> {
        let mut facts = Facts {
            rcode,
            links: Vec::new(),
            end: End::Name,
            answers: Vec::new(),
            authority: Vec::new(),
        };
        let mut names = vec![question];
        let mut here = question;
        while let Some((owner, alias)) = self.alias(here) {
            if facts.links.len() == MAX_LINKS {
                facts.end = End::TooLong;
                break;
            }
            here = alias.target.as_ref();
            facts.links.push(Link {
                cname: self.set(&[alias.record])?,
                target: alias.target.clone(),
                signatures: self.signatures(owner, RecordType::CNAME)?,
            });
            if names.contains(&here) {
                facts.end = End::Loop;
                break;
            }
            names.push(here);
        }
        if facts.end == End::Name {
            self.end(&mut facts, &names, here)?;
        }
        facts.links.shrink_to_fit();
        Some(facts)
    }

    /// Adds what there is at the end of the chain.
    fn end(&self, facts: &mut Facts, names: &[NameRef<'_>], last: NameRef<'_>) -> Option<()> {
        if let Some(owner) = self.owners.get(last.wire()) {
            facts.answers = self.answers(owner)?;
        }
        let soa = facts.is_negative().then(|| self.soa(last)).flatten();
        // A name that does not exist has no records, and a server that only names other servers
        // has not answered.
        let contradiction = facts.rcode == Rcode::NxDomain && !facts.answers.is_empty();
        let referral =
            facts.is_negative() && facts.rcode == Rcode::NoError && soa.is_none() && self.servers;
        if contradiction || referral {
            return None;
        }
        let zones = self.zones(names, soa);
        facts.authority = self.authority(soa, &zones)?;
        Some(())
    }

    fn answers(&self, owner: &Owner) -> Option<Vec<Rrset>> {
        let records: Vec<Kept> = if self.qtype == RecordType::CNAME {
            owner.alias.iter().map(|alias| alias.record).collect()
        } else {
            let records = owner.records.iter().copied();
            records
                .filter(|record| record.rtype == self.qtype)
                .collect()
        };
        if records.is_empty() {
            return Some(Vec::new()); // signatures of nothing sign nothing
        }
        let mut sets = vec![self.set(&records)?];
        sets.extend(self.signatures(owner, self.qtype)?);
        sets.shrink_to_fit();
        Some(sets)
    }

    /// The signatures of the records of one owner and type. `None` when they cannot become a set.
    fn signatures(&self, owner: &Owner, covered: RecordType) -> Option<Option<Rrset>> {
        let wanted = |record: &Kept| {
            self.dnssec_ok && record.rtype == RecordType::RRSIG && record.covered == covered
        };
        let records = owner.records.iter().copied();
        let records: Vec<Kept> = records.filter(wanted).collect();
        if records.is_empty() {
            return Some(None);
        }
        self.set(&records).map(Some)
    }

    /// The owner of the SOA closest to `name`, at or above it.
    fn soa(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        let soas = self
            .authority
            .iter()
            .filter(|(_, record)| record.rtype == RecordType::SOA)
            .map(|(owner, _)| owner.as_ref())
            .filter(|&owner| name.is_within(owner));
        soas.max_by_key(|owner| owner.wire().len())
    }

    /// The zones that names of the chain are in: that of the SOA, and those that signed.
    fn zones<'z>(&'z self, names: &[NameRef<'_>], soa: Option<NameRef<'z>>) -> HashSet<Name> {
        let mut zones: HashSet<Name> = soa.into_iter().map(NameRef::to_name).collect();
        for name in names.iter().filter(|_| self.dnssec_ok) {
            let Some(owner) = self.owners.get(name.wire()) else {
                continue;
            };
            for record in &owner.records {
                let signer = (record.rtype == RecordType::RRSIG)
                    .then(|| rdata::signer(self.data(record)))
                    .flatten()
                    .and_then(|wire| NameBuf::read(wire).ok());
                if let Some((signer, _)) = signer
                    && name.is_within(signer.as_ref())
                {
                    zones.insert(signer.as_ref().to_name());
                }
            }
        }
        zones
    }

    /// The SOA of `soa` and the proofs of `zones`, in sets.
    fn authority(
        &self,
        soa: Option<NameRef<'_>>,
        zones: &HashSet<Name>,
    ) -> Option<Vec<(Name, Rrset)>> {
        let mut records: Vec<&(Name, Kept)> = self
            .authority
            .iter()
            .filter(|(owner, record)| {
                let owner = owner.as_ref();
                if record.covered == RecordType::SOA {
                    soa == Some(owner)
                } else {
                    within_any(owner, zones)
                }
            })
            .collect();
        records.sort_by(|one, other| place(one).cmp(&place(other)));
        let mut sets = Vec::new();
        for group in records.chunk_by(|one, other| place(one) == place(other)) {
            let same: Vec<Kept> = group.iter().map(|(_, record)| *record).collect();
            let mut set = self.set(&same)?;
            if set.rtype() == RecordType::SOA {
                if set.len() != 1 {
                    return None; // a zone starts once
                }
                let minimum = set.rdatas().next().and_then(rdata::minimum)?;
                set.lower_ttl(minimum);
            }
            sets.extend(group.first().map(|(owner, _)| (owner.clone(), set)));
        }
        sets.shrink_to_fit();
        Some(sets)
    }

    /// One set of records of one type, repeated ones left out, with the least of their TTLs (RFC
    /// 2181 section 5). `None` when there are none or too many.
    fn set(&self, records: &[Kept]) -> Option<Rrset> {
        let ttl = records.iter().map(|record| record.ttl).min()?;
        let mut set = Rrset::new(records.first()?.rtype, ttl);
        let mut known = HashSet::with_capacity(records.len());
        for rdata in records.iter().map(|record| self.data(record)) {
            if known.insert(rdata) {
                set.append(rdata).ok()?;
            }
        }
        set.shrink_to_fit();
        Some(set)
    }
}

/// In which order authority records are kept, the same for all of a set: the SOA, then the proofs by
/// owner; signatures behind what they sign.
fn place((owner, record): &(Name, Kept)) -> (bool, &Name, RecordType, bool) {
    let proof = record.covered != RecordType::SOA;
    let signature = record.rtype == RecordType::RRSIG;
    (proof, owner, record.covered, signature)
}

/// Whether `name` is in one of `zones`: one look-up a label, however many there are.
fn within_any(name: NameRef<'_>, zones: &HashSet<Name>) -> bool {
    std::iter::successors(Some(name), |name| name.parent())
        .any(|above| zones.contains(above.wire()))
}
