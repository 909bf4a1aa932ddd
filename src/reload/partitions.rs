//! Which upstream is still the same one after a reload.
//!
//! What an upstream said is kept under its partition. One that is called the same and has other
//! servers now may say something else, so it gets a number that nobody had before; one that stays
//! as it is keeps its own, and with it what it said and what is known of its servers.

use dnsgate_config::Upstream;
use dnsgate_core::engine::Partition;

/// The upstreams of one configuration with their partitions, in the order of their numbers in the
/// policy.
pub type NumberedUpstreams = Vec<(Partition, Upstream)>;

/// Gives out partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    in_force: NumberedUpstreams,
    /// The first number that nobody has had.
    next: u32,
}

impl Partitions {
    /// The upstreams of a new configuration, each with the partition that it has or one of its own.
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

    /// Gives out no number that an attempt has given out, whatever became of that.
    pub(super) fn skip(&mut self, attempt: &Self) {
        self.next = self.next.max(attempt.next);
    }

    /// The configuration whose upstreams these are is in force now.
    pub(super) fn apply(&mut self, upstreams: NumberedUpstreams) {
        self.in_force = upstreams;
    }

    pub(super) const fn in_force(&self) -> &NumberedUpstreams {
        &self.in_force
    }
}

/// The partitions alone.
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
    fn who_stays_the_same_keeps_its_number_and_nobody_gets_anothers() {
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
