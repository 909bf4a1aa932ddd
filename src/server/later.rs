//! The way back to a client whose reply comes later.
//!
//! A worker that cannot answer at once leaves the way back with a task and goes on with the next
//! message. It is good for one reply, which leaves from where the query came to: from the address
//! that was asked, or on the connection that it came by. Dropped, nothing is sent.

use std::{io, sync::Arc};

use socket2::Socket;
use tokio::sync::mpsc::OwnedPermit;

#[cfg(target_os = "linux")]
use super::udp::Envelope;

/// The way back of one message.
pub struct ReplyTo(Way);

enum Way {
    #[cfg(target_os = "linux")]
    Datagram(Arc<Socket>, Box<Envelope>),
    #[cfg(any(not(target_os = "linux"), test))]
    Plain(Arc<Socket>, socket2::SockAddr),
    Stream(OwnedPermit<Vec<u8>>),
}

impl ReplyTo {
    #[cfg(target_os = "linux")]
    pub(super) fn datagram(socket: Arc<Socket>, envelope: Envelope) -> Self {
        Self(Way::Datagram(socket, Box::new(envelope)))
    }

    #[cfg(any(not(target_os = "linux"), test))]
    pub(super) fn plain(socket: Arc<Socket>, client: std::net::SocketAddr) -> Self {
        Self(Way::Plain(socket, client.into()))
    }

    pub(super) fn stream(permit: OwnedPermit<Vec<u8>>) -> Self {
        Self(Way::Stream(permit))
    }

    /// Sends the reply, without waiting.
    ///
    /// # Errors
    /// The kernel did not take it. That a connection has ended meanwhile is no error.
    pub fn send(self, reply: &[u8]) -> io::Result<()> {
        match self.0 {
            #[cfg(target_os = "linux")]
            Way::Datagram(socket, mut envelope) => envelope.send(&socket, reply),
            #[cfg(any(not(target_os = "linux"), test))]
            Way::Plain(socket, client) => socket.send_to(reply, &client).map(drop),
            Way::Stream(permit) => {
                permit.send(reply.to_vec());
                Ok(())
            }
        }
    }
}

/// Where a handler gets the way back of the message at hand.
pub trait Later {
    /// The way back; `None` when as many replies are awaited as may be.
    fn reply_to(&self) -> Option<ReplyTo>;
}
