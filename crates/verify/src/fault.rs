//! The reasons why a server gave no usable reply.

use std::{fmt, io};

/// Linux's EAFNOSUPPORT: the kernel has no IPv6. `io::ErrorKind` has no variant for it.
const NO_FAMILY: i32 = 97;

/// Why there is no usable reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeFault {
    /// No reply within the time limit.
    TimedOut(&'static str),
    /// The connection was rejected by a reset or an ICMP message.
    Refused(&'static str),
    /// This machine sent nothing: no route, no local address, or its own firewall.
    Local(String),
    /// The attempt was impossible: no file descriptor, no memory. It proves nothing.
    Untried(String),
    /// The TCP connection was made, but TLS failed.
    Tls(String),
    /// The reply does not match the request.
    Garbled(String),
}

impl fmt::Display for ProbeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(what) => write!(f, "{what}: timed out"),
            Self::Refused(what) => write!(f, "{what}: refused"),
            Self::Local(error) | Self::Untried(error) => f.write_str(error),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Garbled(error) => f.write_str(error),
        }
    }
}

/// The fault for a socket error.
pub(super) fn fault_of(what: &'static str, error: &io::Error) -> ProbeFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            ProbeFault::Refused(what)
        }
        io::ErrorKind::TimedOut => ProbeFault::TimedOut(what),
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => ProbeFault::Local(format!("{what}: {error}")),
        _ if error.raw_os_error() == Some(NO_FAMILY) => {
            ProbeFault::Local(format!("{what}: {error}"))
        }
        _ => ProbeFault::Untried(format!("{what}: {error}")),
    }
}
