//! CoreDNS, plugin `log` in its default and its `combined` format:
//!
//! ```text
//! [INFO] 10.1.2.3:40912 - 21745 "A IN example.com. udp 40 false 1232" NOERROR qr,rd,ra 80 0.001s
//! ```
//!
//! <https://coredns.io/plugins/log/>. It may stand behind the time and the stream of a container's output.

use std::net::{IpAddr, SocketAddr};

use super::{escaped_field, leading_time};
use crate::{
    json::{code_end, transport},
    record::{LogFormat, LogRecord, LoggedEnd},
};
use dnsgate_core::dns::Name;

/// The question stands behind the client, the id, and a quotation mark.
pub(super) fn read(line: &str, visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    let (head, question) = line.split_once(" \"")?;
    let (head, _id) = head.split_once(" - ")?;
    let client = client(head.rsplit(' ').next()?)?;
    let (rtype, rest) = question.split_once(' ')?;
    let rest = rest.strip_prefix("IN ")?;
    let (name, rest) = escaped_field(rest)?;
    let (protocol, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("\" ")?;
    let mut reply = rest.split(' ');
    let (code, flags) = (reply.next()?, reply.next()?);
    let name: Name = name.parse().ok()?;
    visit(&LogRecord {
        format: LogFormat::CoreDns,
        name: name.as_ref(),
        rtype: rtype.parse().ok()?,
        client,
        transport: transport(Some(protocol)),
        time: leading_time(head),
        end: end(code, flags),
        times: 1,
        network: None,
        host: None,
        reason: None,
        rule: None,
    });
    Some(1)
}

/// `hosts`, `file`, `kubernetes` and `template` set AA and not RA. A forwarded answer has RA, and AA only if the server that
/// was asked set it.
fn end(code: &str, flags: &str) -> LoggedEnd {
    let has = |flag: &str| flags.split(',').any(|it| it == flag);
    if has("aa") && !has("ra") {
        LoggedEnd::OwnData
    } else {
        code_end(Some(code))
    }
}

/// `ADDRESS:PORT`, or the address alone as older versions write it.
fn client(text: &str) -> Option<IpAddr> {
    let socket = text.parse::<SocketAddr>().map(|socket| socket.ip());
    socket.or_else(|_| text.parse()).ok()
}
