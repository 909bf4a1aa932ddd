//! Builds a [`Zone`] from records and checks that they are consistent.
//!
//! An inconsistent zone is rejected as a whole: if a CNAME exists beside an address, only the
//! operator knows which of the two is correct.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
};

use crate::dns::{LabelMap, Name, NameBuf, NameRef, NodeId, RecordType, Rrset, rrset::MAX_RDATA};

use super::{MAX_FAULTS, Sets, Zone, name_of, of_type};

/// The maximum number of records in a zone. They take about 300 MB of memory; a larger zone belongs
/// on a dedicated name server. No official reference.
pub const MAX_RECORDS: usize = 2_000_000;
/// Bytes of a message besides its records: header, question, and an OPT record with room for an
/// extended error (RFC 1035 section 4.1, RFC 6891 section 6.1.2).
const MESSAGE_OVERHEAD: usize = 12 + 255 + 4 + 11 + 64;
/// Bytes of a record besides its RDATA, with a compressed owner name (RFC 1035 section 3.2.1).
const RECORD_OVERHEAD: usize = 12;
/// The maximum number of records in a message if their RDATA were empty.
const MAX_SET: usize = MAX_RDATA / RECORD_OVERHEAD;

/// Below this number of records, duplicates in a set are found by linear search. A larger set uses
/// hashes, so that thousands of records are not compared with each other.
const SEARCHED: usize = 16;
/// The maximum number of types at one name, ten times the number of named types. The sets of a name
/// are sorted by type, so each insertion moves others. No official reference.
const MAX_TYPES: usize = 1_000;

/// The TTL and the MINIMUM field of a default SOA, in seconds.
const DEFAULT_TTL: u32 = 300;
/// The RDATA of a default SOA after its two names: serial, refresh, retry, expire, minimum. Only
/// the minimum is used, because the zone is never transferred.
const DEFAULT_SOA: [u32; 5] = [1, 3600, 600, 86_400, DEFAULT_TTL];
/// The server name in a default SOA and NS. It cannot exist (RFC 6761 section 6.4).
const DEFAULT_SERVER: &[u8] = b"\x07dnsgate\x07invalid\0";
/// The mailbox in a default SOA.
const DEFAULT_MAILBOX: &[u8] = b"\x06nobody\x07invalid\0";

/// An invalid record, or a missing one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{owner} {rtype}: {problem}")]
pub struct ZoneError {
    /// The owner name of the record.
    pub owner: Name,
    /// The type of the record.
    pub rtype: RecordType,
    /// The index of the [`ZoneBuilder::add`] call that added the record, from 0; `None` for a
    /// missing record.
    pub record: Option<usize>,
    /// The problem with the record.
    pub problem: ZoneProblem,
}

/// A problem with a record. The text continues a message that begins with the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneProblem {
    /// The owner name is not at or below the origin.
    #[error("the name is outside the zone {0}; a final dot may be too many or missing")]
    OutOfZone(Name),
    /// Only questions may have this type.
    #[error("this type is for questions only; no record can have it")]
    MetaType,
    /// The RDATA does not match its type.
    #[error("the data do not have the form of this type")]
    BadRdata,
    /// The zone has more than [`MAX_RECORDS`] records.
    #[error("the zone has more than {MAX_RECORDS} records")]
    TooManyRecords,
    /// The name has more than `MAX_TYPES` types.
    #[error("the name has records of more than {MAX_TYPES} types")]
    TooManyTypes,
    /// The record set does not fit into a message.
    #[error("the records of this name and type are more than one reply can hold (64 KiB)")]
    LargeSet,
    /// A CNAME exists beside other data (RFC 1034 section 3.6.2).
    #[error(
        "a CNAME cannot stand beside other data; this name has {0} as well: remove one of them"
    )]
    CnameBesideOther(RecordType),
    /// The name has several CNAME, DNAME or SOA records.
    #[error("a name has one record of this type at most; there are {0}: remove all but one")]
    MoreThanOne(u16),
    /// The owner name of an SOA is not the origin.
    #[error("the SOA record belongs to the zone's origin {0} only")]
    SoaBelowOrigin(Name),
    /// The zone has no SOA.
    #[error(
        "the zone has no SOA record at its origin; \
         begin with `@ 3600 IN SOA ns.example. admin.example. 1 3600 600 86400 300`"
    )]
    NoSoa,
    /// A delegation or DNAME at a wildcard, whose meaning RFC 4592 sections 4.2 and 4.4 leave
    /// undefined.
    #[error("a wildcard cannot have this type (RFC 4592 section 4); name the subtrees one by one")]
    AtWildcard,
    /// A name exists below a DNAME (RFC 6672 section 2.4).
    #[error("a DNAME aliases all names below it, so none can exist there; there is {0}")]
    NamesBelowDname(Name),
    /// A DNAME exists at a delegation (RFC 6672 section 2.3).
    #[error("a DNAME cannot stand beside the NS records of a delegation")]
    DnameAtCut,
}

/// Collects the records of one zone.
#[derive(Debug)]
pub struct ZoneBuilder {
    origin: Name,
    skip: usize,
    tree: LabelMap<Sets>,
    /// The owner name and type of each added record, so that an error can identify the record.
    added: Vec<(NodeId, RecordType)>,
    has_dname: bool,
    default_soa: bool,
    /// The number of omitted records; see [`of_signed_zone`].
    left_out: usize,
    /// The hashes of the records in large sets.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl ZoneBuilder {
    /// An empty zone at `origin`.
    #[must_use]
    pub fn new(origin: Name) -> Self {
        Self {
            skip: origin.as_ref().label_count(),
            origin,
            tree: LabelMap::new(),
            added: Vec::new(),
            has_dname: false,
            default_soa: false,
            left_out: 0,
            known: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Makes [`ZoneBuilder::finish`] create a missing SOA and NS.
    #[must_use]
    pub fn with_default_soa(mut self) -> Self {
        self.default_soa = true;
        self
    }

    /// The number of records added so far, including rejected ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.added.len()
    }

    /// Whether no record was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// Adds one record of class IN. Omits the types that only a signed zone needs (see
    /// [`Zone::left_out`]). A duplicate record counts once. The TTL of a set is the minimum of its
    /// records (RFC 2181 sections 5 and 5.2).
    ///
    /// # Errors
    /// If the record is invalid regardless of the other records. The record is then omitted.
    pub fn add(
        &mut self,
        owner: NameRef<'_>,
        ttl: u32,
        rtype: RecordType,
        rdata: &[u8],
    ) -> Result<(), ZoneError> {
        let record = self.added.len();
        self.try_add(owner, ttl, rtype, rdata)
            .map_err(|problem| ZoneError {
                owner: owner.to_name(),
                rtype,
                record: Some(record),
                problem,
            })
    }

    fn try_add(
        &mut self,
        owner: NameRef<'_>,
        ttl: u32,
        rtype: RecordType,
        rdata: &[u8],
    ) -> Result<(), ZoneProblem> {
        if self.added.len() >= MAX_RECORDS {
            return Err(ZoneProblem::TooManyRecords);
        }
        self.added.push((NodeId::ROOT, rtype));
        if !owner.is_within(self.origin.as_ref()) {
            return Err(ZoneProblem::OutOfZone(self.origin.clone()));
        }
        if rtype.is_meta() || rtype == RecordType::ANY {
            return Err(ZoneProblem::MetaType);
        }
        if !well_formed(rtype, rdata) {
            return Err(ZoneProblem::BadRdata);
        }
        if of_signed_zone(rtype) {
            // This check precedes the insertion of the name: the hashed owner names of NSEC3 are
            // not names of hosts.
            self.left_out += 1;
            return Ok(());
        }
        let node = self
            .tree
            .insert(owner, self.skip)
            .map_err(|_| ZoneProblem::TooManyRecords)?;
        if let Some(last) = self.added.last_mut() {
            last.0 = node;
        }
        self.has_dname |= rtype == RecordType::DNAME;
        self.put(node, ttl, rtype, rdata)
    }

    fn put(
        &mut self,
        node: NodeId,
        ttl: u32,
        rtype: RecordType,
        rdata: &[u8],
    ) -> Result<(), ZoneProblem> {
        let sets = self
            .tree
            .value_or_insert_with(node, Vec::new)
            .ok_or(ZoneProblem::TooManyRecords)?;
        let at = match sets.binary_search_by_key(&rtype, Rrset::rtype) {
            Ok(at) => at,
            Err(_) if sets.len() >= MAX_TYPES => return Err(ZoneProblem::TooManyTypes),
            Err(at) => {
                sets.insert(at, Rrset::new(rtype, ttl));
                at
            }
        };
        let set = sets.get_mut(at).ok_or(ZoneProblem::TooManyRecords)?;
        if usize::from(set.len()) >= MAX_SET {
            return Err(ZoneProblem::LargeSet);
        }
        set.lower_ttl(ttl);
        let hash = |rdata: &[u8]| self.hasher.hash_one((node, rtype, rdata));
        if usize::from(set.len()) == SEARCHED {
            self.known.extend(set.rdatas().map(hash));
        }
        let is_new = usize::from(set.len()) >= SEARCHED && self.known.insert(hash(rdata));
        let added = if is_new {
            set.append(rdata)
        } else {
            set.push(rdata)
        };
        added.map_err(|_| ZoneProblem::LargeSet)
    }

    /// Checks the consistency of the zone and returns it.
    ///
    /// # Errors
    /// Every problem of the zone, up to [`MAX_FAULTS`].
    pub fn finish(mut self) -> Result<Zone, Vec<ZoneError>> {
        if self.default_soa {
            self.add_defaults();
        }
        self.leave_out_statements();
        let errors = self.check();
        let soa = of_type(
            self.tree.value(NodeId::ROOT).map_or(&[], Vec::as_slice),
            RecordType::SOA,
        );
        let Some(soa) = soa.filter(|_| errors.is_empty()).cloned() else {
            return Err(errors);
        };
        let mut negative_soa = soa.clone();
        negative_soa.lower_ttl(soa_minimum(&soa));
        self.tree.shrink_to_fit();
        let divides = |(node, sets): (NodeId, &Sets)| {
            node != NodeId::ROOT && of_type(sets, RecordType::NS).is_some()
        };
        Ok(Zone {
            divided: self.has_dname || self.tree.iter().any(divides),
            rrsets: self.tree.iter().map(|(_, sets)| sets.len()).sum(),
            origin: self.origin,
            skip: self.skip,
            tree: self.tree,
            soa,
            negative_soa,
            left_out: self.left_out,
        })
    }

    /// Removes records at the apex of a signed zone that refer to omitted records: keys for the
    /// parent (RFC 7344) and the zone digest (RFC 8976).
    fn leave_out_statements(&mut self) {
        if self.left_out == 0 {
            return;
        }
        let Some(apex) = self.tree.value_or_insert_with(NodeId::ROOT, Vec::new) else {
            return;
        };
        let about = |set: &Rrset| {
            matches!(
                set.rtype(),
                RecordType::CDS | RecordType::CDNSKEY | RecordType::ZONEMD
            )
        };
        self.left_out += apex
            .iter()
            .filter(|set| about(set))
            .map(|set| usize::from(set.len()))
            .sum::<usize>();
        apex.retain(|set| !about(set));
    }

    fn add_defaults(&mut self) {
        let apex = self.tree.value(NodeId::ROOT).map_or(&[][..], Vec::as_slice);
        let lacks = |rtype| of_type(apex, rtype).is_none();
        let (lacks_soa, lacks_ns) = (lacks(RecordType::SOA), lacks(RecordType::NS));
        // One valid record each, at the root of the tree: this cannot fail.
        if lacks_soa {
            let numbers = DEFAULT_SOA.iter().flat_map(|field| field.to_be_bytes());
            let mut rdata = [DEFAULT_SERVER, DEFAULT_MAILBOX].concat();
            rdata.extend(numbers);
            let _ = self.put(NodeId::ROOT, DEFAULT_TTL, RecordType::SOA, &rdata);
        }
        if lacks_ns {
            let _ = self.put(NodeId::ROOT, DEFAULT_TTL, RecordType::NS, DEFAULT_SERVER);
        }
    }

    fn check(&self) -> Vec<ZoneError> {
        let mut errors = Vec::new();
        let apex = self.tree.value(NodeId::ROOT).map_or(&[][..], Vec::as_slice);
        if of_type(apex, RecordType::SOA).is_none() {
            errors.push(ZoneError {
                owner: self.origin.clone(),
                rtype: RecordType::SOA,
                record: None,
                problem: ZoneProblem::NoSoa,
            });
        }
        for (node, sets) in self.tree.iter() {
            if errors.len() >= MAX_FAULTS {
                break;
            }
            let found = sets
                .iter()
                .filter_map(|set| Some((set.rtype(), self.check_set(node, sets, set)?)));
            errors.extend(found.map(|(rtype, problem)| self.error(node, rtype, problem)));
            if let Some(dname) = self.dname_above(node) {
                let below = name_of(self.tree.names(), node, self.origin.as_ref());
                errors.push(self.error(
                    dname,
                    RecordType::DNAME,
                    ZoneProblem::NamesBelowDname(below),
                ));
            }
        }
        errors
    }

    /// The problem with one set beside the other sets of its name.
    fn check_set(&self, node: NodeId, sets: &[Rrset], set: &Rrset) -> Option<ZoneProblem> {
        let rtype = set.rtype();
        let at_apex = node == NodeId::ROOT;
        let single = matches!(
            rtype,
            RecordType::SOA | RecordType::CNAME | RecordType::DNAME
        );
        if single && set.len() > 1 {
            return Some(ZoneProblem::MoreThanOne(set.len()));
        }
        let wire: usize = set
            .rdatas()
            .map(|rdata| RECORD_OVERHEAD + rdata.len())
            .sum();
        if wire + MESSAGE_OVERHEAD > MAX_RDATA {
            return Some(ZoneProblem::LargeSet);
        }
        match rtype {
            RecordType::SOA if !at_apex => Some(ZoneProblem::SoaBelowOrigin(self.origin.clone())),
            RecordType::CNAME => sets
                .iter()
                .map(Rrset::rtype)
                .find(|&other| other != RecordType::CNAME)
                .map(ZoneProblem::CnameBesideOther),
            RecordType::NS | RecordType::DNAME
                if !at_apex && self.tree.names().label(node) == b"*" =>
            {
                Some(ZoneProblem::AtWildcard)
            }
            RecordType::DNAME if !at_apex && of_type(sets, RecordType::NS).is_some() => {
                Some(ZoneProblem::DnameAtCut)
            }
            _ => None,
        }
    }

    /// The closest ancestor of `node` that has a DNAME.
    fn dname_above(&self, node: NodeId) -> Option<NodeId> {
        if !self.has_dname {
            return None;
        }
        std::iter::successors(self.tree.names().parent(node), |&node| {
            self.tree.names().parent(node)
        })
        .find(|&above| {
            let sets = self.tree.value(above).map_or(&[][..], Vec::as_slice);
            of_type(sets, RecordType::DNAME).is_some()
        })
    }

    fn error(&self, node: NodeId, rtype: RecordType, problem: ZoneProblem) -> ZoneError {
        ZoneError {
            owner: name_of(self.tree.names(), node, self.origin.as_ref()),
            rtype,
            record: self.added.iter().rposition(|&own| own == (node, rtype)),
            problem,
        }
    }
}

/// Whether only a server of signed zones uses this type. dnsgate serves no signatures; a partially
/// signed zone would be worse than an unsigned one (RFC 4035 section 2).
const fn of_signed_zone(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::NSEC3
            | RecordType::NSEC3PARAM
            | RecordType::DNSKEY
    )
}

/// Whether the RDATA has the form that replies depend on: addresses, and embedded names. The parser
/// checks everything else.
fn well_formed(rtype: RecordType, rdata: &[u8]) -> bool {
    let names = |prefix: usize, count: usize, suffix: usize| {
        let mut rest = rdata.get(prefix..);
        for _ in 0..count {
            rest = rest.and_then(|wire| {
                let (_, len) = NameBuf::read(wire).ok()?;
                wire.get(len..)
            });
        }
        rest.is_some_and(|rest| rest.len() == suffix)
    };
    match rtype {
        RecordType::A => rdata.len() == 4,
        RecordType::AAAA => rdata.len() == 16,
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => names(0, 1, 0),
        RecordType::SOA => names(0, 2, 20),
        RecordType::MX => names(2, 1, 0),
        RecordType::SRV => names(6, 1, 0),
        _ => rdata.len() <= MAX_RDATA,
    }
}

/// The MINIMUM field: the last four bytes of the SOA RDATA.
fn soa_minimum(soa: &Rrset) -> u32 {
    let field = soa.rdatas().next().and_then(|rdata| rdata.last_chunk());
    field.map_or(0, |&field| u32::from_be_bytes(field))
}
