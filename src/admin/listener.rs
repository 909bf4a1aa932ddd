//! The listener of the admin pages. It is bound with the other listeners and stopped after them, so
//! that a scrape during the drain still works.

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

/// How long requests in progress may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The running admin server.
pub(crate) struct AdminServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl AdminServer {
    /// Binds the address and serves the pages to requests that name an address or one of the
    /// `hosts`. Reloads and explanations are requested through `requests`.
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
                // A dropped sender also means stop.
                let _ = stopped.await;
            },
        );
        Ok(Self {
            address,
            stop,
            served: tokio::spawn(serve),
        })
    }

    /// The address of the admin pages.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        // It does not matter how the last requests end.
        let _ = time::timeout(PATIENCE, self.served).await;
    }
}
