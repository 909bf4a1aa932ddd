//! The edge of one query: what a panic does not get past.
//!
//! The fuzzers exist so that there is none; this is for the day on which they have missed one. It
//! must cost its sender an answer, not everybody the server.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dnsgate_core::engine::{self, Reason};

use super::{
    handler::{ClientMessage, Handler},
    responder::Responder,
};

/// The handler's reply to `message`, or SERVFAIL when it panicked; the length of what is in `out`.
pub(super) fn answer<H: Handler>(
    handler: &mut H,
    message: ClientMessage<'_>,
    out: &mut [u8],
    responder: &dyn Responder,
) -> Option<usize> {
    // AssertUnwindSafe: `out` is written anew for every reply, and a handler promises to be usable
    // after a panic by having `panicked` at all.
    match catch_unwind(AssertUnwindSafe(|| handler.handle(message, out, responder))) {
        Ok(len) => len.filter(|&len| len <= out.len()),
        Err(_) => {
            // Reading the packet again may panic again, if that was the fault. A panic in
            // `panicked` would be a fault without an end: it is the last that is caught.
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
