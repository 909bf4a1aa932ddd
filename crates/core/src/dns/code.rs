//! Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9) and extended DNS errors (RFC 8914).

/// The response code of a reply. Codes above 15 need an OPT record to carry their upper bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// The question was answered, perhaps with no records.
    NoError,
    /// The packet was not a well-formed query.
    FormErr,
    /// The server could not do what it should have done.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not do this kind of query.
    NotImp,
    /// The server will not do this, by policy.
    Refused,
    /// A DNAME leads to a name that is too long (RFC 6672 section 2.2).
    YxDomain,
    /// The EDNS version is not one that the server speaks (RFC 6891 section 6.1.3).
    BadVers,
}

impl Rcode {
    /// Every code that dnsgate sends, in the order of their positions (`as usize`).
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

    /// The code's number in the registry, 12 bits.
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
    /// 0: none of the others; the text says it.
    Other,
    /// 3: the answer is older than it should be (RFC 8767).
    StaleAnswer,
    /// 13: a failure that is remembered for a moment (RFC 9520).
    CachedError,
    /// 15: the policy of this server's operator denies the name.
    Blocked,
    /// 17: the answer was filtered at the request of the network's operator.
    Filtered,
    /// 18: this client may not ask this server.
    Prohibited,
    /// 22: no upstream answered.
    NoReachableAuthority,
    /// 23: an upstream answered with an error, or with what is no answer.
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
