//! Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9) and extended DNS errors (RFC 8914).

/// A response code. Codes above 15 need an OPT record for their upper bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// The question was answered, possibly without records.
    NoError,
    /// The packet was not a well-formed query.
    FormErr,
    /// The server failed to process the query.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not support this kind of query.
    NotImp,
    /// The server refuses the query by policy.
    Refused,
    /// A DNAME leads to a name that is too long (RFC 6672 section 2.2).
    YxDomain,
    /// The server does not support the EDNS version (RFC 6891 section 6.1.3).
    BadVers,
}

impl Rcode {
    /// Every code that dnsgate sends, in the order of their discriminants (`as usize`).
    pub const ALL: [Self; 8] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::BadVers,
    ];

    /// The number of the code in the registry, 12 bits.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::YxDomain => 6,
            Self::BadVers => 16,
        }
    }

    /// The code's mnemonic, as dig prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::BadVers => "BADVERS",
        }
    }
}

/// The extended DNS errors that dnsgate sends (RFC 8914 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ede {
    /// 0: none of the others; the text explains it.
    Other,
    /// 3: the answer has expired (RFC 8767).
    StaleAnswer,
    /// 13: a cached failure (RFC 9520).
    CachedError,
    /// 15: the policy of the server's operator denies the name.
    Blocked,
    /// 17: the answer was filtered for the network's operator.
    Filtered,
    /// 18: the client may not query this server.
    Prohibited,
    /// 22: no upstream answered.
    NoReachableAuthority,
    /// 23: an upstream answered with an error or an invalid message.
    NetworkError,
}

impl Ede {
    /// The INFO-CODE.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Other => 0,
            Self::StaleAnswer => 3,
            Self::CachedError => 13,
            Self::Blocked => 15,
            Self::Filtered => 17,
            Self::Prohibited => 18,
            Self::NoReachableAuthority => 22,
            Self::NetworkError => 23,
        }
    }
}
