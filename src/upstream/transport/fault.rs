//! Maps errors of the network and of TLS to server faults.

use std::io;

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError, Error};

use super::reply::TransportFault;
use dnsgate_core::dns::ServerFault;

/// An error while connecting: its kind and the text of the underlying error.
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

/// Maps an error of a socket, or of TLS on it.
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

/// Whether this machine lacks a descriptor, memory, a free port or buffer space. Then no server can
/// be queried.
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
        // An issuer with the same name but another key is an unknown issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ServerFault::CertificateIssuer
        }
        // The certificate is marked as a CA: usually a self-signed server certificate. rustls has
        // no variant of its own for this error.
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
    fn maps_errors_to_faults() {
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
