//! The loop over batches: receive, prefetch, answer, send.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use socket2::Socket;

use super::{
    super::{
        catch_panic,
        handler::{ClientMessage, Handler, ListenerEvent},
        responder::{DetachedResponder, Responder},
        stop_signal::{StopSignal, stopped},
    },
    batch::{BATCH, Batch, ReturnAddress, Wait},
    common::{DRAIN, after_error},
    reactor::Reactor,
};
use dnsgate_core::dns::Transport;

/// Serves one socket until the stop signal, then answers what the kernel has buffered and waits for
/// the queries in flight. Tasks that the handler spawns run in this thread.
///
/// # Errors
/// The runtime for in-flight queries cannot be created.
pub(in crate::serve) fn serve<H: Handler>(
    socket: &Arc<Socket>,
    mut handler: H,
    stop: &StopSignal,
) -> io::Result<()> {
    let mut reactor = Reactor::new(socket)?;
    let mut batch = Batch::new();
    let mut answered = |batch: &mut Batch, received| answer(batch, received, socket, &mut handler);
    while !stopped(stop) {
        if let Err(error) = reactor.turn(&mut batch, &mut answered) {
            after_error(&error);
        }
    }
    for _ in 0..DRAIN / BATCH {
        if reactor
            .answer(&mut batch, Wait::Not, &mut answered)
            .is_err()
        {
            break;
        }
    }
    reactor.finish(stop.borrow().unwrap_or_default());
    Ok(())
}

/// Answers one datagram later, on this socket and from the address that the query was sent to.
struct UdpResponder<'b>(&'b Arc<Socket>, ReturnAddress<'b>);

impl Responder for UdpResponder<'_> {
    fn detach(&self) -> Option<DetachedResponder> {
        let Self(socket, return_address) = self;
        Some(DetachedResponder::datagram(
            Arc::clone(socket),
            return_address.to_owned(),
        ))
    }
}

/// Lets the handler prefetch memory for the whole batch. For a single datagram that gains nothing.
fn prefetch<H: Handler>(batch: &mut Batch, received: usize, handler: &mut H) {
    if received < 2 {
        return;
    }
    // A panic loses nothing: the packet that caused it is handled under `catch_panic` afterwards.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        for at in 0..received {
            if let Some(received) = batch.query(at)
                && !handler.prefetch(received.query)
            {
                return;
            }
        }
        handler.fetch();
    }));
}

fn answer<H: Handler>(batch: &mut Batch, received: usize, socket: &Arc<Socket>, handler: &mut H) {
    handler.begin_batch();
    prefetch(batch, received, handler);
    for at in 0..received {
        let Some(received) = batch.query(at) else {
            handler.observe(ListenerEvent::Unanswerable);
            continue;
        };
        let message = ClientMessage {
            packet: received.query,
            source: received.source,
            transport: Transport::Udp,
        };
        let responder = UdpResponder(socket, received.return_address);
        if let Some(len) = catch_panic::answer(handler, message, received.reply, &responder) {
            batch.reply(at, len);
        }
    }
    handler.end_batch();
    for _ in 0..batch.send(socket) {
        handler.observe(ListenerEvent::ReplyLost);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{SocketAddr, UdpSocket},
        sync::Mutex,
        time::Duration,
    };

    use socket2::{Domain, Type};
    use tokio::sync::watch;

    use super::*;
    use crate::serve::udp::prepare;
    use dnsgate_core::engine::Outcome;

    /// Notes what it is called for.
    struct Called {
        calls: Arc<Mutex<Vec<&'static str>>>,
        foresees: fn() -> bool,
    }

    impl Called {
        fn note(&self, call: &'static str) {
            self.calls.lock().expect("no poison").push(call);
        }
    }

    impl Handler for Called {
        fn begin_batch(&mut self) {}

        fn prefetch(&mut self, packet: &[u8]) -> bool {
            assert_eq!(packet, b"hello");
            self.note("prefetch");
            (self.foresees)()
        }

        fn fetch(&mut self) {
            self.note("fetch");
        }

        fn handle(
            &mut self,
            _: ClientMessage<'_>,
            _: &mut [u8],
            _: &dyn Responder,
        ) -> Option<usize> {
            self.note("handle");
            None
        }

        fn panicked(&mut self, _: ClientMessage<'_>, _: Outcome, _: &[u8]) {}

        fn observe(&mut self, _: ListenerEvent) {}
    }

    /// What a handler is called for when so many datagrams are there.
    fn calls(datagrams: usize, foresees: fn() -> bool) -> String {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        prepare(&socket, any).expect("options");
        socket.bind(&any.into()).expect("a port");
        let address = socket.local_addr().expect("bound");
        let client = UdpSocket::bind(any).expect("a port");
        for _ in 0..datagrams {
            let to = address.as_socket().expect("an address");
            client.send_to(b"hello", to).expect("sent");
        }
        let calls = Arc::default();
        let handler = Called {
            calls: Arc::clone(&calls),
            foresees,
        };
        let (sender, stop) = watch::channel(None);
        sender.send(Some(Duration::ZERO)).expect("a receiver");
        serve(&Arc::new(socket), handler, &stop).expect("well ended");
        calls.lock().expect("no poison").join(" ")
    }

    #[test]
    fn prefetches_the_whole_batch_before_it_handles_one() {
        for (datagrams, foresees, expected) in [
            (1, (|| true) as fn() -> bool, "handle"),
            (2, || true, "prefetch prefetch fetch handle handle"),
            (3, || false, "prefetch handle handle handle"),
            (2, || panic!("as the test says"), "prefetch handle handle"),
        ] {
            assert_eq!(calls(datagrams, foresees), expected);
        }
    }
}
