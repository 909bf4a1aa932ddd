//! A server's certificate: signed by somebody who is trusted, or one of `ca_file`'s own.
//!
//! Who lists a server's own certificate as its `ca_file` trusts that certificate. What
//! `openssl req -x509` makes is marked as a CA, which the rules of the web do not let stand for a
//! server, and one that somebody else has signed has no issuer in the file. Both are accepted if they
//! are, byte for byte, in the file, are valid today and are for the server's name. Everything else
//! about certificates is webpki's.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// Judges the certificate of a server.
#[derive(Debug)]
pub(super) struct Pinned {
    chains: Arc<WebPkiServerVerifier>,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Pinned {
    /// What `chains` accepts, and these certificates themselves.
    pub(super) const fn new(
        chains: Arc<WebPkiServerVerifier>,
        certificates: Arc<[CertificateDer<'static>]>,
    ) -> Self {
        Self {
            chains,
            certificates,
        }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.chains.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        // webpki looks at the dates before everything else of a certificate that it can read, so one
        // that fails for its issuer or signature, or for being a CA (which is among the other errors),
        // is valid today. A test holds that.
        match judged {
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
                | CertificateError::Other(_),
            )) if self.certificates.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
