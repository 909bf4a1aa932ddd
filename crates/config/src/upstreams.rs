//! The upstreams of the file: gives them numbers, reads their certificates, and rejects servers that
//! are this dnsgate itself.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use crate::{
    error::{Faults, OtherFile, Place, nearest, quoted},
    file::{File, UpstreamEntry},
    given::{At, NamedEntry},
    listen::Listen,
    text::read_named,
    upstream::{ServerAddr, Upstream},
    value::Label,
};
use dnsgate_core::policy::UpstreamId;

/// The most upstreams: each has its own connections and metrics. No official reference.
const MAX_UPSTREAMS: usize = 64;
/// The most servers of one upstream: only a few can be tried within one deadline.
const MAX_SERVERS: usize = 16;
/// The largest file of certificates, in bytes: that of a whole system has some 200 KiB.
const MAX_CA: u64 = 4 << 20;

/// The upstreams and their numbers.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    /// In the order of their numbers.
    pub(super) list: Vec<Upstream>,
    ids: HashMap<Box<str>, UpstreamId>,
    /// Whether an unknown name may be one that could not be read.
    lenient: bool,
}

impl Upstreams {
    /// The upstreams of the file; relative paths start at `dir`.
    pub(super) fn of(file: &File, listen: &[Listen], dir: &Path, faults: &mut Faults<'_>) -> Self {
        let mut upstreams = Self {
            lenient: !(file.span.has_known_keys && file.upstreams.is_whole()),
            ..Self::default()
        };
        let entries = file.upstreams.entries();
        for (number, entry) in entries.iter().enumerate() {
            let id = u16::try_from(number)
                .ok()
                .filter(|_| number < MAX_UPSTREAMS);
            let Some(id) = id else {
                let count = entries.len();
                let message = format!("there are {count} upstreams; {MAX_UPSTREAMS} are the most");
                faults.push(entry.name.place, message);
                upstreams.lenient = true;
                break;
            };
            let name = &entry.name.value.0;
            upstreams.ids.insert(name.clone(), UpstreamId(id));
            upstreams.list.push(Upstream {
                name: name.clone(),
                servers: servers(entry, listen, faults),
                strategy: entry.strategy.into_value().unwrap_or_default(),
                ca: certificates(entry, dir, faults),
            });
        }
        upstreams
    }

    /// The upstream with this name; reports an unknown name.
    pub(super) fn find(&self, name: &At<Label>, faults: &mut Faults<'_>) -> Option<UpstreamId> {
        let known = self.ids.get(&name.value.0).copied();
        if known.is_none() && !self.lenient {
            faults.push_with(name.place, || self.unknown(&name.value.0));
        }
        known
    }

    /// The error for an unknown upstream name.
    fn unknown(&self, name: &str) -> (String, Option<String>) {
        let names = self.list.iter().map(|upstream| &*upstream.name);
        let help = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.list.is_empty() => {
                format!(
                    "the file has none; add upstreams: {{ {name}: {{ servers: [tls://8.8.8.8#dns.google] }} }}"
                )
            }
            None => {
                let names: Vec<_> = names.take(20).collect();
                format!("the names under `upstreams` are {}", names.join(", "))
            }
        };
        (format!("there is no upstream `{name}`"), Some(help))
    }
}

/// The servers of an upstream, each once.
fn servers(
    entry: &NamedEntry<UpstreamEntry>,
    listen: &[Listen],
    faults: &mut Faults<'_>,
) -> Vec<ServerAddr> {
    let Some(given) = &*entry.servers else {
        return Vec::new();
    };
    let name = &entry.name.value.0;
    if given.value.is_empty() {
        let message = format!("upstream `{name}` has no server");
        faults.push(given.place, message);
    }
    let mut servers: Vec<ServerAddr> = Vec::with_capacity(given.value.len().min(MAX_SERVERS));
    for server in &given.value {
        if servers.len() == MAX_SERVERS {
            let message = format!("{MAX_SERVERS} servers are the most that an upstream may have");
            faults.push(server.place, message);
            break;
        }
        if servers.contains(&server.value) {
            let message = format!("{} is there twice in upstream `{name}`", server.value);
            faults.push(server.place, message);
            continue;
        }
        if let Some(own) = listen.iter().find(|own| is_own(**own, &server.value)) {
            faults.push_help(
                server.place,
                format!(
                    "{} is dnsgate itself, which listens on {own}: every question would come back",
                    server.value
                ),
                "write the address of another server, or have dnsgate listen elsewhere (`listen`, \
                 or `--listen` of serve and check)"
                    .to_owned(),
            );
        }
        servers.push(server.value.clone());
    }
    servers
}

/// Docker's own resolver: the rules of a container's network redirect queries for this address, so
/// they never reach a listener in the container, even one on every address.
const DOCKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Whether a query to this server would arrive at this listener. A listener on every address covers
/// all addresses of this machine, of which only loopback is known before it runs. A program that
/// listens on a single address, as systemd-resolved does on 127.0.0.53, excludes a listener on every
/// address and vice versa: so if dnsgate has such a listener, no other program has its port on a
/// loopback address.
fn is_own(listen: Listen, server: &ServerAddr) -> bool {
    let by_transport = match (listen, server) {
        // A truncated response is asked for again over TCP.
        (_, ServerAddr::Udp(_)) | (Listen::Tcp(_), _) => true,
        (Listen::Udp(_), _) => false,
    };
    let (own, to): (SocketAddr, SocketAddr) = (listen.address(), server.address());
    let by_address = match (own.ip(), to.ip()) {
        // A listener on [::] does not receive IPv4.
        (IpAddr::V4(own), IpAddr::V4(to)) => {
            own == to || own.is_unspecified() && to.is_loopback() && to != DOCKER
        }
        (IpAddr::V6(own), IpAddr::V6(to)) => own == to || own.is_unspecified() && to.is_loopback(),
        _ => false,
    };
    by_transport && by_address && own.port() == to.port()
}

/// The certificates of an upstream's `ca_file`.
fn certificates(
    entry: &NamedEntry<UpstreamEntry>,
    dir: &Path,
    faults: &mut Faults<'_>,
) -> Option<Arc<[u8]>> {
    let file = entry.ca_file.as_ref()?;
    let servers = entry.servers.as_ref()?;
    if entry.span.is_whole
        && !servers
            .value
            .iter()
            .any(|server| server.value.is_encrypted())
    {
        faults.push_help(
            file.place,
            "`ca_file` is for tls:// and https://: no server of this upstream has a certificate",
            "leave the key out".to_owned(),
        );
        return None;
    }
    let path = dir.join(&file.value);
    let shown = path.to_string_lossy();
    let text = match read_named(&path, MAX_CA, faults.files()) {
        Ok(text) => text,
        Err(error) => {
            faults.push(file.place, format!("{:?} {error}", quoted(&shown)));
            return None;
        }
    };
    match check_certificates(&text) {
        Ok(0) => {
            faults.push_help(
                file.place,
                format!("{:?} holds no certificate", quoted(&shown)),
                "it should have one or more of -----BEGIN CERTIFICATE-----: PEM, not DER"
                    .to_owned(),
            );
            None
        }
        Ok(_) => Some(text.into_bytes().into()),
        Err((line, message)) => {
            let place = Place { line, column: 1 };
            let file = OtherFile {
                name: &shown,
                text: &text,
            };
            faults.push_in(file, place, message.to_owned(), None);
            None
        }
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The number of certificates in a text. Text between them is an explanation (section 5.2).
///
/// # Errors
/// The line (from 1) of a broken certificate, and its fault.
pub(super) fn check_certificates(text: &str) -> Result<usize, (u32, &'static str)> {
    let mut count = 0;
    // The first line of the current certificate, and whether it has any data so far.
    let mut open: Option<(u32, bool)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        open = match open {
            None if line == BEGIN => Some((number, false)),
            None => None,
            Some((begin, false)) if line == END => {
                return Err((begin, "this certificate is empty"));
            }
            Some(_) if line == END => {
                count += 1;
                None
            }
            Some((begin, _)) if line.starts_with("-----") => {
                return Err((begin, UNFINISHED));
            }
            Some((begin, has_data)) => {
                let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
                if !line.bytes().all(base64) {
                    return Err((number, "this is not Base64; a PEM certificate is"));
                }
                Some((begin, has_data || !line.is_empty()))
            }
        };
    }
    match open {
        Some((begin, _)) => Err((begin, UNFINISHED)),
        None => Ok(count),
    }
}

/// The Base64 of each certificate in a text that [`check_certificates`] accepts, in one line.
pub(super) fn certificate_data(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (&mut open, line) {
            (_, BEGIN) => open = Some(String::new()),
            (_, END) => found.extend(open.take()),
            (Some(data), line) => data.push_str(line),
            (None, _) => {}
        }
    }
    found
}

/// The error for a certificate without an end line.
const UNFINISHED: &str = "this certificate has no -----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_counted_and_broken_ones_told() {
        let one = "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n";
        for (text, want) in [
            ("", Ok(0)),
            ("just text", Ok(0)),
            (
                "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n",
                Ok(0),
            ),
            (one, Ok(1)),
            (&one.replace('\n', "\r\n"), Ok(1)),
            (&format!("Issuer: \u{fc}ber\n{one}\n# more\n{one}"), Ok(2)),
            (
                "x\n-----BEGIN CERTIFICATE-----\nMII=\n",
                Err((2, UNFINISHED)),
            ),
            (
                &format!("-----BEGIN CERTIFICATE-----\nMII=\n{one}"),
                Err((1, UNFINISHED)),
            ),
            (
                "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
                Err((1, "this certificate is empty")),
            ),
            (
                &one.replace("MIIB", "M,IB"),
                Err((2, "this is not Base64; a PEM certificate is")),
            ),
        ] {
            assert_eq!(check_certificates(text), want, "{text}");
        }
    }
}
