//! Handles datagrams one by one with portable calls: the fallback for systems other than Linux.
//!
//! It does not know to which address of a wildcard a query was sent; the system chooses the reply's
//! source address. Tasks that the handler spawns run on the runtime that the thread has entered,
//! not in the thread.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use socket2::Socket;

use super::{
    super::{
        handler::{ClientMessage, Handler, ListenerEvent},
        responder::{DetachedResponder, Responder},
        stop_signal::{StopSignal, stopped},
    },
    DRAIN, QUERY, REPLY, after_error,
};
use crate::serve::handler;
use dnsgate_core::dns::{Transport, query::HEADER};

/// Answers one datagram later.
struct PlainUdpResponder<'b>(&'b Arc<Socket>, SocketAddr);

impl Responder for PlainUdpResponder<'_> {
    fn detach(&self) -> Option<DetachedResponder> {
        Some(DetachedResponder::plain(Arc::clone(self.0), self.1))
    }
}

/// Serves one socket until the stop signal, then answers what the system has buffered.
///
/// # Errors
/// No file descriptor is available.
pub(in crate::serve) fn serve<H: Handler>(
    shared: &Arc<Socket>,
    mut handler: H,
    stop: &StopSignal,
) -> io::Result<()> {
    let socket = UdpSocket::from(shared.try_clone()?);
    // One byte more than the longest query, to detect truncation.
    let mut query = [0; QUERY + 1];
    let mut reply = [0; REPLY];
    let mut one = |handler: &mut H| -> io::Result<()> {
        let (len, source) = socket.recv_from(&mut query)?;
        handler.begin_batch();
        if source.port() == 0 {
            handler.observe(ListenerEvent::Unanswerable);
            return Ok(());
        }
        let packet = query
            .get(..if len > QUERY { HEADER } else { len })
            .unwrap_or_default();
        let message = ClientMessage {
            packet,
            source,
            transport: Transport::Udp,
        };
        let len = handler::answer_catching_panics(
            handler,
            message,
            &mut reply,
            &PlainUdpResponder(shared, source),
        );
        handler.end_batch();
        if let Some(reply) = len.and_then(|len| reply.get(..len))
            && shared
                .send_to_with_flags(reply, &source.into(), libc::MSG_DONTWAIT)
                .is_err()
        {
            handler.observe(ListenerEvent::ReplyLost);
        }
        Ok(())
    };
    while !stopped(stop) {
        if let Err(error) = one(&mut handler) {
            after_error(&error);
        }
    }
    if socket.set_nonblocking(true).is_ok() {
        for _ in 0..DRAIN {
            if one(&mut handler).is_err() {
                break;
            }
        }
    }
    Ok(())
}
