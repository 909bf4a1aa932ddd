//! Sizes, pauses and error handling that the datagram loops share.

use std::{io, thread, time::Duration};

use dnsgate_core::dns::query::UDP_PAYLOAD;

/// Maximum bytes of a query: the largest size that EDNS clients have announced. A legitimate query
/// has a name of up to 255 bytes and some options. For longer datagrams, which are truncated, only
/// the header is handled.
pub(super) const QUERY: usize = 4096;
/// Maximum bytes of a reply: the transport limit that the handler gets.
pub(super) const REPLY: usize = UDP_PAYLOAD as usize;
/// Maximum sleep of a worker before it checks the stop signal. Four wake-ups per second cost almost
/// nothing and delay shutdown by at most this time.
pub(super) const STOP_CHECK: Duration = Duration::from_millis(250);
/// Datagrams that are still answered after the stop signal: more than a full receive buffer holds,
/// but bounded if clients keep sending.
pub(super) const DRAIN: usize = 8192;
/// Pause after a socket error that does not concern a datagram, to avoid a busy loop.
pub(super) const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Handles a receive error. Timeouts and errors from ICMP need no action; any other error causes a
/// pause, to avoid a busy loop.
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
