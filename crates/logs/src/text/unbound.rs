//! Unbound, `log-queries`, `log-replies`, `log-tag-queryreply`, `log-local-actions` and an RPZ's `rpz-log`:
//!
//! ```text
//! [1700000000] unbound[12:0] info: 10.1.2.3 example.com. A IN
//! [1700000000] unbound[12:0] reply: 10.1.2.3 example.com. A IN NOERROR 0.012 0 44
//! [1700000000] unbound[12:0] info: ads.example. always_nxdomain 10.1.2.3@4711 x.ads.example. A IN
//! [1700000000] unbound[12:0] info: rpz: applied [zone] bad.example. rpz-nxdomain 10.1.2.3@4711 bad.example. A IN
//! ```
//!
//! The last two are about a question that another line counts: they say that Unbound decided itself.

use std::net::IpAddr;

use super::leading_time;
use crate::{
    json::code_end,
    record::{LogFormat, LogRecord, LoggedEnd},
};
use dnsgate_core::dns::{Name, Transport};

/// Behind each of them stands the question.
const MARKS: [&str; 3] = [" info: ", " query: ", " reply: "];
/// The types of a local zone and the actions of a response policy that let the question pass.
const PASSES: [&str; 8] = [
    "transparent",
    "typetransparent",
    "always_transparent",
    "inform",
    "nodefault",
    "noview",
    "rpz-passthru",
    "rpz-tcp-only",
];
/// Those that answer with data which somebody wrote for this name.
const ANSWERS: [&str; 6] = [
    "static",
    "redirect",
    "inform_redirect",
    "ipset",
    "rpz-local-data",
    "rpz-cname-override",
];

pub(super) fn read(line: &str, visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    let (head, rest) = split(line)?;
    let time = || leading_time(head);
    let mut fields = rest.split(' ');
    let first = fields.next()?;
    let Ok(client) = first.parse::<IpAddr>() else {
        return local_action(rest, time(), visit);
    };
    let (name, rtype, class) = (fields.next()?, fields.next()?, fields.next()?);
    // Either nothing more, or a reply's code, time, flag and size.
    let code = fields.next();
    if class != "IN" || code.is_some() && fields.clone().count() < 3 {
        return None;
    }
    let name: Name = name.parse().ok()?;
    visit(&LogRecord {
        format: LogFormat::Unbound,
        name: name.as_ref(),
        rtype: rtype.parse().ok()?,
        client,
        transport: Transport::Udp,
        time: time(),
        end: code_end(code),
        times: 1,
        network: None,
        host: None,
        reason: None,
        rule: None,
    });
    Some(1)
}

/// Whether a line is a reply, and not a query: a log with both would count each question twice.
pub(crate) fn is_reply(line: &str) -> Option<bool> {
    let (_, rest) = split(line)?;
    let mut fields = rest.split(' ');
    fields.next()?.parse::<IpAddr>().ok()?;
    let more = fields.skip(3).count();
    Some(more >= 4)
}

fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_ascii_end();
    MARKS.iter().find_map(|mark| line.split_once(mark))
}

/// A line about a question that Unbound answered from a local zone or a response policy.
fn local_action(
    rest: &str,
    time: Option<jiff::Timestamp>,
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> Option<u64> {
    let fields: Vec<&str> = rest.split(' ').take(16).collect();
    let at = fields.iter().position(|field| field.contains('@'))?;
    let [client, name, rtype, "IN"] = fields.get(at..)? else {
        return None;
    };
    let action = *fields.get(at.checked_sub(1)?)?;
    let end = match action {
        action if PASSES.contains(&action) => LoggedEnd::Unknown,
        action if ANSWERS.contains(&action) => LoggedEnd::OwnData,
        _ => LoggedEnd::Blocked,
    };
    let name: Name = name.parse().ok()?;
    visit(&LogRecord {
        format: LogFormat::Unbound,
        name: name.as_ref(),
        rtype: rtype.parse().ok()?,
        client: client.split('@').next()?.parse().ok()?,
        transport: Transport::Udp,
        time,
        end,
        times: 0,
        network: None,
        host: None,
        reason: None,
        rule: None,
    });
    Some(0)
}
