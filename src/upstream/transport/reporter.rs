//! Reports the transport events of one server.

use std::sync::Arc;

use crate::upstream::observer::{Observer, UpstreamEvent};
use dnsgate_core::dns::ServerFault;

/// Reports ignored messages and server properties to the observer.
#[derive(Clone)]
pub(in crate::upstream) struct ServerReporter {
    observer: Arc<dyn Observer>,
    server: usize,
}

impl ServerReporter {
    pub(in crate::upstream) const fn new(observer: Arc<dyn Observer>, server: usize) -> Self {
        Self { observer, server }
    }

    pub(super) fn full(&self) {
        self.observer.observe(UpstreamEvent::Full {
            server: self.server,
        });
    }

    pub(super) fn mismatch(&self) {
        let server = self.server;
        self.observer.observe(UpstreamEvent::Mismatch { server });
    }

    /// Reports that a query is sent again over TCP because its replies may be forged.
    pub(super) fn forged(&self) {
        let server = self.server;
        self.observer.observe(UpstreamEvent::Forged { server });
    }

    pub(super) fn without_case(&self) {
        let server = self.server;
        self.observer.observe(UpstreamEvent::WithoutCase { server });
    }

    pub(super) fn without_edns(&self) {
        let server = self.server;
        self.observer.observe(UpstreamEvent::WithoutEdns { server });
    }

    /// Reports why the server cannot be used, with text for the log.
    pub(super) fn trouble(&self, fault: ServerFault, detail: &str) {
        self.observer.trouble(self.server, Some(fault), detail);
    }
}
