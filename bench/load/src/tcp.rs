//! Questions over TCP: one connection per query, from several threads, or one connection for all
//! queries, with a window of unanswered ones.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};

use super::{
    args::Args,
    batch::DATAGRAM,
    questions::{self, Questions},
    report::Report,
};

/// After this time a query without a reply is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most connections of one run: a closed one keeps its port for a while.
const MAX_CONNECTIONS: u64 = 12_000;

/// Asks for as long as the arguments say.
pub(crate) fn run(args: &Args) -> anyhow::Result<Report> {
    let questions = Questions::read(&args.file, args.fresh)?;
    let began = Instant::now();
    if args.keep {
        return kept(args, &questions, began);
    }
    let mut all = Report::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..args.sockets)
            .map(|number| {
                let questions = &questions;
                scope.spawn(move || fresh(args, questions, number, began))
            })
            .collect();
        for thread in threads {
            let report = thread.join().map_err(|_| anyhow!("a thread ended"))?;
            all.add(&report?);
        }
        anyhow::Ok(())
    })?;
    Ok(all)
}

/// One connection per query.
fn fresh(
    args: &Args,
    questions: &Questions,
    number: usize,
    began: Instant,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let count = args.count.min(MAX_CONNECTIONS) / args.sockets as u64;
    let mut id = (number as u16).wrapping_mul(0x3c1f);
    while began.elapsed() < args.time && report.sent < count {
        let mut stream = connect(args)?;
        let mut out = Vec::new();
        push(questions, id, &mut out);
        stream.write_all(&out)?;
        report.sent += 1;
        let mut len = [0; 2];
        let mut reply = vec![0; DATAGRAM];
        let read = stream.read_exact(&mut len).and_then(|()| {
            let len = usize::from(u16::from_be_bytes(len)).min(DATAGRAM);
            reply.truncate(len);
            stream.read_exact(&mut reply)
        });
        match read {
            Err(_) => report.lost += 1,
            Ok(()) if questions::id(&reply) == Some(id) && questions.is_right(id, &reply) => {
                report.answered += 1;
            }
            Ok(()) => report.wrong += 1,
        }
        id = id.wrapping_add(1);
    }
    report.time = began.elapsed();
    Ok(report)
}

/// One connection with a window of queries.
fn kept(args: &Args, questions: &Questions, began: Instant) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut stream = connect(args)?;
    let (mut next, mut out) = (0_u16, Vec::new());
    // Replies may come in any order; an id is set while its reply is awaited.
    let mut awaited = vec![false; 1 << 16];
    let mut buffer = vec![0; 1 << 16];
    let mut filled = 0;
    loop {
        let waiting = report.sent - report.answered - report.wrong;
        let more = began.elapsed() < args.time && report.sent < args.count;
        if !more && waiting == 0 {
            break;
        }
        out.clear();
        let room = if more {
            args.window as u64 - waiting
        } else {
            0
        };
        for _ in 0..room {
            push(questions, next, &mut out);
            if let Some(slot) = awaited.get_mut(usize::from(next)) {
                *slot = true;
            }
            next = next.wrapping_add(1);
            report.sent += 1;
        }
        // A server may close the connection at any time; queries that wait are then lost.
        if stream.write_all(&out).is_err() {
            break;
        }
        let room = buffer.get_mut(filled..).context("a reply without an end")?;
        match stream.read(room) {
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
        let mut rest = buffer.get(..filled).unwrap_or_default();
        while let Some((reply, after)) = frame(rest) {
            rest = after;
            let slot =
                questions::id(reply).and_then(|id| Some((id, awaited.get_mut(usize::from(id))?)));
            match slot {
                Some((id, slot)) if *slot => {
                    *slot = false;
                    if questions.is_right(id, reply) {
                        report.answered += 1;
                    } else {
                        report.wrong += 1;
                    }
                }
                _ => report.stray += 1,
            }
        }
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
    }
    report.time = began.elapsed();
    report.lost = report.sent - report.answered - report.wrong;
    Ok(report)
}

fn connect(args: &Args) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&args.server, PATIENCE).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Appends a query's length and the query.
fn push(questions: &Questions, id: u16, out: &mut Vec<u8>) {
    let mut packet = [0; 512];
    let len = questions.write(id, &mut packet);
    out.extend_from_slice(&(len as u16).to_be_bytes());
    out.extend_from_slice(packet.get(..len).unwrap_or_default());
}

/// The first whole message, and the bytes after it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_or_none() {
        for (bytes, want) in [
            (&b"\0\x02ab\0"[..], Some((&b"ab"[..], &b"\0"[..]))),
            (b"\0\x02a", None),
            (b"\0", None),
            (b"\0\0", Some((b"", b""))),
        ] {
            assert_eq!(frame(bytes), want, "{bytes:?}");
        }
    }
}
