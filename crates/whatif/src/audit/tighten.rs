//! The configuration that allows what was used and no more, and the proof of both.
//!
//! Only what allows is tightened: rules with `forward` or `records`, and the domains of the Google
//! preset. Rules that deny, zones and groups stay. So does whatever the configuration's own tests
//! demand, whatever the evidence does not know, and a rule or name without which another rule would
//! decide.

use std::{collections::HashSet, io, net::IpAddr, path::Path};

use super::{
    Audited,
    edit::{Edits, ItemEdit},
    evidence::{Evidence, RuleEvidence},
    findings::{is_preset, ranges},
    names::{self, PatternUse, falls_to_another},
    places::Places,
};
use crate::{
    ask::{self, ClientQuestion, ask},
    learn::scalar,
    words::{plural, without_dot},
};
use dnsgate_config::{Config, OutlineNode, Report, listed_name};
use dnsgate_core::{
    dns::{Name, NameRef, RecordType, Transport},
    engine::{Ending, RuleId, Snapshot},
    policy::{Action, CnameMode, Pattern, Policy, Rule, RuleOrigin},
};

/// The types for which the proof asks whether something new is allowed.
const TYPES: [RecordType; 5] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::HTTPS,
    RecordType::MX,
    RecordType::TXT,
];

/// A tighter configuration.
#[derive(Clone, Debug)]
pub struct Tightened {
    /// Its text.
    pub text: String,
    /// What was changed, and what stays although it was not used, a sentence each.
    pub notes: Vec<String>,
    /// The number of questions of the proof.
    pub asked: u64,
}

/// Why there is no tighter configuration.
#[derive(Debug, thiserror::Error)]
pub enum TightenError {
    /// There is no evidence.
    #[error("there is no evidence to go by: name a page (--admin, --usage) or a log (--replay)")]
    NoEvidence,
    /// The edited text is not valid.
    #[error(
        "the tighter configuration is not valid, so nothing is written; edit by hand what the report says:\n{0}"
    )]
    Invalid(Report),
    /// The text cannot be edited.
    #[error("the text cannot be edited in place; edit by hand what the report says")]
    Text,
    /// The proof failed.
    #[error("the tighter configuration {0}, so nothing is written")]
    Proof(String),
    /// The list to prune is not told.
    #[error("{0}")]
    List(String),
    /// The list cannot be read.
    #[error("the list {0:?} cannot be read: {1}")]
    Read(String, io::Error),
}

/// The tighter configuration.
///
/// # Errors
/// [`TightenError`].
pub fn tightened(audited: &Audited<'_>, evidence: &Evidence) -> Result<Tightened, TightenError> {
    if evidence.is_empty() {
        return Err(TightenError::NoEvidence);
    }
    let config = audited.config;
    let old = of(config);
    let needed = evidence.with_tests(&config.cases, (&old, audited.now));
    let places = Places::new(audited.file, audited.text);
    let mut task = Tightening {
        audited,
        evidence: &needed,
        places: &places,
        edits: Edits::default(),
        notes: Vec::new(),
    };
    task.rules();
    task.preset();
    let notes = task.notes;
    let text = match task.edits.is_empty() {
        true => audited.text.to_owned(),
        false => task.edits.apply(audited.text).ok_or(TightenError::Text)?,
    };
    let dir = Path::new(audited.file).parent().unwrap_or(Path::new(""));
    let tight = dnsgate_config::parse(&text, audited.file, dir).map_err(TightenError::Invalid)?;
    let new = of(&tight);
    let asked = prove(&old, &new, (&needed, audited))?;
    Ok(Tightened { text, notes, asked })
}

fn of(config: &Config) -> Snapshot {
    ask::snapshot(
        config.policy.clone(),
        config.zones.clone(),
        config.upstreams.len(),
    )
}

struct Tightening<'t> {
    audited: &'t Audited<'t>,
    evidence: &'t Evidence,
    places: &'t Places<'t>,
    edits: Edits,
    notes: Vec<String>,
}

impl Tightening<'_> {
    fn policy(&self) -> &Policy {
        &self.audited.config.policy
    }

    fn rules(&mut self) {
        let Some(root) = dnsgate_config::outline(self.audited.text) else {
            return;
        };
        let Some(list) = root.get("rules") else {
            return;
        };
        let audited = self.audited;
        let policy = &audited.config.policy;
        let patterns = names::by_rule(policy, self.evidence, audited.now);
        // A log does not show to which rules an upstream's aliases led.
        let is_strict = |(id, rule): (RuleId, &Rule)| {
            let forwards =
                matches!(&rule.action, Action::Forward(it) if it.cname == CnameMode::Allowed);
            forwards && self.evidence.rule(id).is_some_and(|known| known.count > 0)
        };
        let mut numbered = (0..).map(RuleId).zip(policy.rules());
        let blind = !self.evidence.has_page() && numbered.any(is_strict);
        let mut removed = Vec::new();
        for (at, item) in list.items().iter().enumerate() {
            let name = item
                .get("name")
                .and_then(OutlineNode::text)
                .unwrap_or_default();
            let mut rules = (0..).map(RuleId).zip(policy.rules());
            let Some((id, rule)) = rules.find(|(_, rule)| &*rule.name == name) else {
                continue;
            };
            let (Some(known), Some(used)) = (self.evidence.rule(id), patterns.get(id.0 as usize))
            else {
                continue;
            };
            if !rule.action.allows() {
                continue;
            }
            if !known.is_known {
                self.note(format!(
                    "rule {name} stays: the page /usage does not know it"
                ));
            } else if blind && matches!(rule.action, Action::Forward(_)) {
                self.note(format!("rule {name} stays as it is: a rule has `cname: allowed`, and a log does not show where aliases led; take the page /usage for it"));
            } else if known.count == 0 && known.used.is_empty() {
                if used.used.is_empty() {
                    let why = format!("rule {name} is gone: not used");
                    self.note(why.clone());
                    removed.push((at, why));
                } else {
                    self.note(format!("rule {name} stays although it was not used: without it another rule would decide"));
                }
            } else {
                self.rule(item, rule, known, used);
            }
        }
        if !removed.is_empty() {
            self.edits.remove(self.audited.text, list, &removed);
        }
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Tightens a rule that is in use.
    fn rule(&mut self, item: &OutlineNode, rule: &Rule, known: &RuleEvidence, used: &PatternUse) {
        self.domains(item, rule, used);
        let text = self.audited.text;
        if let Some(listed) = rule.types.listed() {
            let kept: Vec<_> = listed
                .iter()
                .filter(|it| known.types.contains(it))
                .collect();
            if !kept.is_empty() && kept.len() < listed.len() && !known.other_types {
                let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
                let kept = format!("[{}]", kept.join(", "));
                self.edits.set(text, item, ("types", "name"), &kept);
                self.note(format!("rule {}: types: {kept}", rule.name));
            }
        }
        if let Some((_, kept)) = ranges(rule, known) {
            let kept: Vec<_> = kept.iter().map(|it| quoted_range(it)).collect();
            let kept = format!("[{}]", kept.join(", "));
            self.edits.set(text, item, ("addresses", "name"), &kept);
            self.note(format!("rule {}: addresses: {kept}", rule.name));
        }
        if let Action::Forward(forwarding) = &rule.action
            && forwarding.cname == CnameMode::Any
            && known.aliases == Some((true, false))
        {
            self.edits.set(text, item, ("cname", "name"), "allowed");
            self.note(format!("rule {}: cname: allowed", rule.name));
        }
    }

    /// Takes away names that nobody asked for, and writes names for subtrees.
    fn domains(&mut self, item: &OutlineNode, rule: &Rule, used: &PatternUse) {
        let unused: HashSet<&Pattern> = used.unused.iter().collect();
        if item.get("domains_file").is_some() && !unused.is_empty() {
            self.note(format!("rule {}: its list stays; `audit --prune OUT` writes it without the names that nobody asked for", rule.name));
        }
        let Some(list) = item.get("domains") else {
            return;
        };
        let mut kept = 0;
        let mut changes = Vec::new();
        let mut edits: Vec<ItemEdit> = Vec::new();
        for node in list.items() {
            let pattern = node.text().and_then(|text| text.parse::<Pattern>().ok());
            let narrow = used
                .narrow
                .iter()
                .find(|(it, _)| Some(it) == pattern.as_ref());
            edits.push(match (pattern, narrow) {
                (Some(pattern), _) if unused.contains(&pattern) => {
                    changes.push(format!("{pattern} is gone"));
                    ItemEdit::Replace(Vec::new())
                }
                (Some(pattern), Some((_, names))) => {
                    kept += names.len();
                    let mut names: Vec<_> = names.keys().map(without_dot).collect();
                    names.sort_unstable();
                    changes.push(format!("{pattern} is now {}", names.join(", ")));
                    let names = names.iter().map(|it| scalar(it).into_owned());
                    ItemEdit::Replace(names.collect())
                }
                _ => {
                    kept += 1;
                    ItemEdit::Keep
                }
            });
        }
        if changes.is_empty() || kept == 0 {
            return;
        }
        self.edits.list(self.audited.text, list, &edits);
        self.note(format!("rule {}: {}", rule.name, changes.join(", ")));
    }

    /// Takes domains out of the preset that nobody asked for.
    fn preset(&mut self) {
        let Some(root) = dnsgate_config::outline(self.audited.text) else {
            return;
        };
        let google = root.get("google_apis");
        let Some(list) = google.and_then(|google| google.get("domains")) else {
            return;
        };
        let policy = self.policy();
        let is_unused = |node: &OutlineNode| {
            let mut rules = (0..).map(RuleId).zip(policy.rules());
            let own = rules.find(|(_, rule)| {
                is_preset(rule)
                    && self
                        .places
                        .is_of_preset(rule, node.text().unwrap_or_default())
            });
            let Some((id, _)) = own else { return false };
            let known = self.evidence.rule(id);
            let falls = || {
                let mut own = policy.entries(|_| true).filter(|(_, rule, _)| *rule == id);
                own.any(|(_, _, it)| falls_to_another(policy, id, &it, self.audited.now))
            };
            known.is_some_and(|it| it.is_known && it.count == 0 && it.used.is_empty()) && !falls()
        };
        let unused: Vec<bool> = list.items().iter().map(is_unused).collect();
        if unused.iter().all(|it| *it) || !unused.contains(&true) {
            return;
        }
        let edits = unused.iter().map(|it| match it {
            true => ItemEdit::Replace(Vec::new()),
            false => ItemEdit::Keep,
        });
        self.edits
            .list(self.audited.text, list, &edits.collect::<Vec<_>>());
        let gone = list
            .items()
            .iter()
            .zip(&unused)
            .filter(|(_, unused)| **unused);
        let gone: Vec<_> = gone.filter_map(|(node, _)| node.text()).collect();
        self.note(format!(
            "google_apis: {} is gone: not used",
            gone.join(", ")
        ));
    }
}

/// An address range as YAML: with a colon it needs quotes.
fn quoted_range(range: &str) -> String {
    match range.contains(':') {
        true => format!("\"{range}\""),
        false => range.to_owned(),
    }
}

/// Shows that the new configuration denies nothing that was used, and allows nothing new. Returns
/// the number of questions asked of both.
fn prove(
    old: &Snapshot,
    new: &Snapshot,
    (evidence, audited): (&Evidence, &Audited<'_>),
) -> Result<u64, TightenError> {
    let policy = old.policy();
    let mut clients: Vec<IpAddr> = policy.range_starts().collect();
    clients.sort_unstable();
    let mut seen = HashSet::new();
    clients.retain(|&client| policy.admit(client).is_some() && seen.insert(policy.admit(client)));
    let mut asked = 0;
    let mut allows = |on: &Snapshot, name: NameRef<'_>, rtype, source| {
        asked += 1;
        let question = ClientQuestion {
            name,
            rtype,
            source,
            transport: Transport::Udp,
        };
        let outcome = ask(question, on, audited.now).outcome;
        let allowed = matches!(outcome.ending(), Ending::Answered | Ending::Forwarded);
        (allowed, outcome.used.question.map(|(rule, _)| rule))
    };
    for (id, rule) in (0..).map(RuleId).zip(policy.rules()) {
        let Some(known) = evidence
            .rule(id)
            .filter(|_| rule.origin == RuleOrigin::Configured)
        else {
            continue;
        };
        let exact = known.used.iter().filter_map(|pattern| match pattern {
            Pattern::Exact(name) => Some(name),
            Pattern::Subtree(_) | Pattern::Below(_) => None,
        });
        for name in known
            .names
            .values()
            .flat_map(|names| names.keys())
            .chain(exact)
        {
            for (&rtype, &client) in known
                .types
                .iter()
                .flat_map(|it| clients.iter().map(move |client| (it, client)))
            {
                let before = allows(old, name.as_ref(), rtype, client);
                let is_own = before.1 == Some(id) && before.0;
                if is_own && !allows(new, name.as_ref(), rtype, client).0 {
                    let told = format!("would deny {} {rtype}, which was used", without_dot(name));
                    return Err(TightenError::Proof(told));
                }
            }
        }
    }
    let below = |name: &Name| format!("dnsgate-audit.{name}").parse::<Name>().ok();
    for name in policy.names().chain(new.policy().names()) {
        for name in [Some(name.clone()), below(&name)].into_iter().flatten() {
            for (rtype, &client) in TYPES
                .iter()
                .flat_map(|it| clients.iter().map(move |client| (*it, client)))
            {
                if allows(new, name.as_ref(), rtype, client).0
                    && !allows(old, name.as_ref(), rtype, client).0
                {
                    let told = format!("would allow {} {rtype}", without_dot(&name));
                    return Err(TightenError::Proof(told));
                }
            }
        }
    }
    Ok(asked)
}

/// A list of names without those that nobody asked for: its path as the configuration has it, the new
/// text, and the number of names that are gone. `rule` is needed if several rules have a list.
///
/// # Errors
/// [`TightenError`].
pub fn pruned(
    audited: &Audited<'_>,
    evidence: &Evidence,
    rule: Option<&str>,
    read: impl FnOnce(&str) -> io::Result<String>,
) -> Result<(String, String, usize), TightenError> {
    if evidence.is_empty() {
        return Err(TightenError::NoEvidence);
    }
    let root = dnsgate_config::outline(audited.text).ok_or(TightenError::Text)?;
    let rules = root
        .get("rules")
        .map(OutlineNode::items)
        .unwrap_or_default();
    let name = |node: &OutlineNode| node.get("name")?.text().map(str::to_owned);
    let lists = rules
        .iter()
        .filter_map(|node| Some((name(node)?, node.get("domains_file")?.text()?.to_owned())));
    let lists: Vec<_> = lists.collect();
    let wanted = lists
        .iter()
        .filter(|(name, _)| rule.is_none_or(|rule| rule == name));
    let wanted: Vec<_> = wanted.collect();
    let [(name, path)] = wanted.as_slice() else {
        let names: Vec<_> = lists.iter().map(|(name, _)| name.as_str()).collect();
        return Err(TightenError::List(match names.as_slice() {
            [] => "no rule has a `domains_file` to prune".to_owned(),
            names => format!(
                "say which list to prune: --rule NAME; rules with a list: {}",
                names.join(", ")
            ),
        }));
    };
    let policy = &audited.config.policy;
    let mut found = (0..).map(RuleId).zip(policy.rules());
    let id = found
        .find(|(_, rule)| *rule.name == **name)
        .map(|(id, _)| id);
    let id = id.ok_or(TightenError::Text)?;
    if evidence
        .rule(id)
        .is_none_or(|known| !known.is_known || !known.used_complete)
    {
        let why = format!("the evidence does not know every used name of rule {name}");
        return Err(TightenError::List(why));
    }
    let old = of(audited.config);
    let needed = evidence.with_tests(&audited.config.cases, (&old, audited.now));
    let patterns = names::by_rule(policy, &needed, audited.now);
    let unused = patterns
        .get(id.0 as usize)
        .map(|it| it.unused.iter().collect());
    let unused: HashSet<&Pattern> = unused.unwrap_or_default();
    let text = read(path).map_err(|error| TightenError::Read(path.clone(), error))?;
    let mut gone = 0;
    let kept = text.split_inclusive('\n').filter(|line| {
        let pattern = listed_name(line).and_then(|name| name.parse::<Pattern>().ok());
        let goes = pattern.is_some_and(|pattern| unused.contains(&pattern));
        gone += usize::from(goes);
        !goes
    });
    let kept: String = kept.collect();
    if kept.lines().all(|line| listed_name(line).is_none()) {
        let why = format!(
            "nobody asked for any of the {} of rule {name}: remove the rule instead",
            plural(gone as u64, "name", "names")
        );
        return Err(TightenError::List(why));
    }
    Ok((path.clone(), kept, gone))
}
