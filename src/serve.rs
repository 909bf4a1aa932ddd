//! The data plane: listeners and their threads. Packets in, replies out.
//!
//! ```text
//!                    ┌─ udp 0.0.0.0:53 ─ worker 0, worker 1 …   a thread each, a socket each, and
//!                    │                                          a runtime for queries that wait
//! bind ─▶ start ─────┤
//!                    └─ tcp 0.0.0.0:53 ─ worker 0, worker 1 …   a thread each, a runtime each
//!                         │
//!                         └─▶ Handler::handle(message, out) ─▶ reply
//! ```
//!
//! The kernel spreads datagrams and connections over the workers by client, and workers share
//! nothing on a query's path. The [`Handler`] parses the packets; the listeners look only at their
//! length, except to answer SERVFAIL if the handler panicked. A packet that causes a panic
//! therefore costs one answer, never a worker.
//!
//! Not here: the addresses and the number of workers (configuration), the answer (engine), the
//! counters (telemetry; the handler receives every [`ListenerEvent`](handler::ListenerEvent)).

mod bind;
mod budget_gate;
mod forward;
mod handler;
mod in_flight;
mod rate;
mod responder;
pub(crate) mod self_query;
mod stop_signal;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod udp;
mod upstream_log;
pub(crate) mod upstream_setup;
mod upstream_table;
mod worker;

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use socket2::Socket;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use dnsgate_core::dns::Transport;

pub(crate) use bind::BindError;
pub(crate) use forward::Forwarder;
use handler::Handler;
pub(crate) use rate::ClientRateLimiter;
pub(crate) use tcp::StreamLimits;
pub(crate) use worker::LiveSnapshot;
pub(crate) use worker::Worker;

/// All listeners, bound but not yet served. Clients can already send; the kernel buffers their
/// messages.
pub(crate) struct Listeners {
    addresses: Vec<(Transport, SocketAddr)>,
    datagrams: Vec<Socket>,
    /// One list per worker, with a socket for each address.
    streams: Vec<Vec<Socket>>,
    limits: StreamLimits,
    connections: Arc<tcp::Connections>,
    without: Vec<BindError>,
}

impl Listeners {
    /// Binds every address, with `workers` sockets each. Port 0 means any free port. On a host
    /// without IPv6, `[::]` is skipped if another address could be bound.
    ///
    /// # Errors
    /// The first address that could not be bound. No listener is left bound in this case.
    pub(crate) fn bind(
        listen: &[(Transport, SocketAddr)],
        workers: NonZeroUsize,
        limits: StreamLimits,
    ) -> Result<Self, BindError> {
        let mut server = Self {
            addresses: Vec::with_capacity(listen.len()),
            datagrams: Vec::new(),
            streams: Vec::new(),
            limits,
            connections: Arc::new(tcp::Connections::new(&limits)),
            without: Vec::new(),
        };
        for &(transport, address) in listen {
            let (bound, sockets) =
                match bind::bind(transport, address, workers, limits.socket_buffer) {
                    Ok(bound) => bound,
                    Err(error) if error.is_lack_of_ipv6() => {
                        server.without.push(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
            server.addresses.push((transport, bound));
            match transport {
                Transport::Udp => server.datagrams.extend(sockets),
                Transport::Tcp => {
                    server.streams.resize_with(workers.get(), Vec::new);
                    for (worker, socket) in server.streams.iter_mut().zip(sockets) {
                        worker.push(socket);
                    }
                }
            }
        }
        if server.addresses.is_empty()
            && let Some(error) = server.without.pop()
        {
            return Err(error);
        }
        Ok(server)
    }

    /// The addresses that were skipped because this host has no IPv6.
    #[must_use]
    pub(crate) fn without(&self) -> &[BindError] {
        &self.without
    }

    /// The bound addresses, in the order of the configuration.
    #[must_use]
    pub(crate) fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    /// Returns a function that reads how many bytes of replies are held because TCP clients have
    /// not read them.
    pub(crate) fn unread(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let connections = Arc::clone(&self.connections);
        move || connections.unread_bytes()
    }

    /// Starts to serve, with one handler from `make` for each thread. A task that a handler spawns
    /// runs in the handler's thread if the thread has a runtime, otherwise on the caller's runtime.
    ///
    /// # Errors
    /// A thread could not be started. The threads that were already running stop.
    pub(crate) fn start<H: Handler>(self, mut make: impl FnMut() -> H) -> io::Result<Running> {
        let runtime = Handle::current();
        let threads = self.datagrams.len() + self.streams.len();
        let (stop, stopped) = watch::channel(None);
        // Capacity for one message from each thread, so that no thread blocks when it ends.
        let (ended, ends) = mpsc::channel(threads.max(1));
        let mut running = Running {
            addresses: self.addresses,
            stop,
            ends,
            threads: Vec::with_capacity(threads),
        };
        for (at, socket) in self.datagrams.into_iter().enumerate() {
            let (handler, stopped, runtime) = (make(), stopped.clone(), runtime.clone());
            running.spawn(format!("udp-{at}"), ended.clone(), move || {
                let _entered = runtime.enter();
                udp::serve(&Arc::new(socket), handler, &stopped)
            })?;
        }
        let connections = self.connections;
        for (at, sockets) in self.streams.into_iter().enumerate() {
            let (handler, stopped) = (make(), stopped.clone());
            let (connections, limits) = (Arc::clone(&connections), self.limits);
            running.spawn(format!("tcp-{at}"), ended.clone(), move || {
                tcp::serve(sockets, handler, connections, limits, stopped)
            })?;
        }
        Ok(running)
    }
}

/// The running listeners. If dropped, they stop in the background.
pub(crate) struct Running {
    addresses: Vec<(Transport, SocketAddr)>,
    stop: watch::Sender<Option<Duration>>,
    ends: mpsc::Receiver<()>,
    threads: Vec<thread::JoinHandle<io::Result<()>>>,
}

/// A worker that ended with an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// It could not continue.
    #[error("worker {name} ended")]
    Failed {
        /// The thread's name.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// A bug outside the handling of one query.
    #[error("worker {name} panicked")]
    Panicked {
        /// The thread's name.
        name: String,
    },
}

impl Running {
    /// The addresses that are served, in the order of the configuration.
    #[must_use]
    pub(crate) fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    /// Waits until a worker ends. Before [`shutdown`](Self::shutdown) that happens only after a
    /// serious error, which `shutdown` then returns. Never ready otherwise.
    pub(crate) async fn worker_ended(&mut self) {
        if self.threads.is_empty() || self.ends.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// Stops accepting, answers everything that has been received, and gives messages in progress
    /// on connections the time `drain` to finish. Ready when every worker has ended.
    ///
    /// # Errors
    /// Every worker that ended with an error.
    pub(crate) async fn shutdown(mut self, drain: Duration) -> Result<(), Vec<WorkerError>> {
        self.stop.send_replace(Some(drain));
        // `None` when every thread has dropped its sender, which is the last thing it does.
        while self.ends.recv().await.is_some() {}
        let errors: Vec<_> = self
            .threads
            .drain(..)
            .filter_map(|thread| {
                let name = thread.thread().name().unwrap_or_default().to_owned();
                match thread.join() {
                    Ok(Ok(())) => None,
                    Ok(Err(source)) => Some(WorkerError::Failed { name, source }),
                    Err(_) => Some(WorkerError::Panicked { name }),
                }
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    fn spawn(
        &mut self,
        name: String,
        ended: mpsc::Sender<()>,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let end_notice = EndNotice(ended);
        let thread = thread::Builder::new().name(name).spawn(move || {
            let _end_notice = end_notice;
            work()
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Reports that a thread has ended, even after a panic.
struct EndNotice(mpsc::Sender<()>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        // The channel has capacity for one message from each thread. If the receiver is gone,
        // nobody needs the message.
        let _ = self.0.try_send(());
    }
}
