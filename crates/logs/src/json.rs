//! Entries in JSON: dnsgate's own, Cloud DNS's as Cloud Logging exports them, Route 53 Resolver's. Another program's text
//! may lie in JSON as well, where a container's output is collected.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Number;

use crate::{
    record::{LogFormat, LogRecord, LoggedEnd},
    text,
};
use dnsgate_core::dns::{Name, RecordType, Transport};

/// The most questions that a sampled line may stand for; dnsgate's configuration has the same bound.
pub(crate) const MAX_TIMES: u64 = 1_000_000;

/// A text, borrowed from the line if it holds no escape. A type of its own, because serde borrows nothing inside an
/// `Option`.
#[derive(Deserialize)]
struct Text<'l>(#[serde(borrow)] Cow<'l, str>);

/// The fields of an entry that matter here, of all formats: they share no key with different meanings.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry<'l> {
    // dnsgate and Cloud DNS.
    #[serde(borrow)]
    query_name: Option<Text<'l>>,
    #[serde(borrow)]
    query_type: Option<Text<'l>>,
    /// Absent for IN, the only class that a policy covers.
    #[serde(borrow)]
    query_class: Option<Text<'l>>,
    #[serde(rename = "sourceIP")]
    source_ip: Option<IpAddr>,
    #[serde(borrow)]
    protocol: Option<Text<'l>>,
    #[serde(borrow)]
    response_code: Option<Text<'l>>,
    #[serde(borrow)]
    time: Option<Text<'l>>,
    // dnsgate alone.
    #[serde(borrow)]
    verdict: Option<Text<'l>>,
    #[serde(borrow)]
    reason: Option<Text<'l>>,
    #[serde(borrow)]
    rule: Option<Text<'l>>,
    /// The number of questions that it stands for. Cloud Logging stores all numbers as floating point.
    sample_rate: Option<Number>,
    // Cloud DNS alone.
    #[serde(borrow)]
    source_network: Option<Text<'l>>,
    #[serde(borrow)]
    vm_instance_name: Option<Text<'l>>,
    // The envelope of Cloud Logging.
    #[serde(borrow)]
    json_payload: Option<Box<Entry<'l>>>,
    #[serde(borrow)]
    text_payload: Option<Text<'l>>,
    #[serde(borrow)]
    timestamp: Option<Text<'l>>,
    #[serde(borrow)]
    resource: Option<Resource<'l>>,
    // The envelope of a container's output.
    #[serde(borrow)]
    log: Option<Text<'l>>,
    // Route 53 Resolver.
    #[serde(borrow, rename = "query_name")]
    aws_name: Option<Text<'l>>,
    #[serde(borrow, rename = "query_type")]
    aws_type: Option<Text<'l>>,
    #[serde(borrow, rename = "query_class")]
    aws_class: Option<Text<'l>>,
    #[serde(borrow)]
    rcode: Option<Text<'l>>,
    srcaddr: Option<IpAddr>,
    #[serde(borrow)]
    transport: Option<Text<'l>>,
    #[serde(borrow, rename = "query_timestamp")]
    aws_time: Option<Text<'l>>,
    #[serde(borrow, rename = "vpc_id")]
    aws_network: Option<Text<'l>>,
    #[serde(borrow)]
    srcids: Option<AwsSource<'l>>,
    #[serde(borrow, rename = "firewall_rule_action")]
    firewall: Option<Text<'l>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource<'l> {
    #[serde(borrow)]
    labels: ResourceLabels<'l>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResourceLabels<'l> {
    #[serde(borrow)]
    target_type: Option<Text<'l>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AwsSource<'l> {
    #[serde(borrow)]
    instance: Option<Text<'l>>,
}

/// What Cloud DNS answers itself, by the label `target_type`. The other values name those it asks: external,
/// forwarding-zone, forwarding-policy, peering-zone.
const OWN_TARGETS: [&str; 3] = ["private-zone", "internal", "response-policy"];

fn text<'t>(text: &'t Option<Text<'_>>) -> Option<&'t str> {
    text.as_ref().map(|text| &*text.0)
}

/// Reads one entry, and passes its question on: the number of questions that it stands for, if it is one.
pub(crate) fn read(entry: &[u8], visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    let entry: Entry<'_> = serde_json::from_slice(entry).ok()?;
    let inner = entry.json_payload.as_deref().unwrap_or(&entry);
    if inner.query_name.is_some() {
        return cloud(inner, &entry, visit);
    }
    if entry.aws_name.is_some() {
        return route53(&entry, visit);
    }
    let wrapped = text(&entry.text_payload).or(text(&entry.log))?;
    let time = time(&entry.timestamp).or(time(&entry.time));
    let wrapped = wrapped.trim_ascii();
    if wrapped.starts_with('{') {
        // Only one envelope is opened: a text inside this one is no entry.
        let inner: Entry<'_> = serde_json::from_str(wrapped).ok()?;
        inner.query_name.as_ref()?;
        return cloud(&inner, &entry, visit);
    }
    text::read(wrapped, &mut |record| {
        visit(&LogRecord {
            time: record.time.or(time),
            ..*record
        });
    })
}

/// An entry of dnsgate or Cloud DNS.
fn cloud(
    inner: &Entry<'_>,
    envelope: &Entry<'_>,
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> Option<u64> {
    if text(&inner.query_class).is_some_and(|class| class != "IN") {
        return None;
    }
    let name: Name = text(&inner.query_name)?.parse().ok()?;
    let times = times(inner.sample_rate.as_ref());
    let code = text(&inner.response_code);
    let target = envelope.resource.as_ref();
    let target = target.and_then(|resource| text(&resource.labels.target_type));
    let end = match text(&inner.verdict) {
        Some("answered") => LoggedEnd::OwnData,
        Some("denied") => LoggedEnd::Blocked,
        Some("rejected" | "failed") => LoggedEnd::Unknown,
        None if target.is_some_and(|target| OWN_TARGETS.contains(&target)) => LoggedEnd::OwnData,
        Some(_) | None => code_end(code),
    };
    visit(&LogRecord {
        format: match inner.verdict {
            Some(_) => LogFormat::Dnsgate,
            None => LogFormat::CloudDns,
        },
        name: name.as_ref(),
        rtype: text(&inner.query_type)?.parse().ok()?,
        client: inner.source_ip?,
        transport: transport(text(&inner.protocol)),
        time: time(&inner.time)
            .or(time(&envelope.timestamp))
            .or(time(&envelope.time)),
        end,
        times,
        network: text(&inner.source_network),
        host: text(&inner.vm_instance_name),
        reason: text(&inner.reason),
        rule: text(&inner.rule),
    });
    Some(times)
}

/// An entry of Route 53 Resolver. A BLOCK of its firewall logs the response code of the answer that replaces the real one.
fn route53(entry: &Entry<'_>, visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    if text(&entry.aws_class).is_some_and(|class| class != "IN") {
        return None;
    }
    let name: Name = text(&entry.aws_name)?.parse().ok()?;
    let instance = entry.srcids.as_ref();
    visit(&LogRecord {
        format: LogFormat::Route53,
        name: name.as_ref(),
        rtype: text(&entry.aws_type)?.parse::<RecordType>().ok()?,
        client: entry.srcaddr?,
        transport: transport(text(&entry.transport)),
        time: time(&entry.aws_time),
        end: match text(&entry.firewall) {
            Some("BLOCK") => LoggedEnd::Blocked,
            _ => code_end(text(&entry.rcode)),
        },
        times: 1,
        network: text(&entry.aws_network),
        host: instance.and_then(|instance| text(&instance.instance)),
        reason: None,
        rule: None,
    });
    Some(1)
}

/// What a response code says of a question that another server answered.
pub(crate) fn code_end(code: Option<&str>) -> LoggedEnd {
    match code {
        Some("NOERROR") => LoggedEnd::Resolved,
        Some("NXDOMAIN") => LoggedEnd::NoSuchName,
        Some("REFUSED") => LoggedEnd::Refused,
        _ => LoggedEnd::Unknown,
    }
}

/// The transport by its name: everything but UDP is a stream.
pub(crate) fn transport(protocol: Option<&str>) -> Transport {
    match protocol {
        Some(name) if !name.eq_ignore_ascii_case("udp") => Transport::Tcp,
        _ => Transport::Udp,
    }
}

fn time(time: &Option<Text<'_>>) -> Option<Timestamp> {
    text(time)?.parse().ok()
}

fn times(rate: Option<&Number>) -> u64 {
    let rate = rate.map(Number::to_string);
    // A whole number in floating point is written `10.0`.
    let whole = rate.as_deref().and_then(|rate| rate.split('.').next());
    let times: Option<u64> = whole.and_then(|whole| whole.parse().ok());
    times.unwrap_or(1).clamp(1, MAX_TIMES)
}
