//! Reads resolv.conf and /etc/hosts as glibc and musl do, which differs slightly from their
//! documentation and between the two. A program on this machine may be linked with either.
//!
//! | | glibc 2.26 and newer | musl 1.2 |
//! |---|---|---|
//! | after a keyword | blank, tab | any white space |
//! | a value ends at | blank, tab | any white space, including a carriage return |
//! | line of more than 255 bytes | read | ignored |
//! | zone that is not an interface | the zone is dropped, the address stays | the line is ignored |
//! | `domain a b` | `a` | `a` and `b` |
//!
//! Both ignore a line with a leading blank, use three name servers, read IPv4 addresses as inet_aton
//! does (`010.0.0.1` is 8.0.0.1), and ask 127.0.0.1 if no line names a server.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use dnsgate_core::dns::Name;

/// The most name servers that either library uses (MAXNS).
const MAX_SERVERS: usize = 3;
/// musl reads a line into 256 bytes, including the final NUL.
const MUSL_LINE: usize = 255;
/// The most names of a search list that are tried. The libraries have no such limit, so a longer list
/// is reported as a failure.
const MAX_SEARCH: usize = 32;

/// A resolver library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Glibc,
    Musl,
}

/// A line that the two libraries read differently, or that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number, from 1; 0 means the whole file.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.why),
            line => write!(f, "line {line}: {}", self.why),
        }
    }
}

/// The combined result of both libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers that at least one of them asks, at most three each.
    pub servers: Vec<SocketAddr>,
    /// The suffixes that at least one of them appends to names.
    pub search: Vec<Name>,
    /// The differences between the two.
    pub differences: Vec<Difference>,
}

/// The settings from outside the file.
#[derive(Clone, Copy)]
pub struct Surroundings<'s> {
    /// The index of the interface with this name; `None` if there is none.
    pub interface: &'s dyn Fn(&str) -> Option<u32>,
    /// The variable `LOCALDOMAIN`, which replaces glibc's search list.
    pub local_domain: Option<&'s str>,
    /// The name of this machine: the part after its first dot is glibc's search list if nothing else
    /// sets one.
    pub host_name: &'s str,
}

/// The meaning of one line to one library.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LineMeaning {
    Nothing,
    Server(SocketAddr),
    Search(Vec<String>),
}

impl fmt::Display for LineMeaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("ignores it"),
            Self::Server(server) => write!(f, "reads name server {}", server.ip_text()),
            Self::Search(list) => write!(f, "reads search list `{}`", list.join(" ")),
        }
    }
}

/// The text of an address with its zone.
trait IpText {
    fn ip_text(&self) -> String;
}

impl IpText for SocketAddr {
    fn ip_text(&self) -> String {
        match self {
            Self::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            other => other.ip().to_string(),
        }
    }
}

/// Reads a resolv.conf; an absent file counts as empty.
#[must_use]
pub fn resolv_conf(text: &[u8], port: u16, around: &Surroundings<'_>) -> ResolvConf {
    let mut read = ResolvConf::default();
    let mut servers: [Vec<SocketAddr>; 2] = [Vec::new(), Vec::new()];
    let mut search: [Option<Vec<String>>; 2] = [None, None];
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.contains(&0) {
            let why = "it holds a zero byte: one of the libraries does not read what follows";
            read.differences.push(Difference {
                line: at + 1,
                why: why.to_owned(),
            });
        }
        let [glibc, musl] =
            [Library::Glibc, Library::Musl].map(|library| said(line, library, port, around));
        if glibc != musl {
            read.differences.push(Difference {
                line: at + 1,
                why: format!("glibc {glibc}, musl {musl}"),
            });
        }
        for (said, (servers, search)) in [glibc, musl]
            .into_iter()
            .zip(servers.iter_mut().zip(&mut search))
        {
            match said {
                LineMeaning::Server(server) if servers.len() < MAX_SERVERS => servers.push(server),
                LineMeaning::Search(list) => *search = Some(list),
                LineMeaning::Server(_) | LineMeaning::Nothing => {}
            }
        }
    }
    for mut servers in servers {
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, port).into());
        }
        for server in servers {
            if !read.servers.contains(&server) {
                read.servers.push(server);
            }
        }
    }
    let [mut glibc, musl] = search;
    if let Some(list) = around.local_domain {
        glibc = Some(list.split_whitespace().map(str::to_owned).collect());
    } else if glibc.is_none() {
        let domain = around.host_name.trim().split_once('.');
        glibc = domain.map(|(_, domain)| vec![domain.to_owned()]);
    }
    let suffixes = glibc.into_iter().chain(musl).flatten();
    read.suffixes(suffixes.collect());
    read
}

impl ResolvConf {
    /// Adds names of the search lists, each once.
    fn suffixes(&mut self, texts: Vec<String>) {
        for text in texts {
            match text.parse::<Name>() {
                Ok(name) if name.as_ref().wire().len() <= 1 => {}
                Ok(name) if self.search.contains(&name) => {}
                Ok(name) if self.search.len() < MAX_SEARCH => self.search.push(name),
                Ok(_) => {
                    let why =
                        format!("more than {MAX_SEARCH} names of the search list are not tried");
                    if self.differences.iter().all(|it| it.why != why) {
                        self.differences.push(Difference { line: 0, why });
                    }
                }
                // Neither library can make a query name of it.
                Err(_) => {}
            }
        }
    }
}

/// The meaning of a line.
fn said(line: &[u8], library: Library, port: u16, around: &Surroundings<'_>) -> LineMeaning {
    // In C a zero byte ends a line.
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    // The line feed counts: musl's 255 bytes include it.
    if library == Library::Musl && line.len() >= MUSL_LINE {
        return LineMeaning::Nothing;
    }
    let text = String::from_utf8_lossy(line);
    if let Some(value) = value_of(&text, "nameserver", library) {
        let word = value.split(|c| ends(c, library)).next().unwrap_or_default();
        return match server(word, library, port, around) {
            Some(server) => LineMeaning::Server(server),
            None => LineMeaning::Nothing,
        };
    }
    let (domain, search) = (
        value_of(&text, "domain", library),
        value_of(&text, "search", library),
    );
    let is_domain = domain.is_some();
    let Some(value) = domain.or(search) else {
        return LineMeaning::Nothing;
    };
    let list: Vec<String> = value
        .split(|c| ends(c, library))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    match library {
        // An empty value does not change the list.
        Library::Glibc if list.is_empty() => LineMeaning::Nothing,
        Library::Glibc if is_domain => LineMeaning::Search(list.into_iter().take(1).collect()),
        Library::Glibc | Library::Musl => LineMeaning::Search(list),
    }
}

/// Whether this character ends a value.
fn ends(c: char, library: Library) -> bool {
    match library {
        Library::Glibc => matches!(c, ' ' | '\t'),
        Library::Musl => matches!(c, ' ' | '\t' | '\r' | '\x0b' | '\x0c'),
    }
}

/// The text after a keyword at the start of a line.
fn value_of<'t>(line: &'t str, keyword: &str, library: Library) -> Option<&'t str> {
    let rest = line.strip_prefix(keyword)?;
    if rest.is_empty() {
        // musl treats the end of the line as white space, so an empty value follows it.
        return (library == Library::Musl).then_some("");
    }
    rest.starts_with(|c| ends(c, library))
        .then(|| rest.trim_start_matches(|c| ends(c, library)))
}

/// Parses the address of a name server.
fn server(
    word: &str,
    library: Library,
    port: u16,
    around: &Surroundings<'_>,
) -> Option<SocketAddr> {
    if let Some(v4) = inet_aton(word) {
        return Some((v4, port).into());
    }
    let (address, zone) = match word.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (word, None),
    };
    let v6: Ipv6Addr = address.parse().ok()?;
    let scope = match zone {
        None => 0,
        Some(zone) => scope(v6, zone, library, around)?,
    };
    Some(SocketAddrV6::new(v6, port, 0, scope).into())
}

/// The number of a zone; `None` if the library rejects such an address.
fn scope(v6: Ipv6Addr, zone: &str, library: Library, around: &Surroundings<'_>) -> Option<u32> {
    let segment = v6.segments().first().copied().unwrap_or_default();
    let is_local = segment & 0xffc0 == 0xfe80 || segment & 0xff0f == 0xff02;
    let is_number = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit());
    let number = || zone.parse::<u32>().ok().filter(|_| is_number);
    let named = || {
        (is_local && !zone.is_empty())
            .then(|| (around.interface)(zone))
            .flatten()
    };
    match library {
        Library::Glibc => Some(named().or_else(number).unwrap_or(0)),
        Library::Musl if is_number => number(),
        Library::Musl => named(),
    }
}

/// Parses an IPv4 address as inet_aton does: one to four numbers, decimal, octal or hexadecimal; the
/// last one fills all remaining bytes.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, head) = parts.split_last()?;
    if head.len() > 3 {
        return None;
    }
    let mut value: u64 = 0;
    for part in head {
        let byte = number(part).filter(|byte| *byte <= 255)?;
        value = value << 8 | byte;
    }
    let bits = 8 * (4 - head.len());
    let last = number(last).filter(|last| last >> bits == 0)?;
    u32::try_from(value << bits | last).ok().map(Ipv4Addr::from)
}

/// Parses a number as strtoul does with base 0, but without signs and blanks.
fn number(text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| all_digits)
}

/// A line of /etc/hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsLine {
    /// Its number, from 1.
    pub line: usize,
    /// The address.
    pub address: IpAddr,
    /// The names for this address.
    pub names: Vec<Name>,
}

/// Reads an /etc/hosts. glibc and musl agree on it: `#` starts a comment, the first word is the
/// address, and the other words are names.
#[must_use]
pub fn hosts(text: &[u8]) -> Vec<HostsLine> {
    let text = String::from_utf8_lossy(text);
    let lines = text.split('\n').enumerate().filter_map(|(at, line)| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let word = words.next()?;
        let bare = word.split('%').next().unwrap_or_default();
        let v6 = || bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        let address = inet_aton(word).map(IpAddr::V4).or_else(v6)?;
        let names: Vec<Name> = words.filter_map(|word| word.parse().ok()).collect();
        (!names.is_empty()).then_some(HostsLine {
            line: at + 1,
            address,
            names,
        })
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
