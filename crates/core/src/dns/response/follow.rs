//! Selects the records of a reply that the question leads to.
//!
//! One pass groups the records by owner name; following the aliases then looks up each name once.
//! So the work is linear in the size of the reply for any number of aliases.

use std::collections::HashSet;

use super::{
    Alias, ChainEnd, Dname, Failure, MAX_ALIASES, Response, cursor,
    message::{self, MessageHead},
    relevant::{AliasRecord, OwnerRecords, RelevantRecords, StoredRecord},
    substitute,
};
use crate::dns::{Name, NameBuf, NameRef, Rcode, RecordType, Rrset};

/// The next step of the chain.
enum Next<'f> {
    /// The chain ends.
    End,
    /// An alias at the name.
    Alias(&'f OwnerRecords, &'f AliasRecord),
    /// A DNAME at the given ancestor.
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
    /// The next step of the chain from `name`: none if the requested type exists there. Returns
    /// `None` if a record that determines the step is malformed.
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
        // Only names synthesized from a DNAME exist below it (RFC 6672 section 2.4). If the reply
        // has a different CNAME, the DNAME takes precedence.
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

    /// The DNAME at the closest ancestor of `name`.
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

    /// The alias at `here`, if there is one to follow. If a DNAME applies to the last name of the
    /// chain, stores the result in the response.
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

    /// The CNAME from `here` to `target` synthesized from a DNAME with this TTL. Takes the server's
    /// CNAME if there is one. Some servers give it a TTL of 0 (RFC 6672 section 3.1).
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

    /// Adds the records at the end of the chain.
    fn end(&self, response: &mut Response, names: &[Name], head: MessageHead) -> Option<()> {
        let last = names.last()?;
        let owner = self.owners.get(last.as_ref().wire());
        if let Some(owner) =
            owner.filter(|_| response.dname.is_none() && response.answers.is_empty())
        {
            response.answers = self.answers(owner)?;
        }
        // In answer to a CNAME question, the code refers to the target (RFC 6604 section 2.1).
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
        // A nonexistent name has no records, but it may be the target of an alias.
        let contradiction = response.rcode != Rcode::NoError
            && !response.answers.is_empty()
            && self.qtype != RecordType::CNAME;
        // A reply that only names other servers is not an answer. A reply whose answer is partly
        // lost may not be negative.
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

    /// The signatures of the records of one owner name and type. Returns `None` if they cannot form
    /// a set.
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

    /// The owner name of the closest SOA, at or above `name`.
    fn soa(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        let soas = self
            .authority
            .iter()
            .filter(|(_, record)| record.rtype == RecordType::SOA)
            .map(|(owner, _)| owner.as_ref())
            .filter(|&owner| name.is_within(owner));
        soas.max_by_key(|owner| owner.wire().len())
    }

    /// The zones of the names in the chain: that of the SOA, those that signed records, and, if
    /// only proofs make the answer negative, those that signed the proofs.
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

    /// The zone of a signature.
    fn signer(&self, record: &StoredRecord) -> Option<Name> {
        if record.rtype != RecordType::RRSIG {
            return None;
        }
        let (signer, _) = NameBuf::read(cursor::signer(self.data(record))?).ok()?;
        Some(signer.as_ref().to_name())
    }

    /// The SOA at `soa` and the proofs of `zones`, as sets.
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
                let minimum = set.rdatas().next().and_then(cursor::minimum)?;
                set.lower_ttl(minimum);
            }
            sets.extend(group.first().map(|(owner, _)| (owner.clone(), set)));
        }
        sets.shrink_to_fit();
        Some(sets)
    }

    /// One set of the records of one type, without duplicates, with the minimum of their TTLs (RFC
    /// 2181 section 5). Returns `None` if there are none or too many.
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

/// The sort key of authority records, equal within a set: the SOA first, then the proofs by owner
/// name; signatures follow the records that they sign.
fn place((owner, record): &(Name, StoredRecord)) -> (bool, &Name, RecordType, bool) {
    let proof = record.covered != RecordType::SOA;
    let signature = record.rtype == RecordType::RRSIG;
    (proof, owner, record.covered, signature)
}

/// Whether `name` is in one of `zones`; costs one lookup per label for any number of zones.
fn within_any(name: NameRef<'_>, zones: &HashSet<Name>) -> bool {
    std::iter::successors(Some(name), |name| name.parent())
        .any(|above| zones.contains(above.wire()))
}
