//! A small Google: pages over TLS with a certificate of the test's own authority, and pages without TLS, as the metadata server
//! has them.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key")
    }
}

type Pages = Mutex<HashMap<String, VecDeque<(u16, String)>>>;

/// A server; it ends with the process.
pub(crate) struct Fake {
    pub(crate) port: u16,
    pages: Arc<Pages>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) fn over_tls(authority: &Authority, name: &str) -> Self {
        Self::start(Some(Arc::new(authority.server(name))))
    }

    pub(crate) fn plain() -> Self {
        Self::start(None)
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let fake = Self {
            port: listener.local_addr().expect("bound").port(),
            pages: Arc::default(),
            asked: Arc::default(),
        };
        let (pages, asked) = (Arc::clone(&fake.pages), Arc::clone(&fake.asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, pages, asked) = (tls.clone(), Arc::clone(&pages), Arc::clone(&asked));
                thread::spawn(move || match tls {
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).expect("a configuration");
                        serve(StreamOwned::new(connection, stream), &pages, &asked);
                    }
                    None => serve::<TcpStream>(stream, &pages, &asked),
                });
            }
        });
        fake
    }

    /// Has a page. Of several for one path each is shown once, and the last one from then on.
    pub(crate) fn page(&self, path: &str, status: u16, body: &str) {
        let mut pages = self.pages.lock().expect("no panic");
        let of_path = pages.entry(path.to_owned()).or_default();
        of_path.push_back((status, body.to_owned()));
    }

    pub(crate) fn forget(&self) {
        self.pages.lock().expect("no panic").clear();
    }

    /// The requests so far: their heads, header names in lower case.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// One request; the body of the answer is in chunks, as Google's are.
fn serve<S: Read + Write>(stream: S, pages: &Pages, asked: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match stream.read_line(&mut head) {
            Ok(1..) => {}
            // Who only connects is not served.
            _ => return,
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().expect("no panic").push(head);
    let (status, body) = {
        let mut pages = pages.lock().expect("no panic");
        match pages.get_mut(&path) {
            Some(of_path) if of_path.len() > 1 => of_path.pop_front().expect("several"),
            Some(of_path) => of_path.front().cloned().expect("one"),
            None => (404, String::new()),
        }
    };
    let mut answer = format!(
        "HTTP/1.1 {status} X\r\nServer: Fake\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    for chunk in body.as_bytes().chunks(10) {
        let text = String::from_utf8_lossy(chunk);
        answer.push_str(&format!("{:x}\r\n{text}\r\n", chunk.len()));
    }
    answer.push_str("0\r\n\r\n");
    let _ = stream.get_mut().write_all(answer.as_bytes());
    let _ = stream.get_mut().flush();
}
