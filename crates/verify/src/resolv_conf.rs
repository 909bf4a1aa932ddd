//! resolv.conf and /etc/hosts as glibc and musl read them, which is not quite as they are documented,
//! and not quite alike. A program of this machine may be linked with either.
//!
//! | | glibc 2.26 and newer | musl 1.2 |
//! |---|---|---|
//! | behind a keyword | blank, tab | any white space |
//! | a value ends at | blank, tab | any white space, a carriage return too |
//! | line of more than 255 bytes | read | passed over |
//! | zone that names no interface | dropped: the address stays | the line is passed over |
//! | `domain a b` | `a` | `a` and `b` |
//!
//! Both pass over a line with a leading blank, take three name servers, read IPv4 addresses as
//! inet_aton does (`010.0.0.1` is 8.0.0.1), and ask 127.0.0.1 where no line names a server.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use dnsgate_core::dns::Name;

/// Neither library takes more name servers (MAXNS).
const MAX_SERVERS: usize = 3;
/// musl reads lines into 256 bytes, the NUL at the end among them.
const MUSL_LINE: usize = 255;
/// The most names of a search list that are asked for. Neither library has a limit of this kind, so
/// a longer list is a failure.
const MAX_SEARCH: usize = 32;

/// What a resolver library reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    Glibc,
    Musl,
}

/// A line that the two read differently, or that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number, from 1; 0 is the whole file.
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

/// What the two read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers that at least one of them asks: three at most each.
    pub servers: Vec<SocketAddr>,
    /// The suffixes that at least one of them appends to names.
    pub search: Vec<Name>,
    /// What they do not read alike.
    pub differences: Vec<Difference>,
}

/// What comes from elsewhere than the file.
#[derive(Clone, Copy)]
pub struct Surroundings<'s> {
    /// The number of the interface of this name; `None` if there is none.
    pub interface: &'s dyn Fn(&str) -> Option<u32>,
    /// The variable `LOCALDOMAIN`, which replaces glibc's search list.
    pub local_domain: Option<&'s str>,
    /// The name of this machine: what follows its first dot is glibc's search list where nothing
    /// else is said.
    pub host_name: &'s str,
}

/// What one line says to one library.
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

/// An address with its zone.
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

/// Reads a resolv.conf; an absent one is as an empty one.
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
    /// The names of the search lists, each once.
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
                // Neither library can make a question of it.
                Err(_) => {}
            }
        }
    }
}

/// What a line says.
fn said(line: &[u8], library: Library, port: u16, around: &Surroundings<'_>) -> LineMeaning {
    // In C a line ends at a zero byte.
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    // The line's end counts: musl puts it into its 255 bytes, too.
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
        // An empty value leaves the list before it in force.
        Library::Glibc if list.is_empty() => LineMeaning::Nothing,
        Library::Glibc if is_domain => LineMeaning::Search(list.into_iter().take(1).collect()),
        Library::Glibc | Library::Musl => LineMeaning::Search(list),
    }
}

/// Whether a value ends here.
fn ends(c: char, library: Library) -> bool {
    match library {
        Library::Glibc => matches!(c, ' ' | '\t'),
        Library::Musl => matches!(c, ' ' | '\t' | '\r' | '\x0b' | '\x0c'),
    }
}

/// What follows a keyword at the start of a line.
fn value_of<'t>(line: &'t str, keyword: &str, library: Library) -> Option<&'t str> {
    let rest = line.strip_prefix(keyword)?;
    if rest.is_empty() {
        // musl sees the line's end as white space, and behind it an empty value.
        return (library == Library::Musl).then_some("");
    }
    rest.starts_with(|c| ends(c, library))
        .then(|| rest.trim_start_matches(|c| ends(c, library)))
}

/// The address of a name server.
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

/// The number of a zone; `None` where the library takes no such address.
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

/// An IPv4 address as inet_aton reads it: one to four numbers, decimal, octal or hexadecimal, the
/// last one for all bytes that are left.
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

/// A number as strtoul reads it with base 0, but for signs and blanks.
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

/// What a line of /etc/hosts says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsLine {
    /// Its number, from 1.
    pub line: usize,
    /// The address.
    pub address: IpAddr,
    /// The names that lead there.
    pub names: Vec<Name>,
}

/// Reads an /etc/hosts. glibc and musl read it alike: what follows `#` is a comment, the first
/// word is the address, the others are names.
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
