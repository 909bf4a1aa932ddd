//! What an upstream said to one question, as responses: the chain of aliases from the question, the
//! records at its end, and what proves that there are none.
//!
//! Everything that the question does not lead to is left behind here, whoever asks and whatever
//! the policy says: a record of another name cannot get into a reply, nor into the cache. What of
//! the responses may pass is for the policy in force at the time of each reply (`engine::filter`).

mod cursor;
mod decompress;
mod follow;
mod message;
mod relevant;
#[cfg(test)]
mod tests;

use super::{Name, NameBuf, NameRef, Rcode, RecordType, Rrset, ServerFault};

/// The most aliases in a row that are followed, in one answer and in all that a reply is made of.
/// Real chains have two or three; CDNs have been seen with seven.
pub const MAX_ALIASES: usize = 10;

/// An upstream's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// `NoError`, `NxDomain` or `YxDomain`; of the name at the end of the chain, or of the target of
    /// the CNAME that was asked for.
    pub rcode: Rcode,
    /// The aliases from the question on, in order; at most [`MAX_ALIASES`].
    pub aliases: Vec<Alias>,
    /// Where the chain of aliases ended.
    pub end: ChainEnd,
    /// The DNAME above the name at the end: the one that makes it too long (`YxDomain`), or, where
    /// signatures were asked for, the one that the CNAME in `answers` follows from.
    pub dname: Option<Box<Dname>>,
    /// The records at the end of the chain: those of the type that was asked for, and their
    /// signatures.
    pub answers: Vec<Rrset>,
    /// What says that there are none: the SOA, whose TTL is at most its MINIMUM (RFC 2308
    /// section 3). Then, with signatures, the NSEC and NSEC3 that prove it, or that prove that a
    /// wildcard was due. Each with its owner, which is in a zone that holds a name of the chain.
    pub authority: Vec<(Name, Rrset)>,
}

/// What one block on the heap costs beside its bytes: the allocator's own header and rounding.
const BLOCK: usize = 16;

impl Response {
    /// Reads an upstream's whole reply to the question for `name` and `qtype` in class IN, which
    /// was asked for signatures or not.
    ///
    /// # Errors
    /// [`Failure::Code`] for a code other than NOERROR, NXDOMAIN and YXDOMAIN, [`Failure::Malformed`]
    /// for what is not a well-formed, whole and consistent answer to this question. Records that the
    /// question does not lead to may be as they like, and so may the additional section.
    pub fn parse(
        message: &[u8],
        name: NameRef<'_>,
        qtype: RecordType,
        dnssec_ok: bool,
    ) -> Result<Self, Failure> {
        follow::response(message, name, qtype, dnssec_ok)
    }

    /// The name that the answer is about: the end of the chain, or the question where there is
    /// none.
    #[must_use]
    pub fn last_name<'f>(&'f self, question: NameRef<'f>) -> NameRef<'f> {
        self.aliases
            .last()
            .map_or(question, |alias| alias.target.as_ref())
    }

    /// Whether this says that there are no such records (RFC 2308). A chain that did not end says
    /// nothing of the kind.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.end == ChainEnd::Name && self.answers.is_empty()
    }

    /// Whether this says that there is no such name or no such data: NXDOMAIN, or a chain that ends
    /// in nothing.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.is_negative() && self.rcode != Rcode::YxDomain
    }

    /// Whether this says that there is something: records of the type, or an alias that is followed
    /// elsewhere.
    #[must_use]
    pub fn affirms(&self) -> bool {
        let something = !self.answers.is_empty() || self.end == ChainEnd::Open;
        something && self.rcode == Rcode::NoError
    }

    /// How long all of this holds, in seconds: the least TTL in it; 0 for a negative answer without
    /// SOA, which nobody says how long to keep (RFC 2308 section 5).
    #[must_use]
    pub fn ttl(&self) -> u32 {
        let soa = |(_, set): &(Name, Rrset)| set.rtype() == RecordType::SOA;
        let denies = self.is_negative() && self.dname.is_none() || self.rcode == Rcode::NxDomain;
        if denies && self.end == ChainEnd::Name && !self.authority.iter().any(soa) {
            return 0;
        }
        self.sets().map(Rrset::ttl).min().unwrap_or(0)
    }

    /// Every record set in here.
    fn sets(&self) -> impl Iterator<Item = &Rrset> {
        let aliases = self.aliases.iter();
        aliases
            .flat_map(|alias| [Some(&alias.cname), alias.signatures.as_ref()])
            .flatten()
            .chain(self.dnames().flat_map(Dname::sets))
            .chain(&self.answers)
            .chain(self.authority.iter().map(|(_, set)| set))
    }

    /// Every DNAME in here.
    fn dnames(&self) -> impl Iterator<Item = &Dname> {
        let aliases = self.aliases.iter().map(|alias| &alias.dname);
        aliases.chain([&self.dname]).flatten().map(|dname| &**dname)
    }

    /// The proofs in the authority section that are of zones which signed the first `aliases` aliases:
    /// what goes with them where the rest of the chain is not passed on.
    pub fn proofs(&self, aliases: usize) -> impl Iterator<Item = &(Name, Rrset)> {
        let aliases = self.aliases.iter().take(aliases);
        let signatures: Vec<&Rrset> = aliases
            .flat_map(|alias| {
                let dname = alias.dname.as_ref().and_then(|it| it.signatures.as_ref());
                [alias.signatures.as_ref(), dname]
            })
            .flatten()
            .collect();
        let proofs = self.authority.iter();
        proofs.filter(move |(owner, set)| {
            let signed = |rrsig: &[u8]| {
                let signer = decompress::signer(rrsig).and_then(|wire| NameBuf::read(wire).ok());
                signer.is_some_and(|(signer, _)| owner.as_ref().is_within(signer.as_ref()))
            };
            let denial = set.rtype() == RecordType::RRSIG
                && set.rdatas().next().and_then(decompress::covered) == Some(RecordType::SOA);
            set.rtype() != RecordType::SOA
                && !denial
                && signatures.iter().any(|set| set.rdatas().any(signed))
        })
    }

    /// The bytes on the heap, itself included: what the cache's bound counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = self.aliases.iter().map(|alias| &alias.target);
        let names = names
            .chain(self.authority.iter().map(|(owner, _)| owner))
            .chain(self.dnames().map(|dname| &dname.owner));
        let blocks = names
            .map(Name::heap)
            .chain(self.sets().map(Rrset::heap))
            .chain(self.dnames().map(size_of_val))
            .chain([
                size_of::<Self>(),
                self.aliases.capacity() * size_of::<Alias>(),
                self.answers.capacity() * size_of::<Rrset>(),
                self.authority.capacity() * size_of::<(Name, Rrset)>(),
            ]);
        blocks
            .filter(|&bytes| bytes > 0)
            .map(|bytes| bytes + BLOCK)
            .sum()
    }
}

/// One alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The DNAME that the CNAME follows from, where signatures were asked for: the CNAME itself has
    /// none (RFC 6672 section 5.3.1).
    pub dname: Option<Box<Dname>>,
    /// The CNAME, one record.
    pub cname: Rrset,
    /// Where it leads, in lower case; the owner is the target of the alias before, or the question.
    pub target: Name,
    /// Its signatures, where they were asked for.
    pub signatures: Option<Rrset>,
}

/// A record that makes aliases of all names below it (RFC 6672).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dname {
    /// The name that it stands at.
    pub owner: Name,
    /// The DNAME, one record.
    pub set: Rrset,
    /// Its signatures, where they were asked for.
    pub signatures: Option<Rrset>,
}

impl Dname {
    /// Both sets.
    pub fn sets(&self) -> impl Iterator<Item = &Rrset> {
        [Some(&self.set), self.signatures.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// `name` with its last `labels` labels, those of a DNAME's owner, replaced by the DNAME's target.
/// `None` when that is too long for a name (RFC 6672 section 2.2).
#[must_use]
pub fn substitute(name: NameRef<'_>, labels: usize, target: NameRef<'_>) -> Option<NameBuf> {
    let kept = name.label_count().checked_sub(labels)?;
    let mut made = NameBuf::new();
    for label in name.labels().take(kept) {
        made.push_label(label).ok()?;
    }
    made.push_name(target).ok()?;
    Some(made)
}

/// Where a chain of aliases ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// At a name that is no alias: there are records of it, or it is said that there are none.
    Name,
    /// At a name of which nothing is said: the upstream does not follow the alias, or says only who
    /// is to be asked about it.
    Open,
    /// Not after [`MAX_ALIASES`].
    TooLong,
    /// At a name that it had been at before.
    Loop,
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// No server answered in time.
    #[error("no server answered in time")]
    Timeout,
    /// No server could be reached: refused, reset, unreachable, no TLS.
    #[error("no server could be reached")]
    Unreachable,
    /// The servers cannot be used, for a reason that an operator can mend.
    #[error("{0}")]
    Server(ServerFault),
    /// The servers answered with this code, which is none that [`Response`] have.
    #[error("the server answered with code {0}")]
    Code(u16),
    /// What came back is no well-formed answer to the question.
    #[error("the server's answer is not well-formed")]
    Malformed,
    /// There was no room to ask or to wait.
    #[error("too many questions wait for an answer")]
    Shed,
    /// Every server of the upstream is down, and enough questions find out whether one is back.
    #[error("every server of the upstream is down")]
    Down,
    /// What the upstream is asked comes back to dnsgate, so nothing is asked of it.
    #[error("the upstream sends what it is asked back to dnsgate")]
    Looping,
}
