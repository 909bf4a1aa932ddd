//! Upstreams that misbehave over UDP.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
};

use super::{ANSWERED, CLOSED, Case, DEADLINE, Does, MALFORMED, REFUSED, TIMEOUT, streams};
use crate::message::{self, QUESTION, record, reply};

const HTTPS: u16 = 65;

pub(crate) fn silent(_: &[u8], _: &UdpSocket, _: SocketAddr) {}

/// Sends one of these.
fn send(message: &[u8], socket: &UdpSocket, to: SocketAddr) {
    // The asker may have gone.
    let _ = socket.send_to(message, to);
}

/// The good reply with one change.
fn changed(query: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = message::good(query);
    change(&mut message);
    message
}

fn wrong_id(query: &[u8]) -> Vec<u8> {
    changed(query, |message| message[1] ^= 1)
}

/// What a guesser sends, and then the reply.
fn many_wrong_ids(query: &[u8], socket: &UdpSocket, to: SocketAddr) {
    for _ in 0..50 {
        send(&wrong_id(query), socket, to);
    }
    send(&message::good(query), socket, to);
}

/// A header without anything: the server could not, or would not, read the question.
fn bare(query: &[u8], code: u8) -> Vec<u8> {
    let mut message = reply(query, code, 0, &[]);
    message.truncate(12);
    message[5] = 0;
    message
}

/// What is no reply to the question at all: it is ignored, and nothing else comes.
fn no_replies() -> Vec<Case> {
    let cases = vec![
        Case::udp(
            "wrong id",
            |query, socket, to| send(&wrong_id(query), socket, to),
            TIMEOUT,
        ),
        Case::udp(
            "wrong name",
            |query, socket, to| send(&changed(query, |it| it[13] = b'x'), socket, to),
            TIMEOUT,
        ),
        Case::udp(
            "wrong type",
            |query, socket, to| {
                let type_at = query.len() - 11 - 3;
                send(&changed(query, |it| it[type_at] = 28), socket, to);
            },
            TIMEOUT,
        ),
        Case::udp(
            "QR=0",
            |query, socket, to| send(&changed(query, |it| it[2] = 1), socket, to),
            TIMEOUT,
        ),
        Case::udp(
            "no question and no error",
            |query, socket, to| send(&bare(query, 0), socket, to),
            TIMEOUT,
        ),
        Case::udp(
            "an empty datagram",
            |_, socket, to| send(&[], socket, to),
            TIMEOUT,
        ),
        Case::udp("its own query", send, TIMEOUT),
        Case::udp(
            "two that are none, then the reply",
            |query, socket, to| {
                for _ in 0..2 {
                    send(&wrong_id(query), socket, to);
                }
                send(&message::good(query), socket, to);
            },
            ANSWERED,
        ),
        Case::udp("many that are none, TCP closed", many_wrong_ids, CLOSED),
        Case {
            does: Does::Udp(many_wrong_ids, streams::good),
            ..Case::udp("many that are none, then over TCP", silent, ANSWERED)
        },
    ];
    cases.into_iter().map(Case::mismatched).collect()
}

/// What never comes, or not from where it should.
fn absent() -> Vec<Case> {
    let closed = Case {
        does: Does::Closed("udp"),
        ..Case::udp("a closed port", silent, REFUSED)
    };
    vec![
        closed,
        Case::udp("silence", silent, TIMEOUT),
        Case::udp(
            "from another port",
            |query, _, to| {
                let other = UdpSocket::bind("127.0.0.1:0").expect("a port");
                send(&message::good(query), &other, to);
            },
            TIMEOUT,
        ),
        Case::udp(
            "after the deadline",
            |query, socket, to| {
                let socket = socket.try_clone().expect("a descriptor");
                let late = message::good(query);
                thread::spawn(move || {
                    thread::sleep(DEADLINE + DEADLINE / 4);
                    send(&late, &socket, to);
                });
            },
            TIMEOUT,
        ),
    ]
}

/// Replies that say what they should not.
fn replies() -> Vec<Case> {
    vec![
        Case::udp(
            "torn",
            |query, socket, to| {
                let whole = message::good(query);
                send(&whole[..whole.len() - 2], socket, to);
            },
            MALFORMED,
        ),
        Case::udp(
            "bytes left over",
            |query, socket, to| send(&changed(query, |it| it.push(0)), socket, to),
            ANSWERED,
        ),
        Case::udp(
            "a pointer to itself",
            |query, socket, to| send(&message::pointer_to_itself(query), socket, to),
            MALFORMED,
        ),
        Case::udp(
            "aliases in a circle",
            |query, socket, to| send(&message::circle(query), socket, to),
            "SERVFAIL, 0: aliases (CNAME) in a circle, or more than 10 of them",
        ),
        Case::udp(
            "an error",
            |query, socket, to| send(&reply(query, 5, 0, &[]), socket, to),
            "SERVFAIL, 23: the server answered with code 5",
        ),
        Case::udp(
            "an error without the question",
            |query, socket, to| send(&bare(query, 5), socket, to),
            "SERVFAIL, 23: the server answered with code 5",
        ),
        Case::udp(
            "an address inside",
            |query, socket, to| {
                let metadata = record(QUESTION, 1, &[169, 254, 169, 254]);
                send(&reply(query, 0, 1, &metadata), socket, to);
            },
            "REFUSED, 17: RULE: the answer has an address outside of the ranges",
        ),
        Case {
            qtype: HTTPS,
            ..Case::udp(
                "a torn hint",
                |query, socket, to| {
                    let binding = record(QUESTION, HTTPS, b"\0\x01\0\0\x04\0\x08\x0a\0\0\x01");
                    send(&reply(query, 0, 1, &binding), socket, to);
                },
                "REFUSED, 17: RULE: an address hint of the answer is outside of the ranges, or cannot be read",
            )
        },
        truncated("truncated, TCP closed", streams::close, CLOSED),
        truncated("truncated over TCP, too", streams::truncated, MALFORMED),
        truncated("truncated, then whole", streams::good, ANSWERED),
    ]
}

fn truncated(what: &'static str, stream: super::OnStream, want: &'static str) -> Case {
    Case {
        does: Does::Udp(
            |query, socket, to| {
                let mut message = reply(query, 0, 0, &[]);
                message[2] |= 2;
                send(&message, socket, to);
            },
            stream,
        ),
        ..Case::udp(what, silent, want)
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = no_replies();
    cases.extend(absent());
    cases.extend(replies());
    cases
}
