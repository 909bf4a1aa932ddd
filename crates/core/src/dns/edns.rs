//! EDNS version 0 (RFC 6891): reads the OPT record of a query.
//!
//! Options are checked for form and otherwise ignored: a client's client subnet, cookie or padding
//! has no effect and is not forwarded to an upstream.

/// The UDP payload size that dnsgate announces and does not exceed. It fits into one packet on
/// every path that carries IPv6 (the value of DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;
/// The size of a UDP response to a client without EDNS (RFC 1035 section 4.2.1).
pub const UDP_PAYLOAD_CLASSIC: u16 = 512;
/// The length of an OPT record without options, in bytes.
pub const OPT_LEN: usize = 11;

/// The contents of a query's OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The maximum UDP payload of the client, in bytes; at least 512.
    pub udp_payload: u16,
    /// The version; only 0 is defined.
    pub version: u8,
    /// DNSSEC OK: the client requests signatures (RFC 3225).
    pub dnssec_ok: bool,
}

impl Edns {
    /// Reads the fixed part of an OPT record: its class and TTL fields.
    #[must_use]
    pub fn from_fields(class: u16, ttl: u32) -> Self {
        let [_, version, ..] = ttl.to_be_bytes();
        Self {
            // RFC 6891 section 6.2.3: values below 512 count as 512.
            udp_payload: class.max(UDP_PAYLOAD_CLASSIC),
            version,
            dnssec_ok: ttl & 0x8000 != 0,
        }
    }
}

/// Whether `rdata` is a sequence of complete options (RFC 6891 section 6.1.2).
#[must_use]
pub fn options_well_formed(mut rdata: &[u8]) -> bool {
    while let Some((&[_, _, high, low], rest)) = rdata.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(after) = rest.get(len..) else {
            return false;
        };
        rdata = after;
    }
    rdata.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_must_be_whole() {
        for (rdata, whole) in [
            (&b""[..], true),
            (b"\0\x0a\0\x02ab", true),
            (b"\0\x0a\0\x02ab\0\x08\0\0", true),
            (b"\0\x0a\0\x03ab", false),
            (b"\0\x0a\0", false),
        ] {
            assert_eq!(options_well_formed(rdata), whole, "{rdata:?}");
        }
    }

    #[test]
    fn small_sizes_count_as_512() {
        assert_eq!(
            Edns::from_fields(0, 0x8000),
            Edns {
                udp_payload: 512,
                version: 0,
                dnssec_ok: true
            }
        );
        assert_eq!(
            Edns::from_fields(4096, 0x0001_0000),
            Edns {
                udp_payload: 4096,
                version: 1,
                dnssec_ok: false
            }
        );
    }
}
