//! The loop around the batches: receive, answer, send.

use std::sync::Arc;

use socket2::Socket;

use super::{
    super::{Event, Handler, Later, Message, ReplyTo, Stop, edge},
    DRAIN, after_error,
    batch::{BATCH, Batch, Wait, WayBack},
    stopped,
};
use crate::dns::Transport;

/// Serves one socket until told to stop, and then what the kernel still holds.
pub(in crate::server) fn serve<H: Handler>(socket: &Arc<Socket>, mut handler: H, stop: &Stop) {
    let mut batch = Batch::new();
    while !stopped(stop) {
        match batch.receive(socket, Wait::ForOne) {
            Ok(received) => answer(&mut batch, received, socket, &mut handler),
            Err(error) => after_error(&error),
        }
    }
    for _ in 0..DRAIN / BATCH {
        match batch.receive(socket, Wait::Not) {
            Ok(received) => answer(&mut batch, received, socket, &mut handler),
            Err(_) => break,
        }
    }
}

/// The way back of one datagram: by this socket, from the address that was asked.
struct FromHere<'b>(&'b Arc<Socket>, WayBack<'b>);

impl Later for FromHere<'_> {
    fn reply_to(&self) -> Option<ReplyTo> {
        let Self(socket, back) = self;
        Some(ReplyTo::datagram(Arc::clone(socket), back.keep()))
    }
}

fn answer<H: Handler>(batch: &mut Batch, received: usize, socket: &Arc<Socket>, handler: &mut H) {
    handler.begin_batch();
    for at in 0..received {
        let Some(exchange) = batch.exchange(at) else {
            handler.observe(Event::Unanswerable);
            continue;
        };
        let message = Message {
            packet: exchange.query,
            source: exchange.source,
            transport: Transport::Udp,
        };
        let later = FromHere(socket, exchange.back);
        if let Some(len) = edge::answer(handler, message, exchange.reply, &later) {
            batch.reply(at, len);
        }
    }
    for _ in 0..batch.send(socket) {
        handler.observe(Event::ReplyLost);
    }
}
