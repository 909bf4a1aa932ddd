//! The vocabulary of DNS that the rest of dnsgate speaks: names, types, response codes, record
//! sets, and one packet's way in ([`query`]) and out ([`reply`]).
//!
//! Why not hickory-proto's types: they own what they hold, and a query that is refused should cost
//! no allocation. hickory-proto reads records from text, where it matters that somebody else keeps
//! up with the record types, and it decodes our replies in the tests.
//!
//! Not here: what a name may do (`policy`), what a zone holds (`zone`), in which order things
//! happen (`engine`). Nothing in here knows a socket, a clock or a metric.

pub mod code;
pub mod edns;
mod fault;
pub mod name;
pub mod query;
pub mod reply;
pub mod response;
pub mod rrset;
pub mod rtype;
pub mod tree;
pub mod upstream_query;

pub use code::{Ede, Rcode};
pub use fault::ServerFault;
pub use name::{Name, NameBuf, NameError, NameRef};
pub use query::{Malformed, Query};
pub use reply::ReplyWriter;
pub use response::{Failure, Response};
pub use rrset::{Rrset, RrsetError};
pub use rtype::RecordType;
pub use tree::{LabelMap, LabelTree, NodeId, PackedId, PackedTree, Prefetch};

/// The transport a query came by: it decides how large a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram a message.
    Udp,
    /// Messages with a two-byte length before each (RFC 7766).
    Tcp,
}

impl Transport {
    /// Every transport, in the order of their numbers.
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
