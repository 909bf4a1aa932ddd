//! The checks, done: connections and questions, each within its time, all side by side.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{
    Check, Finding, Report, Resolver, Roots, bucket,
    bucket::HOST,
    check::{Host, Target, Way, shown},
    https::{self, Get},
    judge::{self, Attempt, Fault, Response},
};
use crate::dns::{Name, RecordType, ask};

/// How many checks are under way at a time: more than there are without a long list of domains,
/// and few enough for any limit of descriptors.
const SIDE_BY_SIDE: usize = 64;
/// How often a datagram is sent that should not arrive: one that is lost proves nothing.
const SENDINGS: u32 = 3;
/// What is asked of resolvers that should not be reachable. It tells them nothing.
const HARMLESS: &str = "www.example.com";
/// The body of a page that is only asked for its status.
const MAX_BODY: usize = 64 << 10;

/// EAFNOSUPPORT of Linux: the kernel has no IPv6. It has no kind of its own.
const NO_FAMILY: i32 = 97;

/// With what the checks are done.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whom to ask for names.
    pub resolver: Resolver,
    /// Whom to believe.
    pub roots: Roots,
    /// The token for the bucket; the metadata server's if absent.
    pub token: Option<String>,
    /// How long each step of a check may take.
    pub timeout: Duration,
    /// Where things are.
    pub ports: Ports,
}

/// The ports, which are other ones in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of resolvers that must not be reachable.
    pub dns: u16,
    /// Of the same, over TLS.
    pub dot: u16,
    /// Of Google's addresses and of resolvers over HTTPS.
    pub https: u16,
    /// Of the metadata server.
    pub metadata: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dns: 53,
            dot: 853,
            https: 443,
            metadata: 80,
        }
    }
}

/// Does the checks. `told` hears how many are done.
pub async fn run(checks: &[Check], probe: &Probe, mut told: impl FnMut(usize)) -> Report {
    let mut done: Vec<Option<Done>> = checks.iter().map(|_| None).collect();
    told(0);
    let each = checks.iter().enumerate();
    let mut under_way = stream::iter(each)
        .map(|(at, check)| async move { (at, Box::pin(probe.one(check)).await) })
        .buffer_unordered(SIDE_BY_SIDE);
    let mut count = 0;
    while let Some((at, result)) = under_way.next().await {
        if let Some(place) = done.get_mut(at) {
            *place = Some(result);
        }
        count += 1;
        told(count);
    }
    let mut report = Report::default();
    for (check, done) in checks.iter().zip(done) {
        let Some(done) = done else { continue };
        if let Check::Bucket(bucket) = check {
            report.bucket = Some(bucket.to_string());
            report.file_names = done.names;
        }
        if let Some(connected) = done.connected {
            report.check_connection = Some(connected || report.check_connection == Some(true));
        }
        report.findings.push((check.to_string(), done.finding));
    }
    report
}

/// What came of a check.
struct Done {
    finding: Finding,
    /// The names of a bucket's objects.
    names: Vec<String>,
    /// Whether there was a connection that must not be.
    connected: Option<bool>,
}

impl From<Finding> for Done {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            names: Vec::new(),
            connected: None,
        }
    }
}

impl Probe {
    async fn one(&self, check: &Check) -> Done {
        let finding = match check {
            Check::Skip(_, why) => judge::skipped(why),
            Check::Name(name, vip) => {
                let [a, aaaa] = self.resolver.both(name).await;
                judge::name(vip, &a, &aaaa)
            }
            Check::Vip(address, label) => {
                judge::reached(label, &self.request(&[*address], HOST).await)
            }
            Check::Api(name) => judge::reached("configured", &self.service(name).await),
            Check::Bucket(bucket) => {
                let listing = bucket::list(bucket, self).await;
                let finding = judge::bucket(&listing);
                let names = listing.map(|it| it.names).unwrap_or_default();
                return Done {
                    finding,
                    names,
                    connected: None,
                };
            }
            Check::Denied(name) => {
                let [a, aaaa] = self.resolver.both(name).await;
                judge::denied(&a, &aaaa)
            }
            Check::Unreachable(target) => {
                let attempt = self.attempt(target).await;
                return Done {
                    finding: judge::unreachable(target, &attempt),
                    connected: Some(matches!(attempt, Attempt::Connected(_))),
                    names: Vec::new(),
                };
            }
            Check::Bypass(address, way) => judge::bypass(*way, &self.bypass(*address, *way).await),
        };
        finding.into()
    }

    /// A request to a service where its name leads.
    async fn service(&self, name: &Name) -> Result<Response, Fault> {
        let addresses = self.resolver.addresses(name).await?;
        if addresses.is_empty() {
            return Err(Fault::Garbled("the name does not resolve".to_owned()));
        }
        self.request(&addresses, &shown(name)).await
    }

    async fn request(&self, addresses: &[IpAddr], host: &str) -> Result<Response, Fault> {
        let stream = connect_any(addresses, self.ports.https, self.timeout).await?;
        let stream = self.handshake(host, stream).await?;
        let get = Get {
            host,
            path: "/",
            header: None,
            most: MAX_BODY,
        };
        let (response, _) = https::get(stream, get, self.timeout).await?;
        Ok(response)
    }

    /// TLS on a connection, within the time.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        timeout(self.timeout, self.roots.handshake(host, stream))
            .await
            .unwrap_or(Err(Fault::TimedOut("TLS handshake")))
    }

    /// Tries to connect to what must not be reachable: to every address that the name has, since
    /// a name that resolves is not yet a way out.
    async fn attempt(&self, target: &Target) -> Attempt {
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match self.resolver.addresses(name).await {
                Ok(addresses) => addresses,
                Err(fault) => return Attempt::Unresolved(fault),
            },
        };
        let tries = addresses.iter().map(|&address| async move {
            let connected = connect((address, target.port).into(), self.timeout).await;
            (address, connected.map(drop))
        });
        let tried = stream::iter(tries)
            .buffered(SIDE_BY_SIDE)
            .collect::<Vec<_>>()
            .await;
        let mut failed = Attempt::NoAddress;
        for (address, connected) in tried.into_iter().rev() {
            match connected {
                Ok(()) => return Attempt::Connected(address),
                Err(fault) => failed = Attempt::Failed(address, fault),
            }
        }
        failed
    }

    async fn bypass(&self, address: IpAddr, way: Way) -> Result<(), Fault> {
        let port = match way {
            Way::Udp => return self.bypass_udp((address, self.ports.dns).into()).await,
            Way::Tcp => self.ports.dns,
            Way::Dot => self.ports.dot,
            Way::Https => self.ports.https,
        };
        connect((address, port).into(), self.timeout)
            .await
            .map(drop)
    }

    /// Whatever comes back proves that there is a way.
    async fn bypass_udp(&self, server: SocketAddr) -> Result<(), Fault> {
        let socket = udp(server).await?;
        let name: Name = HARMLESS
            .parse()
            .map_err(|_| Fault::Local("no name".to_owned()))?;
        let query = ask::encode(rand::random(), name.as_ref(), RecordType::A, false, false);
        let mut reply = [0; 512];
        for _ in 0..SENDINGS {
            let refused = |error| fault_of("DNS", &error);
            socket.send(&query).await.map_err(refused)?;
            if let Ok(received) = timeout(self.timeout / SENDINGS, socket.recv(&mut reply)).await {
                return received.map(drop).map_err(refused);
            }
        }
        Err(Fault::TimedOut("DNS"))
    }
}

/// A connection to the first address that takes one; the first one's fault if none does.
pub(super) async fn connect_any(
    addresses: &[IpAddr],
    port: u16,
    patience: Duration,
) -> Result<TcpStream, Fault> {
    let mut first = None;
    for &address in addresses {
        match connect((address, port).into(), patience).await {
            Ok(stream) => return Ok(stream),
            Err(fault) => first = first.or(Some(fault)),
        }
    }
    Err(first.unwrap_or_else(|| Fault::Local("there is no address".to_owned())))
}

/// A connection.
pub(super) async fn connect(address: SocketAddr, patience: Duration) -> Result<TcpStream, Fault> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| fault_of("connection", &error)),
        Err(_) => Err(Fault::TimedOut("connection")),
    }
}

/// A socket from which datagrams go to one server alone.
pub(super) async fn udp(server: SocketAddr) -> Result<UdpSocket, Fault> {
    let local: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let local_fault = |error: io::Error| fault_of("DNS", &error);
    let socket = UdpSocket::bind(local).await.map_err(local_fault)?;
    socket.connect(server).await.map_err(local_fault)?;
    Ok(socket)
}

/// What an error of a socket means.
pub(super) fn fault_of(what: &'static str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Fault::Refused(what),
        io::ErrorKind::TimedOut => Fault::TimedOut(what),
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => Fault::Local(format!("{what}: {error}")),
        _ if error.raw_os_error() == Some(NO_FAMILY) => Fault::Local(format!("{what}: {error}")),
        _ => Fault::Untried(format!("{what}: {error}")),
    }
}
