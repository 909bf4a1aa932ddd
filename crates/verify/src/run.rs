//! Runs the checks in parallel.

use std::net::{IpAddr, SocketAddr};

use futures_util::{StreamExt as _, stream};

use super::{
    check::{BypassWay, EgressCheck, Endpoint, Host, shown},
    judge::{self, ConnectAttempt},
    listing::{self, HOST},
    plan::not_tried,
    probe::Probe,
    report::{CheckResult, Finding, VerifyReport},
    resolver::ServerAnswer,
};
use crate::transport::connect;
use crate::transport::{self, Datagram, ProbeFault};
use dnsgate_core::dns::{Name, RecordType};

/// The most checks in progress at a time: more than a run usually has, and few enough for any limit
/// of file descriptors.
const SIDE_BY_SIDE: usize = 64;
/// The most queries of one check in progress at a time: few enough for a server's receive buffer.
const QUESTIONS: usize = 8;
/// The types that could carry data: text, arbitrary bytes, names with encoded data, one type of the
/// range for private use, and ANY.
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

/// Runs the checks. `told` is called with the number of finished checks.
pub async fn run(
    checks: &[EgressCheck],
    probe: &Probe,
    mut told: impl FnMut(usize),
) -> VerifyReport {
    let mut done: Vec<Option<CheckDone>> = checks.iter().map(|_| None).collect();
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
    let mut report = VerifyReport {
        not_tried: not_tried(&probe.machine),
        ..VerifyReport::default()
    };
    for (check, done) in checks.iter().zip(done) {
        let Some(done) = done else { continue };
        if let EgressCheck::Bucket(bucket) = check {
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

/// The result of a check.
struct CheckDone {
    finding: Finding,
    /// The names of a bucket's objects.
    names: Vec<String>,
    /// Whether a forbidden connection succeeded.
    connected: Option<bool>,
}

impl From<Finding> for CheckDone {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            names: Vec::new(),
            connected: None,
        }
    }
}

impl Probe {
    async fn one(&self, check: &EgressCheck) -> CheckDone {
        let finding = match check {
            EgressCheck::Skip(_, why) => judge::skipped(why),
            EgressCheck::Known(_, finding) => finding.clone(),
            EgressCheck::Name(name, vip) => {
                let (a, aaaa) = self.each(name).await;
                judge::name_everywhere(vip, &a, &aaaa)
            }
            EgressCheck::Vip(address, label) => {
                judge::reached(label, &self.request(&[*address], HOST).await)
            }
            EgressCheck::Api(name) => judge::reached("configured", &self.service(name).await),
            EgressCheck::Bucket(bucket) => {
                let listing = listing::list(bucket, self).await;
                let finding = judge::bucket(&listing);
                let names = listing.map(|it| it.names).unwrap_or_default();
                return CheckDone {
                    finding,
                    names,
                    connected: None,
                };
            }
            EgressCheck::Denied(name) => self.denied(name).await,
            EgressCheck::Data(name) => self.data(name).await,
            EgressCheck::Proxy(_, target) => judge::proxy(target, &self.attempt(target).await),
            EgressCheck::Unreachable(target) => {
                let attempt = self.attempt(target).await;
                return CheckDone {
                    finding: judge::unreachable(target, &attempt),
                    connected: Some(matches!(attempt, ConnectAttempt::Connected(_))),
                    names: Vec::new(),
                };
            }
            EgressCheck::Bypass(address, way) => {
                judge::bypass(*way, &self.bypass(*address, *way).await)
            }
        };
        finding.into()
    }

    /// Tries to connect to a target that must be unreachable, at every address of its name: a name that
    /// resolves is not a way out by itself.
    async fn attempt(&self, target: &Endpoint) -> ConnectAttempt {
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match self.everywhere(name).await {
                Ok(addresses) => addresses,
                Err(fault) => return ConnectAttempt::Unresolved(fault),
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
        let mut failed = ConnectAttempt::NoAddress;
        for (address, connected) in tried.into_iter().rev() {
            match connected {
                Ok(()) => return ConnectAttempt::Connected(address),
                Err(fault) => failed = ConnectAttempt::Failed(address, fault),
            }
        }
        failed
    }

    async fn bypass(&self, address: IpAddr, way: BypassWay) -> Result<(), ProbeFault> {
        let ports = self.ports;
        let (port, datagram) = match way {
            BypassWay::Udp => (ports.dns, Some(Datagram::Dns)),
            BypassWay::Doq => (ports.dot, Some(Datagram::Quic)),
            BypassWay::Quic => (ports.https, Some(Datagram::Quic)),
            BypassWay::Tcp => (ports.dns, None),
            BypassWay::Dot => (ports.dot, None),
            BypassWay::Https => (ports.https, None),
            BypassWay::Http => (ports.http, None),
        };
        let to = SocketAddr::new(address, port);
        match datagram {
            Some(datagram) => transport::answered(to, datagram, self.timeout).await,
            None => connect(to, self.timeout).await.map(drop),
        }
    }

    /// The A and AAAA replies of every server for a name.
    async fn each(&self, name: &Name) -> (Vec<ServerAnswer>, Vec<ServerAnswer>) {
        tokio::join!(
            self.resolver.each(name, RecordType::A),
            self.resolver.each(name, RecordType::AAAA)
        )
    }

    /// All addresses that a program may find for a name: from any server, with any suffix of the search
    /// list, and in /etc/hosts.
    async fn everywhere(&self, name: &Name) -> Result<Vec<IpAddr>, ProbeFault> {
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

    /// Checks that every server denies a name, with and without each suffix, over UDP and over TCP.
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
            if finding.outcome == CheckResult::Fail {
                if candidate != *name {
                    finding.seen = format!("as {}, {}", shown(&candidate), finding.seen);
                }
                return finding;
            }
            first = first.or(Some(finding));
        }
        first.unwrap_or_else(|| judge::skipped("no name to ask for"))
    }

    /// Checks that every server denies every type, for a name and for a random name below it, which no
    /// cache can have.
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
        let failed = findings.iter().find(|it| it.outcome == CheckResult::Fail);
        let shown = failed.or_else(|| findings.first());
        shown
            .cloned()
            .unwrap_or_else(|| judge::skipped("no name to ask for"))
    }
}
