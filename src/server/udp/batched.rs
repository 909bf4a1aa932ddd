//! The loop around the batches: receive, answer, send.

use socket2::Socket;

use super::{
    super::{Event, Handler, Message, Stop, edge},
    DRAIN, after_error,
    batch::{BATCH, Batch, Wait},
    stopped,
};
use crate::dns::Transport;

/// Serves one socket until told to stop, and then what the kernel still holds.
pub(in crate::server) fn serve<H: Handler>(socket: &Socket, mut handler: H, stop: &Stop) {
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

fn answer<H: Handler>(batch: &mut Batch, received: usize, socket: &Socket, handler: &mut H) {
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
        if let Some(len) = edge::answer(handler, message, exchange.reply) {
            batch.reply(at, len);
        }
    }
    for _ in 0..batch.send(socket) {
        handler.observe(Event::ReplyLost);
    }
}
