//! The outstanding probes, and their returns to our own listener.
//!
//! Anybody who sees a probe on its way can send its name to us, so a single arrival proves nothing.
//! It counts as a loop if two probes, each with a single-use name, come back within [`TWICE`] from
//! the server's own address. An attacker who can fake that can also block our queries.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Two probes that come back within this time are a loop. Several rounds fit, in case one is lost.
const TWICE: Duration = Duration::from_secs(60);
/// This many consecutive probes without a response and without a return end a loop, because the
/// server may be gone. An answered probe that does not come back ends it at once.
const SILENT: u8 = 4;
/// The number of probes kept: all of the last seconds, for as many servers as an upstream has.
const REMEMBERED: usize = 64;
/// The VPC resolver on Google Cloud. Its outbound server policy forwards to us from [`CLOUD_DNS`],
/// not from this address.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// The source range of Cloud DNS: 35.199.192.0/19.
const CLOUD_DNS: (Ipv4Addr, u32) = (Ipv4Addr::new(35, 199, 192, 0), 19);

/// The outstanding probes and their returns.
#[derive(Default)]
pub(super) struct Probes {
    /// The length of `out`. It is usually zero, and then a probe's name costs no lock.
    count: AtomicUsize,
    table: Mutex<ProbeTable>,
}

#[derive(Default)]
struct ProbeTable {
    out: VecDeque<SentProbe>,
    servers: Vec<ProbeHistory>,
}

struct SentProbe {
    token: u128,
    server: usize,
    /// Whether it came back from the server's own address.
    returned: bool,
    /// Whether it came from another address.
    copied: bool,
}

/// The probe history of a server.
#[derive(Clone, Copy, Default)]
struct ProbeHistory {
    /// Time of the last return from the server's own address.
    returned: Option<Instant>,
    /// Consecutive probes that neither came back nor were answered.
    silent: u8,
}

/// The meaning of a probe's return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeReturn {
    /// It came from another address.
    Elsewhere,
    /// This probe has come back before from the server's own address; servers retry.
    Again,
    /// The first return in this period.
    Once,
    /// The second return: a loop.
    Twice,
}

impl Probes {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            count: AtomicUsize::new(0),
            table: Mutex::new(ProbeTable {
                out: VecDeque::new(),
                servers: vec![ProbeHistory::default(); servers],
            }),
        }
    }

    /// Records a sent probe.
    pub(super) fn sent(&self, token: u128, server: usize) {
        let mut table = self.lock();
        if table.out.len() >= REMEMBERED {
            table.out.pop_front();
        }
        table.out.push_back(SentProbe {
            token,
            server,
            returned: false,
            copied: false,
        });
        self.count.store(table.out.len(), Ordering::Relaxed);
    }

    /// Records the arrival of a probe's name at our listener. If the probe is ours and outstanding,
    /// returns the probed server and the meaning of the return. `is_own` says whether it came from
    /// that server's address. An arrival from another address counts once, to bound the log.
    pub(super) fn returned(
        &self,
        token: u128,
        is_own: impl FnOnce(usize) -> bool,
        now: Instant,
    ) -> Option<(usize, ProbeReturn)> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut table = self.lock();
        let ProbeTable { out, servers } = &mut *table;
        let probe = out.iter_mut().find(|probe| probe.token == token)?;
        let (number, is_own) = (probe.server, is_own(probe.server));
        // Each probe counts for one return of each kind, so nobody can produce two returns or a
        // flood of events from one name.
        let before = if is_own {
            &mut probe.returned
        } else {
            &mut probe.copied
        };
        if std::mem::replace(before, true) {
            return is_own.then_some((number, ProbeReturn::Again));
        }
        let server = servers.get_mut(number)?;
        if !is_own {
            return Some((number, ProbeReturn::Elsewhere));
        }
        let before = server.returned.replace(now);
        let is_recent = |at| now.saturating_duration_since(at) <= TWICE;
        let said = if before.is_some_and(is_recent) {
            ProbeReturn::Twice
        } else {
            ProbeReturn::Once
        };
        Some((number, said))
    }

    /// Ends a probe that was answered or not. Returns whether it came back, and whether the history
    /// shows that the server does not loop.
    pub(super) fn over(&self, token: u128, answered: bool) -> (bool, bool) {
        let mut table = self.lock();
        let ProbeTable { out, servers } = &mut *table;
        let at = out.iter().position(|probe| probe.token == token);
        let probe = at.and_then(|at| out.remove(at));
        self.count.store(out.len(), Ordering::Relaxed);
        let Some(probe) = probe else {
            return (false, false);
        };
        let Some(server) = servers.get_mut(probe.server) else {
            return (probe.returned, false);
        };
        server.silent = match (probe.returned, answered) {
            (true, _) | (_, true) => 0,
            (false, false) => server.silent.saturating_add(1),
        };
        let gone = !probe.returned && (answered || server.silent >= SILENT);
        (probe.returned, gone)
    }

    fn lock(&self) -> MutexGuard<'_, ProbeTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `source` is an address that the server at `server` forwards from.
pub(super) fn is_own_address(server: IpAddr, source: IpAddr) -> bool {
    let source = source.to_canonical();
    let from_cloud_dns = |source: IpAddr| match source {
        IpAddr::V4(source) => {
            let (network, bits) = CLOUD_DNS;
            (source.to_bits() ^ network.to_bits()) >> (32 - bits) == 0
        }
        IpAddr::V6(_) => false,
    };
    server == source || server == METADATA && from_cloud_dns(source)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point to count from")]
mod tests {
    use super::*;

    const OWN: fn(usize) -> bool = |_| true;
    const OTHER: fn(usize) -> bool = |_| false;

    #[test]
    fn accepts_the_return_of_a_sent_probe_once() {
        let (probes, now) = (Probes::new(2), Instant::now());
        assert_eq!(probes.returned(7, OWN, now), None, "none is out");
        probes.sent(7, 1);
        probes.sent(8, 0);
        assert_eq!(probes.returned(9, OWN, now), None, "another one's");
        assert_eq!(probes.returned(7, OWN, now), Some((1, ProbeReturn::Once)));
        let again = Some((1, ProbeReturn::Again));
        assert_eq!(probes.returned(7, OWN, now), again, "the server asks again");
        assert_eq!(probes.over(7, true), (true, false));
        assert_eq!(probes.over(8, true), (false, true), "it did not come back");
        assert_eq!(probes.returned(7, OWN, now), None, "it is over");
        for token in 0..1000 {
            probes.sent(token, 0);
        }
        assert_eq!(probes.returned(0, OWN, now), None, "too long ago");
        let last = probes.returned(999, OWN, now);
        assert_eq!(last, Some((0, ProbeReturn::Once)));
    }

    #[test]
    fn two_returns_within_a_minute_from_the_servers_address_are_a_loop() {
        use ProbeReturn::{Elsewhere, Once, Twice};
        let (probes, start) = (Probes::new(2), Instant::now());
        for (token, (at, server, is_own, want)) in (0..).zip([
            (0, 0, OWN, Once),
            (1, 1, OWN, Once),
            (2, 0, OTHER, Elsewhere),
            (3, 0, OTHER, Elsewhere),
            (61, 0, OWN, Once),
            (90, 1, OWN, Once),
            (121, 0, OWN, Twice),
            (150, 1, OWN, Twice),
        ]) {
            probes.sent(token, server);
            let now = start + Duration::from_secs(at);
            assert_eq!(
                probes.returned(token, is_own, now),
                Some((server, want)),
                "at {at}"
            );
        }
    }

    #[test]
    fn a_copy_from_another_address_does_not_hide_the_real_return() {
        let (probes, now) = (Probes::new(1), Instant::now());
        probes.sent(1, 0);
        let copy = probes.returned(1, OTHER, now);
        assert_eq!(copy, Some((0, ProbeReturn::Elsewhere)));
        assert_eq!(probes.returned(1, OTHER, now), None, "told once");
        let itself = probes.returned(1, OWN, now);
        assert_eq!(itself, Some((0, ProbeReturn::Once)));
    }

    #[test]
    fn a_loop_ends_with_an_answered_probe_or_several_silent_ones() {
        let probes = Probes::new(1);
        let over = |token, answered| {
            probes.sent(token, 0);
            probes.over(token, answered)
        };
        for token in 1..u128::from(SILENT) {
            assert_eq!(over(token, false), (false, false), "it may be lost");
        }
        assert_eq!(over(10, false), (false, true), "the server is gone");
        assert_eq!(over(11, true), (false, true));
        assert_eq!(over(12, false), (false, false), "counted anew");
    }

    #[test]
    fn own_addresses() {
        for (server, source, own) in [
            ("10.9.0.53", "10.9.0.53", true),
            ("10.9.0.53", "::ffff:10.9.0.53", true),
            ("10.9.0.53", "10.9.0.54", false),
            ("10.9.0.53", "35.199.192.1", false),
            ("169.254.169.254", "35.199.192.0", true),
            ("169.254.169.254", "35.199.223.255", true),
            ("169.254.169.254", "35.199.224.0", false),
            ("169.254.169.254", "35.199.191.255", false),
            ("169.254.169.254", "2001:db8::1", false),
            ("2001:db8::1", "2001:db8::1", true),
        ] {
            let [a, b]: [IpAddr; 2] = [server, source].map(|it| it.parse().expect("an address"));
            assert_eq!(is_own_address(a, b), own, "{server} {source}");
        }
    }
}
