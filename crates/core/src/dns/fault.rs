//! Why a server of an upstream cannot be used: a closed set, told alike to the log, the metrics and
//! the client.
//!
//! A client learns the kind of fault and no more: what a certificate says, or an address, is for the
//! log.

/// Why a server cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ServerFault {
    /// Its port is closed: a reset in answer to a connection, ICMP in answer to a datagram.
    #[error("the server refuses connections: its port is closed")]
    Refused,
    /// It closed its connections with the question on them, and had answered nothing.
    #[error("the server closes connections without an answer")]
    Closed,
    /// Packets do not get there: no route, or a firewall on this machine.
    #[error("the server cannot be reached from here: no route, or a firewall")]
    NoRoute,
    /// The network failed in another way.
    #[error("the server could not be reached")]
    Unreachable,
    /// It does not speak TLS, or none that we do.
    #[error("the TLS handshake with the server failed")]
    Tls,
    /// Its certificate is for another name than the one that was expected.
    #[error("the server's certificate is for another name")]
    CertificateName,
    /// Its certificate is no longer valid.
    #[error("the server's certificate has expired")]
    CertificateExpired,
    /// Its certificate is not valid yet, or the clock of this machine is wrong.
    #[error("the server's certificate is not valid yet")]
    CertificateNotYetValid,
    /// Nobody who is trusted has signed its certificate.
    #[error("the server's certificate was issued by an authority that is not trusted")]
    CertificateIssuer,
    /// Its certificate cannot be accepted for another reason.
    #[error("the server's certificate cannot be accepted")]
    Certificate,
    /// It does not offer HTTP/2 (ALPN `h2`), which DNS over HTTPS needs here.
    #[error("the server does not offer HTTP/2")]
    NoHttp2,
    /// It answered with an HTTP status other than 200.
    #[error("the server answered with HTTP status {0}")]
    HttpStatus(u16),
    /// It answered with HTTP content that is no DNS message.
    #[error("the server's HTTP answer is not a DNS message")]
    HttpContent,
}

impl ServerFault {
    /// The word for it in logs and metrics.
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

    /// Whether the server was reached and answered, though not as a name server does.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::HttpStatus(_) | Self::HttpContent)
    }
}
