//! One whole configuration in the form that queries are answered from: immutable and numbered.

use crate::{
    dns::{RecordType, Rrset},
    policy::{Policy, UpstreamId, ZoneId},
    zone::Zone,
};

/// How long a denial may be remembered, in seconds: so long does a name that was just allowed stay
/// denied at those who asked before. Cloud DNS keeps forwarded answers for no longer than this.
const DENIAL_TTL: u32 = 60;
/// How long the answer to ANY may be remembered, in seconds. It never changes.
const ANY_TTL: u32 = 3600;

/// Where the responses of one upstream are kept: the same number for the same upstream with the same
/// servers, whatever its place in the configuration, and never again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u32);

/// A policy and its zones. A query is decided and answered from one snapshot to its end, whatever
/// is loaded meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    policy: Policy,
    zones: Vec<Zone>,
    /// By the number of the upstream.
    partitions: Vec<Partition>,
    denial_soa: Rrset,
    any: Rrset,
}

impl Snapshot {
    /// Puts a built policy and the zones that it names by number together. `generation` counts the
    /// configurations of this process, from 1.
    #[must_use]
    pub fn new(generation: u64, policy: Policy, zones: Vec<Zone>) -> Self {
        let mut any = Rrset::new(RecordType::HINFO, ANY_TTL);
        // RFC 8482 section 4.2: CPU "RFC8482", OS empty. Nine bytes always fit.
        let _ = any.push(b"\x07RFC8482\0");
        Self {
            generation,
            policy,
            zones,
            partitions: Vec::new(),
            denial_soa: denial_soa(),
            any,
        }
    }

    /// The same with upstreams: the partition of each, by its number in the policy.
    #[must_use]
    pub fn with_upstreams(self, partitions: Vec<Partition>) -> Self {
        Self { partitions, ..self }
    }

    /// Where the responses of this upstream are kept; `None` for one that there is not.
    #[must_use]
    pub fn partition(&self, upstream: UpstreamId) -> Option<Partition> {
        self.partitions.get(usize::from(upstream.0)).copied()
    }

    /// Whether any question can be forwarded at all.
    #[must_use]
    pub fn has_upstreams(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// The number of this snapshot.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What decides.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The zones, in the order of their numbers.
    #[must_use]
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    pub(super) fn zone(&self, id: ZoneId) -> Option<&Zone> {
        self.zones.get(id.0 as usize)
    }

    /// The SOA of negative answers that no zone stands behind, to be written under the denied name.
    pub(super) const fn denial_soa(&self) -> &Rrset {
        &self.denial_soa
    }

    /// The answer to ANY at a name that has data.
    pub(super) const fn any(&self) -> &Rrset {
        &self.any
    }
}

/// The SOA that gives a denial its time to live (RFC 2308 section 5). Its owner is the name denied,
/// each time: so it says nothing of any other. The root or a domain above would say that there is
/// one authority for all of it that just denied a name, and resolvers draw conclusions from that: for
/// PowerDNS Recursor (`root-nx-trust`) a denial in the root's name takes the whole TLD with it.
fn denial_soa() -> Rrset {
    let mut set = Rrset::new(RecordType::SOA, DENIAL_TTL);
    let mut rdata = b"\x07dnsgate\x07invalid\0\x06nobody\x07invalid\0".to_vec();
    // Serial, refresh, retry, expire, minimum: only the last one means anything here.
    for field in [1, 3600, 600, 86400, DENIAL_TTL] {
        rdata.extend_from_slice(&u32::to_be_bytes(field));
    }
    let _ = set.push(&rdata);
    set
}
