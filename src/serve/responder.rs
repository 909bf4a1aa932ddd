//! The way back to a client whose reply comes later.
//!
//! A worker that cannot answer at once leaves the way back with a task and goes on with the next
//! message. It is good for one reply, which leaves from where the query came to: from the address
//! that was asked, or on the connection that it came by. Dropped, nothing is sent.

use std::{fmt, io, sync::Arc};

use socket2::Socket;
use tokio::sync::mpsc::OwnedPermit;

use super::tcp::unread::Unread;
#[cfg(target_os = "linux")]
use super::udp::OwnedReturnAddress;

/// The way back of one message.
pub struct DetachedResponder(ReplyRoute);

enum ReplyRoute {
    #[cfg(target_os = "linux")]
    Datagram(Arc<Socket>, Box<OwnedReturnAddress>),
    #[cfg(any(not(target_os = "linux"), test))]
    Plain(Arc<Socket>, Box<socket2::SockAddr>),
    Stream(OwnedPermit<Vec<u8>>, Arc<Unread>),
}

/// A reply that could not be sent.
#[derive(Debug)]
pub enum Unsent {
    /// The kernel did not take it.
    Lost(io::Error),
    /// Its connection holds as many bytes of replies that its client has not read as it may; a
    /// shorter reply may find room.
    Unread(DetachedResponder),
}

impl fmt::Debug for DetachedResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
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

    /// Sends the reply, without waiting.
    ///
    /// # Errors
    /// [`Unsent`]. That a connection has ended meanwhile is no error.
    pub fn send(self, reply: &[u8]) -> Result<(), Unsent> {
        match self.0 {
            #[cfg(target_os = "linux")]
            ReplyRoute::Datagram(socket, mut address) => {
                address.send(&socket, reply).map_err(Unsent::Lost)
            }
            #[cfg(any(not(target_os = "linux"), test))]
            ReplyRoute::Plain(socket, client) => socket
                .send_to_with_flags(reply, &client, libc::MSG_DONTWAIT)
                .map(drop)
                .map_err(Unsent::Lost),
            ReplyRoute::Stream(permit, unread) => {
                // Before the reply takes memory.
                if !unread.take(reply.len()) {
                    return Err(Unsent::Unread(Self(ReplyRoute::Stream(permit, unread))));
                }
                permit.send(reply.to_vec());
                Ok(())
            }
        }
    }
}

/// Where a handler gets the way back of the message at hand.
pub trait Responder {
    /// The way back; `None` when as many replies are awaited as may be.
    fn detach(&self) -> Option<DetachedResponder>;
}
