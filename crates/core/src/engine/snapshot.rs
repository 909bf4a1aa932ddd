//! One complete configuration in the form that queries use: immutable and numbered.

use crate::{
    dns::{RecordType, Rrset},
    policy::{Policy, UpstreamId, ZoneId},
    zone::Zone,
};

/// The TTL of a denial in seconds. A newly allowed name stays denied in downstream caches for this
/// long. Cloud DNS caches forwarded answers for at most this time.
const DENIAL_TTL: u32 = 60;
/// The TTL of the answer to ANY in seconds. The answer never changes.
const ANY_TTL: u32 = 3600;

/// The cache partition of an upstream. An upstream with the same servers keeps its number across
/// configurations; a number is never reused for another upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u32);

/// A policy and its zones. Each query uses one snapshot from start to end, even if a new
/// configuration is loaded meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    policy: Policy,
    zones: Vec<Zone>,
    /// Indexed by the number of the upstream.
    partitions: Vec<Partition>,
    denial_soa: Rrset,
    any: Rrset,
}

impl Snapshot {
    /// Combines a built policy with the zones that it refers to by number. `generation` counts the
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

    /// Adds upstreams: the partition of each, by its number in the policy.
    #[must_use]
    pub fn with_upstreams(self, partitions: Vec<Partition>) -> Self {
        Self { partitions, ..self }
    }

    /// The partition of this upstream; `None` if the upstream does not exist.
    #[must_use]
    pub fn partition(&self, upstream: UpstreamId) -> Option<Partition> {
        self.partitions.get(usize::from(upstream.0)).copied()
    }

    /// Whether any question can be forwarded.
    #[must_use]
    pub fn has_upstreams(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// The number of this snapshot.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The policy.
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

    /// The SOA of negative answers without a zone. Its owner name is the denied name.
    pub(super) const fn denial_soa(&self) -> &Rrset {
        &self.denial_soa
    }

    /// The answer to ANY at a name with data.
    pub(super) const fn any(&self) -> &Rrset {
        &self.any
    }
}

/// The SOA that sets the TTL of a denial (RFC 2308 section 5). Its owner name is always the denied
/// name, so that it does not affect other names. An SOA at the root or a parent domain would claim
/// authority for the whole domain, and resolvers act on that: PowerDNS Recursor (`root-nx-trust`)
/// extends a denial with the root's SOA to the whole TLD.
fn denial_soa() -> Rrset {
    let mut set = Rrset::new(RecordType::SOA, DENIAL_TTL);
    let mut rdata = b"\x07dnsgate\x07invalid\0\x06nobody\x07invalid\0".to_vec();
    // Serial, refresh, retry, expire, minimum: only the minimum is used.
    for field in [1, 3600, 600, 86400, DENIAL_TTL] {
        rdata.extend_from_slice(&u32::to_be_bytes(field));
    }
    let _ = set.push(&rdata);
    set
}
