//! Reads the file: words, sections, and what of them bears on names.

use std::collections::BTreeMap;

use dnsgate_core::{dns::Name, policy::DenyWith, zone::parse_record};

use crate::{
    ImportError, IncludeReader, Place, SourceFile, draft::Draft, format::servers, report::short,
    shape, statement::ZoneLine,
};

use super::{
    FIRST, name_of,
    words::{Keyword, words},
};

/// The TTL of local data without one.
const LOCAL_TTL: u32 = 3600;

/// What the file says.
#[derive(Default)]
pub(super) struct Config {
    pub(super) global: Scope,
    pub(super) views: BTreeMap<String, View>,
    pub(super) forwards: Vec<Forward>,
    /// Range and action.
    pub(super) access: Vec<(String, String, Place)>,
    /// Range and view.
    pub(super) access_views: Vec<(String, String, Place)>,
}

/// Local zones and data.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) zones: BTreeMap<Name, LocalZone>,
    pub(super) data: BTreeMap<Name, Vec<ZoneLine>>,
}

#[derive(Default)]
pub(super) struct View {
    pub(super) scope: Scope,
    pub(super) first: bool,
}

pub(super) struct LocalZone {
    pub(super) name: Name,
    pub(super) kind: ZoneKind,
    /// The kind as it is written.
    pub(super) word: String,
    pub(super) place: Place,
    pub(super) tagged: bool,
}

/// What a local zone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZoneKind {
    Denies(DenyWith),
    AlwaysDenies(DenyWith),
    AlwaysNull,
    BlockA,
    Redirect,
    Transparent,
    TypeTransparent,
    AlwaysTransparent,
}

impl ZoneKind {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "deny" | "inform_deny" => Self::Denies(DenyWith::Drop),
            "refuse" => Self::Denies(DenyWith::Refused),
            "static" => Self::Denies(DenyWith::NxDomain),
            "always_refuse" => Self::AlwaysDenies(DenyWith::Refused),
            "always_nxdomain" => Self::AlwaysDenies(DenyWith::NxDomain),
            "always_nodata" => Self::AlwaysDenies(DenyWith::NoData),
            "always_deny" => Self::AlwaysDenies(DenyWith::Drop),
            "always_null" => Self::AlwaysNull,
            "block_a" => Self::BlockA,
            "redirect" | "inform_redirect" => Self::Redirect,
            "transparent" | "inform" | "nodefault" => Self::Transparent,
            "typetransparent" => Self::TypeTransparent,
            "always_transparent" => Self::AlwaysTransparent,
            _ => return None,
        })
    }

    /// How names without data are denied.
    pub(super) fn denial(self) -> Option<DenyWith> {
        match self {
            Self::Denies(with) | Self::AlwaysDenies(with) => Some(with),
            Self::Redirect | Self::AlwaysNull => Some(DenyWith::NoData),
            _ => None,
        }
    }

    /// Whether names without data are resolved.
    pub(super) fn passes(self) -> bool {
        matches!(
            self,
            Self::Transparent | Self::TypeTransparent | Self::AlwaysTransparent | Self::BlockA
        )
    }

    /// Whether the zone answers with local data.
    pub(super) fn has_data(self) -> bool {
        matches!(
            self,
            Self::Denies(_) | Self::AlwaysNull | Self::Transparent | Self::TypeTransparent
        )
    }
}

/// A forward or stub zone.
pub(super) struct Forward {
    pub(super) name: Option<Name>,
    pub(super) place: Place,
    pub(super) servers: Vec<String>,
    /// Addresses as written: whether they are asked over TLS is said elsewhere in the section.
    addresses: Vec<(String, Place)>,
    tls: bool,
    tcp: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Server,
    View,
    Forward,
    Other,
}

pub(super) fn read(
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<Config, ImportError> {
    let mut said = Vec::new();
    for source in sources {
        words(source, includes, 0, &mut said)?;
    }
    let mut reader = Reader {
        config: Config::default(),
        section: Section::Other,
        view: None,
        unnamed: 0,
        tls: false,
    };
    for one in &said {
        reader.take(one, draft)?;
    }
    reader.finish(draft);
    Ok(reader.config)
}

/// Keywords of the server that decide about names or answers and that no rule can say.
const UNSAYABLE: [(&str, &str); 9] = [
    (
        "local-zone-override",
        "a local zone that differs by client range",
    ),
    ("access-control-tag-action", "an action by tag"),
    ("access-control-tag-data", "data by tag"),
    ("response-ip", "an action by the address of the answer"),
    ("response-ip-data", "data by the address of the answer"),
    ("interface-action", "who may ask, by interface"),
    ("interface-view", "a view by interface"),
    ("dns64-prefix", "addresses that are made of others (DNS64)"),
    ("python-script", "a script"),
];
/// Keywords that have Unbound check signatures.
const VALIDATION: [&str; 4] = [
    "trust-anchor",
    "trust-anchor-file",
    "auto-trust-anchor-file",
    "trusted-keys-file",
];

struct Reader {
    config: Config,
    section: Section,
    /// The view of the section; its name may come after its zones.
    view: Option<String>,
    unnamed: usize,
    tls: bool,
}

impl Reader {
    fn take(&mut self, said: &Keyword, draft: &mut Draft<'_>) -> Result<(), ImportError> {
        let (key, place) = (&*said.key, &said.place);
        let first = said.values.first().map_or("", String::as_str);
        let second = said.values.get(1).map_or("", String::as_str);
        if said.values.is_empty() {
            return self.begin(key, place, draft);
        }
        match (self.section, key) {
            (Section::Server | Section::View, "local-zone") => {
                self.local_zone(first, second, place, draft)
            }
            (Section::Server | Section::View, "local-data") => self.local_data(first, place, draft),
            (Section::Server | Section::View, "local-data-ptr") => {
                self.local_pointer(first, place, draft)
            }
            (Section::Server, "local-zone-tag") => {
                if let Ok(name) = name_of(first)
                    && let Some(zone) = self.config.global.zones.get_mut(&name)
                {
                    zone.tagged = true;
                }
            }
            (Section::Server, "access-control") => {
                self.config
                    .access
                    .push((first.to_owned(), second.to_owned(), place.clone()))
            }
            (Section::Server, "access-control-view") => {
                self.config
                    .access_views
                    .push((first.to_owned(), second.to_owned(), place.clone()))
            }
            (Section::Server, "tls-upstream" | "ssl-upstream") => self.tls |= first == "yes",
            (Section::Server, key) if VALIDATION.contains(&key) => {
                draft.left_out(
                    place,
                    key,
                    "dnsgate does not validate DNSSEC",
                    "ask an upstream that does, over TLS",
                );
            }
            (Section::Server, "rpz") => {}
            (Section::Server, key) => {
                if let Some((_, what)) = UNSAYABLE.iter().find(|(word, _)| *word == key) {
                    draft.left_out(place, format!("{key} {first}"), &format!("no rule can say this: {what}"), "nothing is let through while it is there, because it may deny more; leave it out at its source to import the rest");
                    draft.close(place, Name::root(), FIRST);
                }
            }
            (Section::View, "name") => self.name_view(first),
            (Section::View, "view-first") => {
                let view = self.view.clone().unwrap_or_default();
                self.config.views.entry(view).or_default().first = first == "yes";
            }
            (Section::Forward, key) => self.forward(key, first, place, draft),
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        key: &str,
        place: &Place,
        draft: &mut Draft<'_>,
    ) -> Result<(), ImportError> {
        self.section = match key {
            "server" => Section::Server,
            "view" => {
                self.unnamed += 1;
                self.view = Some(format!("view {}", self.unnamed));
                Section::View
            }
            "forward-zone" | "stub-zone" => {
                self.config.forwards.push(Forward {
                    name: None,
                    place: place.clone(),
                    servers: Vec::new(),
                    addresses: Vec::new(),
                    tls: false,
                    tcp: false,
                });
                Section::Forward
            }
            "rpz" | "auth-zone" => {
                let (why, advice) = match key {
                    "rpz" => (
                        "policy zones are files of their own",
                        "import the zone file by: dnsgate import rpz",
                    ),
                    _ => (
                        "zones with their own files are not read from here",
                        "import the zone file by: dnsgate import gcloud-dns, and add its zone",
                    ),
                };
                draft.left_out(place, key, why, &format!("{advice}; nothing is let through while it is there, because it may deny more"));
                draft.close(place, Name::root(), FIRST);
                Section::Other
            }
            "remote-control" | "python" | "dynlib" | "dnscrypt" | "cachedb" | "ipset"
            | "dnstap" => Section::Other,
            key => {
                let why =
                    format!("{key}: has no value, and is no section of Unbound that is known here");
                return Err(ImportError::Content {
                    place: place.clone(),
                    why,
                });
            }
        };
        Ok(())
    }

    fn scope(&mut self) -> &mut Scope {
        match (&self.view, self.section) {
            (Some(view), Section::View) => {
                &mut self.config.views.entry(view.clone()).or_default().scope
            }
            _ => &mut self.config.global,
        }
    }

    fn name_view(&mut self, name: &str) {
        let view = self
            .view
            .replace(name.to_owned())
            .and_then(|before| self.config.views.remove(&before));
        self.config
            .views
            .insert(name.to_owned(), view.unwrap_or_default());
    }

    fn local_zone(&mut self, text: &str, kind: &str, place: &Place, draft: &mut Draft<'_>) {
        let what = format!("local-zone {text} {kind}");
        let name = match name_of(text) {
            Ok(name) => name,
            Err(bad) => {
                draft.left_out(place, what, &bad.why, "correct the name; nothing below the part of it that can be read is let through");
                return draft.close(place, bad.above, FIRST);
            }
        };
        let Some(kind_of) = ZoneKind::of(kind) else {
            draft.left_out(
                place,
                what,
                "there is no such type of a local zone",
                "its names are denied",
            );
            return draft.close(place, name, FIRST);
        };
        let zone = LocalZone {
            name: name.clone(),
            kind: kind_of,
            word: kind.to_owned(),
            place: place.clone(),
            tagged: false,
        };
        let before = self.scope().zones.insert(name.clone(), zone);
        if before.is_some_and(|before| before.kind != kind_of) {
            let why = "the zone stands here twice with different types; which of them holds cannot be told";
            draft.left_out(place, what, why, "keep one of them; its names are denied");
            draft.close(place, name, FIRST);
        }
    }

    fn local_data(&mut self, text: &str, place: &Place, draft: &mut Draft<'_>) {
        match parse_record(text, &Name::root()) {
            Ok(record) => {
                let timed = text
                    .split_whitespace()
                    .skip(1)
                    .take(2)
                    .any(|word| word.starts_with(|c: char| c.is_ascii_digit()));
                let ttl = if timed { record.ttl } else { LOCAL_TTL };
                let line = ZoneLine {
                    place: place.clone(),
                    owner: record.owner,
                    ttl,
                    rtype: record.rtype,
                    rdata: record.rdata,
                };
                self.scope()
                    .data
                    .entry(line.owner.clone())
                    .or_default()
                    .push(line);
            }
            Err(fault) => {
                let why = short(&fault.message);
                draft.left_out(
                    place,
                    format!("local-data {text}"),
                    &why,
                    "correct the record; its name is denied",
                );
                let owner = text.split_whitespace().next().unwrap_or_default();
                draft.close(place, name_of(owner).unwrap_or_else(|bad| bad.above), FIRST);
            }
        }
    }

    /// `ADDRESS [TTL] NAME`: the PTR record of an address.
    fn local_pointer(&mut self, text: &str, place: &Place, draft: &mut Draft<'_>) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (address, name) = (words.first(), words.last());
        let owner = address.and_then(|address| shape::reverse(address));
        match (owner, name) {
            (Some(owner), Some(name)) => self.local_data(
                &format!("{owner} {LOCAL_TTL} PTR {}.", name.trim_end_matches('.')),
                place,
                draft,
            ),
            _ => {
                draft.left_out(
                    place,
                    format!("local-data-ptr {text}"),
                    "it is not an address and a name",
                    "correct it",
                );
            }
        }
    }

    fn forward(&mut self, key: &str, value: &str, place: &Place, draft: &mut Draft<'_>) {
        let Some(forward) = self.config.forwards.last_mut() else {
            return;
        };
        match key {
            "name" => match name_of(value) {
                Ok(name) => forward.name = Some(name),
                Err(bad) => {
                    draft.left_out(place, format!("zone {value}"), &bad.why, "correct the name");
                }
            },
            "forward-addr" | "stub-addr" => {
                forward.addresses.push((value.to_owned(), place.clone()))
            }
            "forward-host" | "stub-host" => {
                draft.left_out(
                    place,
                    format!("{key} {value}"),
                    "dnsgate asks servers by their addresses",
                    "name its address",
                );
                forward.addresses.push((value.to_owned(), place.clone()));
            }
            "forward-tls-upstream"
            | "forward-ssl-upstream"
            | "stub-tls-upstream"
            | "stub-ssl-upstream" => forward.tls |= value == "yes",
            "forward-tcp-upstream" | "stub-tcp-upstream" => forward.tcp |= value == "yes",
            "forward-first" | "stub-first" if value == "yes" => {
                draft.narrower(place, key, "where its servers do not answer, Unbound resolves the name itself; dnsgate does not", "");
            }
            _ => {}
        }
    }

    /// Servers are known once the whole section is: TLS may be said behind the addresses.
    fn finish(&mut self, draft: &mut Draft<'_>) {
        for forward in &mut self.config.forwards {
            let transport = match (forward.tls || self.tls, forward.tcp) {
                (true, _) => "tls",
                (false, true) => "tcp",
                (false, false) => "udp",
            };
            for (text, place) in &forward.addresses {
                let (text, name) = text
                    .split_once('#')
                    .map_or((&**text, None), |(text, name)| (text, Some(name)));
                let (address, port) = text.split_once('@').unwrap_or((text, ""));
                let port = port.parse::<u16>().ok();
                match servers::server(transport, address, port, name) {
                    Some(server) => forward.servers.push(server),
                    None => {
                        draft.left_out(
                            place,
                            format!("server {text}"),
                            "it is not the address of a server that dnsgate can ask",
                            "name another",
                        );
                    }
                }
            }
            if forward.servers.is_empty() && !forward.addresses.is_empty() {
                // Its names must not be resolved elsewhere.
                draft.left_out(
                    &forward.place,
                    "a forward zone",
                    "none of its servers can be asked",
                    "its names are denied; name servers by their addresses",
                );
                draft.close(
                    &forward.place,
                    forward.name.clone().unwrap_or_else(Name::root),
                    FIRST,
                );
            }
            forward.servers.dedup();
        }
    }
}
