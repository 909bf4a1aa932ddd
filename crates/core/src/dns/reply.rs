//! One packet's way out: a reply written in place, into a buffer that the caller owns.
//!
//! The writer never writes past the size it was given: a record set that does not fit leaves the
//! reply as it was, and the caller truncates it or goes on without. Names are compressed against
//! those that the reply already holds (RFC 1035 section 4.1.4), with a bounded table, so that the
//! cost is linear in the size of the reply whatever the records are.
//!
//! The question is copied from the query, letter case included: clients that vary the case to make
//! spoofing harder compare it.

mod compression;
#[cfg(test)]
mod tests;

use super::{
    code::{Ede, Rcode},
    edns::{Edns, OPT_LEN, UDP_PAYLOAD},
    name::NameRef,
    query::{CLASS_IN, HEADER, Query},
    rrset::{Layout, Rrset, name_len},
    rtype::RecordType,
};

use compression::{CompressionTable, stands_at};

/// The record set does not fit into the rest of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyFull;

/// The sections that records go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Records that answer the question.
    Answer,
    /// The SOA of a negative answer, the NS of a referral.
    Authority,
    /// Addresses of name servers.
    Additional,
}

/// A compression pointer has 14 bits.
const MAX_POINTER: usize = 0x3fff;

/// Writes one reply.
pub struct ReplyWriter<'b> {
    out: &'b mut [u8],
    len: usize,
    /// Where the records begin.
    body: usize,
    /// The most bytes of everything but the OPT record.
    limit: usize,
    edns: Option<Edns>,
    rcode: Rcode,
    counts: [u16; 3],
    /// Names to point to; those of the question are in it once there is a name to be written.
    known: CompressionTable,
    /// Where the name in the data of the record written last stands, if one can point there.
    target: Option<u16>,
}

/// The name that records are written under, and where it stands in the reply already, if that is
/// known.
#[derive(Clone, Copy, Debug)]
pub struct OwnerName<'n> {
    name: NameRef<'n>,
    at: Option<u16>,
}

impl<'n> OwnerName<'n> {
    /// The name of the question.
    #[must_use]
    pub fn question(name: NameRef<'n>) -> Self {
        // One byte is shorter than a pointer to it.
        let at = (!name.is_root()).then_some(HEADER as u16);
        Self { name, at }
    }

    /// The name itself.
    #[must_use]
    pub const fn name(self) -> NameRef<'n> {
        self.name
    }
}

impl<'n> From<NameRef<'n>> for OwnerName<'n> {
    /// A name of which nothing is known.
    fn from(name: NameRef<'n>) -> Self {
        Self { name, at: None }
    }
}

/// Bit positions in the header's two bytes of flags.
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
    /// Begins the reply to `query`: its header and question, with room kept for the OPT record
    /// that a query with EDNS gets. `max` is the most bytes that the transport can carry to this
    /// client; `out` may be longer. `None` when not even the question fits.
    pub fn new(query: &Query<'_>, max: usize, out: &'b mut [u8]) -> Option<Self> {
        Self::echo(query.header_and_question(), query.edns(), max, out)
    }

    /// Begins the reply to a packet that is no proper query, with as much of its question as could
    /// be read.
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

    /// Begins a reply with this header, its flags and counts aside, and this question.
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

    /// The response code set last.
    #[must_use]
    pub const fn rcode(&self) -> Rcode {
        self.rcode
    }

    /// Says that the answer comes from data that this server is authoritative for.
    pub fn set_authoritative(&mut self) {
        self.set_flag(2, flag::AUTHORITATIVE);
    }

    /// Says that recursion is to be had here, as every client that may ask is told.
    pub fn set_recursion_available(&mut self) {
        self.set_flag(3, flag::RECURSION_AVAILABLE);
    }

    fn set_flag(&mut self, at: usize, bit: u8) {
        if let Some(flags) = self.out.get_mut(at) {
            *flags |= bit;
        }
    }

    /// Adds all records of a set, under `owner`.
    ///
    /// # Errors
    /// [`ReplyFull`], and then nothing of the set is in the reply.
    pub fn rrset<'n>(
        &mut self,
        section: Section,
        owner: impl Into<OwnerName<'n>>,
        set: &Rrset,
    ) -> Result<(), ReplyFull> {
        self.rrset_for(section, owner.into(), set, set.ttl())
    }

    /// The name that the alias added last leads to, to add its records.
    #[must_use]
    pub const fn target<'n>(&self, name: NameRef<'n>) -> OwnerName<'n> {
        OwnerName {
            name,
            at: self.target,
        }
    }

    /// Adds all records of a set, under `owner`, with another TTL than the set's own: that of a set
    /// that was kept for a while.
    ///
    /// # Errors
    /// [`ReplyFull`], and then nothing of the set is in the reply.
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

    /// Runs `write`; when it runs out of room, nothing of it stays.
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

    /// Adds one CNAME to the answer: the one that follows from a DNAME and that no set holds.
    ///
    /// # Errors
    /// [`ReplyFull`], and then it is not in the reply.
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
        let fields = fixed_fields(set.rtype(), ttl);
        let layout = Layout::of(set.rtype());
        debug_assert!(
            owner
                .at
                .is_none_or(|at| stands_at(self.out, at, owner.name.wire())),
            "{owner:?}"
        );
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
            // Most are IPv4 addresses: what has a known size is copied without a call.
            if let (Layout::Opaque, Ok(address)) = (layout, <&[u8; 6]>::try_from(rdata)) {
                self.put_two(&head, address)?;
            } else {
                self.put(&head)?;
                self.put_rdata(layout, rdata)?;
            }
        }
        Ok(())
    }

    /// RDATA, given and written behind its two bytes of length, the names in it compressed.
    fn put_rdata(&mut self, layout: Layout, rdata: &[u8]) -> Result<(), ReplyFull> {
        let Layout::Names { prefix, more } = layout else {
            return self.put(rdata);
        };
        let length_at = self.len;
        let (length, rest) = rdata.split_first_chunk::<2>().ok_or(ReplyFull)?;
        self.put(length)?; // it is put right below
        let (head, mut rest) = rest.split_at_checked(prefix).ok_or(ReplyFull)?;
        if !head.is_empty() {
            self.put(head)?;
        }
        if more {
            for _ in 0..2 {
                let (name, after) = name_len(rest)
                    .and_then(|len| rest.split_at_checked(len))
                    .ok_or(ReplyFull)?;
                self.put_name(name)?;
                rest = after;
            }
            self.put(rest)?;
        } else {
            self.put_target(rest)?;
        }
        self.set_length(length_at);
        Ok(())
    }

    /// The name in the data of an alias: its records may follow.
    fn put_target(&mut self, wire: &[u8]) -> Result<(), ReplyFull> {
        let at = self.put_name(wire)?;
        // Where there was no room to remember it, it is written out again, as any name is.
        self.target = at.filter(|_| !self.known.is_full());
        Ok(())
    }

    /// Writes the length of the RDATA that begins behind the two bytes at `length_at` into them.
    fn set_length(&mut self, length_at: usize) {
        let written = self.len - length_at - 2;
        if let Some(slot) = self.out.get_mut(length_at..length_at + 2) {
            slot.copy_from_slice(&(written as u16).to_be_bytes());
        }
    }

    /// Writes a name, the longest known suffix of it as a pointer. Returns where a pointer to the
    /// whole name can lead.
    fn put_name(&mut self, wire: &[u8]) -> Result<Option<u16>, ReplyFull> {
        if self.known.count() == 0 {
            self.know_question();
        }
        let begin = self.len;
        let mut rest = wire;
        while let Some((&len, tail)) = rest.split_first() {
            if len == 0 {
                break;
            }
            let fresh = wire.len() - rest.len();
            if let Some(at) = self.known.find(self.out, rest) {
                if fresh == 0 {
                    self.put(&pointer(at))?;
                    return Ok(Some(at));
                }
                self.put(wire.get(..fresh).ok_or(ReplyFull)?)?;
                self.put(&pointer(at))?;
                return Ok(pointer_to(begin));
            }
            self.known.add(begin + fresh, rest.len());
            rest = tail.get(usize::from(len)..).ok_or(ReplyFull)?;
        }
        self.put(wire)?;
        Ok(pointer_to(begin))
    }

    /// Makes the name of the question one to point to. It is a well-formed one.
    fn know_question(&mut self) {
        let question = self.out.get(HEADER..self.body).unwrap_or_default();
        let mut left = question.len().saturating_sub(4); // type and class
        let mut at = HEADER;
        while let Some(&len) = self.out.get(at) {
            let step = 1 + usize::from(len);
            if len == 0 || left <= step {
                break;
            }
            self.known.add(at, left);
            at += step;
            left -= step;
        }
    }

    /// Two pieces of known size.
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

    /// Drops all records, as if none had been added.
    pub fn clear(&mut self) {
        self.len = self.body;
        self.counts = [0; 3];
        // Names of records are not to be pointed to any longer; those of the question are the ones
        // that stand before the records.
        self.known.cut_at(self.body);
        self.target = None;
    }

    /// Drops all records and says so: the client asks again over TCP (RFC 1035 section 4.2.1).
    pub fn truncate(&mut self) {
        self.clear();
        self.set_flag(2, flag::TRUNCATED);
    }

    /// Ends the reply with the OPT record, if the query had one; `ede` goes into it where there is
    /// room, first its code and then as much of its text as fits. Returns the reply's length.
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

    fn put_opt(&mut self, edns: Edns, ede: Option<(Ede, &str)>) {
        let room = self.limit - self.len;
        self.limit += OPT_LEN;
        let [payload_high, payload_low] = UDP_PAYLOAD.to_be_bytes();
        let upper_rcode = (self.rcode.number() >> 4) as u8;
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        // 4 bytes of option header, 2 of INFO-CODE, then the text (RFC 8914 section 2).
        let ede = ede
            .filter(|_| room >= 6)
            .map(|(code, text)| (code, fitting(text, room - 6)));
        let rdata_len = ede.map_or(0, |(_, text)| 6 + text.len() as u16);
        let [rdata_high, rdata_low] = rdata_len.to_be_bytes();
        let [_, opt_type] = RecordType::OPT.0.to_be_bytes();
        let fixed = [
            0,
            0,
            opt_type,
            payload_high,
            payload_low,
            upper_rcode,
            0,
            dnssec_ok,
            0,
            rdata_high,
            rdata_low,
        ];
        // The room was reserved for the fixed part and measured for the rest.
        let _ = self.put(&fixed);
        if let Some((code, text)) = ede {
            let mut option = [0, 15, 0, 0, 0, 0];
            option[2..4].copy_from_slice(&(2 + text.len() as u16).to_be_bytes());
            option[4..].copy_from_slice(&code.number().to_be_bytes());
            let _ = self.put(&option);
            let _ = self.put(text.as_bytes());
        }
    }
}

/// Type, class and TTL of a record.
fn fixed_fields(rtype: RecordType, ttl: u32) -> [u8; 8] {
    let [[t1, t0], [c1, c0]] = [rtype.0, CLASS_IN].map(u16::to_be_bytes);
    let [l3, l2, l1, l0] = ttl.to_be_bytes();
    [t1, t0, c1, c0, l3, l2, l1, l0]
}

/// As much of `text` as fits into `room` bytes, whole characters only.
fn fitting(text: &str, room: usize) -> &str {
    let end = (0..=room.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// A compression pointer to this place.
const fn pointer(at: u16) -> [u8; 2] {
    (0xc000 | at).to_be_bytes()
}

fn pointer_to(at: usize) -> Option<u16> {
    (at <= MAX_POINTER).then_some(at as u16)
}
