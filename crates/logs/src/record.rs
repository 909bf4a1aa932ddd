//! A question that was asked, and what became of it.

use std::{fmt, net::IpAddr};

use jiff::Timestamp;

use dnsgate_core::dns::{NameRef, RecordType, Transport};

/// The program or service that wrote an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogFormat {
    /// dnsgate's own log, as JSON or as text.
    Dnsgate,
    /// Cloud DNS, as Cloud Logging exports it.
    CloudDns,
    /// Route 53 Resolver.
    Route53,
    /// CoreDNS, plugin `log`.
    CoreDns,
    /// Unbound, `log-queries` or `log-replies`.
    Unbound,
    /// dnstap, in a frame stream.
    Dnstap,
}

impl LogFormat {
    /// Every format, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Dnsgate,
        Self::CloudDns,
        Self::Route53,
        Self::CoreDns,
        Self::Unbound,
        Self::Dnstap,
    ];
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dnsgate => "dnsgate",
            Self::CloudDns => "Cloud DNS",
            Self::Route53 => "Route 53 Resolver",
            Self::CoreDns => "CoreDNS",
            Self::Unbound => "Unbound",
            Self::Dnstap => "dnstap",
        })
    }
}

/// What became of a question at the server that logged it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoggedEnd {
    /// The log does not say, or the server failed.
    #[default]
    Unknown,
    /// Another server had an answer.
    Resolved,
    /// Another server said that the name does not exist.
    NoSuchName,
    /// The server answered from its own data: a zone, a hosts file.
    OwnData,
    /// The server denied or replaced the answer by its own policy.
    Blocked,
    /// The response was REFUSED; the log does not say whether the server or another one refused.
    Refused,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'l> {
    /// The writer of the entry.
    pub format: LogFormat,
    /// The name.
    pub name: NameRef<'l>,
    /// The type.
    pub rtype: RecordType,
    /// The client's address.
    pub client: IpAddr,
    /// The transport of the query. Everything encrypted is a stream here, whose answers are not truncated.
    pub transport: Transport,
    /// When it was asked or answered, as far as the log says so.
    pub time: Option<Timestamp>,
    /// What became of it.
    pub end: LoggedEnd,
    /// The number of questions that the entry stands for; 0 if another entry counts it, and this one
    /// only says what became of it.
    pub times: u64,
    /// The network that the client is in: the VPC's name or id.
    pub network: Option<&'l str>,
    /// The virtual machine that asked.
    pub host: Option<&'l str>,
    /// The reason that dnsgate logs.
    pub reason: Option<&'l str>,
    /// The rule that decided.
    pub rule: Option<&'l str>,
}
