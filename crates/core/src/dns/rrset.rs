//! Record sets in wire form: the answers of zones and rules.
//!
//! RDATA is stored uncompressed, which suits comparison and most writes. The type determines the
//! names in it that a response may compress.

use std::{fmt, net::IpAddr};

use hickory_proto::{
    rr::RData,
    serialize::binary::{BinEncodable, BinEncoder, NameEncoding},
};

use super::{Name, NameBuf, NameRef, RecordType, name::MAX_NAME};

/// The maximum length of RDATA in bytes: its length field has 16 bits.
pub const MAX_RDATA: usize = u16::MAX as usize;
/// The maximum TTL in seconds (RFC 2181 section 8).
pub const MAX_TTL: u32 = i32::MAX as u32;

/// All records with one owner name and type: one TTL, one or more RDATA (RFC 2181 section 5).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rrset {
    rtype: RecordType,
    ttl: u32,
    count: u16,
    /// The parsed target of a CNAME, so that answers need not parse it.
    alias: Option<Name>,
    /// Each RDATA with a two-byte length prefix.
    data: Vec<u8>,
}

/// The reason why records cannot form a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RrsetError {
    /// hickory-proto could not encode the record.
    #[error("the record cannot be encoded: {0}")]
    Encode(String),
    /// The RDATA exceeds 65 535 bytes.
    #[error("the record's data is longer than 65535 bytes")]
    LongRdata,
    /// The records exceed 65 535 bytes in total.
    #[error("the records of one name and type are more than 65535 bytes, which no reply can hold")]
    LargeSet,
}

impl Rrset {
    /// An empty set; [`Rrset::push`] adds records.
    #[must_use]
    pub fn new(rtype: RecordType, ttl: u32) -> Self {
        Self {
            rtype,
            ttl: ttl.min(MAX_TTL),
            count: 0,
            alias: None,
            data: Vec::new(),
        }
    }

    /// A set of the addresses that match the type, in the given order. Other addresses are omitted.
    #[must_use]
    pub fn of_addresses(rtype: RecordType, ttl: u32, addresses: &[IpAddr]) -> Self {
        let mut set = Self::new(rtype, ttl);
        for address in addresses {
            // At most 16 bytes each, so `push` cannot fail.
            let _ = match (rtype, address) {
                (RecordType::A, IpAddr::V4(v4)) => set.push(&v4.octets()),
                (RecordType::AAAA, IpAddr::V6(v6)) => set.push(&v6.octets()),
                _ => Ok(()),
            };
        }
        set
    }

    /// A set of one record whose RDATA is a name: CNAME, NS, PTR, DNAME.
    #[must_use]
    pub fn of_name(rtype: RecordType, ttl: u32, target: NameRef<'_>) -> Self {
        let mut set = Self::new(rtype, ttl);
        let _ = set.push(target.wire()); // at most 255 bytes
        set
    }

    /// Adds one RDATA in uncompressed wire form. Omits a duplicate (RFC 2181 section 5).
    ///
    /// # Errors
    /// If the RDATA or the set is too large.
    pub fn push(&mut self, rdata: &[u8]) -> Result<(), RrsetError> {
        if self.rdatas().any(|own| own == rdata) {
            return Ok(());
        }
        self.append(rdata)
    }

    /// Adds one RDATA that is known not to be a duplicate, without a search of the set.
    ///
    /// # Errors
    /// As [`Rrset::push`].
    pub fn append(&mut self, rdata: &[u8]) -> Result<(), RrsetError> {
        let len = u16::try_from(rdata.len()).map_err(|_| RrsetError::LongRdata)?;
        if !self.is_empty() && self.data.len() + 2 + rdata.len() > MAX_RDATA {
            return Err(RrsetError::LargeSet);
        }
        if self.rtype == RecordType::CNAME && self.is_empty() {
            let name = NameBuf::read(rdata).ok();
            self.alias = name.map(|(name, _)| name.as_ref().to_name());
        }
        self.count += 1; // at most 65 535 bytes, two or more a record
        self.data.extend_from_slice(&len.to_be_bytes());
        self.data.extend_from_slice(rdata);
        Ok(())
    }

    /// Releases unused capacity.
    pub(super) fn shrink_to_fit(&mut self) {
        self.data.shrink_to_fit();
    }

    /// The heap memory in bytes.
    pub(super) fn heap(&self) -> usize {
        let alias = self.alias();
        let alias = alias.map_or(0, |name| name.wire().len() + name.label_count() + 1);
        self.data.capacity() + alias
    }

    /// The type.
    #[must_use]
    pub const fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// The TTL in seconds.
    #[must_use]
    pub const fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Lowers the TTL to `ttl` if it is higher: the TTL of a set is the minimum of its records (RFC
    /// 2181 section 5.2).
    pub fn lower_ttl(&mut self, ttl: u32) {
        self.ttl = self.ttl.min(ttl);
    }

    /// The number of records.
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.count
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The uncompressed RDATA in order of insertion.
    pub fn rdatas(&self) -> impl Iterator<Item = &[u8]> {
        self.rdatas_with_length()
            .map(|rdata| rdata.get(2..).unwrap_or_default())
    }

    /// The RDATA with two-byte length prefixes, as on the wire.
    pub(super) fn rdatas_with_length(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.data;
        std::iter::from_fn(move || {
            let &len = rest.first_chunk::<2>()?;
            let whole = 2 + usize::from(u16::from_be_bytes(len));
            let (rdata, after) = rest.split_at_checked(whole)?;
            rest = after;
            Some(rdata)
        })
    }

    /// The RDATA of an A set with two-byte length prefixes, if each has four bytes.
    #[inline]
    pub(super) fn ipv4(&self) -> Option<&[[u8; 6]]> {
        if self.rtype != RecordType::A {
            return None;
        }
        let (rdatas, rest) = self.data.as_chunks();
        let fits = |rdata: &[u8; 6]| rdata.starts_with(&[0, 4]);
        (rest.is_empty() && rdatas.iter().all(fits)).then_some(rdatas)
    }

    /// The target of an alias: the RDATA of a CNAME or DNAME with its letter case.
    #[must_use]
    pub fn target(&self) -> Option<&[u8]> {
        matches!(self.rtype, RecordType::CNAME | RecordType::DNAME).then(|| self.rdatas().next())?
    }

    /// The target of a CNAME in canonical form.
    #[must_use]
    pub fn alias(&self) -> Option<NameRef<'_>> {
        self.alias.as_ref().map(Name::as_ref)
    }

    /// The addresses of an A or AAAA set.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let rtype = self.rtype;
        self.rdatas().filter_map(move |rdata| match rtype {
            RecordType::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
            _ => None,
        })
    }
}

impl fmt::Debug for Rrset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} × {}", self.ttl, self.rtype, self.count)
    }
}

/// Converts RDATA from hickory-proto to uncompressed wire form.
///
/// # Errors
/// If hickory-proto cannot encode it, or it is too long for a record.
pub fn wire_rdata(rdata: &RData) -> Result<Vec<u8>, RrsetError> {
    let mut wire = Vec::new();
    let mut encoder = BinEncoder::new(&mut wire);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    rdata
        .emit(&mut encoder)
        .map_err(|error| RrsetError::Encode(error.to_string()))?;
    if wire.len() > MAX_RDATA {
        return Err(RrsetError::LongRdata);
    }
    Ok(wire)
}

/// The positions of compressible names in the RDATA of a type. Only the types of RFC 1035 have any:
/// newer types must not be compressed (RFC 3597 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// No compressible name.
    Opaque,
    /// `prefix` bytes, then one name. If `more` is set, another name and any bytes follow.
    Names { prefix: usize, more: bool },
}

impl Layout {
    pub(super) const fn of(rtype: RecordType) -> Self {
        match rtype {
            RecordType::NS | RecordType::CNAME | RecordType::PTR => Self::Names {
                prefix: 0,
                more: false,
            },
            RecordType::SOA => Self::Names {
                prefix: 0,
                more: true,
            },
            RecordType::MX => Self::Names {
                prefix: 2,
                more: false,
            },
            _ => Self::Opaque,
        }
    }
}

/// The length of the uncompressed name at the start of `wire`, including the root byte.
pub(super) fn name_len(wire: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let len = usize::from(*wire.get(at)?);
        at += 1 + len;
        if len > super::name::MAX_LABEL || at > MAX_NAME {
            return None;
        }
        if len == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_rdata_is_kept_once() {
        let addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.1"].map(|a| a.parse().expect("address"));
        let set = Rrset::of_addresses(RecordType::A, 300, &addresses);
        assert_eq!(set.len(), 2);
        assert_eq!(set.addresses().collect::<Vec<_>>(), addresses[..2]);
        assert!(Rrset::of_addresses(RecordType::AAAA, 300, &addresses).is_empty());
    }

    #[test]
    fn rdata_that_does_not_fit_is_refused() {
        let mut set = Rrset::new(RecordType::NULL, 0);
        assert_eq!(set.push(&vec![0; MAX_RDATA]), Ok(()));
        assert_eq!(
            set.push(&vec![0; MAX_RDATA + 1]),
            Err(RrsetError::LongRdata)
        );
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn only_a_set_of_four_bytes_each_is_ipv4() {
        for (rtype, rdatas, want) in [
            (RecordType::A, &[b"\x0a\0\0\x01"][..], Some(1)),
            (RecordType::A, &[b"\x0a\0\0\x01", b"\x0a\0\0\x02"], Some(2)),
            (RecordType::NULL, &[b"\x0a\0\0\x01"], None),
        ] {
            let mut set = Rrset::new(rtype, 0);
            for rdata in rdatas {
                assert_eq!(set.push(*rdata), Ok(()));
            }
            assert_eq!(set.ipv4().map(<[_]>::len), want, "{rtype}");
            // As long as two addresses, and with the length of one in it.
            assert_eq!(set.push(b"\0\x04abcdefgh"), Ok(()));
            assert_eq!(set.ipv4(), None, "{rtype}");
        }
    }

    #[test]
    fn an_alias_leads_to_its_first_target_in_lower_case() {
        let mut set = Rrset::new(RecordType::CNAME, 0);
        assert_eq!(set.alias(), None);
        for target in [&b"\x03WWW\x01a\0"[..], b"\x01b\0"] {
            assert_eq!(set.push(target), Ok(()));
            assert_eq!(set.alias().map(NameRef::wire), Some(&b"\x03www\x01a\0"[..]));
        }
        let mut other = Rrset::new(RecordType::DNAME, 0);
        assert_eq!(other.push(b"\x01b\0"), Ok(()));
        assert_eq!(other.alias(), None);
    }
}
