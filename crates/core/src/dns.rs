//! DNS basics for the rest of dnsgate: names, types, response codes, record sets, and the parsing
//! of queries ([`query`]) and writing of responses ([`reply`]).
//!
//! The types of hickory-proto are not used because they own their data, and a denied query should
//! cost no allocation. hickory-proto reads records from text, so that another project keeps up with
//! the record types, and decodes responses in the tests.
//!
//! This module does not decide what a name may do (`policy`), what a zone contains (`zone`) or in
//! which order steps run (`engine`). It has no socket, clock or metric.

pub mod code;
pub mod name;
pub mod query;
pub mod reply;
pub mod response;
pub mod rrset;
pub mod rtype;
pub mod tree;
pub mod upstream_query;

pub use code::{Ede, Rcode};
pub use name::{Name, NameBuf, NameError, NameRef};
pub use query::{Malformed, Query};
pub use reply::ReplyWriter;
pub use response::ServerFault;
pub use response::{Failure, Response};
pub use rrset::{Rrset, RrsetError};
pub use rtype::RecordType;
pub use tree::{LabelMap, LabelTree, NodeId, PackedId, PackedTree, Prefetch};

/// The transport of a query, which limits the size of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// Messages with a two-byte length prefix (RFC 7766).
    Tcp,
}

impl Transport {
    /// Every variant, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// The label of this transport in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}
