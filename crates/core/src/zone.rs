//! A local zone: answers a question with data, an alias, a referral or a negative result.
//!
//! [`ZoneBuilder`] builds a [`Zone`] from records. They come from a zone file ([`parse_zone`]) or
//! one by one from the configuration ([`parse_record`]). A built zone is immutable.
//! [`Zone::lookup`] implements RFC 1034 section 4.3.2 with the wildcards of RFC 4592 and the DNAME
//! of RFC 6672: one walk down from the origin, without an allocation.
//!
//! This module does not select the zone for a question (`policy` does), and it does not act on the
//! result (`engine` follows aliases, writes referrals with their glue, and adds the SOA to a
//! negative answer).
//!
//! Invariants: every zone has exactly one SOA record, at its origin; the RDATA of NS, CNAME, DNAME,
//! PTR, SOA, MX and SRV records contain well-formed names; no CNAME exists beside other data.

mod builder;
mod file;

pub use builder::{MAX_RECORDS, ZoneBuilder, ZoneError, ZoneProblem};
pub use file::{
    INLINE_TTL, MAX_FAULTS, MAX_INCLUDE_DEPTH, MAX_INCLUDED_TEXT, MAX_INCLUDES, ParsedZone,
    PlacedRecord, ZoneFault, ZoneRecord, parse_record, parse_records, parse_zone,
};

use crate::dns::{LabelMap, LabelTree, Name, NameBuf, NameRef, NodeId, RecordType, Rrset};

/// The record sets of one name, in ascending order of type.
type Sets = Vec<Rrset>;

/// A zone: its origin and the records at and below it.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    /// The number of labels of the origin. The root of the tree is the origin.
    skip: usize,
    /// A name without record sets is an empty non-terminal. Names below a zone cut are here too, as
    /// glue.
    tree: LabelMap<Sets>,
    soa: Rrset,
    negative_soa: Rrset,
    rrsets: usize,
    left_out: usize,
    /// Whether the zone has a delegation or a DNAME. Without one, a lookup need not check the
    /// ancestors of the name.
    divided: bool,
}

/// The result of a lookup (RFC 1034 section 4.3.2, step 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneLookup<'z> {
    /// The requested records. If they come from a wildcard, their owner name is still the name of
    /// the question.
    Found(&'z Rrset),
    /// The name is an alias and the question has another type, ANY included (RFC 8482 section 4.2).
    Alias(&'z Rrset),
    /// The name is below a DNAME, which redirects its whole subtree (RFC 6672).
    Dname {
        /// The label count of the DNAME's owner name, which is a suffix of the question's name.
        owner_labels: usize,
        /// The DNAME record set.
        dname: &'z Rrset,
    },
    /// The name has data and the question is ANY (RFC 8482: the answer need not contain all of
    /// them).
    Exists,
    /// The name exists but has no data of the type.
    NoData,
    /// The name does not exist and no wildcard matches it.
    NxDomain,
    /// The name is at or below a zone cut, so another server answers for it. A DS question at the
    /// cut itself is not referred (RFC 4035 section 3.1.4.1).
    Referral {
        /// The label count of the cut, which is a suffix of the question's name.
        cut_labels: usize,
        /// The name servers at the cut.
        ns: &'z Rrset,
    },
}

impl Zone {
    /// The origin of the zone.
    #[must_use]
    pub fn origin(&self) -> NameRef<'_> {
        self.origin.as_ref()
    }

    /// The SOA with its own TTL, for SOA questions.
    #[must_use]
    pub fn soa(&self) -> &Rrset {
        &self.soa
    }

    /// The SOA for the authority section of a negative answer. Its TTL is the minimum of its own
    /// TTL and its MINIMUM field (RFC 2308 section 3).
    #[must_use]
    pub fn negative_soa(&self) -> &Rrset {
        &self.negative_soa
    }

    /// The number of record sets in the zone.
    #[must_use]
    pub fn rrset_count(&self) -> usize {
        self.rrsets
    }

    /// The number of source records that the zone omits because dnsgate serves no signatures:
    /// RRSIG, NSEC, NSEC3, NSEC3PARAM and DNSKEY, and, at the apex of a zone with any of them, CDS,
    /// CDNSKEY and ZONEMD.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Answers one question. A name outside the zone gives [`ZoneLookup::NxDomain`].
    #[must_use]
    pub fn lookup<'z>(&'z self, name: NameRef<'_>, qtype: RecordType) -> ZoneLookup<'z> {
        let starts = name.label_starts().as_slice();
        let own = starts.len().checked_sub(self.skip);
        let own = own.and_then(|own| starts.get(..own));
        let Some(own) = own.filter(|_| name.is_within(self.origin())) else {
            return ZoneLookup::NxDomain;
        };
        let mut labels = own.iter().rev();
        let mut node = NodeId::ROOT;
        let mut depth = self.skip;
        loop {
            let below = labels.next();
            if self.divided
                && let Some(found) = self.elsewhere(node, depth, below.is_none(), qtype)
            {
                return found;
            }
            let Some(&start) = below else {
                return answer(self.sets(node), qtype);
            };
            let Some(child) = self.tree.names().child(node, name.label_at(start)) else {
                // `node` is the closest encloser; its child `*` is the source of synthesis.
                return self
                    .tree
                    .names()
                    .child(node, b"*")
                    .map_or(ZoneLookup::NxDomain, |star| answer(self.sets(star), qtype));
            };
            node = child;
            depth += 1;
        }
    }

    /// The referral at `node`, or the DNAME at `node` if it is an ancestor of the name (`last` is
    /// false).
    fn elsewhere(
        &self,
        node: NodeId,
        depth: usize,
        last: bool,
        qtype: RecordType,
    ) -> Option<ZoneLookup<'_>> {
        let sets = self.sets(node);
        let asks_parent = last && qtype == RecordType::DS;
        if node != NodeId::ROOT
            && !asks_parent
            && let Some(ns) = of_type(sets, RecordType::NS)
        {
            return Some(ZoneLookup::Referral {
                cut_labels: depth,
                ns,
            });
        }
        let dname = of_type(sets, RecordType::DNAME).filter(|_| !last)?;
        Some(ZoneLookup::Dname {
            owner_labels: depth,
            dname,
        })
    }

    /// The A and AAAA record sets at exactly this name, authoritative or glue, for additional
    /// sections.
    #[must_use]
    pub fn addresses(&self, name: NameRef<'_>) -> (Option<&Rrset>, Option<&Rrset>) {
        if !name.is_within(self.origin()) {
            return (None, None);
        }
        let (node, depth) = self.tree.names().closest(name, self.skip);
        if self.skip + depth != name.label_count() {
            return (None, None);
        }
        let sets = self.sets(node);
        (
            of_type(sets, RecordType::A),
            of_type(sets, RecordType::AAAA),
        )
    }

    /// Every record set with its owner name, in no particular order.
    pub fn rrsets(&self) -> impl Iterator<Item = (Name, &Rrset)> {
        self.tree.iter().flat_map(|(node, sets)| {
            let owner = name_of(self.tree.names(), node, self.origin());
            sets.iter().map(move |set| (owner.clone(), set))
        })
    }

    fn sets(&self, node: NodeId) -> &[Rrset] {
        self.tree.value(node).map_or(&[], Vec::as_slice)
    }
}

/// The result for a question whose name has these record sets.
fn answer(sets: &[Rrset], qtype: RecordType) -> ZoneLookup<'_> {
    if let Some(set) = of_type(sets, qtype) {
        return ZoneLookup::Found(set);
    }
    match of_type(sets, RecordType::CNAME) {
        Some(cname) => ZoneLookup::Alias(cname),
        None if qtype == RecordType::ANY && !sets.is_empty() => ZoneLookup::Exists,
        None => ZoneLookup::NoData,
    }
}

fn of_type(sets: &[Rrset], rtype: RecordType) -> Option<&Rrset> {
    sets.iter().find(|set| set.rtype() == rtype)
}

/// The name of a node in a tree rooted at `origin`.
fn name_of(tree: &LabelTree, node: NodeId, origin: NameRef<'_>) -> Name {
    let mut name = NameBuf::new();
    let way_up = std::iter::successors(Some(node), |&node| tree.parent(node));
    for node in way_up.take_while(|&node| node != NodeId::ROOT) {
        // Every name in the tree came from a valid name, so it fits.
        let _ = name.push_label(tree.label(node));
    }
    let _ = name.push_name(origin);
    name.as_ref().to_name()
}

#[cfg(test)]
mod tests;
