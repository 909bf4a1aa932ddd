//! What was found, as data: for text, for JSON, and for the page that [`page`](super::page()) writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use serde::Serialize;

use super::{ChangeEffect, Changed, ChangedName, Diff};
use crate::plural;

/// The most clients that are named for each name.
const TOP_CLIENTS: usize = 10;

/// How much of what was found is told.
#[derive(Clone, Copy, Debug)]
pub struct ReportSize {
    /// The most kinds of change.
    pub kinds: usize,
    /// The most names of each.
    pub names: usize,
}

impl ReportSize {
    /// For a terminal.
    pub const TEXT: Self = Self {
        kinds: 50,
        names: 20,
    };
    /// For a page that is printed.
    pub const PAGE: Self = Self {
        kinds: 200,
        names: 50,
    };
    /// For programs.
    pub const JSON: Self = Self {
        kinds: 10_000,
        names: 10_000,
    };
}

/// The differences, the most frequent first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// The number of questions.
    pub questions: u64,
    /// How many of them get another verdict.
    pub changed: u64,
    /// What the changes mean, in numbers.
    pub effects: Vec<EffectCount>,
    /// The kinds of change.
    pub kinds: Vec<KindReport>,
    /// The questions of further kinds.
    pub other_questions: u64,
}

/// The questions whose change means the same to clients.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectCount {
    /// What it means.
    pub effect: ChangeEffect,
    /// The number of questions, as far as there was room for their kinds.
    pub questions: u64,
    /// The number of names, as far as there was room for them.
    pub names: usize,
    /// The number of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
}

/// The questions with one kind of change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindReport {
    /// What it means to a client.
    pub effect: ChangeEffect,
    /// The client group.
    pub group: String,
    /// The verdict of the old configuration.
    pub old: String,
    /// The verdict of the new one.
    pub new: String,
    /// The number of questions.
    pub questions: u64,
    /// The number of clients; absent for questions that nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
    /// The names, the most frequent first.
    pub names: Vec<NameReport>,
    /// The number of further names, as far as there was room to count them.
    pub other_names: usize,
    /// The questions for further names.
    pub other_questions: u64,
}

/// The questions for one name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameReport {
    /// The name.
    pub name: String,
    /// The types; `any type` if all types that are probed have the change.
    pub types: Vec<String>,
    /// The number of questions.
    pub questions: u64,
    /// The number of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
    /// Clients with their numbers of questions, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top_clients: Vec<ClientCount>,
    /// The records before and after, if they are the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<(String, String)>,
}

/// A client.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCount {
    /// Its address.
    pub address: IpAddr,
    /// The number of its questions.
    pub questions: u64,
}

impl Diff<'_> {
    /// The differences that were found.
    #[must_use]
    pub fn report(&self, size: ReportSize) -> DiffReport {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by(|(a, one), (b, other)| (other.count, a).cmp(&(one.count, b)));
        let is_log = self.types.is_none();
        let told = kinds.iter().take(size.kinds).map(|(kind, changed)| {
            let mut told = changed.report(self.types.as_ref(), size.names, is_log);
            kind.group.clone_into(&mut told.group);
            kind.old.clone_into(&mut told.old);
            kind.new.clone_into(&mut told.new);
            told.effect = kind.effect;
            told
        });
        let told = told.collect();
        let hidden = kinds.iter().skip(size.kinds);
        DiffReport {
            questions: self.asked,
            changed: self.changed,
            effects: ChangeEffect::ALL.map(|effect| self.count(effect)).to_vec(),
            kinds: told,
            other_questions: self.others + hidden.map(|(_, changed)| changed.count).sum::<u64>(),
        }
    }
}

impl Diff<'_> {
    /// The questions, names and clients with this effect.
    fn count(&self, effect: ChangeEffect) -> EffectCount {
        let kinds = self.kinds.iter().filter(|(kind, _)| kind.effect == effect);
        let (mut questions, mut names) = (0, BTreeSet::new());
        let mut clients: BTreeSet<&IpAddr> = BTreeSet::new();
        for (_, changed) in kinds {
            questions += changed.count;
            names.extend(changed.names.keys());
            clients.extend(changed.names.values().flat_map(|name| name.clients.keys()));
        }
        EffectCount {
            effect,
            questions,
            names: names.len(),
            clients: self.types.is_none().then_some(clients.len()),
        }
    }
}

impl Changed {
    /// The names; the caller adds the kind.
    fn report(
        &self,
        probed: Option<&BTreeSet<dnsgate_core::dns::RecordType>>,
        most: usize,
        is_log: bool,
    ) -> KindReport {
        // Sorted by the printed form, because names have no order of their own.
        let mut names: BTreeMap<_, _> = BTreeMap::new();
        for (name, changed) in &self.names {
            names.insert((u64::MAX - changed.count, name.to_string()), changed);
        }
        let mut left = self.count;
        let told = names.iter().take(most).map(|((_, name), changed)| {
            left -= changed.count;
            changed.report(name, probed, is_log)
        });
        let told: Vec<NameReport> = told.collect();
        let clients: BTreeSet<_> = self
            .names
            .values()
            .flat_map(|it| it.clients.keys())
            .collect();
        KindReport {
            effect: ChangeEffect::Otherwise,
            group: String::new(),
            old: String::new(),
            new: String::new(),
            questions: self.count,
            clients: is_log.then_some(clients.len()),
            other_names: names.len() - told.len(),
            names: told,
            other_questions: left,
        }
    }
}

impl ChangedName {
    fn report(
        &self,
        name: &str,
        probed: Option<&BTreeSet<dnsgate_core::dns::RecordType>>,
        is_log: bool,
    ) -> NameReport {
        let types = match probed {
            Some(probed) if *probed == self.types => vec!["any type".to_owned()],
            _ => self.types.iter().map(ToString::to_string).collect(),
        };
        let clients = self.clients.iter();
        let mut clients: Vec<_> = clients
            .map(|(&address, &questions)| ClientCount { address, questions })
            .collect();
        clients.sort_by_key(|client| (u64::MAX - client.questions, client.address));
        let count = clients.len();
        clients.truncate(TOP_CLIENTS);
        NameReport {
            name: name.to_owned(),
            types,
            questions: self.count,
            clients: is_log.then_some(count),
            top_clients: clients,
            records: self.records.clone(),
        }
    }
}

impl fmt::Display for DiffReport {
    /// A paragraph for each kind of change, the most frequent first, and a line with the totals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in &self.kinds {
            write!(f, "{kind}")?;
        }
        if self.other_questions > 0 {
            writeln!(
                f,
                "{} more, of other kinds of change\n",
                self.other_questions
            )?;
        }
        let Self {
            changed, questions, ..
        } = self;
        match questions {
            1 => writeln!(f, "{changed} of 1 question gets another verdict"),
            _ => writeln!(f, "{changed} of {questions} questions get another verdict"),
        }
    }
}

impl fmt::Display for KindReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            old,
            new,
            questions,
            ..
        } = self;
        write!(f, "{group}: {old} -> {new}: {questions}")?;
        match self.clients {
            Some(clients) => writeln!(f, ", from {}", plural(clients as u64, "client", "clients"))?,
            None => writeln!(f)?,
        }
        for name in &self.names {
            let NameReport {
                name: text,
                types,
                questions,
                records,
                ..
            } = name;
            write!(f, "  {questions:>8}  {text} {}", types.join(" "))?;
            if let Some((old, new)) = records {
                write!(f, ": {old} -> {new}")?;
            }
            writeln!(f)?;
        }
        if self.other_questions > 0 {
            writeln!(f, "  {:>8}  for other names", self.other_questions)?;
        }
        writeln!(f)
    }
}
