//! Turns observations into findings, each with a remedy.

use std::net::{IpAddr, SocketAddr};

use super::{
    answer::{Answer, listed},
    check::{BypassWay, Endpoint},
    listing::{Listing, Unlisted},
    report::{CheckResult, Finding},
    resolver::ServerAnswer,
};
use crate::transport::{HttpResponse, ProbeFault};
use dnsgate_config::Vip;
use dnsgate_core::dns::{Rcode, RecordType};

const RESOLVER: &str = "make sure that the system's resolver asks dnsgate and that dnsgate runs: \
     dnsgate healthcheck ADDR:53; behind a server policy, gcloud dns policies describe POLICY";
const SERVER_FAILED: &str = "SERVFAIL is not a denial: if Cloud DNS asks dnsgate, its group needs \
     deny_with: nxdomain, since Cloud DNS turns REFUSED into SERVFAIL; otherwise dnsgate may be down";

const DATA: &str = "the query leaves the VPC and can carry data out, and an answer can bring data back: run dnsgate explain NAME \
     TYPE to see the rule that allows it, and make sure that every name server is dnsgate";

/// A name of the preset, asked of every server: one must answer, and no answer may be wrong, because
/// a program may use any of them.
pub(super) fn name_everywhere(vip: &Vip, a: &[ServerAnswer], aaaa: &[ServerAnswer]) -> Finding {
    let usable = |said: &Result<Answer, ProbeFault>| said.as_ref().is_ok_and(|it| !it.is_trouble());
    let all: Vec<_> = a.iter().zip(aaaa).collect();
    let one_answers = all.iter().any(|((_, a), _)| usable(a));
    let judged = all
        .iter()
        .filter(|((_, a), _)| usable(a) || !one_answers)
        .map(|((server, a), (_, aaaa))| (*server, name(vip, a, aaaa)));
    worst(judged, all.len())
}

/// Combines the findings of several servers: the first failure, or else the first finding. If there
/// is more than one server, a failure names its server.
pub(super) fn worst(
    findings: impl IntoIterator<Item = (SocketAddr, Finding)>,
    servers: usize,
) -> Finding {
    let mut first = None;
    for (server, mut finding) in findings {
        if finding.outcome == CheckResult::Fail {
            if servers > 1 {
                finding.seen = format!("{server}: {}", finding.seen);
            }
            return finding;
        }
        first = first.or(Some(finding));
    }
    first.unwrap_or_else(|| untried("there is no name server"))
}

/// A name of the preset, judged by its A and AAAA responses.
pub(super) fn name(
    vip: &Vip,
    a: &Result<Answer, ProbeFault>,
    aaaa: &Result<Answer, ProbeFault>,
) -> Finding {
    let (a, aaaa) = match (a, aaaa) {
        (Ok(a), Ok(aaaa)) => (a, aaaa),
        (Err(fault), _) | (_, Err(fault)) => return Finding::fail(fault.to_string(), RESOLVER),
    };
    let inside = |address: &IpAddr| vip.ranges.iter().any(|range| range.contains(address));
    let all: Vec<IpAddr> = a.all().chain(aaaa.all()).collect();
    let outside: Vec<IpAddr> = all.iter().filter(|it| !inside(it)).copied().collect();
    let label = vip.label;
    if outside.len() == all.len() && !all.is_empty() {
        return Finding::fail(
            format!("{}, none of {label}", listed(outside.into_iter())),
            "another resolver answers, or dnsgate serves another VIP: make sure that dnsgate is the \
             only name server, and that --config names the file that it runs with",
        );
    }
    if !outside.is_empty() {
        return Finding::fail(
            format!("{}: not all of {label}", listed(all.into_iter())),
            "do not mix VIPs in one answer: the services differ by VIP, so some connections would fail",
        );
    }
    let wants_v6 = vip.addresses.iter().any(IpAddr::is_ipv6);
    if a.addresses.is_empty() {
        let remedy = match (a.aliases.is_empty(), a.is_trouble()) {
            (false, _) => {
                "the alias chain is not complete: Cloud DNS does not follow aliases that a \
                 target sends, so the whole chain must be in one answer"
            }
            (_, true) => RESOLVER,
            _ => {
                "dnsgate does not serve the name: run dnsgate explain NAME there, and make sure that --config names \
                 the file that it runs with"
            }
        };
        return Finding::fail(a.to_string(), remedy);
    }
    match (wants_v6, aaaa.addresses.is_empty()) {
        (true, true) => Finding::fail(
            format!("{a}; AAAA: {aaaa}"),
            "ipv6: true is configured, but there is no AAAA record: make sure that --config names the file that dnsgate runs with",
        ),
        (false, false) => Finding::fail(
            listed(all.into_iter()),
            "AAAA records without ipv6: true: clients would try IPv6, which may not be routed",
        ),
        // NXDOMAIN for one type would deny the other type as well.
        (false, true) if aaaa.rcode != 0 => Finding::fail(
            format!("{a}; AAAA: {aaaa}"),
            "AAAA must be an empty answer: an error for one type makes clients give up on the name",
        ),
        _ => Finding::pass(listed(all.into_iter())),
    }
}

/// A request to an address of the preset, or to a service.
pub(super) fn reached(label: &str, response: &Result<HttpResponse, ProbeFault>) -> Finding {
    let response = match response {
        Ok(response) => response,
        Err(fault) => return Finding::fail(fault.to_string(), unreached(fault)),
    };
    match response.status {
        403 => Finding::fail(
            format!("{response}: not served by the {label} VIP"),
            "the VIP can be reached, but does not serve this API: map its name to the private VIP \
             (google_apis.except), or do not use it",
        ),
        500.. => Finding::fail(
            response.to_string(),
            "the VIP can be reached, but the service fails: try again later",
        ),
        _ => Finding::pass(response.to_string()),
    }
}

/// The remedy if an address of Google's cannot be reached.
const fn unreached(fault: &ProbeFault) -> &'static str {
    match fault {
        ProbeFault::TimedOut(_) | ProbeFault::Refused(_) | ProbeFault::Local(_) => {
            "a route, a firewall rule or Private Google Access is missing: it takes a route for 199.36.153.4/30 (private VIP: \
             199.36.153.8/30) to default-internet-gateway, an egress rule that allows tcp:443 to it, and \
             gcloud compute networks subnets update SUBNET --region=REGION --enable-private-ip-google-access"
        }
        ProbeFault::Tls(_) => {
            "the server is not the one that is expected, or its certificate is signed by a CA that is not \
             trusted here: use --ca FILE, or install ca-certificates"
        }
        ProbeFault::Untried(_) => "provide what the error names as missing, and run verify again",
        ProbeFault::Garbled(_) => {
            "the answer is not HTTP: look for a proxy between here and the VIP"
        }
    }
}

/// A name that must be denied, judged by its A and AAAA responses.
pub(super) fn denied(a: &Result<Answer, ProbeFault>, aaaa: &Result<Answer, ProbeFault>) -> Finding {
    for answer in [a, aaaa] {
        match answer {
            Err(fault) => {
                let seen = format!("{fault}; no reply is not a denial");
                return Finding::fail(seen, RESOLVER);
            }
            Ok(answer) if answer.is_denial() => {}
            Ok(answer) if answer.all().next().is_none() && answer.rcode != 0 => {
                let servfail = answer.rcode == Rcode::ServFail.number();
                let remedy = if servfail { SERVER_FAILED } else { RESOLVER };
                return Finding::fail(answer.to_string(), remedy);
            }
            Ok(answer) => {
                return Finding::fail(
                    format!("it resolves: {answer}"),
                    "a rule allows the name (run dnsgate explain NAME), or another name server is asked: \
                     /etc/resolv.conf must name dnsgate alone, or a resolver that forwards to it alone",
                );
            }
        }
    }
    let seen = a.as_ref().map(ToString::to_string).unwrap_or_default();
    Finding::pass(seen)
}

/// A name that must be denied over TCP; a server that accepts no TCP connection answers nothing there.
pub(super) fn denied_over_tcp(a: &Result<Answer, ProbeFault>) -> Finding {
    match a {
        Ok(answer) if answer.records > 0 || (answer.rcode == 0 && !answer.is_denial()) => {
            let mut finding = denied(a, a);
            finding.seen = format!("over TCP {}", finding.seen);
            finding
        }
        Ok(answer) => Finding::pass(answer.to_string()),
        Err(fault) => Finding::pass(fault.to_string()),
    }
}

/// A query of some type for a blocked name. It must be denied like the address query, to which the
/// same server's response is `denial`.
pub(super) fn data(
    rtype: RecordType,
    answer: &Result<Answer, ProbeFault>,
    denial: &Result<Answer, ProbeFault>,
) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            return Finding::fail(
                format!("{rtype}: {fault}; no reply is not a denial"),
                RESOLVER,
            );
        }
    };
    let refusals = [Rcode::Refused.number(), Rcode::NotImp.number()];
    let negative = [Rcode::NoError.number(), Rcode::NxDomain.number()].contains(&answer.rcode);
    // The name's own servers also send NXDOMAIN and NODATA, but every denial by dnsgate has the same SOA record.
    let authority = denial.as_ref().ok().map(|denial| &denial.authority);
    let alike = authority.is_some_and(|authority| *authority == answer.authority);
    if answer.records > 0 {
        return Finding::fail(format!("{rtype} has an answer: {answer}"), DATA);
    }
    if answer.says_blocked() || refusals.contains(&answer.rcode) || (negative && alike) {
        return Finding::pass(answer.to_string());
    }
    if negative {
        let by = answer.authority.as_deref().unwrap_or("no authority");
        let seen = format!("{rtype}: {answer} by {by}, unlike the name's own denial");
        return Finding::fail(seen, DATA);
    }
    let servfail = answer.rcode == Rcode::ServFail.number();
    let remedy = if servfail { SERVER_FAILED } else { RESOLVER };
    Finding::fail(format!("{rtype}: {answer}"), remedy)
}

/// The result of an attempt to connect to a target that must be unreachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectAttempt {
    /// The resolver gave no answer.
    Unresolved(ProbeFault),
    /// The name has no address.
    NoAddress,
    /// This address accepted the connection.
    Connected(IpAddr),
    /// No address accepted a connection; with the first address and its fault.
    Failed(IpAddr, ProbeFault),
}

/// An attempt to connect that must fail.
pub(super) fn unreachable(target: &Endpoint, attempt: &ConnectAttempt) -> Finding {
    match attempt {
        ConnectAttempt::Unresolved(fault) => Finding::fail(format!("not tried: {fault}"), RESOLVER),
        ConnectAttempt::NoAddress => Finding::pass("no address to connect to".to_owned()),
        ConnectAttempt::Failed(_, ProbeFault::Untried(error)) => untried(error),
        ConnectAttempt::Failed(address, fault) => Finding::pass(format!("{address}: {fault}")),
        ConnectAttempt::Connected(address) => Finding::fail(
            format!("connected to {address} port {}", target.port),
            "traffic leaves the VPC: deny egress to 0.0.0.0/0 and ::/0 by a firewall rule, remove the default \
             route, and make sure that no NAT serves this subnet",
        ),
    }
}

/// The proxy in an environment variable.
pub(super) fn proxy(target: &Endpoint, attempt: &ConnectAttempt) -> Finding {
    match attempt {
        ConnectAttempt::Unresolved(fault) => {
            Finding::fail(format!("{target}, not tried: {fault}"), RESOLVER)
        }
        ConnectAttempt::NoAddress => Finding::pass(format!("{target}: no address to connect to")),
        ConnectAttempt::Failed(_, ProbeFault::Untried(error)) => untried(error),
        ConnectAttempt::Failed(_, fault) => Finding::pass(format!("{target}: {fault}")),
        ConnectAttempt::Connected(address) => Finding::fail(
            format!("{target} takes connections at {address}"),
            "programs that read the variable send everything through this proxy: unset it, or deny egress to \
             the proxy; verify does not check what the proxy lets through",
        ),
    }
}

/// An attempt to bypass the resolver.
pub(super) fn bypass(way: BypassWay, tried: &Result<(), ProbeFault>) -> Finding {
    let fault = match tried {
        Err(ProbeFault::Untried(error)) => return untried(error),
        Err(fault) => return Finding::pass(fault.to_string()),
        Ok(()) => match way {
            BypassWay::Udp | BypassWay::Doq | BypassWay::Quic => "it answered",
            BypassWay::Tcp | BypassWay::Dot | BypassWay::Https | BypassWay::Http => {
                "it took a connection"
            }
        },
    };
    let remedy = match way {
        BypassWay::Udp | BypassWay::Tcp => {
            "a client that asks it directly bypasses dnsgate: deny egress on udp:53 and tcp:53 to all but dnsgate"
        }
        BypassWay::Dot => "DNS over TLS bypasses dnsgate: deny egress on tcp:853",
        BypassWay::Doq => "DNS over QUIC bypasses dnsgate: deny egress on udp:853",
        BypassWay::Quic => {
            "any data can leave this way, also as DNS over HTTP/3: deny egress on udp:443 to all but the VIP"
        }
        BypassWay::Http => "any data can leave this way: deny egress on tcp:80",
        BypassWay::Https => {
            "any data can leave this way, also as DNS over HTTPS: deny egress on tcp:443 to all but the VIP"
        }
    };
    Finding::fail(fault.to_owned(), remedy)
}

/// A check that could not be carried out.
fn untried(error: &str) -> Finding {
    Finding::fail(
        format!("not tried: {error}"),
        "this proves nothing: provide what the error names as missing, and run verify again",
    )
}

/// A skipped check.
pub(super) fn skipped(why: &str) -> Finding {
    Finding::skip(why.to_owned())
}

/// The listing of a bucket's objects.
pub(super) fn bucket(listing: &Result<Listing, Unlisted>) -> Finding {
    match listing {
        Ok(listing) if listing.names.is_empty() => Finding::fail(
            "the listing is empty".to_owned(),
            "put an object into the bucket, so that the listing is not empty",
        ),
        Ok(listing) => Finding::pass(listing.to_string()),
        Err(unlisted) => {
            let remedy = match unlisted {
                Unlisted::Token(_) => {
                    "the workload needs a service account, and metadata.google.internal must resolve; or give \
                     --token-file FILE"
                }
                Unlisted::Unresolved(_) => RESOLVER,
                Unlisted::Fault(fault) => unreached(fault),
                Unlisted::Status(401, _) => "the token has expired, or is not valid for this API",
                Unlisted::Status(403, _) => {
                    "the service account needs roles/storage.objectViewer on the bucket; inside a service \
                     perimeter the bucket's project must be in it"
                }
                Unlisted::Status(404, _) => {
                    "the bucket does not exist, or this account may not see it"
                }
                Unlisted::Status(..) => "the service fails: try again later",
                Unlisted::Garbled(_) => {
                    "the answer is not Cloud Storage's: look for a proxy between here and the VIP"
                }
            };
            Finding::fail(unlisted.to_string(), remedy)
        }
    }
}

#[cfg(test)]
mod tests;
