//! Over TLS: who is believed.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
};
use rustls::{HandshakeKind, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{
    fake::{Stream, answer, answer_all, read, write},
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
        self.acceptor(name, Some(alpn))
    }

    /// The same, or one that does not say what it speaks.
    pub(super) fn acceptor(&self, name: &str, alpn: Option<&[u8]>) -> TlsAcceptor {
        let (certificate, key) = self.sign(params(name));
        acceptor(&certificate, &key, alpn)
    }

    fn sign(&self, params: CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate, key)
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name")
}

fn acceptor(certificate: &Certificate, key: &KeyPair, alpn: Option<&[u8]>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    config.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
    TlsAcceptor::from(Arc::new(config))
}

/// A server over TLS that answers.
async fn serve(acceptor: TlsAcceptor) -> Stream {
    Stream::serve(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer_all(stream).await;
            }
        }
    })
    .await
}

/// What comes of a question to `server`, which must have a certificate for `name` that `ca` vouches
/// for.
async fn asked(server: &Stream, name: Option<&str>, ca: Arc<[u8]>) -> Result<u16, Failure> {
    let address = ServerAddr::Tls {
        address: server.address,
        name: name.map(Into::into),
    };
    let mut config = config(Strategy::Ordered, vec![address]);
    config.ca = Some(ca);
    let (upstream, _) = open(&config, limits(LONG));
    resolve(&upstream, 1).await
}

/// The EDNS options of a query, as pairs of code and length.
fn options(query: &[u8]) -> Vec<(u8, usize)> {
    // The OPT record follows the question; all that it holds here is options.
    let mut rest = &query[72 + 11..];
    let mut found = Vec::new();
    while let [0, code, high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        found.push((*code, len));
        rest = &after[len..];
    }
    found
}

#[tokio::test]
async fn later_connections_resume_the_session_and_queries_are_padded() {
    let known = Authority::new();
    let acceptor = known.server("dns.test", b"dot");
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (connected, asked) = (Arc::clone(&kinds), Arc::clone(&seen));
    let server = Stream::serve(move |_, stream| {
        let (acceptor, kinds, seen) =
            (acceptor.clone(), Arc::clone(&connected), Arc::clone(&asked));
        async move {
            let mut stream = acceptor.accept(stream).await.expect("a handshake");
            let kind = stream.get_ref().1.handshake_kind();
            kinds.lock().expect("no panic").push(kind);
            // One answer a connection.
            if let Some(query) = read(&mut stream).await {
                write(&mut stream, &answer(&query)).await;
                seen.lock().expect("no panic").push(query);
            }
        }
    })
    .await;
    let address = ServerAddr::Tls {
        address: server.address,
        name: Some("dns.test".into()),
    };
    let mut config = config(Strategy::Ordered, vec![address]);
    config.ca = Some(known.pem());
    let (upstream, _) = open(&config, limits(LONG));
    for number in 0..4 {
        assert_eq!(resolve(&upstream, number).await, Ok(0));
    }
    let kinds = kinds.lock().expect("no panic");
    let resumed = Some(HandshakeKind::Resumed);
    assert!(kinds.len() == 4 && kinds[0] != resumed, "{kinds:?}");
    assert!(kinds[1..].iter().all(|&kind| kind == resumed), "{kinds:?}");
    for query in &*seen.lock().expect("no panic") {
        assert_eq!(query.len(), 128);
        assert_eq!(options(query), [(11, 0), (12, 128 - 83 - 8)]);
    }
}

/// Years around this one, as far as a certificate is concerned.
const PAST: (i32, i32) = (1990, 2000);
const NOW: (i32, i32) = (1990, 4000);
const FUTURE: (i32, i32) = (3990, 4000);

fn valid(params: &mut CertificateParams, (from, to): (i32, i32)) {
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
}

#[tokio::test]
async fn reports_why_it_rejects_a_certificate() {
    let (known, unknown) = (Authority::new(), Authority::new());
    for (by, name, years, want) in [
        (&known, "dns.test", NOW, Ok(0)),
        (&known, "other.test", NOW, Err(ServerFault::CertificateName)),
        (
            &known,
            "dns.test",
            PAST,
            Err(ServerFault::CertificateExpired),
        ),
        (
            &known,
            "dns.test",
            FUTURE,
            Err(ServerFault::CertificateNotYetValid),
        ),
        (
            &unknown,
            "dns.test",
            NOW,
            Err(ServerFault::CertificateIssuer),
        ),
    ] {
        let mut params = params(name);
        valid(&mut params, years);
        let (certificate, key) = by.sign(params);
        let server = serve(acceptor(&certificate, &key, Some(b"dot"))).await;
        let landing = asked(&server, Some("dns.test"), known.pem()).await;
        assert_eq!(landing, want.map_err(Failure::Server), "{name} {years:?}");
    }
}

/// (signed by itself, marked as a CA, its name, its years, whether the file has it)
type OwnCertificate = (
    bool,
    bool,
    &'static str,
    (i32, i32),
    bool,
    Result<u16, ServerFault>,
);

const OWN_CERTIFICATES: [OwnCertificate; 11] = [
    (true, true, "dns.test", NOW, true, Ok(0)),
    (true, true, "127.0.0.1", NOW, true, Ok(0)),
    (true, false, "dns.test", NOW, true, Ok(0)),
    (false, false, "dns.test", NOW, true, Ok(0)),
    (
        true,
        true,
        "other.test",
        NOW,
        true,
        Err(ServerFault::CertificateName),
    ),
    (
        true,
        true,
        "dns.test",
        PAST,
        true,
        Err(ServerFault::CertificateExpired),
    ),
    (
        true,
        true,
        "dns.test",
        FUTURE,
        true,
        Err(ServerFault::CertificateNotYetValid),
    ),
    (
        false,
        false,
        "other.test",
        NOW,
        true,
        Err(ServerFault::CertificateName),
    ),
    (
        false,
        false,
        "dns.test",
        PAST,
        true,
        Err(ServerFault::CertificateExpired),
    ),
    // Another one of the same name.
    (
        true,
        true,
        "dns.test",
        NOW,
        false,
        Err(ServerFault::CertificateIssuer),
    ),
    (
        true,
        false,
        "dns.test",
        NOW,
        false,
        Err(ServerFault::CertificateIssuer),
    ),
];

#[tokio::test]
async fn accepts_a_self_signed_certificate_only_from_the_ca_file() {
    let authority = Authority::new();
    for (own, is_ca, name, years, listed, want) in OWN_CERTIFICATES {
        let certify = || {
            let mut params = params(name);
            valid(&mut params, years);
            if is_ca {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            if own {
                let key = KeyPair::generate().expect("a key");
                (params.self_signed(&key).expect("a certificate"), key)
            } else {
                authority.sign(params)
            }
        };
        let (certificate, key) = certify();
        let in_file = if listed {
            certificate.pem()
        } else {
            certify().0.pem()
        };
        let server = serve(acceptor(&certificate, &key, Some(b"dot"))).await;
        let expected = (name != "127.0.0.1").then_some("dns.test");
        let landing = asked(&server, expected, in_file.into_bytes().into()).await;
        let case = format!("{own} {is_ca} {name} {years:?} {listed}");
        assert_eq!(landing, want.map_err(Failure::Server), "{case}");
    }
}

#[tokio::test]
async fn accepts_only_certificates_for_the_name_from_a_trusted_issuer() {
    let (known, unknown) = (Authority::new(), Authority::new());
    // (what the configuration names, what the certificate names, by whom)
    for (expected, name, by, want) in [
        (Some("dns.test"), "dns.test", &known, Ok(0)),
        (None, "127.0.0.1", &known, Ok(0)),
        (
            Some("dns.test"),
            "other.test",
            &known,
            Err(Failure::Server(ServerFault::CertificateName)),
        ),
        (
            Some("dns.test"),
            "127.0.0.1",
            &known,
            Err(Failure::Server(ServerFault::CertificateName)),
        ),
        (
            None,
            "dns.test",
            &known,
            Err(Failure::Server(ServerFault::CertificateName)),
        ),
        (
            Some("dns.test"),
            "dns.test",
            &unknown,
            Err(Failure::Server(ServerFault::CertificateIssuer)),
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
fn reports_bad_roots_when_the_upstream_is_made() {
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
        let opened = UpstreamClient::new(UpstreamId(0), &config, limits(LONG), observer);
        let error = opened.err().expect("an error").to_string();
        assert!(error.contains(want), "{error}");
    }
}
