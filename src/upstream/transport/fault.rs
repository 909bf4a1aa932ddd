//! What an error of the network or of TLS says of the server.

use std::io;

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError, Error};

use super::reply::TransportFault;
use dnsgate_core::dns::ServerFault;

/// An error while connecting: what kind it is, and in the words of whoever found it.
pub(super) struct ConnectError {
    pub(super) fault: TransportFault,
    pub(super) detail: String,
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self {
            fault: of_io(&error),
            detail: error.to_string(),
        }
    }
}

impl From<ServerFault> for ConnectError {
    fn from(fault: ServerFault) -> Self {
        Self {
            fault: TransportFault::Server(fault),
            detail: String::new(),
        }
    }
}

/// What an error of a socket, or of TLS on it, says.
pub(super) fn of_io(error: &io::Error) -> TransportFault {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(error) = tls {
        return TransportFault::Server(of_tls(error));
    }
    if is_ours(error) {
        return TransportFault::Busy;
    }
    TransportFault::Server(match error.kind() {
        io::ErrorKind::TimedOut => return TransportFault::Silent,
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
            (
                os(Errno::CONNREFUSED),
                TransportFault::Server(ServerFault::Refused),
            ),
            (
                os(Errno::CONNRESET),
                TransportFault::Server(ServerFault::Closed),
            ),
            (
                os(Errno::HOSTUNREACH),
                TransportFault::Server(ServerFault::NoRoute),
            ),
            (
                os(Errno::NETUNREACH),
                TransportFault::Server(ServerFault::NoRoute),
            ),
            (
                os(Errno::PERM),
                TransportFault::Server(ServerFault::NoRoute),
            ),
            (os(Errno::TIMEDOUT), TransportFault::Silent),
            (os(Errno::MFILE), TransportFault::Busy),
            (os(Errno::NFILE), TransportFault::Busy),
            (os(Errno::ADDRNOTAVAIL), TransportFault::Busy),
            (os(Errno::AGAIN), TransportFault::Busy),
            (
                os(Errno::IO),
                TransportFault::Server(ServerFault::Unreachable),
            ),
            (
                certificate(CertificateError::Expired),
                TransportFault::Server(ServerFault::CertificateExpired),
            ),
            (
                certificate(CertificateError::NotValidYet),
                TransportFault::Server(ServerFault::CertificateNotYetValid),
            ),
            (
                certificate(CertificateError::NotValidForName),
                TransportFault::Server(ServerFault::CertificateName),
            ),
            (
                certificate(CertificateError::UnknownIssuer),
                TransportFault::Server(ServerFault::CertificateIssuer),
            ),
            (
                certificate(CertificateError::Revoked),
                TransportFault::Server(ServerFault::Certificate),
            ),
            (
                tls(Error::NoApplicationProtocol),
                TransportFault::Server(ServerFault::NoHttp2),
            ),
            (
                tls(Error::DecryptError),
                TransportFault::Server(ServerFault::Tls),
            ),
        ] {
            assert_eq!(of_io(&error), want, "{error:?}");
        }
    }
}
