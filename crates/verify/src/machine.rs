//! The machine's own files and environment, and the ways out that they open without a DNS query.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    check::{EgressCheck, Endpoint, shown},
    report::Finding,
    resolv_conf::{HostsLine, ResolvConf},
};
use dnsgate_config::Vip;
use dnsgate_core::{
    dns::{Name, NameBuf},
    policy::Ranges,
};

/// The state of the machine on which verify runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its resolv.conf; `None` if another server is used instead.
    pub resolv_conf: Option<ResolvConf>,
    /// The lines of its /etc/hosts.
    pub hosts: Vec<HostsLine>,
    /// The proxy variables that are set in the environment: name and value.
    pub proxies: Vec<(String, String)>,
    /// The addresses of its interfaces.
    pub addresses: Vec<IpAddr>,
}

/// The variables in which programs look for a proxy; curl reads some in lower case only, others in both cases.
pub const PROXY_VARIABLES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

impl Machine {
    /// Checks whether glibc and musl read its resolv.conf in the same way.
    pub(super) fn resolv_conf(&self) -> Option<EgressCheck> {
        let read = self.resolv_conf.as_ref()?;
        let finding = if read.differences.is_empty() {
            let servers: Vec<String> = read.servers.iter().map(ToString::to_string).collect();
            Finding::pass(servers.join(" "))
        } else {
            let each = read.differences.iter().map(ToString::to_string);
            Finding::fail(
                each.collect::<Vec<_>>().join("; "),
                "glibc and musl read this file differently, so some programs use other servers or names: write the line as \
                 both read it, without carriage returns, and with zones that exist",
            )
        };
        Some(EgressCheck::Known("resolv.conf".to_owned(), finding))
    }

    /// Checks that /etc/hosts does not resolve a blocked name.
    pub(super) fn hosts(&self, blocked: &Name) -> EgressCheck {
        let led: Vec<String> = self
            .lines(blocked)
            .filter(|line| !line.address.is_loopback() && !line.address.is_unspecified())
            .map(|line| format!("line {}: {}", line.line, line.address))
            .collect();
        let finding = if led.is_empty() {
            Finding::pass("/etc/hosts does not resolve it".to_owned())
        } else {
            Finding::fail(
                format!("/etc/hosts resolves it, {}", led.join("; ")),
                "programs use this address and never ask dnsgate: remove the name from /etc/hosts",
            )
        };
        EgressCheck::Known(format!("hosts {}", shown(blocked)), finding)
    }

    /// Checks that /etc/hosts does not send a name of the preset, or one below it, elsewhere.
    pub(super) fn hosts_of_preset(&self, served: &Name, vip: &Vip) -> Option<EgressCheck> {
        let public = Ranges::public();
        let inside = |address: &IpAddr| {
            vip.ranges.iter().any(|range| range.contains(address)) || !public.allow(*address)
        };
        let line = self.hosts.iter().find(|line| {
            let within = |name: &Name| name.as_ref().is_within(served.as_ref());
            !inside(&line.address) && line.names.iter().any(within)
        })?;
        let (at, address, label) = (line.line, line.address, vip.label);
        let finding = Finding::fail(
            format!("/etc/hosts line {at}: {address}, none of {label}"),
            "programs use this address and never ask dnsgate: remove the line from /etc/hosts",
        );
        Some(EgressCheck::Known(
            format!("hosts {}", shown(served)),
            finding,
        ))
    }

    /// The lines of /etc/hosts for a name, or for the name with a suffix of the search list.
    pub(super) fn lines(&self, name: &Name) -> impl Iterator<Item = &HostsLine> {
        let wanted = self.candidates(name);
        let found = move |line: &&HostsLine| line.names.iter().any(|it| wanted.contains(it));
        self.hosts.iter().filter(found)
    }

    /// The names that a resolver tries for `name`: the name itself, and with each suffix.
    pub(super) fn candidates(&self, name: &Name) -> Vec<Name> {
        let search = self.resolv_conf.iter().flat_map(|it| &it.search);
        let suffixed = search.filter_map(|suffix| {
            let mut whole = NameBuf::new();
            let labels = name.as_ref().labels().chain(suffix.as_ref().labels());
            for label in labels {
                whole.push_label(label).ok()?;
            }
            Some(whole.as_ref().to_name())
        });
        let mut all = vec![name.clone()];
        for name in suffixed {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }

    /// A check for each proxy; if there is none, one finding that says so.
    pub(super) fn proxies(&self) -> Vec<EgressCheck> {
        let set = self.proxies.iter().filter(|(_, value)| !value.is_empty());
        let mut checks: Vec<EgressCheck> = set.map(|(name, value)| proxy(name, value)).collect();
        if checks.is_empty() {
            let none = Finding::pass("no proxy variable is set".to_owned());
            checks.push(EgressCheck::Known("proxy environment".to_owned(), none));
        }
        checks
    }

    /// Its own addresses outside private networks: a program that accepts connections there may be a
    /// relay to the outside.
    pub(super) fn public_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(|it| !is_inside(*it))
    }
}

/// The check of one proxy variable.
fn proxy(variable: &str, value: &str) -> EgressCheck {
    if variable.eq_ignore_ascii_case("no_proxy") {
        let said = Finding::pass(format!("hosts for which no proxy is used: {value}"));
        return EgressCheck::Known(format!("proxy {variable}"), said);
    }
    // The part before the last `@` has a user and a password, which no report may show.
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    match format!("http://{authority}/").parse::<Endpoint>() {
        Ok(target) if has_port => EgressCheck::Proxy(variable.to_owned(), target),
        _ => {
            let finding = Finding::fail(
                "it is set, but not tried: it does not name HOST:PORT".to_owned(),
                "programs may send everything to this proxy: unset the variable, or write a host and a port",
            );
            EgressCheck::Known(format!("proxy {variable}"), finding)
        }
    }
}

/// Whether an address is in a private network, or local to this machine.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [one, two, ..] = v4.octets();
            let shared = one == 100 && two & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared || one == 0
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || first & 0xffc0 == 0xfe80
                || first & 0xfe00 == 0xfc00
        }
    }
}

/// The addresses of the interfaces, from /proc/net/fib_trie and /proc/net/if_inet6.
#[must_use]
pub fn own_addresses(fib_trie: &str, if_inet6: &str) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = Vec::new();
    let mut last: Option<IpAddr> = None;
    for line in fib_trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse().ok();
        } else if line.contains("/32 host LOCAL") {
            all.extend(last);
        }
    }
    for line in if_inet6.lines() {
        let digits = line.split_whitespace().next().unwrap_or_default();
        if digits.len() == 32
            && let Ok(bits) = u128::from_str_radix(digits, 16)
        {
            all.push(Ipv6Addr::from(bits).into());
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::{
        super::resolv_conf::{self as reader, Surroundings},
        *,
    };
    use crate::CheckResult;

    fn name(text: &str) -> Name {
        text.parse().expect(text)
    }

    fn of_hosts(text: &str) -> Machine {
        Machine {
            hosts: reader::hosts(text.as_bytes()),
            ..Machine::default()
        }
    }

    #[test]
    fn a_blocked_name_in_etc_hosts_fails_unless_it_leads_to_this_machine() {
        for (hosts, want) in [
            ("127.0.0.1 localhost\n", None),
            (
                "127.0.0.1 www.example.com\n0.0.0.0 www.example.com\n::1 www.example.com",
                None,
            ),
            ("192.0.2.1 example.com # www.example.com\n", None),
            (
                "\n 192.0.2.1\tx WWW.example.com\r\n",
                Some("line 2: 192.0.2.1"),
            ),
            (
                "2001:db8::1 www.example.com.\n",
                Some("line 1: 2001:db8::1"),
            ),
            ("0300.0.2.1 www.example.com\n", Some("line 1: 192.0.2.1")),
        ] {
            let EgressCheck::Known(label, finding) =
                of_hosts(hosts).hosts(&name("www.example.com"))
            else {
                panic!("it is known: {hosts}");
            };
            assert_eq!(label, "hosts www.example.com");
            assert_eq!(
                finding.outcome == CheckResult::Fail,
                want.is_some(),
                "{hosts}"
            );
            assert!(
                finding.seen.contains(want.unwrap_or("does not resolve it")),
                "{hosts}: {}",
                finding.seen
            );
        }
    }

    #[test]
    fn a_name_of_the_preset_in_etc_hosts_leads_to_the_vip_or_inside() {
        let vip = Vip {
            label: "restricted",
            ranges: vec!["199.36.153.4/30".parse().expect("a range")],
            addresses: Vec::new(),
        };
        for (hosts, fails) in [
            ("199.36.153.5 storage.googleapis.com", false),
            ("10.0.0.9 storage.googleapis.com", false),
            ("142.250.1.1 googleapis.example", false),
            ("142.250.1.1 storage.googleapis.com", true),
        ] {
            let check = of_hosts(hosts).hosts_of_preset(&name("googleapis.com"), &vip);
            assert_eq!(check.is_some(), fails, "{hosts}");
        }
    }

    #[test]
    fn proxies_are_tried_and_their_passwords_are_not_told() {
        for (variable, value, want) in [
            ("https_proxy", "http://10.0.0.1:3128", "10.0.0.1:3128"),
            (
                "HTTPS_PROXY",
                "http://me:secret@proxy.example:3128/",
                "proxy.example:3128",
            ),
            (
                "all_proxy",
                "socks5h://[2001:db8::1]:1080",
                "[2001:db8::1]:1080",
            ),
            ("http_proxy", "10.0.0.1:3128", "10.0.0.1:3128"),
            (
                "http_proxy",
                "http://me:secret@proxy.example",
                "it is set, but not tried: it does not name HOST:PORT",
            ),
            (
                "no_proxy",
                "localhost",
                "hosts for which no proxy is used: localhost",
            ),
        ] {
            let machine = Machine {
                proxies: vec![
                    (variable.to_owned(), value.to_owned()),
                    ("ftp_proxy".to_owned(), String::new()),
                ],
                ..Machine::default()
            };
            let told: Vec<String> = machine
                .proxies()
                .into_iter()
                .map(|check| match check {
                    EgressCheck::Proxy(_, target) => target.to_string(),
                    EgressCheck::Known(_, finding) => finding.seen,
                    other => panic!("{other}"),
                })
                .collect();
            assert_eq!(told, [want], "{variable}={value}");
        }
    }

    #[test]
    fn own_addresses_outside_of_private_networks_are_tried() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.2\n        /32 host LOCAL\n     \
                    |-- 10.0.0.255\n        /32 link BROADCAST\n     |-- 203.0.113.9\n        /32 host LOCAL\n     \
                    |-- 127.0.0.1\n        /32 host LOCAL\n";
        let inet6 = "20010db8000000000000000000000001 02 40 00 80 eth0\n\
                     fe800000000000000000000000000001 02 40 20 80 eth0\nx\n";
        let machine = Machine {
            addresses: own_addresses(trie, inet6),
            ..Machine::default()
        };
        assert_eq!(machine.addresses.len(), 5);
        let public: Vec<String> = machine
            .public_addresses()
            .map(|it| it.to_string())
            .collect();
        assert_eq!(public, ["203.0.113.9", "2001:db8::1"]);
    }

    #[test]
    fn the_search_list_makes_more_names_of_one() {
        let around = Surroundings {
            interface: &|_| None,
            local_domain: None,
            host_name: "host",
        };
        let machine = Machine {
            resolv_conf: Some(reader::resolv_conf(b"search a.example b\n", 53, &around)),
            ..Machine::default()
        };
        let all = machine.candidates(&name("www.example.com"));
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        let want = [
            "www.example.com.",
            "www.example.com.a.example.",
            "www.example.com.b.",
        ];
        assert_eq!(all, want);
    }
}
