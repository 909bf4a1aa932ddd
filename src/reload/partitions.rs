//! Decides which upstreams are unchanged after a reload.
//!
//! The cache stores an upstream's responses under its partition. An upstream with the same name but
//! other servers may give other answers, so it gets a new, unused partition number. An unchanged
//! upstream keeps its partition, and with it its cached responses and server stats.

use dnsgate_config::Upstream;
use dnsgate_core::engine::Partition;

/// The upstreams of one configuration with their partitions, in the order of their IDs in the
/// policy.
pub(crate) type NumberedUpstreams = Vec<(Partition, Upstream)>;

/// Assigns partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    in_force: NumberedUpstreams,
    /// The last number that was assigned, 0 at first.
    next: u32,
}

impl Partitions {
    /// Assigns partitions to the upstreams of a new configuration: the existing one, or a new one.
    pub(super) fn number(&mut self, upstreams: Vec<Upstream>) -> NumberedUpstreams {
        let mut number = |upstream: Upstream| {
            let known = self.in_force.iter().find(|(_, known)| *known == upstream);
            let partition = known.map_or_else(
                || {
                    self.next += 1; // by some upstreams a reload: it will not come to its end
                    Partition(self.next)
                },
                |&(partition, _)| partition,
            );
            (partition, upstream)
        };
        upstreams.into_iter().map(&mut number).collect()
    }

    /// Skips the numbers that an attempt has assigned, whatever its result.
    pub(super) fn skip(&mut self, attempt: &Self) {
        self.next = self.next.max(attempt.next);
    }

    /// Records the upstreams of the configuration that is now in force.
    pub(super) fn apply(&mut self, upstreams: NumberedUpstreams) {
        self.in_force = upstreams;
    }

    pub(super) const fn in_force(&self) -> &NumberedUpstreams {
        &self.in_force
    }
}

/// Only the partitions.
pub(super) fn of(upstreams: &NumberedUpstreams) -> Vec<Partition> {
    upstreams.iter().map(|&(partition, _)| partition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnsgate_config::{ServerAddr, Strategy};

    fn upstream(name: &str, server: &str) -> Upstream {
        Upstream {
            name: name.into(),
            servers: vec![ServerAddr::Udp(server.parse().expect("an address"))],
            strategy: Strategy::Fastest,
            ca: None,
        }
    }

    #[test]
    fn an_unchanged_upstream_keeps_its_partition() {
        let mut partitions = Partitions::default();
        let mut load = |list: &[(&str, &str)]| -> Vec<u32> {
            let list = list.iter().map(|(name, server)| upstream(name, server));
            let numbered = partitions.number(list.collect());
            let numbers = of(&numbered).into_iter().map(|Partition(it)| it).collect();
            partitions.apply(numbered);
            numbers
        };
        let (one, two) = ("192.0.2.1:53", "192.0.2.2:53");
        assert_eq!(load(&[("a", one), ("b", two)]), [1, 2]);
        assert_eq!(load(&[("b", two), ("a", one)]), [2, 1], "another order");
        assert_eq!(load(&[("a", two), ("b", two)]), [3, 2], "other servers");
        assert_eq!(load(&[("a", one)]), [4], "not what it was long ago");
    }
}
