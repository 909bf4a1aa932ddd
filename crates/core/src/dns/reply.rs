//! Writes a response in place, into a buffer of the caller.
//!
//! The writer never exceeds its size limit. A record set that does not fit leaves the response
//! unchanged; the caller then truncates the response or omits the set. Names are compressed against
//! names in the response (RFC 1035 section 4.1.4) with a bounded table, so that the cost is linear
//! in the size of the response for any records.
//!
//! The question is copied from the query with its letter case, because clients that randomize the
//! case against spoofing compare it.

mod record_writer;
#[cfg(test)]
mod tests;

use super::{
    code::{Ede, Rcode},
    name::NameRef,
    query::{CLASS_IN, Edns, HEADER, OPT_LEN, Query, UDP_PAYLOAD},
    rrset::{Layout, Rrset},
    rtype::RecordType,
};

use record_writer::{CompressionTable, stands_at};

/// The record set does not fit into the rest of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyFull;

/// The sections for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Records that answer the question.
    Answer,
    /// The SOA of a negative answer, or the NS of a referral.
    Authority,
    /// Addresses of name servers.
    Additional,
}

/// The maximum offset of a compression pointer: 14 bits.
const MAX_POINTER: usize = 0x3fff;
/// The offset of the question's name.
const QUESTION_AT: u16 = 12;
const _: () = assert!(QUESTION_AT as usize == HEADER);

/// Writes one response.
pub struct ReplyWriter<'b> {
    out: &'b mut [u8],
    len: usize,
    /// The offset of the first record.
    body: usize,
    /// The maximum size in bytes without the OPT record.
    limit: usize,
    edns: Option<Edns>,
    rcode: Rcode,
    counts: [u16; 3],
    /// Targets for compression pointers. The question's name is added when the first name is
    /// written.
    known: CompressionTable,
    /// The offset of the name in the RDATA of the last alias, if a pointer can refer to it.
    target: Option<u16>,
}

/// The owner name for records, and its offset in the response if known.
#[derive(Clone, Copy, Debug)]
pub struct OwnerName<'n> {
    name: NameRef<'n>,
    at: Option<u16>,
}

impl<'n> OwnerName<'n> {
    /// The name of the question.
    #[must_use]
    pub fn question(name: NameRef<'n>) -> Self {
        // The root is shorter than a pointer to it.
        let at = (!name.is_root()).then_some(QUESTION_AT);
        Self { name, at }
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> NameRef<'n> {
        self.name
    }
}

impl<'n> From<NameRef<'n>> for OwnerName<'n> {
    /// A name with an unknown offset.
    fn from(name: NameRef<'n>) -> Self {
        Self { name, at: None }
    }
}

/// Bits of the two flag bytes in the header.
mod flag {
    pub(super) const RESPONSE: u8 = 0x80;
    pub(super) const AUTHORITATIVE: u8 = 0x04;
    pub(super) const TRUNCATED: u8 = 0x02;
    /// Opcode and RD are echoed.
    pub(super) const ECHO_HIGH: u8 = 0x79;
    pub(super) const RECURSION_AVAILABLE: u8 = 0x80;
    /// CD is echoed (RFC 4035 section 3.2.2).
    pub(super) const ECHO_LOW: u8 = 0x10;
}

impl<'b> ReplyWriter<'b> {
    /// Starts the response to `query` with its header and question. Reserves room for an OPT record
    /// if the query has EDNS. `max` is the maximum size in bytes for this client and transport;
    /// `out` may be longer. Returns `None` if the question does not fit.
    pub fn new(query: &Query<'_>, max: usize, out: &'b mut [u8]) -> Option<Self> {
        Self::echo(query.header_and_question(), query.edns(), max, out)
    }

    /// Starts the response to a malformed query, with the readable part of its question.
    pub fn for_malformed(
        packet: &[u8],
        question: usize,
        edns: bool,
        max: usize,
        out: &'b mut [u8],
    ) -> Option<Self> {
        let edns = edns.then_some(Edns {
            udp_payload: UDP_PAYLOAD,
            version: 0,
            dnssec_ok: false,
        });
        Self::echo(packet.get(..HEADER + question)?, edns, max, out)
    }

    /// Starts a response with this header, except for flags and counts, and this question.
    #[inline]
    fn echo(head: &[u8], edns: Option<Edns>, max: usize, out: &'b mut [u8]) -> Option<Self> {
        let reserve = if edns.is_some() { OPT_LEN } else { 0 };
        let limit = out.len().min(max).checked_sub(reserve)?;
        out.get_mut(..limit)?
            .get_mut(..head.len())?
            .copy_from_slice(head);
        let [_, _, high, low, counts @ ..] = out.first_chunk_mut::<HEADER>()?;
        *high = flag::RESPONSE | (*high & flag::ECHO_HIGH);
        *low &= flag::ECHO_LOW;
        let questions = u8::from(head.len() > HEADER);
        *counts = [0, questions, 0, 0, 0, 0, 0, 0];
        Some(Self {
            out,
            len: head.len(),
            body: head.len(),
            limit,
            edns,
            rcode: Rcode::NoError,
            counts: [0; 3],
            known: CompressionTable::new(),
            target: None,
        })
    }

    /// Sets the response code.
    pub fn set_rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
    }

    /// The current response code.
    #[must_use]
    pub const fn rcode(&self) -> Rcode {
        self.rcode
    }

    /// Sets AA: the answer is authoritative.
    pub fn set_authoritative(&mut self) {
        self.set_flag(2, flag::AUTHORITATIVE);
    }

    /// Sets RA, as in every response to an admitted client.
    pub fn set_recursion_available(&mut self) {
        self.set_flag(3, flag::RECURSION_AVAILABLE);
    }

    fn set_flag(&mut self, at: usize, bit: u8) {
        if let Some(flags) = self.out.get_mut(at) {
            *flags |= bit;
        }
    }

    /// Adds all records of a set with the owner name `owner`.
    ///
    /// # Errors
    /// [`ReplyFull`] if they do not fit; the response is then unchanged.
    pub fn rrset<'n>(
        &mut self,
        section: Section,
        owner: impl Into<OwnerName<'n>>,
        set: &Rrset,
    ) -> Result<(), ReplyFull> {
        self.rrset_for(section, owner.into(), set, set.ttl())
    }

    /// The target of the last added alias, as the owner name of its records.
    #[must_use]
    pub const fn target<'n>(&self, name: NameRef<'n>) -> OwnerName<'n> {
        OwnerName {
            name,
            at: self.target,
        }
    }

    /// Adds all records of a set with the owner name `owner` and a different TTL, for sets from the
    /// cache.
    ///
    /// # Errors
    /// [`ReplyFull`] if they do not fit; the response is then unchanged.
    pub fn rrset_for<'n>(
        &mut self,
        section: Section,
        owner: impl Into<OwnerName<'n>>,
        set: &Rrset,
        ttl: u32,
    ) -> Result<(), ReplyFull> {
        let owner = owner.into();
        self.all_or_nothing(section, set.len(), |reply| {
            reply.write_records(owner, set, ttl)
        })
    }

    /// Runs `write` and undoes it if it runs out of room.
    fn all_or_nothing(
        &mut self,
        section: Section,
        records: u16,
        write: impl FnOnce(&mut Self) -> Result<(), ReplyFull>,
    ) -> Result<(), ReplyFull> {
        let (len, known) = (self.len, self.known.count());
        let written = write(self);
        if written.is_err() {
            self.len = len;
            self.known.cut(known);
        } else if let Some(count) = self.counts.get_mut(section as usize) {
            *count = count.saturating_add(records);
        }
        written
    }

    /// Adds a CNAME synthesized from a DNAME to the answer.
    ///
    /// # Errors
    /// [`ReplyFull`] if it does not fit; the response is then unchanged.
    pub fn cname(
        &mut self,
        owner: NameRef<'_>,
        ttl: u32,
        target: NameRef<'_>,
    ) -> Result<(), ReplyFull> {
        self.all_or_nothing(Section::Answer, 1, |reply| {
            reply.put_name(owner.wire())?;
            reply.put(&fixed_fields(RecordType::CNAME, ttl))?;
            let length_at = reply.len;
            reply.put(&[0, 0])?;
            reply.put_target(target.wire())?;
            reply.set_length(length_at);
            Ok(())
        })
    }

    fn write_records(
        &mut self,
        owner: OwnerName<'_>,
        set: &Rrset,
        ttl: u32,
    ) -> Result<(), ReplyFull> {
        debug_assert!(
            owner
                .at
                .is_none_or(|at| stands_at(self.out, at, owner.name.wire())),
            "{owner:?}"
        );
        if let (Some(at), Some(addresses)) = (owner.at, set.ipv4()) {
            let fields = fixed_fields(RecordType::A, ttl);
            return self.put_addresses(pointer(at), fields, addresses);
        }
        let fields = fixed_fields(set.rtype(), ttl);
        let layout = Layout::of(set.rtype());
        let mut owner_at = owner.at.map(pointer);
        for rdata in set.rdatas_with_length() {
            let Some([high, low]) = owner_at else {
                owner_at = self.put_name(owner.name.wire())?.map(pointer);
                self.put(&fields)?;
                self.put_rdata(layout, rdata)?;
                continue;
            };
            let [t1, t0, c1, c0, l3, l2, l1, l0] = fields;
            let head = [high, low, t1, t0, c1, c0, l3, l2, l1, l0];
            self.put(&head)?;
            self.put_rdata(layout, rdata)?;
        }
        Ok(())
    }

    /// Writes the records of an A set, the most common type. They have equal size, so one check of
    /// the room is sufficient.
    fn put_addresses(
        &mut self,
        [high, low]: [u8; 2],
        [t1, t0, c1, c0, l3, l2, l1, l0]: [u8; 8],
        addresses: &[[u8; 6]],
    ) -> Result<(), ReplyFull> {
        let end = self.len + 16 * addresses.len();
        if end > self.limit {
            return Err(ReplyFull);
        }
        let room = self.out.get_mut(self.len..end).ok_or(ReplyFull)?;
        for (record, &[n1, n0, a3, a2, a1, a0]) in room.as_chunks_mut().0.iter_mut().zip(addresses)
        {
            *record = [
                high, low, t1, t0, c1, c0, l3, l2, l1, l0, n1, n0, a3, a2, a1, a0,
            ];
        }
        self.len = end;
        Ok(())
    }

    /// Writes two pieces of fixed size.
    #[inline]
    fn put_two<const A: usize, const B: usize>(
        &mut self,
        one: &[u8; A],
        other: &[u8; B],
    ) -> Result<(), ReplyFull> {
        let end = self.len + A + B;
        if end > self.limit {
            return Err(ReplyFull);
        }
        let room = self.out.get_mut(self.len..end);
        let (to, rest) = room
            .and_then(<[u8]>::split_first_chunk_mut)
            .ok_or(ReplyFull)?;
        *to = *one;
        *rest.first_chunk_mut().ok_or(ReplyFull)? = *other;
        self.len = end;
        Ok(())
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), ReplyFull> {
        let end = self.len + bytes.len();
        if end > self.limit {
            return Err(ReplyFull);
        }
        let room = self.out.get_mut(self.len..end).ok_or(ReplyFull)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Removes all records.
    pub fn clear(&mut self) {
        self.len = self.body;
        self.counts = [0; 3];
        // Removes the names of records from the table and keeps those of the question, which
        // precede the records.
        self.known.cut_at(self.body);
        self.target = None;
    }

    /// Removes all records and sets TC, so that the client retries over TCP (RFC 1035 section
    /// 4.2.1).
    pub fn truncate(&mut self) {
        self.clear();
        self.set_flag(2, flag::TRUNCATED);
    }

    /// Finishes the response with the OPT record if the query had one. Adds `ede` if there is room:
    /// first its code, then as much of its text as fits. Returns the length of the response.
    #[must_use]
    pub fn finish(&mut self, ede: Option<(Ede, &str)>) -> usize {
        if let Some(edns) = self.edns {
            self.put_opt(edns, ede);
        }
        let opt = u16::from(self.edns.is_some());
        let [answers, authority, additional] = self.counts;
        let [an1, an0] = answers.to_be_bytes();
        let [ns1, ns0] = authority.to_be_bytes();
        let [ar1, ar0] = additional.saturating_add(opt).to_be_bytes();
        if let Some([_, _, _, low, _, _, counts @ ..]) = self.out.first_chunk_mut::<HEADER>() {
            *low |= (self.rcode.number() & 0x0f) as u8;
            *counts = [an1, an0, ns1, ns0, ar1, ar0];
        }
        self.len
    }
}

/// The type, class and TTL of a record.
fn fixed_fields(rtype: RecordType, ttl: u32) -> [u8; 8] {
    let [[t1, t0], [c1, c0]] = [rtype.0, CLASS_IN].map(u16::to_be_bytes);
    let [l3, l2, l1, l0] = ttl.to_be_bytes();
    [t1, t0, c1, c0, l3, l2, l1, l0]
}

/// A compression pointer to this offset.
const fn pointer(at: u16) -> [u8; 2] {
    (0xc000 | at).to_be_bytes()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "compared with the largest pointer"
)]
fn pointer_to(at: usize) -> Option<u16> {
    (at <= MAX_POINTER).then_some(at as u16)
}
