//! What a zone of our own says to a question: data, an alias, a referral, or that there is none.
//!
//! A [`Zone`] is built whole by [`ZoneBuilder`] from records, which come from a zone file
//! ([`parse_zone`]) or one by one from the configuration ([`parse_record`]), and is immutable from
//! then on. [`Zone::lookup`] is the algorithm of RFC 1034 section 4.3.2 with the wildcards of
//! RFC 4592 and DNAME by RFC 6672: one walk from the origin downward, without an allocation.
//!
//! Not here: which zone a question goes to (`policy`), and what becomes of the finding (`engine`:
//! following aliases, writing referrals with their glue, putting the SOA beside a negative answer).
//!
//! Invariants: every zone has exactly one SOA record, at its origin; the data of NS, CNAME,
//! DNAME, PTR, SOA, MX and SRV records hold well-formed names; no CNAME stands beside other data.

mod builder;
mod file;

pub use builder::{MAX_RECORDS, ZoneBuilder, ZoneError, ZoneProblem};
pub use file::{
    INLINE_TTL, MAX_FAULTS, MAX_INCLUDE_DEPTH, MAX_INCLUDED_TEXT, MAX_INCLUDES, ParsedZone,
    ZoneFault, ZoneRecord, parse_record, parse_zone,
};

use crate::dns::{LabelMap, LabelTree, Name, NameBuf, NameRef, NodeId, RecordType, Rrset};

/// The record sets of one name, in ascending order of type.
type Sets = Vec<Rrset>;

/// One zone: an origin and all that this server knows below it.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    /// Labels of the origin: the tree's root is the origin.
    skip: usize,
    /// A name without sets is an empty non-terminal; names below a cut are in here too, as glue.
    tree: LabelMap<Sets>,
    soa: Rrset,
    negative_soa: Rrset,
    rrsets: usize,
    left_out: usize,
    /// Whether there is a delegation or a DNAME anywhere: in a zone without, no name on the way to
    /// another one has a say.
    divided: bool,
}

/// What a zone has for a question (RFC 1034 section 4.3.2, step 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneLookup<'z> {
    /// The records asked for; from a wildcard they belong to the name of the question all the
    /// same.
    Found(&'z Rrset),
    /// The name is an alias, and the question is of another type (ANY too: RFC 8482 section 4.2).
    Alias(&'z Rrset),
    /// The name is below one that is aliased with its whole subtree (RFC 6672).
    Dname {
        /// Labels of the DNAME's owner: the last ones of the question's name.
        owner_labels: usize,
        /// The DNAME.
        dname: &'z Rrset,
    },
    /// There are data, and the question is ANY (RFC 8482: the answer need not be all of them).
    Exists,
    /// The name exists, but has no data of that type.
    NoData,
    /// The name does not exist, and no wildcard stands in for it.
    NxDomain,
    /// The name is at or below a zone cut: somebody else answers for it. A question for the DS at
    /// the cut itself is not referred (RFC 4035 section 3.1.4.1).
    Referral {
        /// Labels of the cut: the last ones of the question's name.
        cut_labels: usize,
        /// The name servers at the cut.
        ns: &'z Rrset,
    },
}

impl Zone {
    /// The name at which the zone begins.
    #[must_use]
    pub fn origin(&self) -> NameRef<'_> {
        self.origin.as_ref()
    }

    /// The SOA as the zone has it, for questions of that type.
    #[must_use]
    pub fn soa(&self) -> &Rrset {
        &self.soa
    }

    /// The SOA for the authority section of a negative answer: its TTL is the lesser of its own
    /// and its MINIMUM field (RFC 2308 section 3).
    #[must_use]
    pub fn negative_soa(&self) -> &Rrset {
        &self.negative_soa
    }

    /// How many record sets the zone has.
    #[must_use]
    pub fn rrset_count(&self) -> usize {
        self.rrsets
    }

    /// How many records of the source were left out, since dnsgate serves no signatures: RRSIG, NSEC, NSEC3,
    /// NSEC3PARAM, DNSKEY, and at the apex of a zone with any of those CDS, CDNSKEY and ZONEMD.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Answers one question. A name outside the zone does not exist in it.
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
                // `node` is the closest encloser, its child `*` the source of synthesis.
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

    /// What a name on the way says instead of the name asked for, or that name (`last`) itself: that
    /// it is delegated, or that all below it is aliased.
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

    /// The addresses (A, AAAA) that the zone holds at exactly this name, whether it answers for
    /// them or has them below a cut as glue: for additional sections.
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

    /// Every record set with its owner, in no particular order.
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

/// What a name's own sets say to a question for that name.
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

/// The name of a node of a tree that is rooted at `origin`.
fn name_of(tree: &LabelTree, node: NodeId, origin: NameRef<'_>) -> Name {
    let mut name = NameBuf::new();
    let way_up = std::iter::successors(Some(node), |&node| tree.parent(node));
    for node in way_up.take_while(|&node| node != NodeId::ROOT) {
        // What went into the tree was a name, so it fits into one.
        let _ = name.push_label(tree.label(node));
    }
    let _ = name.push_name(origin);
    name.as_ref().to_name()
}

#[cfg(test)]
mod tests;
