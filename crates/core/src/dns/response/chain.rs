//! What of a reply the question leads to.
//!
//! One pass over the records files them by owner; the walk along the aliases then looks up each
//! name once. So the work is in proportion to the reply, however many aliases are in it.

use std::collections::HashSet;

use super::{
    Alias, ChainEnd, Dname, Failure, MAX_ALIASES, Response, decompress,
    message::{self, MessageHead},
    relevant::{AliasRecord, OwnerRecords, RelevantRecords, StoredRecord},
    substitute,
};
use crate::dns::{Name, NameBuf, NameRef, Rcode, RecordType, Rrset};

/// Where the chain leads from one name.
enum Next<'f> {
    /// Nowhere.
    End,
    /// By its alias.
    Alias(&'f OwnerRecords, &'f AliasRecord),
    /// By the DNAME of the name above that is given.
    Dname(NameRef<'f>, &'f OwnerRecords, &'f AliasRecord),
}

/// See [`Response::parse`].
pub(super) fn response(
    message: &[u8],
    name: NameRef<'_>,
    qtype: RecordType,
    dnssec_ok: bool,
) -> Result<Response, Failure> {
    let mut found = RelevantRecords::new(qtype, dnssec_ok);
    let head = message::read(message, name, qtype, |record| found.take(&record))
        .ok_or(Failure::Malformed)?;
    let rcode = match head.code {
        0 => Rcode::NoError,
        3 => Rcode::NxDomain,
        6 => Rcode::YxDomain,
        code => return Err(Failure::Code(code)),
    };
    found.walk(name, rcode, head).ok_or(Failure::Malformed)
}

impl RelevantRecords {
    /// Where the chain leads from `name`: nowhere where the type itself is to be had. `None` where a
    /// record that would say so is not well-formed.
    fn next(&self, name: NameRef<'_>) -> Option<Next<'_>> {
        let owner = self.owners.get(name.wire());
        if let Some(owner) = owner {
            if owner.broken {
                return None;
            }
            if owner.records.iter().any(|it| it.rtype == self.qtype) {
                return Some(Next::End);
            }
        }
        // Below a DNAME there is nothing but what follows from it (RFC 6672 section 2.4): where its
        // CNAME is another one, it counts.
        if let Some((above, owner, dname)) = self.dname(name) {
            return Some(Next::Dname(above, owner, dname));
        }
        Some(match owner.map(|owner| (owner, &owner.alias)) {
            Some((owner, Some(alias))) if self.qtype != RecordType::CNAME => {
                Next::Alias(owner, alias)
            }
            _ => Next::End,
        })
    }

    /// The DNAME closest above `name`.
    fn dname(&self, name: NameRef<'_>) -> Option<(NameRef<'_>, &OwnerRecords, &AliasRecord)> {
        if !self.dnames {
            return None;
        }
        let mut above = std::iter::successors(name.parent(), |name| name.parent());
        above.find_map(|above| {
            let (name, owner) = self.owners.get_key_value(above.wire())?;
            Some((name.as_ref(), owner, owner.dname.as_ref()?))
        })
    }

    fn walk(&self, question: NameRef<'_>, rcode: Rcode, head: MessageHead) -> Option<Response> {
        let mut response = Response {
            rcode,
            aliases: Vec::new(),
            end: ChainEnd::Name,
            dname: None,
            answers: Vec::new(),
            authority: Vec::new(),
        };
        let mut names = vec![question.to_name()];
        while let Some(here) = names.last()
            && let Some(alias) = self.alias(here.as_ref(), &mut response)?
        {
            if response.aliases.len() == MAX_ALIASES {
                response.end = ChainEnd::TooLong;
                break;
            }
            let target = alias.target.clone();
            response.aliases.push(alias);
            let known = names.contains(&target);
            names.push(target);
            if known {
                response.end = ChainEnd::Loop;
                break;
            }
        }
        if response.end == ChainEnd::Name {
            self.end(&mut response, &names, head)?;
        }
        response.aliases.shrink_to_fit();
        Some(response)
    }

    /// The alias that begins at `here`, if there is one to be followed. What a DNAME makes of the last
    /// name is put into the responses.
    fn alias(&self, here: NameRef<'_>, response: &mut Response) -> Option<Option<Alias>> {
        let (above, owner, dname) = match self.next(here)? {
            Next::End => return Some(None),
            Next::Alias(owner, alias) => {
                return Some(Some(Alias {
                    dname: None,
                    cname: self.set(&[alias.record])?,
                    target: alias.target.clone()?,
                    signatures: self.signatures(owner, RecordType::CNAME)?,
                }));
            }
            Next::Dname(above, owner, dname) => (above, owner, dname),
        };
        let made = substitute(here, above.label_count(), dname.target.as_ref()?.as_ref());
        let whole = || -> Option<Box<Dname>> {
            Some(Box::new(Dname {
                owner: above.to_name(),
                set: self.set(&[dname.record])?,
                signatures: self.signatures(owner, RecordType::DNAME)?,
            }))
        };
        let Some(target) = made else {
            // RFC 6672 section 2.2: the new name would be too long.
            response.rcode = Rcode::YxDomain;
            response.dname = Some(whole()?);
            return Some(None);
        };
        let target = target.as_ref().to_name();
        let cname = self.made(here, dname.record.ttl, &target)?;
        let dname = if self.dnssec_ok { Some(whole()?) } else { None };
        if self.qtype == RecordType::CNAME {
            response.dname = dname;
            response.answers = vec![cname];
            return Some(None);
        }
        Some(Some(Alias {
            dname,
            cname,
            target,
            signatures: None,
        }))
    }

    /// The CNAME from `here` to `target` that follows from a DNAME with this TTL: as the server has
    /// written it, where it has. Some give it no time to live (RFC 6672 section 3.1).
    fn made(&self, here: NameRef<'_>, ttl: u32, target: &Name) -> Option<Rrset> {
        let theirs = self.owners.get(here.wire());
        let theirs = theirs
            .and_then(|owner| owner.alias.as_ref())
            .filter(|alias| alias.target.as_ref() == Some(target));
        let ttl = theirs.map_or(ttl, |alias| alias.record.ttl.min(ttl));
        let rdata = theirs.map_or(target.as_ref().wire(), |alias| self.data(&alias.record));
        let mut set = Rrset::new(RecordType::CNAME, ttl);
        set.push(rdata).ok()?;
        set.shrink_to_fit();
        Some(set)
    }

    /// Adds what there is at the end of the chain.
    fn end(&self, response: &mut Response, names: &[Name], head: MessageHead) -> Option<()> {
        let last = names.last()?;
        let owner = self.owners.get(last.as_ref().wire());
        if let Some(owner) =
            owner.filter(|_| response.dname.is_none() && response.answers.is_empty())
        {
            response.answers = self.answers(owner)?;
        }
        // Of the CNAME that was asked for, the code speaks of its target (RFC 6604 section 2.1).
        let about = match response.answers.first().and_then(Rrset::target) {
            Some(target) if self.qtype == RecordType::CNAME => {
                NameBuf::read(target).ok()?.0.as_ref().to_name()
            }
            _ => last.clone(),
        };
        let denies = response.answers.is_empty() || response.rcode != Rcode::NoError;
        let soa = denies.then(|| self.soa(about.as_ref())).flatten();
        let silent =
            response.answers.is_empty() && response.rcode == Rcode::NoError && soa.is_none();
        // A name that does not exist has no records, but perhaps an alias leads to it.
        let contradiction = response.rcode != Rcode::NoError
            && !response.answers.is_empty()
            && self.qtype != RecordType::CNAME;
        // A server that only names other servers has not answered, and one of whose answer a part
        // is lost has perhaps not said that there is none.
        let referral = silent && self.servers && response.aliases.is_empty();
        let torn = response.answers.is_empty() && soa.is_none() && !head.whole_authority;
        if contradiction || referral || torn || response.answers.is_empty() && self.lost {
            return None;
        }
        if silent && !response.aliases.is_empty() {
            response.end = ChainEnd::Open;
        }
        let zones = self.zones(names, &about, soa, response);
        response.authority = self.authority(soa, &zones)?;
        Some(())
    }

    fn answers(&self, owner: &OwnerRecords) -> Option<Vec<Rrset>> {
        let records: Vec<StoredRecord> = if self.qtype == RecordType::CNAME {
            if owner.alias.as_ref().is_some_and(|it| it.target.is_none()) {
                return None;
            }
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
    fn signatures(&self, owner: &OwnerRecords, covered: RecordType) -> Option<Option<Rrset>> {
        let wanted = |record: &StoredRecord| {
            self.dnssec_ok && record.rtype == RecordType::RRSIG && record.covered == covered
        };
        let records = owner.records.iter().copied();
        let records: Vec<StoredRecord> = records.filter(wanted).collect();
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

    /// The zones that names of the chain are in: that of the SOA, those that signed, and, where
    /// nothing but proofs says that there is none, those that signed the proofs.
    fn zones(
        &self,
        names: &[Name],
        about: &Name,
        soa: Option<NameRef<'_>>,
        response: &Response,
    ) -> HashSet<Name> {
        let mut zones: HashSet<Name> = soa.into_iter().map(NameRef::to_name).collect();
        if !self.dnssec_ok {
            return zones;
        }
        let mut add = |name: NameRef<'_>, records: &[&StoredRecord]| {
            for record in records {
                zones.extend(self.signer(record).filter(|it| name.is_within(it.as_ref())));
            }
        };
        let aliases = response.aliases.iter().map(|alias| &alias.dname);
        let dnames = aliases
            .chain([&response.dname])
            .flatten()
            .map(|it| &it.owner);
        for name in names.iter().chain(dnames) {
            if let Some(owner) = self.owners.get(name.as_ref().wire()) {
                add(name.as_ref(), &owner.records.iter().collect::<Vec<_>>());
            }
        }
        if response.is_negative() && soa.is_none() {
            let proofs: Vec<&StoredRecord> =
                self.authority.iter().map(|(_, record)| record).collect();
            add(about.as_ref(), &proofs);
        }
        zones
    }

    /// The zone that a signature is from.
    fn signer(&self, record: &StoredRecord) -> Option<Name> {
        if record.rtype != RecordType::RRSIG {
            return None;
        }
        let (signer, _) = NameBuf::read(decompress::signer(self.data(record))?).ok()?;
        Some(signer.as_ref().to_name())
    }

    /// The SOA of `soa` and the proofs of `zones`, in sets.
    fn authority(
        &self,
        soa: Option<NameRef<'_>>,
        zones: &HashSet<Name>,
    ) -> Option<Vec<(Name, Rrset)>> {
        let mut records: Vec<&(Name, StoredRecord)> = self
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
            let same: Vec<StoredRecord> = group.iter().map(|(_, record)| *record).collect();
            let mut set = self.set(&same)?;
            if set.rtype() == RecordType::SOA {
                if set.len() != 1 {
                    return None; // a zone starts once
                }
                let minimum = set.rdatas().next().and_then(decompress::minimum)?;
                set.lower_ttl(minimum);
            }
            sets.extend(group.first().map(|(owner, _)| (owner.clone(), set)));
        }
        sets.shrink_to_fit();
        Some(sets)
    }

    /// One set of records of one type, repeated ones left out, with the least of their TTLs (RFC
    /// 2181 section 5). `None` when there are none or too many.
    fn set(&self, records: &[StoredRecord]) -> Option<Rrset> {
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
fn place((owner, record): &(Name, StoredRecord)) -> (bool, &Name, RecordType, bool) {
    let proof = record.covered != RecordType::SOA;
    let signature = record.rtype == RecordType::RRSIG;
    (proof, owner, record.covered, signature)
}

/// Whether `name` is in one of `zones`: one look-up a label, however many there are.
fn within_any(name: NameRef<'_>, zones: &HashSet<Name>) -> bool {
    std::iter::successors(Some(name), |name| name.parent())
        .any(|above| zones.contains(above.wire()))
}
