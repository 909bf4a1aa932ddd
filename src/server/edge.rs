//! The edge of one query: what a panic does not get past.
//!
//! The fuzzers exist so that there is none; this is for the day on which they have missed one. It
//! must cost its sender an answer, not everybody the server.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dns::{Query, Rcode, ReplyWriter};

use super::{Handler, Message};

/// The handler's reply to `message`, or SERVFAIL when it panicked; the length of what is in `out`.
pub(super) fn answer<H: Handler>(
    handler: &mut H,
    message: Message<'_>,
    out: &mut [u8],
) -> Option<usize> {
    // AssertUnwindSafe: `out` is written anew for every reply, and a handler promises to be usable
    // after a panic by having `panicked` at all.
    match catch_unwind(AssertUnwindSafe(|| handler.handle(message, out))) {
        Ok(len) => len.filter(|&len| len <= out.len()),
        Err(_) => {
            // Reading the packet again may panic again, if that was the fault.
            let len = catch_unwind(AssertUnwindSafe(|| server_failure(message.packet, out)))
                .ok()
                .flatten();
            let reply = len.and_then(|len| out.get(..len));
            // A panic in here would be a fault without an end: it is the last that is caught.
            let told = catch_unwind(AssertUnwindSafe(|| handler.panicked(message, reply)));
            len.filter(|_| told.is_ok())
        }
    }
}

/// SERVFAIL, with the question as far as it can be read.
fn server_failure(packet: &[u8], out: &mut [u8]) -> Option<usize> {
    let max = out.len();
    let mut writer = match Query::parse(packet) {
        Ok(query) => ReplyWriter::new(&query, max, out)?,
        Err(malformed) => {
            malformed.rcode()?;
            ReplyWriter::for_malformed(packet, 0, false, max, out)?
        }
    };
    writer.set_rcode(Rcode::ServFail);
    Some(writer.finish(None))
}
