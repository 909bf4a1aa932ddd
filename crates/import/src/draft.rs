//! What formats write into: statements, zones, upstreams, groups, and the report.

use std::collections::{BTreeMap, HashSet};

use dnsgate_core::{
    dns::{Name, NameBuf, RecordType},
    policy::{DenyWith, Pattern},
};
use ipnet::IpNet;

use crate::{
    ImportError, ImportItem, ImportOptions, ImportReport, Kept, Place, PlainNames, SourceFile,
    report::short,
    statement::{Effect, Groups, Resolver, Server, Statement, Types, ZoneData, ZoneLine},
};

/// The most statements and records of an import. The configuration's file would be too large to read for more.
const MAX_STATEMENTS: usize = 200_000;

/// The longest reason of one item, in bytes: a list may have a hundred thousand bad lines.
const MAX_WHY: usize = 1_000;

/// A configuration in the making.
pub(crate) struct Draft<'o> {
    pub(crate) options: &'o ImportOptions,
    pub(crate) files: Vec<String>,
    pub(crate) statements: Vec<Statement>,
    pub(crate) zones: Vec<ZoneData>,
    pub(crate) upstreams: Vec<Server>,
    /// Client groups by name. If there are none, the configuration's default groups are used.
    pub(crate) groups: BTreeMap<String, Vec<IpNet>>,
    /// The groups are all clients that there are: the default groups are not added.
    pub(crate) only_these_clients: bool,
    /// The source's platform itself answers for the metadata server's name.
    pub(crate) keep_metadata: bool,
    pub(crate) report: ImportReport,
    /// The number of records in zones.
    records: usize,
    /// The first place where the limit was exceeded.
    too_many: Option<Place>,
    /// Remarks about the whole, for the head of the file.
    pub(crate) remarks: Vec<String>,
}

/// What a rule says, without its place: what [`Draft::state`] needs.
pub(crate) struct Said {
    pub(crate) rule: String,
    pub(crate) pattern: Pattern,
    pub(crate) types: Types,
    pub(crate) groups: Groups,
    pub(crate) effect: Effect,
    pub(crate) layer: u32,
}

impl Said {
    /// About every type and every client.
    pub(crate) fn new(
        rule: impl Into<String>,
        pattern: Pattern,
        effect: Effect,
        layer: u32,
    ) -> Self {
        Self {
            rule: rule.into(),
            pattern,
            types: None,
            groups: None,
            effect,
            layer,
        }
    }
}

impl<'o> Draft<'o> {
    pub(crate) fn new(
        sources: &[SourceFile],
        options: &'o ImportOptions,
    ) -> Result<Self, ImportError> {
        if sources.is_empty() {
            return Err(ImportError::Invalid("no file was named".to_owned()));
        }
        let mut upstreams: Vec<Server> = Vec::new();
        for (name, server) in &options.upstreams {
            if label(name) != *name {
                let why = format!(
                    "{:?} cannot be the name of an upstream: letters, digits, - _ and .",
                    short(name)
                );
                return Err(ImportError::Invalid(why));
            }
            let server = server.to_string();
            match upstreams.iter_mut().find(|known| known.name == *name) {
                Some(known) => known.servers.push(server),
                None => upstreams.push(Server {
                    name: name.clone(),
                    servers: vec![server],
                    strategy: None,
                    place: None,
                }),
            }
        }
        Ok(Self {
            options,
            files: sources.iter().map(|file| file.name.to_string()).collect(),
            statements: Vec::new(),
            zones: Vec::new(),
            upstreams,
            groups: BTreeMap::new(),
            only_these_clients: false,
            keep_metadata: false,
            report: ImportReport::default(),
            records: 0,
            too_many: None,
            remarks: Vec::new(),
        })
    }

    /// Notes that something was kept as it is; the number of the item.
    pub(crate) fn kept(&mut self, place: &Place, what: impl Into<String>) -> usize {
        self.item(Kept::Kept, place, what, "", "")
    }

    /// Notes that names are forwarded to these servers; the number of the item.
    pub(crate) fn kept_forward(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        resolver: &Resolver,
    ) -> usize {
        let item = self.kept(place, what);
        if resolver.is_private {
            let why = "its servers are inside, so answers may have private addresses only";
            let advice = "change `addresses` of the rule if names there have public addresses";
            self.lower(Some(item), Kept::Narrower, why, advice);
        }
        item
    }

    /// Notes that something is in the configuration, but allows less.
    pub(crate) fn narrower(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        why: &str,
        advice: &str,
    ) -> usize {
        self.item(Kept::Narrower, place, what, why, advice)
    }

    /// Notes that something is not in the configuration.
    pub(crate) fn left_out(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        why: &str,
        advice: &str,
    ) -> usize {
        self.item(Kept::LeftOut, place, what, why, advice)
    }

    fn item(
        &mut self,
        kept: Kept,
        place: &Place,
        what: impl Into<String>,
        why: &str,
        advice: &str,
    ) -> usize {
        let items = &mut self.report.items;
        items.push(ImportItem {
            kept,
            place: place.clone(),
            what: short(&what.into()),
            why: why.to_owned(),
            advice: advice.to_owned(),
        });
        items.len() - 1
    }

    /// Notes about an item that less of it was kept than was said so far.
    pub(crate) fn lower(&mut self, item: Option<usize>, kept: Kept, why: &str, advice: &str) {
        let Some(item) = item.and_then(|at| self.report.items.get_mut(at)) else {
            return;
        };
        if item.why.contains(why) && item.kept >= kept {
            return;
        }
        item.kept = item.kept.max(kept);
        match item.why.len() {
            0 => item.why.push_str(why),
            1..MAX_WHY => {
                item.why.push_str(", and ");
                item.why.push_str(why);
            }
            _ if !item.why.ends_with('…') => item.why.push_str(", …"),
            _ => {}
        }
        if item.advice.is_empty() {
            item.advice = advice.to_owned();
        }
    }

    /// Adds a statement.
    pub(crate) fn state(&mut self, place: &Place, item: Option<usize>, said: Said) {
        self.push(place, item, said, false);
    }

    /// Adds a denial that the source's program makes by itself.
    pub(crate) fn implicitly(&mut self, place: &Place, said: Said) {
        self.push(place, None, said, true);
    }

    fn push(&mut self, place: &Place, item: Option<usize>, said: Said, implicit: bool) {
        if self.statements.len() >= MAX_STATEMENTS {
            self.too_many.get_or_insert_with(|| place.clone());
            return;
        }
        let Said {
            rule,
            pattern,
            types,
            groups,
            effect,
            layer,
        } = said;
        self.statements.push(Statement {
            place: place.clone(),
            rule,
            pattern,
            types,
            groups,
            effect,
            layer,
            item,
            implicit,
        });
    }

    /// Adds a zone, which answers for its origin and all names below it.
    pub(crate) fn zone(&mut self, zone: ZoneData, layer: u32) {
        self.records = self.records.saturating_add(zone.records.len());
        if self.records > MAX_STATEMENTS {
            self.too_many.get_or_insert_with(|| zone.place.clone());
            return;
        }
        let said = Said::new(
            "",
            Pattern::Subtree(zone.origin.clone()),
            Effect::Zone(self.zones.len()),
            layer,
        );
        self.push(&zone.place.clone(), zone.item, said, false);
        self.zones.push(zone);
    }

    /// Denies what is at and below `name`, because something about it could not be read.
    pub(crate) fn close(&mut self, place: &Place, name: Name, layer: u32) {
        let pattern = Pattern::Subtree(name);
        let said = Said::new(CLOSED, pattern, Effect::Deny(None), layer);
        self.push(place, None, said, true);
    }

    /// Notes what the source does with every name that it does not mention: it resolves them. That becomes a rule only if
    /// the operator asks for it.
    pub(crate) fn default_allow(
        &mut self,
        place: &Place,
        what: &str,
        resolver: Resolver,
        layer: u32,
    ) {
        if !self.options.keep_default_allow {
            let why = "the source resolves every other name; dnsgate denies what no rule allows";
            let advice =
                "list the names that are needed (dnsgate learn), or pass --keep-default-allow";
            self.narrower(place, what, why, advice);
            return;
        }
        let item = self.kept(place, what);
        let effect = Effect::Forward(resolver);
        let pattern = Pattern::Subtree(Name::root());
        self.state(
            place,
            Some(item),
            Said::new("default-allow", pattern, effect, layer),
        );
    }

    /// Adds an upstream of the source, and returns its name. The operator's upstream of that name takes its place.
    pub(crate) fn upstream(
        &mut self,
        place: &Place,
        wanted: &str,
        servers: Vec<String>,
        strategy: Option<&'static str>,
    ) -> String {
        let wanted = label(wanted);
        let own = |known: &&Server| known.place.is_none() && known.name == wanted;
        if self.upstreams.iter().any(|known| own(&known)) {
            return wanted;
        }
        if let Some(same) = self
            .upstreams
            .iter()
            .find(|known| known.servers == servers && known.strategy == strategy)
        {
            return same.name.clone();
        }
        let taken: HashSet<&str> = self.upstreams.iter().map(|known| &*known.name).collect();
        let name = unique(&wanted, |name| taken.contains(name));
        self.upstreams.push(Server {
            name: name.clone(),
            servers,
            strategy,
            place: Some(place.clone()),
        });
        name
    }

    /// Whether the operator named an upstream like that.
    pub(crate) fn has_own_upstream(&self, name: &str) -> bool {
        let name = label(name);
        self.upstreams
            .iter()
            .any(|known| known.place.is_none() && known.name == name)
    }

    /// The error if there were too many statements.
    pub(crate) fn check_size(&self) -> Result<(), ImportError> {
        match &self.too_many {
            None => Ok(()),
            Some(place) => Err(ImportError::Content {
                place: place.clone(),
                why: format!(
                    "up to here there are {MAX_STATEMENTS} names and records, more than a configuration holds; put zones into zone files (zones: file) and lists into lists (rules: domains_file)"
                ),
            }),
        }
    }

    /// Whether plain names of lists are denied.
    pub(crate) fn plain_denied(&self) -> bool {
        self.options.plain_names == PlainNames::Denied
    }
}

/// The rule that denies what is around something that could not be read.
pub(crate) const CLOSED: &str = "not-imported";

/// A denial as NXDOMAIN.
pub(crate) const NXDOMAIN: Effect = Effect::Deny(Some(DenyWith::NxDomain));

/// A text as the name of a rule, a group or an upstream: letters, digits, `-`, `_` and `.`, at most 56 characters.
pub(crate) fn label(text: &str) -> String {
    let text = text.replace('*', "any");
    let mut label = String::new();
    for character in text.chars().take(56) {
        let allowed = character.is_ascii_alphanumeric() || "-_.".contains(character);
        match allowed {
            true => label.push(character),
            false if !label.ends_with('-') => label.push('-'),
            false => {}
        }
    }
    let trimmed = label
        .trim_start_matches(['-', '_', '.'])
        .trim_end_matches(['-', '.']);
    match trimmed {
        "" => "imported".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// The text, with a number behind it if it is taken.
pub(crate) fn unique(text: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(text) {
        return text.to_owned();
    }
    let numbered = (2u32..).map(|number| format!("{text}-{number}"));
    let mut free = numbered.filter(|name| !taken(name));
    free.next().unwrap_or_default()
}

/// The name without its last labels, which are `suffix`.
pub(crate) fn without_suffix(name: &Name, suffix: &Name) -> Option<Name> {
    if !name.as_ref().is_within(suffix.as_ref()) {
        return None;
    }
    let own = name
        .as_ref()
        .label_count()
        .checked_sub(suffix.as_ref().label_count())?;
    let mut buf = NameBuf::new();
    for label in name.as_ref().labels().take(own) {
        buf.push_label(label).ok()?;
    }
    Some(buf.as_ref().to_name())
}

/// A record without its owner, as rules have it.
pub(crate) fn answer_of(line: &ZoneLine) -> String {
    let data = crate::present::rdata(line.rtype, &line.rdata);
    format!("{} {} {data}", line.ttl, line.rtype)
}

/// Types as a set.
pub(crate) fn types(types: &[RecordType]) -> Types {
    Some(types.iter().copied().collect())
}
