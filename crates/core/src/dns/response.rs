//! An upstream's answer to one question: the CNAME chain from the question, the records at its end,
//! and the proofs of a negative answer.
//!
//! Parsing discards all records that the question does not lead to, regardless of client and
//! policy, so that a record of another name never enters a response or the cache. The policy in
//! force at the time of each response decides which of the remaining records may pass
//! (the response filter of `engine`).

mod cursor;
mod follow;
mod message;
mod relevant;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use super::{Name, NameBuf, NameRef, Rcode, RecordType, Rrset};

/// The maximum number of aliases that are followed, both in one upstream's answer and in a whole
/// response. Real chains have two or three; CDNs have used seven.
pub const MAX_ALIASES: usize = 10;

/// An upstream's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// `NoError`, `NxDomain` or `YxDomain`. It refers to the name at the end of the chain or, in
    /// answer to a CNAME question, to the target of the CNAME.
    pub rcode: Rcode,
    /// The aliases in order from the question; at most [`MAX_ALIASES`].
    pub aliases: Vec<Alias>,
    /// The end of the CNAME chain.
    pub end: ChainEnd,
    /// The DNAME above the last name. With `YxDomain`, it makes that name too long. If signatures
    /// were requested, the CNAME in `answers` may be synthesized from it.
    pub dname: Option<Box<Dname>>,
    /// The records at the end of the chain: those of the requested type, and their signatures.
    pub answers: Vec<Rrset>,
    /// The authority records. First the SOA of a negative answer, whose TTL is at most its MINIMUM
    /// (RFC 2308 section 3). Then, with signatures, the NSEC and NSEC3 records that prove the
    /// negative answer or the use of a wildcard. Each has its owner name, which is in a zone of a
    /// name in the chain.
    pub authority: Vec<(Name, Rrset)>,
}

/// The overhead of a heap block in bytes: the allocator's header and rounding.
const BLOCK: usize = 16;

impl Response {
    /// Parses an upstream's whole reply to the question for `name` and `qtype` in class IN, sent
    /// with or without a request for signatures.
    ///
    /// # Errors
    /// [`Failure::Code`] for a code other than NOERROR, NXDOMAIN and YXDOMAIN,
    /// [`Failure::Malformed`] for a reply that is not a well-formed, complete and consistent answer
    /// to this question. Records that the question does not lead to may be malformed, and so may
    /// the additional section.
    pub fn parse(
        message: &[u8],
        name: NameRef<'_>,
        qtype: RecordType,
        dnssec_ok: bool,
    ) -> Result<Self, Failure> {
        follow::response(message, name, qtype, dnssec_ok)
    }

    /// The name at the end of the chain, or the question's name without a chain.
    #[must_use]
    pub fn last_name<'f>(&'f self, question: NameRef<'f>) -> NameRef<'f> {
        self.aliases
            .last()
            .map_or(question, |alias| alias.target.as_ref())
    }

    /// Whether this is a negative answer (RFC 2308). An answer with an incomplete chain is not.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.end == ChainEnd::Name && self.answers.is_empty()
    }

    /// Whether this denies the name or the data: NXDOMAIN, or a chain that ends without data.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.is_negative() && self.rcode != Rcode::YxDomain
    }

    /// Whether this affirms data: records of the type, or an alias that continues elsewhere.
    #[must_use]
    pub fn affirms(&self) -> bool {
        let something = !self.answers.is_empty() || self.end == ChainEnd::Open;
        something && self.rcode == Rcode::NoError
    }

    /// The TTL of the whole answer in seconds: the minimum of its TTLs. It is 0 for a negative
    /// answer without an SOA, which has no TTL (RFC 2308 section 5).
    #[must_use]
    pub fn ttl(&self) -> u32 {
        let soa = |(_, set): &(Name, Rrset)| set.rtype() == RecordType::SOA;
        let denies = self.is_negative() && self.dname.is_none() || self.rcode == Rcode::NxDomain;
        if denies && self.end == ChainEnd::Name && !self.authority.iter().any(soa) {
            return 0;
        }
        self.sets().map(Rrset::ttl).min().unwrap_or(0)
    }

    /// Every record set of the answer.
    fn sets(&self) -> impl Iterator<Item = &Rrset> {
        let aliases = self.aliases.iter();
        aliases
            .flat_map(|alias| [Some(&alias.cname), alias.signatures.as_ref()])
            .flatten()
            .chain(self.dnames().flat_map(Dname::sets))
            .chain(&self.answers)
            .chain(self.authority.iter().map(|(_, set)| set))
    }

    /// Every DNAME of the answer.
    fn dnames(&self) -> impl Iterator<Item = &Dname> {
        let aliases = self.aliases.iter().map(|alias| &alias.dname);
        aliases.chain([&self.dname]).flatten().map(|dname| &**dname)
    }

    /// The proofs in the authority section from zones that signed the first `aliases` aliases. They
    /// accompany these aliases if the rest of the chain is dropped.
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
                let signer = cursor::signer(rrsig).and_then(|wire| NameBuf::read(wire).ok());
                signer.is_some_and(|(signer, _)| owner.as_ref().is_within(signer.as_ref()))
            };
            let denial = set.rtype() == RecordType::RRSIG
                && set.rdatas().next().and_then(cursor::covered) == Some(RecordType::SOA);
            set.rtype() != RecordType::SOA
                && !denial
                && signatures.iter().any(|set| set.rdatas().any(signed))
        })
    }

    /// The memory of the answer in bytes, including the struct itself, for the bound of the cache.
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
    /// If signatures were requested, the DNAME from which the CNAME is synthesized: such a CNAME
    /// has no signature (RFC 6672 section 5.3.1).
    pub dname: Option<Box<Dname>>,
    /// The CNAME set, with one record.
    pub cname: Rrset,
    /// The target in lower case. The owner name is the target of the previous alias, or the
    /// question's name.
    pub target: Name,
    /// The signatures, if requested.
    pub signatures: Option<Rrset>,
}

/// A DNAME: a record that redirects all names below it (RFC 6672).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dname {
    /// The owner name.
    pub owner: Name,
    /// The DNAME set, with one record.
    pub set: Rrset,
    /// The signatures, if requested.
    pub signatures: Option<Rrset>,
}

impl Dname {
    /// The DNAME set and its signatures.
    pub fn sets(&self) -> impl Iterator<Item = &Rrset> {
        [Some(&self.set), self.signatures.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// Replaces the last `labels` labels of `name`, the owner name of a DNAME, with the target of the
/// DNAME. Returns `None` if the result is too long (RFC 6672 section 2.2).
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

/// The end of a CNAME chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// A name that is not an alias. The answer has its records or is negative.
    Name,
    /// A name without data in the answer: the upstream does not follow the alias, or only refers to
    /// other servers.
    Open,
    /// The chain has more than [`MAX_ALIASES`] aliases.
    TooLong,
    /// The chain returns to an earlier name.
    Loop,
}

/// The reason why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// No server answered in time.
    #[error("no server answered in time")]
    Timeout,
    /// No server was reachable: refused, reset, unreachable, or no TLS.
    #[error("no server could be reached")]
    Unreachable,
    /// The servers are unusable, for a reason that an operator can fix.
    #[error("{0}")]
    Server(ServerFault),
    /// The servers answered with this code, which no [`Response`] has.
    #[error("the server answered with code {0}")]
    Code(u16),
    /// The reply is not a well-formed answer to the question.
    #[error("the server's answer is not well-formed")]
    Malformed,
    /// There was no room to ask or to wait.
    #[error("too many questions wait for an answer")]
    Shed,
    /// Every server of the upstream is down, and enough other questions already test whether one is
    /// back.
    #[error("every server of the upstream is down")]
    Down,
    /// Questions to the upstream loop back to dnsgate, so none are sent to it.
    #[error("the upstream sends what it is asked back to dnsgate")]
    Looping,
    /// The budget of the rule does not allow the question, so it was not sent.
    #[error("the budget is used up")]
    OverBudget {
        /// When the budget's window ends.
        until: SystemTime,
    },
}

/// The reason why a server is unusable.
///
/// A client learns only the kind of fault. Contents of certificates and addresses appear only in
/// the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ServerFault {
    /// Its port is closed: a connection was reset, or a datagram got an ICMP error.
    #[error("the server refuses connections: its port is closed")]
    Refused,
    /// It closed connections with pending questions without an answer.
    #[error("the server closes connections without an answer")]
    Closed,
    /// Packets do not reach it: no route, or a firewall on this machine.
    #[error("the server cannot be reached from here: no route, or a firewall")]
    NoRoute,
    /// Another network fault.
    #[error("the server could not be reached")]
    Unreachable,
    /// It does not support TLS, or no supported version of it.
    #[error("the TLS handshake with the server failed")]
    Tls,
    /// Its certificate is for another name.
    #[error("the server's certificate is for another name")]
    CertificateName,
    /// Its certificate has expired.
    #[error("the server's certificate has expired")]
    CertificateExpired,
    /// Its certificate is not valid yet, or the clock of this machine is wrong.
    #[error("the server's certificate is not valid yet")]
    CertificateNotYetValid,
    /// No trusted authority has signed its certificate.
    #[error("the server's certificate was issued by an authority that is not trusted")]
    CertificateIssuer,
    /// Its certificate is unacceptable for another reason.
    #[error("the server's certificate cannot be accepted")]
    Certificate,
    /// It does not offer HTTP/2 (ALPN `h2`), which is required for DNS over HTTPS.
    #[error("the server does not offer HTTP/2")]
    NoHttp2,
    /// It answered with an HTTP status other than 200.
    #[error("the server answered with HTTP status {0}")]
    HttpStatus(u16),
    /// Its HTTP content is not a DNS message.
    #[error("the server's HTTP answer is not a DNS message")]
    HttpContent,
}

impl ServerFault {
    /// The label in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::NoRoute => "no_route",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::CertificateName => "certificate_name",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateIssuer => "certificate_issuer",
            Self::Certificate => "certificate",
            Self::NoHttp2 => "http2_missing",
            Self::HttpStatus(_) => "http_status",
            Self::HttpContent => "http_content",
        }
    }

    /// Whether the server answered, but not with a DNS message.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::HttpStatus(_) | Self::HttpContent)
    }
}
