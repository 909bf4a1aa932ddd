//! The relevant records of a reply, grouped by owner name.
//!
//! A malformed record is noted if it could be part of the answer, and otherwise omitted.

use std::collections::HashMap;

use super::{
    cursor,
    message::{MessageRecord, MessageSection},
};
use crate::dns::{Name, NameBuf, NameRef, RecordType};

/// The maximum size of names and RDATA stored for one reply, in bytes, uncompressed. Twice the size
/// of a message allows for the compression of real replies and stops decompression bombs.
const MAX_KEPT: usize = 128 << 10;

/// A record without its owner name. Its RDATA is in [`RelevantRecords::data`].
#[derive(Clone, Copy)]
pub(super) struct StoredRecord {
    pub(super) rtype: RecordType,
    /// For an RRSIG, the type that it signs; for others, their own type.
    pub(super) covered: RecordType,
    pub(super) ttl: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The records of one owner name in the answer section.
#[derive(Default)]
pub(super) struct OwnerRecords {
    pub(super) alias: Option<AliasRecord>,
    /// The alias for all names below.
    pub(super) dname: Option<AliasRecord>,
    pub(super) records: Vec<StoredRecord>,
    /// Whether a requested record is malformed.
    pub(super) broken: bool,
}

pub(super) struct AliasRecord {
    pub(super) record: StoredRecord,
    /// `None` if the record is malformed, or if two records differ: a name has only one alias (RFC
    /// 2181 section 10.1).
    pub(super) target: Option<Name>,
}

/// The relevant records of a reply.
pub(super) struct RelevantRecords {
    pub(super) qtype: RecordType,
    pub(super) dnssec_ok: bool,
    pub(super) owners: HashMap<Name, OwnerRecords>,
    pub(super) authority: Vec<(Name, StoredRecord)>,
    /// Whether the authority section has name servers.
    pub(super) servers: bool,
    /// Whether there is any DNAME.
    pub(super) dnames: bool,
    /// Whether an answer is missing because its owner name is unreadable.
    pub(super) lost: bool,
    pub(super) data: Vec<u8>,
    /// The remaining room in bytes.
    pub(super) room: usize,
}

impl OwnerRecords {
    /// The alias of this name or, for a DNAME, of the names below it.
    const fn leads(&mut self, is_dname: bool) -> &mut Option<AliasRecord> {
        if is_dname {
            &mut self.dname
        } else {
            &mut self.alias
        }
    }
}

impl RelevantRecords {
    pub(super) fn new(qtype: RecordType, dnssec_ok: bool) -> Self {
        Self {
            qtype,
            dnssec_ok,
            owners: HashMap::new(),
            authority: Vec::new(),
            servers: false,
            dnames: false,
            lost: false,
            data: Vec::new(),
            room: MAX_KEPT,
        }
    }

    /// Stores a record if it is relevant. Returns `None` if there is no room.
    pub(super) fn take(&mut self, record: &MessageRecord<'_>) -> Option<()> {
        let answer = record.section == MessageSection::Answer;
        let Some(owner) = record.owner else {
            self.lost |= answer;
            return Some(());
        };
        let signature = record.rtype == RecordType::RRSIG;
        let covered = match record.rdata {
            Some(rdata) if signature => cursor::covered(rdata)?,
            _ => record.rtype,
        };
        let asked = record.rtype == self.qtype;
        let welcome = !signature || self.dnssec_ok;
        let Some(rdata) = record.rdata else {
            return if answer {
                self.take_broken(owner, record)
            } else {
                Some(())
            };
        };
        if answer {
            let leads = [RecordType::CNAME, RecordType::DNAME].contains(&record.rtype);
            if leads {
                self.take_alias(owner, record, rdata)?;
            }
            let signs = signature
                && welcome
                && [self.qtype, RecordType::CNAME, RecordType::DNAME].contains(&covered);
            if record.rtype != RecordType::CNAME && (asked || signs) {
                let kept = self.keep(record, rdata, covered)?;
                self.owner(owner)?.records.push(kept);
            }
            return Some(());
        }
        match covered {
            RecordType::NS => {
                self.servers = true;
                Some(())
            }
            RecordType::SOA if welcome => self.take_authority(owner, record, rdata, covered),
            RecordType::NSEC | RecordType::NSEC3 if self.dnssec_ok => {
                self.take_authority(owner, record, rdata, covered)
            }
            _ => Some(()),
        }
    }

    /// Notes a malformed record of the answer section. It matters only if the question leads to it.
    fn take_broken(&mut self, owner: NameRef<'_>, record: &MessageRecord<'_>) -> Option<()> {
        let kept = self.keep(record, &[], record.rtype)?;
        let unusable = AliasRecord {
            record: kept,
            target: None,
        };
        match record.rtype {
            RecordType::CNAME => self.owner(owner)?.alias = Some(unusable),
            RecordType::DNAME => {
                self.dnames = true;
                self.owner(owner)?.dname = Some(unusable);
            }
            _ => {}
        }
        if record.rtype == self.qtype {
            self.owner(owner)?.broken = true;
        }
        Some(())
    }

    fn take_alias(
        &mut self,
        owner: NameRef<'_>,
        record: &MessageRecord<'_>,
        rdata: &[u8],
    ) -> Option<()> {
        let (target, _) = NameBuf::read(rdata).ok()?;
        let is_dname = record.rtype == RecordType::DNAME;
        self.dnames |= is_dname;
        if let Some(alias) = self.owner(owner)?.leads(is_dname) {
            alias.record.ttl = alias.record.ttl.min(record.ttl);
            let same = alias
                .target
                .as_ref()
                .is_some_and(|it| it.as_ref() == target.as_ref());
            if !same {
                alias.target = None;
            }
            return Some(());
        }
        let alias = AliasRecord {
            record: self.keep(record, rdata, record.rtype)?,
            target: Some(self.keep_name(target.as_ref())?),
        };
        *self.owner(owner)?.leads(is_dname) = Some(alias);
        Some(())
    }

    fn take_authority(
        &mut self,
        owner: NameRef<'_>,
        record: &MessageRecord<'_>,
        rdata: &[u8],
        covered: RecordType,
    ) -> Option<()> {
        let kept = self.keep(record, rdata, covered)?;
        let owner = self.keep_name(owner)?;
        self.authority.push((owner, kept));
        Some(())
    }

    fn owner(&mut self, name: NameRef<'_>) -> Option<&mut OwnerRecords> {
        if !self.owners.contains_key(name.wire()) {
            let name = self.keep_name(name)?;
            self.owners.insert(name, OwnerRecords::default());
        }
        self.owners.get_mut(name.wire())
    }

    fn keep_name(&mut self, name: NameRef<'_>) -> Option<Name> {
        self.room = self.room.checked_sub(name.wire().len())?;
        Some(name.to_name())
    }

    fn keep(
        &mut self,
        record: &MessageRecord<'_>,
        rdata: &[u8],
        covered: RecordType,
    ) -> Option<StoredRecord> {
        self.room = self.room.checked_sub(rdata.len())?;
        let start = self.data.len();
        self.data.extend_from_slice(rdata);
        Some(StoredRecord {
            rtype: record.rtype,
            covered,
            ttl: record.ttl,
            start,
            end: self.data.len(),
        })
    }

    pub(super) fn data(&self, record: &StoredRecord) -> &[u8] {
        self.data.get(record.start..record.end).unwrap_or_default()
    }
}
