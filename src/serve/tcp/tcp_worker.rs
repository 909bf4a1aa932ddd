//! What the connections of one worker share.

use std::{cell::RefCell, sync::Arc};

use super::{
    super::handler::{Handler, ListenerEvent},
    connections::Connections,
    stream_limits::StreamLimits,
};

/// What the connections of one worker share. One thread: nobody else has it.
pub(super) struct TcpWorker<H> {
    pub(super) state: RefCell<HandlerState<H>>,
    pub(super) connections: Arc<Connections>,
    pub(super) limits: StreamLimits,
}

pub(super) struct HandlerState<H> {
    pub(super) handler: H,
    /// Where replies are written before their length is known.
    pub(super) out: Box<[u8]>,
}

impl<H: Handler> TcpWorker<H> {
    pub(super) fn observe(&self, event: ListenerEvent) {
        // It is borrowed only when the handler panicked, and then by nobody who counts.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.handler.observe(event);
        }
    }
}
