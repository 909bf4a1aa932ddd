//! The checks, done: connections and questions, each within its time, all side by side.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

use super::{
    Check, Finding, Machine, Outcome, Report, Resolver, Roots, bucket,
    bucket::HOST,
    check::{Host, Target, Way, shown},
    https::{self, Get},
    judge::{self, Attempt, Fault, Response},
    plan::not_tried,
    resolver::Said,
    udp::{self, Datagram},
};
use dnsgate_core::dns::{Name, RecordType};

/// How many checks are under way at a time: more than there are without a long list of domains,
/// and few enough for any limit of descriptors.
const SIDE_BY_SIDE: usize = 64;
/// How many questions of one check are under way at a time: few enough for a server's receive buffer.
const QUESTIONS: usize = 8;
/// The types by which data comes in: text and bytes of any kind, names that say something, one type of
/// the range for private use, and ANY.
const DATA_TYPES: [RecordType; 24] = [
    RecordType::TXT,
    RecordType::A,
    RecordType::AAAA,
    RecordType::NULL,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::SRV,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::PTR,
    RecordType::NS,
    RecordType::SOA,
    RecordType::DNAME,
    RecordType::NAPTR,
    RecordType::CAA,
    RecordType::TLSA,
    RecordType::SSHFP,
    RecordType::CERT,
    RecordType::KEY,
    RecordType::DNSKEY,
    RecordType::OPENPGPKEY,
    RecordType::HINFO,
    RecordType(65280),
    RecordType::ANY,
];
/// The body of a page that is only asked for its status.
const MAX_BODY: usize = 64 << 10;

/// EAFNOSUPPORT of Linux: the kernel has no IPv6. It has no kind of its own.
const NO_FAMILY: i32 = 97;

/// With what the checks are done.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whom to ask for names.
    pub resolver: Resolver,
    /// What the machine's files say, by which programs find addresses beside the resolver.
    pub machine: Machine,
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
    /// Of resolvers over HTTP.
    pub http: u16,
    /// Of the metadata server.
    pub metadata: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dns: 53,
            dot: 853,
            https: 443,
            http: 80,
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
    let mut report = Report {
        not_tried: not_tried(&probe.machine),
        ..Report::default()
    };
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
            Check::Known(_, finding) => finding.clone(),
            Check::Name(name, vip) => {
                let (a, aaaa) = self.each(name).await;
                judge::name_everywhere(vip, &a, &aaaa)
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
            Check::Denied(name) => self.denied(name).await,
            Check::Data(name) => self.data(name).await,
            Check::Proxy(_, target) => judge::proxy(target, &self.attempt(target).await),
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
            Host::Name(name) => match self.everywhere(name).await {
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
        let ports = self.ports;
        let (port, datagram) = match way {
            Way::Udp => (ports.dns, Some(Datagram::Dns)),
            Way::Doq => (ports.dot, Some(Datagram::Quic)),
            Way::Quic => (ports.https, Some(Datagram::Quic)),
            Way::Tcp => (ports.dns, None),
            Way::Dot => (ports.dot, None),
            Way::Https => (ports.https, None),
            Way::Http => (ports.http, None),
        };
        let to = SocketAddr::new(address, port);
        match datagram {
            Some(datagram) => udp::answered(to, datagram, self.timeout).await,
            None => connect(to, self.timeout).await.map(drop),
        }
    }

    /// A and AAAA of a name, as each server has them.
    async fn each(&self, name: &Name) -> (Vec<Said>, Vec<Said>) {
        tokio::join!(
            self.resolver.each(name, RecordType::A),
            self.resolver.each(name, RecordType::AAAA)
        )
    }

    /// Every address that a program may find for a name: by any server, with any suffix of the
    /// search list, in /etc/hosts.
    async fn everywhere(&self, name: &Name) -> Result<Vec<IpAddr>, Fault> {
        let mut found: Vec<IpAddr> = self.machine.lines(name).map(|it| it.address).collect();
        let mut fault = None;
        for name in self.machine.candidates(name) {
            let (a, aaaa) = self.each(&name).await;
            for (_, said) in a.into_iter().chain(aaaa) {
                match said {
                    Ok(answer) => found.extend(answer.all()),
                    Err(silence) => fault = fault.or(Some(silence)),
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        match fault {
            Some(fault) if found.is_empty() => Err(fault),
            _ => Ok(found),
        }
    }

    /// Whether every server denies a name, as it is and with each suffix, over UDP and over TCP.
    async fn denied(&self, name: &Name) -> Finding {
        let servers = self.resolver.servers.len();
        let mut first = None;
        for candidate in self.machine.candidates(name) {
            let ((a, aaaa), tcp) = tokio::join!(
                self.each(&candidate),
                self.resolver.each_over_tcp(&candidate, RecordType::A)
            );
            let judged = a.iter().zip(&aaaa);
            let judged = judged.map(|((server, a), (_, aaaa))| (*server, judge::denied(a, aaaa)));
            let over_tcp = tcp
                .iter()
                .map(|(server, a)| (*server, judge::denied_over_tcp(a)));
            let mut finding = judge::worst(judged.chain(over_tcp), servers);
            if finding.outcome == Outcome::Fail {
                if candidate != *name {
                    finding.seen = format!("as {}, {}", shown(&candidate), finding.seen);
                }
                return finding;
            }
            first = first.or(Some(finding));
        }
        first.unwrap_or_else(|| judge::skipped("no name to ask for"))
    }

    /// Whether every server denies every type, of a name and of one below it that nobody has asked
    /// for, so that no cache answers.
    async fn data(&self, name: &Name) -> Finding {
        let label = format!("{:016x}", rand::random::<u64>());
        let below = name.child(label.as_bytes());
        let names = [Some(name.clone()), below.ok()];
        let denials = self.resolver.each(name, RecordType::A).await;
        let questions = names
            .iter()
            .flatten()
            .flat_map(|name| DATA_TYPES.into_iter().map(move |rtype| (name, rtype)));
        let denials = &denials;
        let asked = questions.map(|(name, rtype)| async move {
            let each = self.resolver.each(name, rtype).await;
            let judged = each.iter().zip(denials);
            let judged = judged.map(|((server, answer), (_, denial))| {
                (*server, judge::data(rtype, answer, denial))
            });
            judge::worst(judged.collect::<Vec<_>>(), each.len())
        });
        let findings = stream::iter(asked)
            .buffered(QUESTIONS)
            .collect::<Vec<_>>()
            .await;
        let failed = findings.iter().find(|it| it.outcome == Outcome::Fail);
        let shown = failed.or_else(|| findings.first());
        shown
            .cloned()
            .unwrap_or_else(|| judge::skipped("no name to ask for"))
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
