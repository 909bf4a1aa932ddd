//! The upstream of forwarders: every name has one address, with a TTL of five minutes, and replies
//! may be delayed.
//!
//! It is a separate program so that its CPU time counts for no measured server, and because no
//! packaged server can delay answers by a fixed time.

use std::{
    collections::VecDeque,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{args::Args, batch::DATAGRAM, questions::HEADER};

/// How often the server checks whether the time is up.
const LOOK: Duration = Duration::from_millis(250);
/// The most replies that wait; further queries get none.
const MAX_WAITING: usize = 1 << 16;
/// A pointer to the question's name, A, IN, 300 s, four bytes: one of Google's addresses, because
/// forwarders drop addresses that are not public.
const RECORD: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x08\x08\x08\x08";

/// A reply and the time to send it.
struct Waiting {
    due: Instant,
    client: SocketAddr,
    reply: Vec<u8>,
}

/// Serves until the time is up, or a signal comes.
pub(crate) fn serve(args: &Args) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(args.server).context("no socket")?;
    let mut waiting = VecDeque::new();
    let mut buffer = [0; DATAGRAM];
    let began = Instant::now();
    while began.elapsed() < args.time {
        let next = waiting.front().map(|first: &Waiting| first.due);
        let patience = next.map_or(LOOK, |due| due.saturating_duration_since(Instant::now()));
        // A timeout of zero would mean no timeout.
        socket.set_read_timeout(Some(patience.max(Duration::from_micros(1))))?;
        if let Ok((len, client)) = socket.recv_from(&mut buffer) {
            let reply = buffer.get(..len).and_then(reply_to);
            if let Some(reply) = reply.filter(|_| waiting.len() < MAX_WAITING) {
                let due = Instant::now() + args.delay;
                waiting.push_back(Waiting { due, client, reply });
            }
        }
        let now = Instant::now();
        while waiting.front().is_some_and(|first| first.due <= now) {
            if let Some(ready) = waiting.pop_front() {
                let _ = socket.send_to(&ready.reply, ready.client);
            }
        }
    }
    Ok(())
}

/// The question, followed by the address, without EDNS.
fn reply_to(query: &[u8]) -> Option<Vec<u8>> {
    let mut at = HEADER;
    while let len @ 1.. = usize::from(*query.get(at)?) {
        at += 1 + len;
    }
    let mut reply = query.get(..at + 5)?.to_vec();
    let flags = b"\x84\x80\0\x01\0\x01\0\0\0\0";
    reply.get_mut(2..HEADER)?.copy_from_slice(flags);
    reply.extend_from_slice(RECORD);
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_address() {
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\x01b\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
        let reply = reply_to(query).unwrap();
        let head = b"\x12\x34\x84\x80\0\x01\0\x01\0\0\0\0\x01a\x01b\0\0\x01\0\x01";
        assert_eq!(reply, [&head[..], RECORD].concat());
        assert_eq!(reply_to(&query[..14]), None);
    }
}
