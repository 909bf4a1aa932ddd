//! Why nothing came back from a server, or why it could not be asked.

use std::{fmt, io};

/// EAFNOSUPPORT of Linux: the kernel has no IPv6. It has no kind of its own.
const NO_FAMILY: i32 = 97;

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeFault {
    /// Nothing within the time.
    TimedOut(&'static str),
    /// Somebody said no: a reset, or an ICMP message.
    Refused(&'static str),
    /// This machine does not let it out: no route, no such addresses, a firewall of its own.
    Local(String),
    /// It was not tried: no descriptor, no memory. It proves nothing.
    Untried(String),
    /// A connection stands, but TLS does not.
    Tls(String),
    /// What came back is not what was asked for.
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

/// What an error of a socket means.
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
