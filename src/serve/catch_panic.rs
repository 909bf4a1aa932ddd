//! Catches a panic in the handling of one query.
//!
//! The fuzzers look for panics. If they miss one, its sender loses the answer, but the server
//! continues.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dnsgate_core::engine::{self, Reason};

use super::{
    handler::{ClientMessage, Handler},
    responder::Responder,
};

/// The length of the handler's reply in `out`, or of a SERVFAIL if the handler panicked.
pub(super) fn answer<H: Handler>(
    handler: &mut H,
    message: ClientMessage<'_>,
    out: &mut [u8],
    responder: &dyn Responder,
) -> Option<usize> {
    // AssertUnwindSafe: `out` is overwritten for every reply, and a handler that implements
    // `panicked` stays usable after a panic.
    match catch_unwind(AssertUnwindSafe(|| handler.handle(message, out, responder))) {
        Ok(len) => len.filter(|&len| len <= out.len()),
        Err(_) => {
            // Parsing the packet may have caused the panic and may panic again, and so may
            // `panicked`. A second panic is caught and ends the handling.
            let told = catch_unwind(AssertUnwindSafe(|| {
                let step = engine::fail(message.packet, message.transport, Reason::Panic, out);
                let len = step.len();
                handler.panicked(message, *step.outcome(), out.get(..len).unwrap_or_default());
                (len > 0).then_some(len)
            }));
            told.ok().flatten()
        }
    }
}
