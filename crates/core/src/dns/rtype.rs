//! Record types: numbers on the wire, mnemonics in files and logs, and a closed set of labels in
//! metrics.

use std::{fmt, str::FromStr};

/// A record type or query type (RFC 1035 section 3.2.2 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

/// The named types: number, constant, mnemonic.
macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal),+ $(,)?) => {
        impl RecordType {
            $($(#[$doc])* pub const $name: Self = Self($number);)+

            /// Every type with a constant, in ascending order of number: the closed set of metric
            /// labels.
            pub const NAMED: &'static [(Self, &'static str)] =
                &[$((Self($number), stringify!($name))),+];
        }
    };
}

record_types! {
    /// An IPv4 address.
    A = 1,
    /// A name server of a zone.
    NS = 2,
    /// An alias.
    CNAME = 5,
    /// The start of a zone of authority.
    SOA = 6,
    /// Arbitrary data up to 65 535 bytes (experimental, common in DNS tunnels).
    NULL = 10,
    /// A pointer to a name, for reverse lookups.
    PTR = 12,
    /// Host information; the answer to ANY by RFC 8482.
    HINFO = 13,
    /// A mail exchange.
    MX = 15,
    /// Text.
    TXT = 16,
    /// A DNSSEC signature of the first version; also SIG(0).
    SIG = 24,
    /// A DNSSEC key of the first version.
    KEY = 25,
    /// An IPv6 address.
    AAAA = 28,
    /// The server of a service (RFC 2782).
    SRV = 33,
    /// Naming authority pointer (RFC 3403).
    NAPTR = 35,
    /// A certificate (RFC 4398).
    CERT = 37,
    /// An alias for a whole subtree (RFC 6672).
    DNAME = 39,
    /// EDNS (RFC 6891); not a question.
    OPT = 41,
    /// Delegation signer.
    DS = 43,
    /// SSH key fingerprint.
    SSHFP = 44,
    /// DNSSEC signature.
    RRSIG = 46,
    /// DNSSEC denial of existence.
    NSEC = 47,
    /// DNSSEC key.
    DNSKEY = 48,
    /// DNSSEC denial of existence by hash.
    NSEC3 = 50,
    /// The parameters of NSEC3.
    NSEC3PARAM = 51,
    /// A TLS certificate association (RFC 6698).
    TLSA = 52,
    /// An S/MIME certificate association.
    SMIMEA = 53,
    /// The child's DS.
    CDS = 59,
    /// The child's DNSKEY.
    CDNSKEY = 60,
    /// An OpenPGP key.
    OPENPGPKEY = 61,
    /// Child-to-parent synchronisation.
    CSYNC = 62,
    /// Service binding (RFC 9460).
    SVCB = 64,
    /// Service binding for HTTPS (RFC 9460).
    HTTPS = 65,
    /// Transaction key; a question for it is not answered.
    TKEY = 249,
    /// Transaction signature; not a question.
    TSIG = 250,
    /// Incremental zone transfer.
    IXFR = 251,
    /// Whole zone transfer.
    AXFR = 252,
    /// Obsolete mailbox query.
    MAILB = 253,
    /// Obsolete mail agent query.
    MAILA = 254,
    /// All records of a name; answered by RFC 8482.
    ANY = 255,
    /// Certification authority authorisation.
    CAA = 257,
}

impl RecordType {
    /// A digest over a zone (RFC 8976).
    pub const ZONEMD: Self = Self(63);

    /// Types that zone files contain but few clients ask for, in ascending order of number. They
    /// have a mnemonic in files and logs; metrics count them as `other`.
    pub const RARE: &'static [(Self, &'static str)] = &[
        (Self(3), "MD"),
        (Self(4), "MF"),
        (Self(7), "MB"),
        (Self(8), "MG"),
        (Self(9), "MR"),
        (Self(11), "WKS"),
        (Self(14), "MINFO"),
        (Self(17), "RP"),
        (Self(18), "AFSDB"),
        (Self(19), "X25"),
        (Self(20), "ISDN"),
        (Self(21), "RT"),
        (Self(22), "NSAP"),
        (Self(23), "NSAP-PTR"),
        (Self(26), "PX"),
        (Self(27), "GPOS"),
        (Self(29), "LOC"),
        (Self(30), "NXT"),
        (Self(36), "KX"),
        (Self(42), "APL"),
        (Self(45), "IPSECKEY"),
        (Self(49), "DHCID"),
        (Self(55), "HIP"),
        (Self::ZONEMD, "ZONEMD"),
        (Self(99), "SPF"),
        (Self(104), "NID"),
        (Self(105), "L32"),
        (Self(106), "L64"),
        (Self(107), "LP"),
        (Self(108), "EUI48"),
        (Self(109), "EUI64"),
        (Self(256), "URI"),
        (Self(258), "AVC"),
        (Self(260), "AMTRELAY"),
        (Self(261), "RESINFO"),
        (Self(32769), "DLV"),
    ];

    /// The mnemonic; `None` for a type without one.
    #[must_use]
    pub fn mnemonic(self) -> Option<&'static str> {
        let among = |names: &[(Self, &'static str)]| {
            let at = names.binary_search_by_key(&self, |&(number, _)| number);
            names.get(at.ok()?).map(|&(_, name)| name)
        };
        among(Self::NAMED).or_else(|| among(Self::RARE))
    }

    /// Whether only queries have this type and it has no data: zone transfers, transaction records,
    /// OPT (RFC 6895 section 3.1). By its number, ANY is also a meta type, but it is answered (RFC
    /// 8482).
    #[must_use]
    pub const fn is_meta(self) -> bool {
        self.0 == 0 || self.0 == Self::OPT.0 || (self.0 >= 128 && self.0 <= 254)
    }
}

impl fmt::Display for RecordType {
    /// Writes the mnemonic, or `TYPE123` (RFC 3597 section 5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(name) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is neither a known record type nor `TYPEnnn`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a record type; write A, AAAA, TXT, … or TYPE65280 for one without a name")]
pub struct UnknownType(String);

impl FromStr for RecordType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let named = Self::NAMED
            .iter()
            .chain(Self::RARE)
            .find(|(_, name)| name.eq_ignore_ascii_case(text));
        if let Some(&(rtype, _)) = named {
            return Ok(rtype);
        }
        let number = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("TYPE") => text[4..].parse().ok(),
            _ => None,
        };
        number.map(Self).ok_or_else(|| UnknownType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_types_are_sorted_for_the_binary_search() {
        assert!(RecordType::NAMED.is_sorted_by_key(|&(number, _)| number));
        assert!(RecordType::RARE.is_sorted_by_key(|&(number, _)| number));
        for &(rtype, name) in RecordType::NAMED.iter().chain(RecordType::RARE) {
            assert_eq!(rtype.mnemonic(), Some(name));
            assert_eq!(name.parse::<RecordType>(), Ok(rtype));
        }
    }

    #[test]
    fn text_and_number_agree() {
        for (text, number) in [
            ("A", 1),
            ("aaaa", 28),
            ("HTTPS", 65),
            ("TYPE65280", 65280),
            ("type1", 1),
        ] {
            assert_eq!(
                text.parse::<RecordType>().map(|t| t.0),
                Ok(number),
                "{text}"
            );
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE-1", "Ä", "AAAAA", "tyé1"] {
            assert!(text.parse::<RecordType>().is_err(), "{text}");
        }
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
    }

    #[test]
    fn meta_types_are_the_ones_without_data() {
        for meta in [
            RecordType::AXFR,
            RecordType::IXFR,
            RecordType::OPT,
            RecordType::TSIG,
            RecordType(0),
        ] {
            assert!(meta.is_meta(), "{meta}");
        }
        for data in [
            RecordType::A,
            RecordType::ANY,
            RecordType::CAA,
            RecordType(65280),
        ] {
            assert!(!data.is_meta(), "{data}");
        }
    }
}
