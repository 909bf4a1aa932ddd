//! The probes that are out, and what of them came back to our own listener.
//!
//! Whoever sees a probe on its way can send its name to us, so an arrival alone proves nothing. A loop is
//! believed when two probes, each with a name that is used once, came back within [`TWICE`], and from the
//! server's own address: who can do that on purpose can also leave our questions unanswered.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Two probes that come back within this time are a loop. Several rounds fit in, should one be lost.
const TWICE: Duration = Duration::from_secs(60);
/// As many probes in a row without a response, none of which came back, end a loop: the server may be gone.
/// One that is answered ends it at once.
const SILENT: u8 = 4;
/// The probes that are remembered: all those of the last seconds, of as many servers as an upstream has.
const REMEMBERED: usize = 64;
/// The VPC's own resolver on Google Cloud. Its outbound server policy forwards to us not from this address but
/// from [`CLOUD_DNS`].
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// Where Cloud DNS asks from: 35.199.192.0/19.
const CLOUD_DNS: (Ipv4Addr, u32) = (Ipv4Addr::new(35, 199, 192, 0), 19);

/// The probes that are out, and what came back.
#[derive(Default)]
pub(super) struct Probes {
    /// As many as `out` has: most of the time none, and then names of probes cost no lock.
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
    /// Whether it came from elsewhere.
    copied: bool,
}

/// What probes have said of a server.
#[derive(Clone, Copy, Default)]
struct ProbeHistory {
    /// When one came back last, from the server's own address.
    returned: Option<Instant>,
    /// Probes in a row that neither came back nor were answered.
    silent: u8,
}

/// What the return of a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeReturn {
    /// It came from elsewhere.
    Elsewhere,
    /// It has come back before, from the server's own address: servers ask again.
    Again,
    /// It is the first one of late.
    Once,
    /// It is the second: a loop.
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

    /// A probe goes out.
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

    /// A probe's name came to our listener. Returns the server that the probe was sent to, and what
    /// that says, if it was ours and is still out. `is_own` tells whether it came from that server's
    /// address; from elsewhere it counts once, so that nobody hides a flood behind it.
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
        // Its name is good for one return of each kind: nobody makes two of one, nor a flood of news.
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

    /// A probe is over, which was answered or not. Returns whether it came back, and whether what is
    /// known of its server says that there is no loop.
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

/// Whether what the server at `server` forwards comes from `source`.
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
    fn only_a_probe_that_is_out_can_come_back_and_once() {
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
    fn two_that_come_back_within_a_minute_from_the_servers_address_are_a_loop() {
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
    fn a_copy_from_elsewhere_does_not_use_a_name_up() {
        let (probes, now) = (Probes::new(1), Instant::now());
        probes.sent(1, 0);
        let copy = probes.returned(1, OTHER, now);
        assert_eq!(copy, Some((0, ProbeReturn::Elsewhere)));
        assert_eq!(probes.returned(1, OTHER, now), None, "told once");
        let itself = probes.returned(1, OWN, now);
        assert_eq!(itself, Some((0, ProbeReturn::Once)));
    }

    #[test]
    fn a_loop_ends_with_an_answer_or_a_long_silence() {
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
