//! What an upstream said to one question, as facts: the chain of aliases from the question, the
//! records at its end, and what proves that there are none.
//!
//! Everything that the question does not lead to is left behind here, whoever asks and whatever
//! the policy says: a record of another name cannot get into a reply, nor into the cache. What of
//! the facts may pass is for the policy in force at the time of each reply (`engine::screen`).

use super::{Name, Rcode, Rrset};

/// The most aliases in a row that are followed in one upstream's answer. Real chains have two or
/// three; CDNs have been seen with seven.
pub const MAX_LINKS: usize = 10;

/// An upstream's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `NoError` or `NxDomain`; of the name at the end of the chain.
    pub rcode: Rcode,
    /// The aliases from the question on, in order; at most [`MAX_LINKS`].
    pub links: Vec<Link>,
    /// Where the chain of aliases ended.
    pub end: End,
    /// The records at the end of the chain: those of the type that was asked for, and their
    /// signatures.
    pub answers: Vec<Rrset>,
    /// What says that there are none: the SOA first, then the NSEC and NSEC3 with their signatures;
    /// each with its owner, which is within the SOA's zone.
    pub authority: Vec<(Name, Rrset)>,
}

/// One alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The CNAME, one record.
    pub cname: Rrset,
    /// Where it leads, in lower case; the owner is the target of the link before, or the question.
    pub target: Name,
    /// Its signatures, where they were asked for.
    pub signatures: Option<Rrset>,
}

/// Where a chain of aliases ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At a name that is no alias, as far as the upstream says.
    Name,
    /// Not after [`MAX_LINKS`].
    TooLong,
    /// At a name that it had been at before.
    Loop,
}

/// Why there are no facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// No server answered in time.
    #[error("no server answered in time")]
    Timeout,
    /// No server could be reached: refused, reset, unreachable, no TLS.
    #[error("no server could be reached")]
    Unreachable,
    /// The servers answered with this code, which is neither NOERROR nor NXDOMAIN.
    #[error("the server answered with code {0}")]
    Code(u16),
    /// What came back is no well-formed answer to the question.
    #[error("the server's answer is not well-formed")]
    Malformed,
    /// There was no room to ask or to wait.
    #[error("too many questions wait for an answer")]
    Shed,
}
