//! The presentation format of each type: one row per type, with the fields in the order of its RFC.
//!
//! Every type with a presentation format in an RFC and support in a current server has a row,
//! except SVCB and HTTPS ([`svcb`](super::svcb)). hickory-proto and NLnet Labs' domain are
//! unsuitable as readers: neither supports LOC, APL, DHCID, HIP, URI, EUI48, NID and similar types,
//! and both deviate from the zone-file syntax of names and strings.

use crate::dns::RecordType;

/// One field of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RdataField {
    Ipv4,
    Ipv6,
    Name,
    U8,
    U16,
    U32,
    /// Seconds, or a time with units.
    Time,
    /// Seconds since 1970, or `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
    Timestamp,
    /// A DNSSEC algorithm: its number or mnemonic.
    Algorithm,
    /// A certificate type: its number or mnemonic (RFC 4398 section 2.1).
    CertificateType,
    /// A record type.
    Type,
    /// A string of up to 255 bytes with a length prefix.
    String,
    /// Like `String`, but optional.
    OptionalString,
    /// The property tag of CAA: letters and digits with a length prefix.
    Tag,
    /// A string without a length prefix; must be the last field.
    Text,
    /// Hexadecimal digits with a length prefix, or `-` for none (RFC 5155 section 3.3).
    Salt,
    /// Base 32 with a length prefix (RFC 5155 section 3.3).
    Hash,
    /// This many bytes in hexadecimal, separated by hyphens (RFC 7043).
    Eui(usize),
    /// 64 bits as four groups of hexadecimal digits, separated by colons (RFC 6742 section 2.1.2).
    Groups,
    /// `0x` and hexadecimal digits, with optional dots (RFC 1706 section 7).
    Nsap,
    // These take all remaining words.
    /// One or more strings.
    Strings,
    /// Hexadecimal digits.
    Hex,
    /// Base 64.
    Base64,
    /// Record types as a bitmap (RFC 4034 section 4.1.2).
    Types,
    /// Record types below 128 as an NXT bitmap (RFC 2535 section 5.2).
    OldTypes,
    /// A geographical location (RFC 1876).
    Location,
    /// Address prefixes (RFC 3123).
    Prefixes,
    /// A protocol and its services (RFC 1035 section 3.4.2).
    Services,
    /// A gateway and a key (RFC 4025).
    Ipseckey,
    /// A relay (RFC 8777).
    Amtrelay,
    /// A host identity (RFC 8005).
    Hip,
}

impl RdataField {
    /// Whether the field takes all remaining words, possibly none.
    pub(super) const fn takes_rest(self) -> bool {
        matches!(
            self,
            Self::Strings
                | Self::Hex
                | Self::Base64
                | Self::Types
                | Self::OldTypes
                | Self::Location
                | Self::Prefixes
                | Self::Services
                | Self::Ipseckey
                | Self::Amtrelay
                | Self::Hip
        )
    }

    /// Whether the field is optional.
    pub(super) const fn may_be_absent(self) -> bool {
        matches!(
            self,
            Self::OptionalString | Self::Types | Self::OldTypes | Self::Prefixes
        )
    }
}

/// The presentation format of a type.
#[derive(Clone, Copy)]
pub(super) struct RdataForm {
    /// The field names in the RFC of the type, for messages.
    pub(super) names: &'static str,
    pub(super) fields: &'static [RdataField],
}

/// Types by mnemonic and the fields of their RDATA. The most common types come first.
const FORMS: &[(&[&str], &str, &[RdataField])] = {
    use RdataField::{
        Algorithm, Amtrelay, Base64, CertificateType, Eui, Groups, Hash, Hex, Hip, Ipseckey, Ipv4,
        Ipv6, Location, Name, Nsap, OldTypes, OptionalString, Prefixes, Salt, Services, String,
        Strings, Tag, Text, Time, Timestamp, Type, Types, U8, U16, U32,
    };
    &[
        (&["A"], "an IPv4 address", &[Ipv4]),
        (&["AAAA"], "an IPv6 address", &[Ipv6]),
        (
            &[
                "NS", "CNAME", "PTR", "DNAME", "MD", "MF", "MB", "MG", "MR", "NSAP-PTR",
            ],
            "a name",
            &[Name],
        ),
        (
            &["SOA"],
            "mname rname serial refresh retry expire minimum",
            &[Name, Name, U32, Time, Time, Time, Time],
        ),
        (
            &["MX", "AFSDB", "KX", "RT", "LP"],
            "preference name",
            &[U16, Name],
        ),
        (&["MINFO", "RP"], "mailbox name", &[Name, Name]),
        (&["PX"], "preference map822 mapx400", &[U16, Name, Name]),
        (
            &["TXT", "SPF", "AVC", "RESINFO"],
            "one or more strings",
            &[Strings],
        ),
        (&["HINFO"], "cpu os", &[String, String]),
        (&["X25"], "an address in digits", &[String]),
        (&["ISDN"], "address [subaddress]", &[String, OptionalString]),
        (
            &["GPOS"],
            "longitude latitude altitude",
            &[String, String, String],
        ),
        (
            &["SRV"],
            "priority weight port target",
            &[U16, U16, U16, Name],
        ),
        (
            &["NAPTR"],
            "order preference flags services regexp replacement",
            &[U16, U16, String, String, String, Name],
        ),
        (&["URI"], "priority weight target", &[U16, U16, Text]),
        (&["CAA"], "flags tag value", &[U8, Tag, Text]),
        (&["WKS"], "address protocol services", &[Ipv4, Services]),
        (&["NSAP"], "0x and hexadecimal digits", &[Nsap]),
        (
            &["LOC"],
            "degrees [minutes [seconds]] N|S degrees [minutes [seconds]] E|W altitude [size \
             [horizontal-precision [vertical-precision]]]",
            &[Location],
        ),
        (&["APL"], "[!]family:address/prefix-length ...", &[Prefixes]),
        (&["EUI48"], "six bytes as in 00-00-5e-00-53-2a", &[Eui(6)]),
        (
            &["EUI64"],
            "eight bytes as in 00-00-5e-ef-10-00-00-2a",
            &[Eui(8)],
        ),
        (&["NID", "L64"], "preference 64-bit-value", &[U16, Groups]),
        (&["L32"], "preference an-IPv4-address", &[U16, Ipv4]),
        (&["DHCID", "OPENPGPKEY"], "base 64", &[Base64]),
        (
            &["CERT"],
            "type key-tag algorithm certificate",
            &[CertificateType, U16, Algorithm, Base64],
        ),
        (
            &["IPSECKEY"],
            "precedence gateway-type algorithm gateway [public-key]",
            &[Ipseckey],
        ),
        (
            &["AMTRELAY"],
            "precedence discovery-optional type relay",
            &[Amtrelay],
        ),
        (
            &["HIP"],
            "algorithm hit public-key [rendezvous-server ...]",
            &[Hip],
        ),
        (
            &["SSHFP"],
            "algorithm fingerprint-type fingerprint",
            &[U8, U8, Hex],
        ),
        (
            &["TLSA", "SMIMEA"],
            "usage selector matching-type data",
            &[U8, U8, U8, Hex],
        ),
        (
            &["DS", "CDS", "DLV"],
            "key-tag algorithm digest-type digest",
            &[U16, Algorithm, U8, Hex],
        ),
        (
            &["DNSKEY", "CDNSKEY", "KEY"],
            "flags protocol algorithm public-key",
            &[U16, U8, Algorithm, Base64],
        ),
        (
            &["RRSIG", "SIG"],
            "type-covered algorithm labels original-ttl expiration inception key-tag signer \
             signature",
            &[
                Type, Algorithm, U8, U32, Timestamp, Timestamp, U16, Name, Base64,
            ],
        ),
        (&["NSEC"], "next-name types", &[Name, Types]),
        (&["NXT"], "next-name types", &[Name, OldTypes]),
        (
            &["NSEC3"],
            "algorithm flags iterations salt next-hash types",
            &[U8, U8, U16, Salt, Hash, Types],
        ),
        (
            &["NSEC3PARAM"],
            "algorithm flags iterations salt",
            &[U8, U8, U16, Salt],
        ),
        (&["CSYNC"], "serial flags types", &[U32, U16, Types]),
        (
            &["ZONEMD"],
            "serial scheme algorithm digest",
            &[U32, U8, U8, Hex],
        ),
    ]
};

/// The presentation format of a type; `None` if the table has no row for it.
pub(super) fn of(rtype: RecordType) -> Option<RdataForm> {
    let mnemonic = rtype.mnemonic()?;
    let mut rows = FORMS.iter();
    let &(_, names, fields) = rows.find(|(types, ..)| types.contains(&mnemonic))?;
    Some(RdataForm { names, fields })
}
