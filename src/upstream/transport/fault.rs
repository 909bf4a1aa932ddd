//! What an error of the network or of TLS says of the server.

use std::io;

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError, Error};

use super::Fault;
use dnsgate_core::dns::ServerFault;

/// An error while connecting: what kind it is, and in the words of whoever found it.
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) detail: String,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self {
            fault: of_io(&error),
            detail: error.to_string(),
        }
    }
}

impl From<ServerFault> for Failed {
    fn from(fault: ServerFault) -> Self {
        Self {
            fault: Fault::Server(fault),
            detail: String::new(),
        }
    }
}

/// What an error of a socket, or of TLS on it, says.
pub(super) fn of_io(error: &io::Error) -> Fault {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(error) = tls {
        return Fault::Server(of_tls(error));
    }
    if is_ours(error) {
        return Fault::Busy;
    }
    Fault::Server(match error.kind() {
        io::ErrorKind::TimedOut => return Fault::Silent,
        io::ErrorKind::ConnectionRefused => ServerFault::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => ServerFault::Closed,
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::PermissionDenied => ServerFault::NoRoute,
        _ => ServerFault::Unreachable,
    })
}

/// Without a descriptor, memory, a free port or room to send there is no way to any server.
fn is_ours(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::WouldBlock
    ) || Errno::from_io_error(error).is_some_and(|errno| short.contains(&errno))
}

fn of_tls(error: &Error) -> ServerFault {
    let certificate = match error {
        Error::InvalidCertificate(certificate) => certificate,
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            return ServerFault::NoHttp2;
        }
        _ => return ServerFault::Tls,
    };
    match certificate {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ServerFault::CertificateName
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ServerFault::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ServerFault::CertificateNotYetValid
        }
        // An authority of the same name, but with another key, is another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ServerFault::CertificateIssuer
        }
        // Marked as a CA: most often a server's own certificate, which nobody else has signed. rustls
        // does not tell that by a variant of its own.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            ServerFault::CertificateIssuer
        }
        _ => ServerFault::Certificate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says() {
        let os = |errno: Errno| io::Error::from(errno);
        let tls = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let certificate = |error| tls(Error::InvalidCertificate(error));
        for (error, want) in [
            (os(Errno::CONNREFUSED), Fault::Server(ServerFault::Refused)),
            (os(Errno::CONNRESET), Fault::Server(ServerFault::Closed)),
            (os(Errno::HOSTUNREACH), Fault::Server(ServerFault::NoRoute)),
            (os(Errno::NETUNREACH), Fault::Server(ServerFault::NoRoute)),
            (os(Errno::PERM), Fault::Server(ServerFault::NoRoute)),
            (os(Errno::TIMEDOUT), Fault::Silent),
            (os(Errno::MFILE), Fault::Busy),
            (os(Errno::NFILE), Fault::Busy),
            (os(Errno::ADDRNOTAVAIL), Fault::Busy),
            (os(Errno::AGAIN), Fault::Busy),
            (os(Errno::IO), Fault::Server(ServerFault::Unreachable)),
            (
                certificate(CertificateError::Expired),
                Fault::Server(ServerFault::CertificateExpired),
            ),
            (
                certificate(CertificateError::NotValidYet),
                Fault::Server(ServerFault::CertificateNotYetValid),
            ),
            (
                certificate(CertificateError::NotValidForName),
                Fault::Server(ServerFault::CertificateName),
            ),
            (
                certificate(CertificateError::UnknownIssuer),
                Fault::Server(ServerFault::CertificateIssuer),
            ),
            (
                certificate(CertificateError::Revoked),
                Fault::Server(ServerFault::Certificate),
            ),
            (
                tls(Error::NoApplicationProtocol),
                Fault::Server(ServerFault::NoHttp2),
            ),
            (tls(Error::DecryptError), Fault::Server(ServerFault::Tls)),
        ] {
            assert_eq!(of_io(&error), want, "{error:?}");
        }
    }
}
