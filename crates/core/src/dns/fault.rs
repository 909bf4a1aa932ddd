//! The reasons why an upstream's server is unusable: a closed set, shared by the log, the metrics
//! and the client.
//!
//! A client learns only the kind of fault. Contents of certificates and addresses appear only in
//! the log.

/// The reason why a server is unusable.
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
