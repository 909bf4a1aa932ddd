//! The admin pages' listener: bound with the others, stopped after them, so that a scrape during
//! the drain still finds it.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time,
};

use super::pages::{self, AdminRequest};
use crate::telemetry::Telemetry;
use dnsgate_config::HostName;

/// How long requests that have begun may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The admin pages, being served.
pub(crate) struct AdminServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl AdminServer {
    /// Binds the address and serves the pages there, to who asks for it by its address or one of the
    /// names. What they cannot do themselves is asked for by way of `requests`.
    pub(crate) async fn start(
        address: SocketAddr,
        hosts: &[HostName],
        telemetry: &Telemetry,
        requests: mpsc::Sender<AdminRequest>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot serve the admin pages on {address}"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serve = pages::serve(
            listener,
            telemetry.clone(),
            hosts.to_vec(),
            requests,
            async {
                // A sender that is gone means the same as one that sent.
                let _ = stopped.await;
            },
        );
        Ok(Self {
            address,
            stop,
            served: tokio::spawn(serve),
        })
    }

    /// Where the pages are.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving them.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        // Nothing hangs on how the last pages ended.
        let _ = time::timeout(PATIENCE, self.served).await;
    }
}
