//! Sends the reply to one message after the worker has moved to the next.
//!
//! If a worker cannot answer at once, it gives a [`DetachedResponder`] to a task and continues with
//! the next message. The responder sends one reply, from the address that the query was sent to or
//! on the query's connection. If dropped, it sends nothing.

use std::{fmt, sync::Arc};

use socket2::Socket;
use tokio::sync::mpsc::OwnedPermit;

use super::tcp::unread::Unread;
#[cfg(target_os = "linux")]
use super::udp::OwnedReturnAddress;

/// Sends one reply later.
pub(crate) struct DetachedResponder(ReplyRoute);

enum ReplyRoute {
    #[cfg(target_os = "linux")]
    Datagram(Arc<Socket>, Box<OwnedReturnAddress>),
    #[cfg(any(not(target_os = "linux"), test))]
    Plain(Arc<Socket>, Box<socket2::SockAddr>),
    Stream(OwnedPermit<Vec<u8>>, Arc<Unread>),
}

/// A reply that could not be sent.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The kernel did not take it.
    Lost,
    /// The connection has reached its limit of unread bytes. A shorter reply may still fit.
    Unread(DetachedResponder),
}

impl fmt::Debug for DetachedResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DetachedResponder")
    }
}

impl DetachedResponder {
    #[cfg(target_os = "linux")]
    pub(super) fn datagram(socket: Arc<Socket>, address: OwnedReturnAddress) -> Self {
        Self(ReplyRoute::Datagram(socket, Box::new(address)))
    }

    #[cfg(any(not(target_os = "linux"), test))]
    pub(super) fn plain(socket: Arc<Socket>, client: std::net::SocketAddr) -> Self {
        Self(ReplyRoute::Plain(socket, Box::new(client.into())))
    }

    pub(super) fn stream(permit: OwnedPermit<Vec<u8>>, unread: Arc<Unread>) -> Self {
        Self(ReplyRoute::Stream(permit, unread))
    }

    /// Sends the reply without waiting.
    ///
    /// # Errors
    /// [`Unsent`]. A connection that has ended in the meantime is not an error.
    pub(crate) fn send(self, reply: &[u8]) -> Result<(), Unsent> {
        match self.0 {
            #[cfg(target_os = "linux")]
            ReplyRoute::Datagram(socket, mut address) => {
                address.send(&socket, reply).map_err(|_| Unsent::Lost)
            }
            #[cfg(any(not(target_os = "linux"), test))]
            ReplyRoute::Plain(socket, client) => socket
                .send_to_with_flags(reply, &client, libc::MSG_DONTWAIT)
                .map(drop)
                .map_err(|_| Unsent::Lost),
            ReplyRoute::Stream(permit, unread) => {
                // Check before allocating memory for the reply.
                if !unread.take(reply.len()) {
                    return Err(Unsent::Unread(Self(ReplyRoute::Stream(permit, unread))));
                }
                permit.send(reply.to_vec());
                Ok(())
            }
        }
    }
}

/// Allows the current message to be answered later.
pub(crate) trait Responder {
    /// A responder that sends the reply later; `None` if the limit of awaited replies is reached.
    fn detach(&self) -> Option<DetachedResponder>;
}
