//! Reads the state of the machine: its resolv.conf, /etc/hosts, environment and addresses.

use std::{env, fs, io, net::Ipv4Addr};

use anyhow::Context as _;

use super::super::input;

use dnsgate_verify::{Machine, PROXY_VARIABLES, Surroundings};

/// The file with the system's name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The file that resolves names without a query.
const HOSTS: &str = "/etc/hosts";
/// The largest size of these files, in bytes. A blocklist in /etc/hosts can have some megabytes.
const MAX_FILE: u64 = 32 << 20;
/// The port that both libraries use.
const DNS: u16 = 53;

/// Reads everything; the resolv.conf only if its servers are used.
pub(super) fn read(with_resolv_conf: bool) -> anyhow::Result<Machine> {
    let resolv_conf = if with_resolv_conf {
        let text = file(RESOLV_CONF).context("give --server ADDR")?;
        let local_domain = env::var_os("LOCALDOMAIN");
        let local_domain = local_domain.as_ref().map(|it| it.to_string_lossy());
        let around = Surroundings {
            interface: &interface,
            local_domain: local_domain.as_deref(),
            host_name: &text_of("/proc/sys/kernel/hostname"),
        };
        Some(dnsgate_verify::resolv_conf(&text, DNS, &around))
    } else {
        None
    };
    let proxies = PROXY_VARIABLES.iter().filter_map(|name| {
        let value = env::var_os(name)?;
        Some(((*name).to_owned(), value.to_string_lossy().into_owned()))
    });
    Ok(Machine {
        resolv_conf,
        hosts: dnsgate_verify::hosts(&file(HOSTS)?),
        proxies: proxies.collect(),
        addresses: dnsgate_verify::own_addresses(
            &text_of("/proc/self/net/fib_trie"),
            &text_of("/proc/self/net/if_inet6"),
        ),
    })
}

/// Reads a system file. Both libraries treat an absent file as empty.
fn file(path: &str) -> anyhow::Result<Vec<u8>> {
    match fs::File::open(path).and_then(|file| input::read_all(file, MAX_FILE)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{path} cannot be read")),
    }
}

/// Reads a file of /proc; an unreadable one counts as empty.
fn text_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The index of an interface.
fn interface(name: &str) -> Option<u32> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    rustix::net::netdevice::name_to_index(&socket, name).ok()
}
