//! Over TLS: who is believed.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{
    fake::{Stream, answer_all},
    *,
};

/// A certificate authority of the test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate.
    pub(super) fn pem(&self) -> Arc<[u8]> {
        self.0.pem().into_bytes().into()
    }

    /// A server with a certificate for `name`, speaking `alpn`.
    pub(super) fn server(&self, name: &str, alpn: &[u8]) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols.push(alpn.to_vec());
        TlsAcceptor::from(Arc::new(config))
    }
}

#[tokio::test]
async fn a_certificate_must_be_for_the_name_and_by_whom_we_trust() {
    let (known, unknown) = (Authority::new(), Authority::new());
    // (what the configuration names, what the certificate names, by whom)
    for (expected, name, by, want) in [
        (Some("dns.test"), "dns.test", &known, Ok(0)),
        (None, "127.0.0.1", &known, Ok(0)),
        (
            Some("dns.test"),
            "other.test",
            &known,
            Err(Failure::Unreachable),
        ),
        (
            Some("dns.test"),
            "127.0.0.1",
            &known,
            Err(Failure::Unreachable),
        ),
        (None, "dns.test", &known, Err(Failure::Unreachable)),
        (
            Some("dns.test"),
            "dns.test",
            &unknown,
            Err(Failure::Unreachable),
        ),
    ] {
        let acceptor = by.server(name, b"dot");
        let server = Stream::serve(move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer_all(stream).await;
                }
            }
        })
        .await;
        let address = ServerAddr::Tls {
            address: server.address,
            name: expected.map(Into::into),
        };
        let mut config = config(Strategy::Ordered, vec![address]);
        config.ca = Some(known.pem());
        let (upstream, _) = open(&config, limits(LONG));
        for number in 0..3 {
            let landing = resolve(&upstream, number).await;
            assert_eq!(landing, want, "{expected:?} {name}");
        }
        if want.is_ok() {
            assert_eq!(server.connections(), 1, "{expected:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_unreachable() {
    let server = Stream::serve(|_, stream| answer_all(stream)).await;
    let address = ServerAddr::Tls {
        address: server.address,
        name: None,
    };
    let mut config = config(Strategy::Ordered, vec![address]);
    config.ca = Some(Authority::new().pem());
    let (upstream, _) = open(&config, limits(Duration::from_secs(2)));
    let landing = resolve(&upstream, 1).await;
    assert!(landing.is_err(), "{landing:?}");
}

#[test]
fn what_cannot_be_trusted_is_told_when_it_is_set_up() {
    let server = |name: &str| ServerAddr::Tls {
        address: ([127, 0, 0, 1], 853).into(),
        name: Some(name.into()),
    };
    let ca = Authority::new().pem();
    for (name, ca, want) in [
        ("dns.test", &b"no certificate"[..], "holds no certificate"),
        (
            "dns.test",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds no certificate",
        ),
        ("not a name", &ca, "\"not a name\" is not a name"),
    ] {
        let mut config = config(Strategy::Ordered, vec![server(name)]);
        config.ca = Some(ca.into());
        let observer = Arc::new(Told::default());
        let opened = Upstream::new(UpstreamId(0), &config, limits(LONG), observer);
        let error = opened.err().expect("an error").to_string();
        assert!(error.contains(want), "{error}");
    }
}
