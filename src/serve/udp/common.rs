//! What the loops over datagrams share: sizes, pauses, and what to do about an error.

use std::{io, thread, time::Duration};

use super::super::handler::StopSignal;
use dnsgate_core::dns::edns::UDP_PAYLOAD;

/// Bytes of one query. The largest that EDNS clients ever announced; a query of ours has a name of
/// 255 and some options. Longer datagrams are cut, and their header alone is handled.
pub(super) const QUERY: usize = 4096;
/// Bytes of one reply: the transport's limit that the handler is told.
pub(super) const REPLY: usize = UDP_PAYLOAD as usize;
/// How long a worker sleeps at most before it looks whether it is to stop. Waking four times a
/// second costs nothing, and a shutdown is that much slower at worst.
pub(super) const STOP_CHECK: Duration = Duration::from_millis(250);
/// Datagrams that are still answered when the worker is to stop: more than a full receive buffer
/// holds, and an end in sight when clients go on sending.
pub(super) const DRAIN: usize = 8192;
/// Pause after an error of the socket that is about no datagram, so that it is not met again at
/// once and for ever.
pub(super) const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Whether the worker is to stop. One atomic load.
pub(super) fn stopped(stop: &StopSignal) -> bool {
    !matches!(stop.has_changed(), Ok(false))
}

/// What to do about an error of receiving: errors of waiting and those that ICMP brought are about
/// nothing that could be answered; whatever else there is must not become a busy loop.
pub(super) fn after_error(error: &io::Error) {
    use io::ErrorKind as Kind;
    if !matches!(
        error.kind(),
        Kind::WouldBlock
            | Kind::TimedOut
            | Kind::Interrupted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
    ) {
        thread::sleep(ERROR_PAUSE);
    }
}
