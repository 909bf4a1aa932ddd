//! The state that the connections of one worker share.

use std::{cell::RefCell, sync::Arc};

use super::{
    super::handler::{Handler, ListenerEvent},
    connections::Connections,
    stream_limits::StreamLimits,
};

/// The state that the connections of one worker share. Only the worker's thread uses it.
pub(super) struct TcpWorker<H> {
    pub(super) state: RefCell<HandlerState<H>>,
    pub(super) connections: Arc<Connections>,
    pub(super) limits: StreamLimits,
}

pub(super) struct HandlerState<H> {
    pub(super) handler: H,
    /// Buffer for replies whose length is not yet known.
    pub(super) out: Box<[u8]>,
}

impl<H: Handler> TcpWorker<H> {
    pub(super) fn observe(&self, event: ListenerEvent) {
        // It is still borrowed only after the handler panicked, and then nothing is counted.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.handler.observe(event);
        }
    }
}
