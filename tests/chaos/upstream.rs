//! An upstream that does what it is told with each question.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What becomes of a query.
pub(crate) type Does = fn(&[u8], &UdpSocket, SocketAddr);

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// One upstream, over UDP. It ends when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(crate) fn start(does: Does) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(LOOK)).expect("set");
        let address = socket.local_addr().expect("bound");
        let (asked, over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counts, ends) = (Arc::clone(&asked), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut query = [0; 1232];
            while !ends.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut query) {
                    counts.fetch_add(1, Ordering::Relaxed);
                    does(&query[..len], &socket, from);
                }
            }
        });
        Self {
            address,
            asked,
            over,
            thread: Some(thread),
        }
    }

    /// How many questions have come.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Until then its port is taken.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
