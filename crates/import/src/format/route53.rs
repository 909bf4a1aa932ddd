//! Route 53 Resolver DNS Firewall, as the AWS CLI prints it: `list-firewall-rules` has the rules, `list-firewall-domains` a list's
//! names (or a text file with one name a line). A list is found by its id or name in the name of its file.
//!
//! Rules are looked at by ascending priority, and the first match decides (Developer Guide, "Rule settings"). `*.x` is every name
//! below x. What no rule matches is resolved. ALERT is not taken for an end of the search here: the documentation does not
//! say that no later rule can block, and so a later BLOCK does.

use std::collections::HashMap;

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

use crate::{
    ImportError, Kept, Place, SourceFile,
    draft::{Draft, Said},
    report::short,
    shape::{self, Shape, Star},
    statement::{Effect, Resolver},
    tree::{self, Tree},
};

/// The names of a list, with their lines.
type DomainList = Vec<(String, Place)>;

pub(crate) fn read(sources: &[SourceFile], draft: &mut Draft<'_>) -> Result<(), ImportError> {
    let mut rules: Vec<Tree> = Vec::new();
    let mut lists: HashMap<String, DomainList> = HashMap::new();
    // The names of lists by their ids, from the output of list-firewall-domain-lists.
    let mut ids: HashMap<String, String> = HashMap::new();
    for source in sources {
        let stem = file_stem(&source.name);
        if !source.text.trim_start().starts_with(['{', '[']) {
            let names = source
                .lines()
                .map(|(number, line)| (line.trim().to_owned(), Place::line(&source.name, number)));
            lists.insert(
                stem,
                names
                    .filter(|(name, _)| !name.is_empty() && !name.starts_with('#'))
                    .collect(),
            );
            continue;
        }
        for document in tree::read(source)? {
            rules.extend(document.list_of("FirewallRules").iter().cloned());
            if let Some(one) = document.get("FirewallRule") {
                rules.push(one.clone());
            }
            if document
                .items()
                .iter()
                .any(|item| item.get("Priority").is_some())
            {
                rules.extend(document.items().iter().cloned());
            }
            for list in document
                .list_of("FirewallDomainLists")
                .iter()
                .chain(document.get("FirewallDomainList"))
            {
                if let (Some(id), Some(name)) = (list.text_of("Id"), list.text_of("Name")) {
                    ids.insert(id.to_owned(), name.to_owned());
                }
            }
            if document.get("Domains").is_some() {
                let names = document.list_of("Domains").iter();
                let names =
                    names.filter_map(|name| Some((name.text()?.to_owned(), name.place.clone())));
                lists.insert(stem.clone(), names.collect());
            }
        }
    }
    let Some(source) = sources.first() else {
        return Ok(());
    };
    let place = Place::line(&source.name, 1);
    if rules.is_empty() {
        let why = "these are lists without rules: what is done with them stands in the output of aws route53resolver list-firewall-rules".to_owned();
        return Err(ImportError::Content { place, why });
    }
    let layers = state(rules, &lists, &ids, draft)?;
    draft.default_allow(
        &place,
        "every name that no rule of the firewall matches",
        Resolver::OPERATOR,
        layers,
    );
    Ok(())
}

fn file_stem(name: &str) -> String {
    let stem = std::path::Path::new(name).file_stem();
    stem.map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn state(
    mut rules: Vec<Tree>,
    lists: &HashMap<String, DomainList>,
    ids: &HashMap<String, String>,
    draft: &mut Draft<'_>,
) -> Result<u32, ImportError> {
    let mut priorities: Vec<(u64, String)> = Vec::new();
    for rule in &rules {
        let priority = rule
            .text_of("Priority")
            .and_then(|priority| priority.parse::<u64>().ok());
        let group = rule
            .text_of("FirewallRuleGroupId")
            .unwrap_or_default()
            .to_owned();
        let Some(priority) = priority else {
            let why = "a rule has no priority, so the order of the rules cannot be told".to_owned();
            return Err(ImportError::Content {
                place: rule.place.clone(),
                why,
            });
        };
        if priorities
            .iter()
            .any(|(other, of)| *other == priority && *of == group)
        {
            let why = format!(
                "two rules have the priority {priority}, so the order of the rules cannot be told"
            );
            return Err(ImportError::Content {
                place: rule.place.clone(),
                why,
            });
        }
        if priorities.first().is_some_and(|(_, first)| *first != group) {
            let why = "the rules are of several rule groups, whose order stands in their associations with a VPC; import one group at a time".to_owned();
            return Err(ImportError::Content {
                place: rule.place.clone(),
                why,
            });
        }
        priorities.push((priority, group));
    }
    rules.sort_by_key(|rule| {
        rule.text_of("Priority")
            .and_then(|priority| priority.parse::<u64>().ok())
    });
    let mut layer = 0;
    for rule in &rules {
        one(rule, layer, lists, ids, draft);
        layer += 1;
    }
    Ok(layer)
}

fn one(
    rule: &Tree,
    layer: u32,
    lists: &HashMap<String, DomainList>,
    ids: &HashMap<String, String>,
    draft: &mut Draft<'_>,
) {
    let name = rule.text_of("Name").unwrap_or("rule").to_owned();
    let action = rule.text_of("Action").unwrap_or_default();
    let what = format!("{name} ({action})");
    let types = match rule.text_of("Qtype").map(str::parse::<RecordType>) {
        None => None,
        Some(Ok(rtype)) => Some([rtype].into()),
        Some(Err(error)) => return unknown(rule, layer, what, &error.to_string(), draft),
    };
    let id = rule.text_of("FirewallDomainListId").unwrap_or_default();
    let list = lists.get(id).or_else(|| lists.get(ids.get(id)?));
    let effect = match action {
        "ALERT" => {
            let why = "it only writes an alert; a name that it matches is let through if another rule allows it";
            draft.narrower(&rule.place, what, why, "dnsgate logs queries: log");
            return;
        }
        "ALLOW" => Effect::Forward(Resolver {
            cname_allowed: rule.text_of("FirewallDomainRedirectionAction")
                != Some("TRUST_REDIRECTION_DOMAIN"),
            ..Resolver::OPERATOR
        }),
        "BLOCK" => match blocked(rule) {
            Ok(effect) => effect,
            Err(why) => return unknown(rule, layer, what, &why, draft),
        },
        other => {
            let why = format!("there is no action {:?}", short(other));
            return unknown(rule, layer, what, &why, draft);
        }
    };
    let Some(list) = list else {
        let why = match rule.text_of("DnsThreatProtection") {
            Some(kind) => format!("AWS finds its names by itself ({})", short(kind)),
            None => format!(
                "its list {} is in none of the files; lists that AWS manages cannot be exported",
                short(id)
            ),
        };
        return match action {
            "ALLOW" => {
                let advice = "export the list to a file named like its id: aws route53resolver list-firewall-domains --firewall-domain-list-id ID > ID.json";
                draft.left_out(&rule.place, what, &why, advice);
            }
            _ => unknown(rule, layer, what, &why, draft),
        };
    };
    let item = draft.kept(&rule.place, what);
    for (text, place) in list {
        let pattern = match shape::read(text, Star::AnyDepth) {
            Ok(Shape::Is(Pattern::Below(name))) if name.as_ref().is_root() => {
                Pattern::Subtree(name)
            }
            Ok(Shape::Is(pattern)) => pattern,
            Ok(Shape::Within { above, why }) => {
                refuse(item, text, place, why, above, layer, &effect, draft);
                continue;
            }
            Err(bad) => {
                refuse(
                    item, text, place, &bad.why, bad.above, layer, &effect, draft,
                );
                continue;
            }
        };
        let mut said = Said::new(&*name, pattern, effect.clone(), layer);
        said.types.clone_from(&types);
        draft.state(place, Some(item), said);
    }
}

/// A block whose names or meaning are not known: nothing that comes after it is let through.
fn unknown(rule: &Tree, layer: u32, what: String, why: &str, draft: &mut Draft<'_>) {
    let advice = "no later rule is let through, because this one could have blocked its names; leave it out at its source, or add its list as a file named like its id";
    draft.left_out(&rule.place, what, why, advice);
    draft.close(&rule.place, Name::root(), layer);
}

#[expect(
    clippy::too_many_arguments,
    reason = "one name of a list, and all that is known about its rule"
)]
fn refuse(
    item: usize,
    text: &str,
    place: &Place,
    why: &str,
    above: Name,
    layer: u32,
    effect: &Effect,
    draft: &mut Draft<'_>,
) {
    let why = format!("{:?} at {place}: {why}", short(text));
    draft.lower(
        Some(item),
        Kept::LeftOut,
        &why,
        "correct the name in the list",
    );
    if !matches!(effect, Effect::Forward(_)) {
        draft.close(place, above, layer);
    }
}

fn blocked(rule: &Tree) -> Result<Effect, String> {
    match rule.text_of("BlockResponse") {
        Some("NXDOMAIN") => Ok(Effect::Deny(Some(DenyWith::NxDomain))),
        Some("NODATA") | None => Ok(Effect::Deny(Some(DenyWith::NoData))),
        Some("OVERRIDE") => {
            let target = rule.text_of("BlockOverrideDomain").unwrap_or_default();
            let target = shape::plain(target)
                .map_err(|error| format!("its override is no name: {error}"))?;
            let ttl = rule
                .text_of("BlockOverrideTtl")
                .and_then(|ttl| ttl.parse::<u32>().ok())
                .unwrap_or(0);
            Ok(Effect::Answer(vec![format!("{ttl} CNAME {target}")]))
        }
        Some(other) => Err(format!("there is no response {:?}", short(other))),
    }
}
