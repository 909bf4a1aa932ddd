//! Decodes dnstap messages, <https://dnstap.info>: what a client asked and what it was answered.
//!
//! A server may log the query, the response, or both. If both are there, only responses count: they say what became of
//! the question. Messages between the server and others are not questions of clients.

use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use prost::Message as _;

use crate::record::{LogFormat, LogRecord, LoggedEnd};
use dnsgate_core::dns::{NameBuf, RecordType, Transport};

/// The frame's message: `Dnstap` of dnstap.proto, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TapFrame {
    /// The name and version of the server.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) version: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    pub(crate) message: Option<TapMessage>,
}

/// `Message` of dnstap.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TapMessage {
    #[prost(int32, optional, tag = "1")]
    pub(crate) kind: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) query_address: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "8")]
    pub(crate) query_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    pub(crate) query_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    pub(crate) query: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    pub(crate) response_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    pub(crate) response_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub(crate) response: Option<Vec<u8>>,
    #[prost(message, optional, tag = "15")]
    pub(crate) policy: Option<TapPolicy>,
}

/// `Policy` of dnstap.proto: a response policy that applied.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TapPolicy {
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) rule: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) action: Option<i32>,
}

/// `Message.Type`: a client's query, and the response to it.
const CLIENT_QUERY: i32 = 5;
const CLIENT_RESPONSE: i32 = 6;
/// `SocketProtocol.UDP`.
const UDP: i32 = 1;
/// `Policy.Action`: the name passed. (NXDOMAIN is 1, NODATA 2, DROP 4, TRUNCATE 5, LOCAL_DATA 6.)
const PASS: i32 = 3;

/// The flags of a DNS header's second word.
const AA: u16 = 0x0400;
const RA: u16 = 0x0080;
const RCODE: u16 = 0x000f;
const NXDOMAIN: u16 = 3;
const REFUSED: u16 = 5;
const SERVFAIL: u16 = 2;

/// Which of the two messages of a question counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TapCounts {
    /// The response, which the log has.
    Responses,
    /// The query: the log seems to have no responses.
    #[default]
    Queries,
}

impl TapCounts {
    /// Whether a frame at the beginning of the log is a response to a client.
    pub(crate) fn has_response(frame: &[u8]) -> bool {
        let decoded = TapFrame::decode(frame).ok();
        let message = decoded.and_then(|frame| frame.message);
        message.is_some_and(|message| message.kind == Some(CLIENT_RESPONSE))
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapSaid {
    /// A question, which was passed on.
    Question(u64),
    /// The other half of a question that is counted elsewhere.
    OtherHalf,
    /// No question of a client.
    Other,
}

/// Decodes a frame, and passes its question on.
pub(crate) fn read(
    frame: &[u8],
    counts: TapCounts,
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> TapSaid {
    let Ok(TapFrame {
        version,
        message: Some(message),
    }) = TapFrame::decode(frame)
    else {
        return TapSaid::Other;
    };
    match (message.kind, counts) {
        (Some(CLIENT_QUERY), TapCounts::Queries)
        | (Some(CLIENT_RESPONSE), TapCounts::Responses) => {}
        (Some(CLIENT_QUERY | CLIENT_RESPONSE), _) => return TapSaid::OtherHalf,
        _ => return TapSaid::Other,
    }
    let visited = question(&message, version.as_deref().unwrap_or_default(), visit);
    visited.map_or(TapSaid::Other, |()| TapSaid::Question(1))
}

fn question(
    message: &TapMessage,
    version: &[u8],
    visit: &mut impl FnMut(&LogRecord<'_>),
) -> Option<()> {
    let response = message.response.as_deref();
    let packet = response.or(message.query.as_deref())?;
    let (head, rest) = packet.split_first_chunk::<12>()?;
    let [_, _, high, low, q_high, q_low, ..] = *head;
    if [q_high, q_low] != [0, 1] {
        return None;
    }
    let (name, len) = NameBuf::read(rest).ok()?;
    let [t_high, t_low, 0, 1] = *rest.get(len..)?.first_chunk::<4>()? else {
        return None;
    };
    let flags = response.map(|_| u16::from_be_bytes([high, low]));
    let is_policy = message
        .policy
        .as_ref()
        .is_some_and(|policy| policy.action.is_some_and(|action| action != PASS));
    let end = match flags {
        _ if is_policy => LoggedEnd::Blocked,
        None => LoggedEnd::Unknown,
        Some(flags) => end(flags, version),
    };
    let rule = message
        .policy
        .as_ref()
        .and_then(|policy| policy.rule.as_deref());
    visit(&LogRecord {
        format: LogFormat::Dnstap,
        name: name.as_ref(),
        rtype: RecordType(u16::from_be_bytes([t_high, t_low])),
        client: address(message.query_address.as_deref()?)?,
        transport: match message.protocol {
            Some(UDP) | None => Transport::Udp,
            Some(_) => Transport::Tcp,
        },
        time: time(message),
        end,
        times: 1,
        network: None,
        host: None,
        reason: None,
        rule: rule.and_then(|rule| std::str::from_utf8(rule).ok()),
    });
    Some(())
}

/// What the header of a response says. A resolver sets AA for its own data alone; CoreDNS also passes the AA of the server
/// that it asked on, and sets RA only then.
fn end(flags: u16, version: &[u8]) -> LoggedEnd {
    let passes_aa = version.starts_with(b"CoreDNS");
    match flags & RCODE {
        _ if flags & AA != 0 && !(passes_aa && flags & RA != 0) => LoggedEnd::OwnData,
        NXDOMAIN => LoggedEnd::NoSuchName,
        REFUSED => LoggedEnd::Refused,
        SERVFAIL => LoggedEnd::Unknown,
        _ => LoggedEnd::Resolved,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(v6).to_canonical())
}

fn time(message: &TapMessage) -> Option<Timestamp> {
    let (sec, nsec) = match message.query_sec {
        Some(sec) => (sec, message.query_nsec),
        None => (message.response_sec?, message.response_nsec),
    };
    let nsec = i32::try_from(nsec.unwrap_or_default()).ok()?;
    Timestamp::new(i64::try_from(sec).ok()?, nsec).ok()
}
