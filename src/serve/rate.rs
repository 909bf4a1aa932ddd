//! The rate limit of one client, and the queries that it applies to.
//!
//! It applies only to datagrams. Over TCP the client's address is verified, the connections and the
//! awaited replies of a client are bounded, and clients over their rate are sent to TCP.
//!
//! dnsgate's own query takes the same path as every other query. It must not be dropped because
//! another program on this machine sends too many, because the self-watch would then report a stuck
//! worker. It is therefore exempt if it comes from one of this machine's own addresses. A reply to
//! such an address does not leave the machine, even if the source is forged.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Instant,
};

use super::{
    handler::ClientMessage,
    self_query::{QUESTION, own_question},
};
use crate::clock::monotonic;
use dnsgate_config::Limits;
use dnsgate_core::{
    dns::Transport,
    engine::{RateLimit, RateLimiter, RateVerdict},
};

/// The rate limiter. Clones share its table.
#[derive(Clone)]
pub(crate) struct ClientRateLimiter {
    rates: Arc<RateLimiter>,
    /// The listener addresses.
    own: Arc<[IpAddr]>,
}

impl ClientRateLimiter {
    /// The limiter for these limits and listeners; `None` if the rate is unlimited.
    pub(crate) fn of(limits: &Limits, listen: &[(Transport, SocketAddr)]) -> Option<Self> {
        let small = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        let per_second = u32::try_from(limits.per_client_qps).unwrap_or(u32::MAX);
        let rate = RateLimit {
            per_second: NonZeroU32::new(per_second)?,
            slip: small(limits.per_client_slip),
            ipv4_prefix: small(limits.per_client_ipv4_prefix),
            ipv6_prefix: small(limits.per_client_ipv6_prefix),
        };
        Some(Self {
            rates: Arc::new(RateLimiter::new(rate, monotonic())),
            own: listen.iter().map(|(_, address)| address.ip()).collect(),
        })
    }

    /// Checks a message against the limit.
    pub(super) fn pass(&self, message: ClientMessage<'_>, now: Instant) -> RateVerdict {
        let source = message.source.ip();
        let is_probe = || message.packet == QUESTION || message.packet == own_question();
        if message.transport == Transport::Tcp
            || (source.is_loopback() || self.own.contains(&source)) && is_probe()
        {
            return RateVerdict::Within;
        }
        self.rates.take(source, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_udp_clients_but_not_its_own_queries() {
        let listen = [
            (Transport::Udp, "10.0.0.53:53"),
            (Transport::Tcp, "10.0.0.53:53"),
        ];
        let listen = listen.map(|(transport, at)| (transport, at.parse().expect("an address")));
        assert!(
            ClientRateLimiter::of(&Limits::default(), &listen).is_none(),
            "off by default"
        );
        let limits = Limits {
            per_client_qps: 1,
            per_client_slip: 0,
            ..Limits::default()
        };
        let rate_limiter = ClientRateLimiter::of(&limits, &listen).expect("a limit");
        let now = monotonic();
        let passes = |source: &str, transport, packet| {
            let source: IpAddr = source.parse().expect("an address");
            let message = ClientMessage {
                packet,
                source: (source, 4711).into(),
                transport,
            };
            // The first passes anyway.
            let _ = rate_limiter.pass(message, now);
            rate_limiter.pass(message, now) == RateVerdict::Within
        };
        for (source, transport, packet, want) in [
            ("10.0.0.1", Transport::Udp, QUESTION, false),
            ("10.0.0.1", Transport::Tcp, QUESTION, true),
            ("127.0.0.1", Transport::Udp, QUESTION, true),
            ("127.0.0.1", Transport::Udp, own_question(), true),
            ("127.0.0.1", Transport::Udp, &QUESTION[..20], false),
            ("::1", Transport::Udp, QUESTION, true),
            ("10.0.0.53", Transport::Udp, QUESTION, true),
            ("10.0.0.53", Transport::Udp, b"other", false),
        ] {
            assert_eq!(passes(source, transport, packet), want, "{source}");
        }
    }
}
