//! One question over UDP: which letter case its name gets, and what its reply means.
//!
//! An attacker who cannot see the query must guess which port it left from, its ID, and the case of
//! each letter of its name (RFC 5452); docs/security.md has the numbers. `socket_pool` picks the
//! port, `shared_socket` the ID.

use super::{
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
    server_feature::LetterCase,
    socket_pool::SocketPools,
};
use crate::clock::monotonic;
use dnsgate_core::dns::upstream_query::letter_case;

/// The end of a question.
#[derive(Clone, Debug)]
pub(super) enum DatagramReply {
    /// A reply.
    Reply(Reply),
    /// A reply that differs from the question in the letter case only.
    CaseLost(Reply),
    /// No reply, but datagrams that an attacker may have sent.
    Forgeries,
}

/// Datagrams to one server.
pub(super) struct Datagrams {
    pools: SocketPools,
    case: LetterCase,
    reporter: ServerReporter,
}

impl Datagrams {
    pub(super) fn new(pools: SocketPools, reporter: ServerReporter) -> Self {
        Self {
            pools,
            case: LetterCase::default(),
            reporter,
        }
    }

    /// The sockets.
    pub(super) const fn pools(&self) -> &SocketPools {
        &self.pools
    }

    /// Sends the encoded `query` and waits for the reply. `None`: the question should be repeated over
    /// TCP, because its replies may be forged.
    pub(super) async fn ask(&self, mut query: Vec<u8>) -> Result<Option<Reply>, TransportFault> {
        let random = self.case.is_random(monotonic);
        #[cfg(feature = "faults")]
        let random = random && !crate::faults::is_spoofable();
        if random {
            letter_case::randomise(&mut query, rand::random);
        }
        match self.pools.send(query)?.end().await? {
            DatagramReply::Reply(reply) => {
                if random {
                    self.case.kept();
                }
                Ok(Some(reply))
            }
            // Nothing random was in the letter case.
            DatagramReply::CaseLost(reply) if !random || self.case.is_lacking() => Ok(Some(reply)),
            DatagramReply::CaseLost(_) => {
                self.reporter.mismatch();
                if self.case.lost(monotonic()) {
                    self.reporter.without_case();
                }
                self.reporter.forged();
                Ok(None)
            }
            DatagramReply::Forgeries => {
                self.reporter.forged();
                Ok(None)
            }
        }
    }
}
