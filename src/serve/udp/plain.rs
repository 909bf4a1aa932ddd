//! Datagrams one by one, with nothing but what every system has: the fallback off Linux.
//!
//! It does not know which address of a wildcard was asked; the system chooses the reply's source.
//! What the handler spawns runs on the runtime that the thread was given, not in the thread.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use socket2::Socket;

use super::{
    super::{
        catch_panic,
        handler::{ClientMessage, Handler, ListenerEvent, StopSignal},
        responder::{DetachedResponder, Responder},
    },
    common::{DRAIN, QUERY, REPLY, after_error, stopped},
};
use dnsgate_core::dns::{Transport, query::HEADER};

/// The way back of one datagram.
struct PlainUdpResponder<'b>(&'b Arc<Socket>, SocketAddr);

impl Responder for PlainUdpResponder<'_> {
    fn detach(&self) -> Option<DetachedResponder> {
        Some(DetachedResponder::plain(Arc::clone(self.0), self.1))
    }
}

/// Serves one socket until told to stop, and then what the system still holds.
///
/// # Errors
/// There is no descriptor to be had.
pub(in crate::serve) fn serve<H: Handler>(
    shared: &Arc<Socket>,
    mut handler: H,
    stop: &StopSignal,
) -> io::Result<()> {
    let socket = UdpSocket::from(shared.try_clone()?);
    // One byte more than a query may have: that byte tells that it has been cut.
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
        let len = catch_panic::answer(
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
