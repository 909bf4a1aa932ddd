//! Upstreams that misbehave over TCP.

use std::{
    io::{self, Write as _},
    net::TcpStream,
};

use socket2::SockRef;

use super::{ANSWERED, CLOSED, Case, Does, MALFORMED, REFUSED, TIMEOUT, datagrams};
use crate::message::{self, good as good_reply};

/// Sends a message behind its length. Returns whether there was somebody to take it.
pub(crate) fn send(stream: &mut TcpStream, message: &[u8]) -> bool {
    let length = (message.len() as u16).to_be_bytes();
    stream.write_all(&[&length[..], message].concat()).is_ok()
}

pub(crate) fn close(_: &[u8], _: &mut TcpStream) -> bool {
    false
}

pub(crate) fn good(query: &[u8], stream: &mut TcpStream) -> bool {
    send(stream, &good_reply(query))
}

pub(crate) fn truncated(query: &[u8], stream: &mut TcpStream) -> bool {
    let mut message = good_reply(query);
    message[2] |= 2;
    send(stream, &message)
}

/// An RST instead of a FIN.
fn reset(_: &[u8], stream: &mut TcpStream) -> bool {
    let socket = SockRef::from(&*stream);
    socket
        .set_linger(Some(std::time::Duration::ZERO))
        .expect("set");
    false
}

/// Half of a message, and then not a byte until the asker has gone.
fn stall(query: &[u8], stream: &mut TcpStream) -> bool {
    let message = good_reply(query);
    let length = (message.len() as u16).to_be_bytes();
    let half = &message[..message.len() / 2];
    if stream.write_all(&[&length[..], half].concat()).is_ok() {
        let _ = io::copy(stream, &mut io::sink());
    }
    false
}

fn wrong_id(query: &[u8]) -> Vec<u8> {
    let mut message = good_reply(query);
    message[1] ^= 1;
    message
}

/// Connections that end, or do not go on.
fn broken() -> Vec<Case> {
    let closed = Case {
        does: Does::Closed("tcp"),
        ..Case::udp("nobody accepts", datagrams::silent, REFUSED)
    };
    vec![
        closed,
        Case::tcp("closes", close, CLOSED),
        Case::tcp("resets", reset, CLOSED),
        Case::tcp("silence on a connection", |_, _| true, TIMEOUT),
        Case::tcp("stalls in the middle of a message", stall, TIMEOUT),
        Case::tcp(
            "closes in the middle of a message",
            |query, stream| {
                let message = good_reply(query);
                let length = (message.len() as u16).to_be_bytes();
                // Whoever asked may have gone.
                let _ = stream.write_all(&[&length[..], &message[..20]].concat());
                false
            },
            CLOSED,
        ),
    ]
}

/// Whole messages that should not be.
fn messages() -> Vec<Case> {
    vec![
        Case::tcp("truncated over a connection", truncated, MALFORMED),
        Case::tcp(
            "wrong id over a connection",
            |query, stream| send(stream, &wrong_id(query)),
            TIMEOUT,
        )
        .mismatched(),
        Case::tcp(
            "messages of no bytes, then the reply",
            |query, stream| (0..50).all(|_| send(stream, &[])) && send(stream, &good_reply(query)),
            ANSWERED,
        )
        .mismatched(),
        Case::tcp(
            "the same reply twice",
            |query, stream| send(stream, &good_reply(query)) && send(stream, &good_reply(query)),
            ANSWERED,
        )
        .mismatched(),
        Case::tcp(
            "a thousand aliases",
            |query, stream| send(stream, &message::thousand_aliases(query)),
            "SERVFAIL, 0: aliases (CNAME) in a circle, or more than 10 of them",
        ),
        Case::tcp(
            "60 kB",
            |query, stream| send(stream, &message::large(query)),
            "NOERROR, TC",
        ),
        Case::tcp(
            "a bomb",
            |query, stream| send(stream, &message::bomb(query)),
            MALFORMED,
        ),
        Case::tcp(
            "longer than its length",
            |query, stream| {
                let message = good_reply(query);
                let length = (message.len() as u16 - 4).to_be_bytes();
                // Whoever asked may have gone.
                let _ = stream.write_all(&[&length[..], &message].concat());
                true
            },
            MALFORMED,
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = broken();
    cases.extend(messages());
    cases
}
