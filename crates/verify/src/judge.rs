//! What was seen becomes a result, and what to do about it.

use std::net::{IpAddr, SocketAddr};

use super::{
    answer::{Answer, listed},
    check::{BypassWay, Endpoint},
    fault::ProbeFault,
    https::HttpResponse,
    listing::{Listing, Unlisted},
    report::{CheckResult, Finding},
    resolver::ServerAnswer,
};
use dnsgate_config::Vip;
use dnsgate_core::dns::{Rcode, RecordType};

const RESOLVER: &str = "see that the system's resolver leads to dnsgate and that dnsgate runs: \
     dnsgate healthcheck ADDR:53; behind a server policy, gcloud dns policies describe POLICY";
const SERVER_FAILED: &str = "SERVFAIL is no denial: if Cloud DNS asks dnsgate, its group needs \
     deny_with: nxdomain, since Cloud DNS turns REFUSED into SERVFAIL; else dnsgate may be down";

const DATA: &str = "the question gets out, and data in it, and an answer can bring data back: see dnsgate explain NAME \
     TYPE for the rule that lets it through, and that every name server is dnsgate";

/// A name of the preset, by every server: one must answer, and none may answer otherwise, since any
/// of them may be asked.
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

/// Findings about several servers: the first that failed, else the first one. Where there is more
/// than one server, the failure says which.
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

/// A name of the preset: its A and AAAA records.
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
            "the name is resolved by somebody else, or for another VIP: see that dnsgate is the \
             only name server, and that --config is what it runs with",
        );
    }
    if !outside.is_empty() {
        return Finding::fail(
            format!("{}: not all of {label}", listed(all.into_iter())),
            "never mix VIPs in one answer: services differ by VIP, and clients fail now and then",
        );
    }
    let wants_v6 = vip.addresses.iter().any(IpAddr::is_ipv6);
    if a.addresses.is_empty() {
        let remedy = match (a.aliases.is_empty(), a.is_trouble()) {
            (false, _) => {
                "the chain of aliases is not complete: Cloud DNS does not follow aliases that a \
                 target sends, so all of it must be in one answer"
            }
            (_, true) => RESOLVER,
            _ => {
                "dnsgate does not serve the name: see dnsgate explain NAME there, and that --config is \
                 what it runs with"
            }
        };
        return Finding::fail(a.to_string(), remedy);
    }
    match (wants_v6, aaaa.addresses.is_empty()) {
        (true, true) => Finding::fail(
            format!("{a}; AAAA: {aaaa}"),
            "ipv6: true is configured, but there is no AAAA: see that --config is what dnsgate runs with",
        ),
        (false, false) => Finding::fail(
            listed(all.into_iter()),
            "AAAA without ipv6: true: clients would try a way that may not be routed",
        ),
        // NXDOMAIN for one type would take the other with it.
        (false, true) if aaaa.rcode != 0 => Finding::fail(
            format!("{a}; AAAA: {aaaa}"),
            "AAAA must be an empty answer: an error for one type makes clients give up the name",
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
            "the way is open, but this VIP does not serve the service: except its name to the private VIP \
             (google_apis.except), or do without it",
        ),
        500.. => Finding::fail(
            response.to_string(),
            "the way is open, but the service fails: try again later",
        ),
        _ => Finding::pass(response.to_string()),
    }
}

/// What to do when an address of Google's cannot be reached.
const fn unreached(fault: &ProbeFault) -> &'static str {
    match fault {
        ProbeFault::TimedOut(_) | ProbeFault::Refused(_) | ProbeFault::Local(_) => {
            "route, firewall or Private Google Access missing: a route for 199.36.153.4/30 (private VIP: \
             199.36.153.8/30) to default-internet-gateway, an egress rule that allows tcp:443 to it, and \
             gcloud compute networks subnets update SUBNET --region=REGION --enable-private-ip-google-access"
        }
        ProbeFault::Tls(_) => {
            "whoever answers there is not who it should be, or its certificate is by a CA that is not \
             trusted here: --ca FILE, or install ca-certificates"
        }
        ProbeFault::Untried(_) => "give this machine what it lacks, and verify again",
        ProbeFault::Garbled(_) => {
            "something that speaks no HTTP answers there: look for a proxy on the way"
        }
    }
}

/// A name that must be denied: its A and AAAA records.
pub(super) fn denied(a: &Result<Answer, ProbeFault>, aaaa: &Result<Answer, ProbeFault>) -> Finding {
    for answer in [a, aaaa] {
        match answer {
            Err(fault) => {
                let seen = format!("{fault}; silence is no denial");
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
                    "a rule allows the name (dnsgate explain NAME), or another name server is asked: \
                     /etc/resolv.conf must name dnsgate alone, or a resolver that forwards to it alone",
                );
            }
        }
    }
    let seen = a.as_ref().map(ToString::to_string).unwrap_or_default();
    Finding::pass(seen)
}

/// A name that must be denied, over TCP: who takes no connection answers nothing there.
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

/// A question of some type that must be denied as the blocked name's address is, whose denial by
/// the same server is `denial`.
pub(super) fn data(
    rtype: RecordType,
    answer: &Result<Answer, ProbeFault>,
    denial: &Result<Answer, ProbeFault>,
) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            return Finding::fail(format!("{rtype}: {fault}; silence is no denial"), RESOLVER);
        }
    };
    let refusals = [Rcode::Refused.number(), Rcode::NotImp.number()];
    let negative = [Rcode::NoError.number(), Rcode::NxDomain.number()].contains(&answer.rcode);
    // The name's own servers say NXDOMAIN and NODATA, too; what dnsgate denies it says in one way.
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

/// What became of a try to connect where it must not be possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectAttempt {
    /// Nobody said whether there is an address.
    Unresolved(ProbeFault),
    /// There was nowhere to connect to.
    NoAddress,
    /// This address took the connection.
    Connected(IpAddr),
    /// None did; the first one's reason.
    Failed(IpAddr, ProbeFault),
}

/// A connection that must fail.
pub(super) fn unreachable(target: &Endpoint, attempt: &ConnectAttempt) -> Finding {
    match attempt {
        ConnectAttempt::Unresolved(fault) => Finding::fail(format!("not tried: {fault}"), RESOLVER),
        ConnectAttempt::NoAddress => Finding::pass("no address to connect to".to_owned()),
        ConnectAttempt::Failed(_, ProbeFault::Untried(error)) => untried(error),
        ConnectAttempt::Failed(address, fault) => Finding::pass(format!("{address}: {fault}")),
        ConnectAttempt::Connected(address) => Finding::fail(
            format!("connected to {address} port {}", target.port),
            "traffic gets out: deny egress to 0.0.0.0/0 and ::/0 by a firewall rule, remove the default \
             route, and see that no NAT serves this subnet",
        ),
    }
}

/// A proxy that a variable names.
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
            "programs that honour the variable send everything by this proxy: unset it, or deny egress to \
             the proxy; what the proxy lets through is not tried",
        ),
    }
}

/// A way round the resolver: what came back, or why nothing did.
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
            "who asks it directly goes round dnsgate: deny egress on udp:53 and tcp:53 to all but dnsgate"
        }
        BypassWay::Dot => "DNS over TLS goes round dnsgate: deny egress on tcp:853",
        BypassWay::Doq => "DNS over QUIC goes round dnsgate: deny egress on udp:853",
        BypassWay::Quic => {
            "anything can leave by it, DNS over HTTP/3 included: deny egress on udp:443 to all but the VIP"
        }
        BypassWay::Http => "anything can leave by it: deny egress on tcp:80",
        BypassWay::Https => {
            "anything can leave by it, DNS over HTTPS included: deny egress on tcp:443 to all but the VIP"
        }
    };
    Finding::fail(fault.to_owned(), remedy)
}

/// What could not even be tried.
fn untried(error: &str) -> Finding {
    Finding::fail(
        format!("not tried: {error}"),
        "nothing is proved by it: give this machine what it lacks, and verify again",
    )
}

/// A check that is not done.
pub(super) fn skipped(why: &str) -> Finding {
    Finding::skip(why.to_owned())
}

/// The listing of a bucket.
pub(super) fn bucket(listing: &Result<Listing, Unlisted>) -> Finding {
    match listing {
        Ok(listing) if listing.names.is_empty() => Finding::fail(
            "the listing is empty".to_owned(),
            "put an object into the bucket, so that there is something to see",
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
                Unlisted::Status(401, _) => "the token is not valid any more, or not for this API",
                Unlisted::Status(403, _) => {
                    "the service account needs roles/storage.objectViewer on the bucket; inside a service \
                     perimeter the bucket's project must be in it"
                }
                Unlisted::Status(404, _) => {
                    "there is no such bucket, or it is not shown to this account"
                }
                Unlisted::Status(..) => "the service fails: try again later",
                Unlisted::Garbled(_) => {
                    "what answers is not Cloud Storage: look for a proxy on the way"
                }
            };
            Finding::fail(unlisted.to_string(), remedy)
        }
    }
}

#[cfg(test)]
mod tests;
