//! dnsgate's form for people, `log: { format: text }`:
//!
//! ```text
//! 2026-01-01T00:00:00.000000Z NOTICE   denied example.com. A for 10.1.2.3: no_rule group=vpc REFUSED UDP 0.012 ms
//! ```

use crate::{
    json::{MAX_TIMES, code_end, transport},
    record::{LogFormat, LogRecord, LoggedEnd},
};
use dnsgate_core::dns::Name;

/// The words of a verdict.
const VERDICTS: [&str; 5] = ["answered", "denied", "failed", "forwarded", "rejected"];

pub(super) fn read(line: &str, visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (time, _severity, verdict) = (fields.next()?, fields.next()?, fields.next()?);
    if !VERDICTS.contains(&verdict) {
        return None;
    }
    let (name, rtype) = (fields.next()?, fields.next()?);
    if fields.next()? != "for" {
        return None;
    }
    let client = fields.next()?.strip_suffix(':')?;
    let reason = fields.next()?;
    let rest: Vec<&str> = fields.collect();
    if rest.iter().any(|field| field.starts_with("class=")) {
        return None;
    }
    // In front of the transport stands the response code.
    let protocol = rest.iter().position(|field| ["UDP", "TCP"].contains(field));
    let code = protocol.and_then(|at| rest.get(at.checked_sub(1)?));
    let times = protocol.and_then(|at| sample(rest.get(at + 1..)?));
    let times = times.unwrap_or(1).clamp(1, MAX_TIMES);
    let name: Name = name.parse().ok()?;
    visit(&LogRecord {
        format: LogFormat::Dnsgate,
        name: name.as_ref(),
        rtype: rtype.parse().ok()?,
        client: client.parse().ok()?,
        transport: transport(protocol.and_then(|at| rest.get(at)).copied()),
        time: time.parse().ok(),
        end: match verdict {
            "answered" => LoggedEnd::OwnData,
            "denied" => LoggedEnd::Blocked,
            "forwarded" => code_end(code.copied()),
            _ => LoggedEnd::Unknown,
        },
        times,
        network: None,
        host: None,
        reason: Some(reason),
        rule: rule(line),
    });
    Some(times)
}

/// The number behind `LATENCY ms, 1 in`. Nothing else is looked at: the records behind it hold what somebody else wrote.
fn sample(behind_protocol: &[&str]) -> Option<u64> {
    let [_latency, "ms,", "1", "in", number, ..] = behind_protocol else {
        return None;
    };
    number.trim_end_matches(',').parse().ok()
}

/// The rule's name may hold blanks: it ends where the next field begins.
fn rule(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" rule=")?;
    Some(rest.split_once(" group=").map_or(rest, |(rule, _)| rule))
}
