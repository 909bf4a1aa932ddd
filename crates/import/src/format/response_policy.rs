//! Response policies of Cloud DNS: the rules as `gcloud dns response-policies rules list --format=json` prints them, and the YAML map
//! of Terraform landing zones.
//!
//! The rule with the longest matching suffix decides (reference of responsePolicyRules). `*.x` is every name below x. What no
//! rule matches, and what a rule bypasses, is resolved as if there were no policy.

use std::collections::BTreeMap;

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
    zone::parse_record,
};

use crate::{
    ImportError, Kept, Place, SourceFile,
    draft::{Draft, Said, answer_of},
    report::short,
    shape::{self, Shape, Star},
    statement::{Effect, Resolver, ZoneLine},
    tree::{self, Tree},
};

/// Rules may have records of every type but these.
const NOT_LOCAL: [RecordType; 2] = [RecordType::SOA, RecordType::NS];

/// A rule of either form.
struct PolicyRule<'t> {
    name: String,
    place: &'t Place,
    dns_name: &'t str,
    behavior: Option<&'t str>,
    /// The owner (in the API's form), the type, the TTL and the data.
    data: Vec<(Option<&'t str>, &'t str, Option<&'t str>, &'t Tree)>,
}

pub(crate) fn read(sources: &[SourceFile], draft: &mut Draft<'_>) -> Result<(), ImportError> {
    draft.keep_metadata = true;
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    for source in sources {
        for document in tree::read(source)? {
            for found in rules(&document) {
                match found {
                    Ok(rule) => one(&rule, &mut seen, draft),
                    Err((place, what, why)) => {
                        draft.left_out(
                            place,
                            what,
                            why,
                            "write it as rules list --format=json does",
                        );
                        draft.close(place, Name::root(), 0);
                    }
                }
            }
        }
    }
    if let Some(source) = sources.first() {
        let place = Place::line(&source.name, 1);
        draft.default_allow(
            &place,
            "every name that no rule of the policy matches",
            Resolver::OPERATOR,
            1,
        );
    }
    Ok(())
}

type Found<'t> = Result<PolicyRule<'t>, (&'t Place, String, &'static str)>;

/// The rules of a document: a list, one rule, or a map from names to rules.
fn rules(document: &Tree) -> Vec<Found<'_>> {
    if document.is_map() && document.get("dnsName").is_some() {
        return vec![api_rule(document)];
    }
    let listed = document.list_of("responsePolicyRules");
    let items = if listed.is_empty() {
        document.items()
    } else {
        listed
    };
    if !items.is_empty() {
        return items.iter().map(api_rule).collect();
    }
    let map = document
        .get("rules")
        .filter(|rules| rules.is_map())
        .unwrap_or(document);
    map.entries()
        .iter()
        .map(|(name, rule)| mapped_rule(name, rule))
        .collect()
}

fn api_rule(rule: &Tree) -> Found<'_> {
    let Some(dns_name) = rule.text_of("dnsName") else {
        return Err((&rule.place, "a rule".to_owned(), "it has no dnsName"));
    };
    let name = rule.text_of("ruleName").unwrap_or(dns_name).to_owned();
    let mut data = Vec::new();
    for set in rule
        .get("localData")
        .map_or(&[][..], |data| data.list_of("localDatas"))
    {
        let (Some(rtype), Some(rrdatas)) = (set.text_of("type"), set.get("rrdatas")) else {
            return Err((&set.place, name, "its local data has no type or no rrdatas"));
        };
        data.push((set.text_of("name"), rtype, set.text_of("ttl"), rrdatas));
    }
    Ok(PolicyRule {
        name,
        place: &rule.place,
        dns_name,
        behavior: rule.text_of("behavior"),
        data,
    })
}

/// In the factory's map a rule without local data bypasses the policy.
fn mapped_rule<'t>(name: &str, rule: &'t Tree) -> Found<'t> {
    let Some(dns_name) = rule.text_of("dns_name") else {
        return Err((&rule.place, name.to_owned(), "it has no dns_name"));
    };
    let mut data = Vec::new();
    let sets = rule.get("local_data");
    for (rtype, set) in sets.map_or(&[][..], Tree::entries) {
        let Some(rrdatas) = set.get("rrdatas") else {
            return Err((&set.place, name.to_owned(), "its local data has no rrdatas"));
        };
        data.push((None, &**rtype, set.text_of("ttl"), rrdatas));
    }
    let behavior = match data.is_empty() {
        true => rule.text_of("behavior").or(Some(BYPASS)),
        false => None,
    };
    Ok(PolicyRule {
        name: name.to_owned(),
        place: &rule.place,
        dns_name,
        behavior,
        data,
    })
}

const BYPASS: &str = "bypassResponsePolicy";

fn one(rule: &PolicyRule<'_>, seen: &mut BTreeMap<String, Place>, draft: &mut Draft<'_>) {
    let what = format!("{} {}", rule.name, rule.dns_name);
    let place = rule.place;
    let pattern = match shape::read(rule.dns_name, Star::AnyDepth) {
        Ok(Shape::Is(pattern)) => pattern,
        Ok(Shape::Within { above, why }) => return refuse(draft, place, what, why, above),
        Err(bad) => return refuse(draft, place, what, &bad.why, bad.above),
    };
    if let Some(first) = seen.insert(pattern.to_string(), place.clone()) {
        let why =
            format!("another rule has this name, at {first}; which of them holds cannot be told");
        let item = draft.left_out(place, what, &why, "keep one of them");
        let said = Said::new(&*rule.name, pattern, Effect::Deny(None), 0);
        return draft.state(place, Some(item), said);
    }
    let mut said = Said::new(&*rule.name, pattern.clone(), Effect::Deny(None), 0);
    match rule.behavior {
        Some(BYPASS) if rule.data.is_empty() => {
            said.effect = Effect::Forward(Resolver::OPERATOR);
            let item = draft.kept(place, what);
            draft.state(place, Some(item), said);
        }
        None | Some("behaviorUnspecified") if !rule.data.is_empty() => {
            data(rule, &pattern, what, said, draft)
        }
        Some(other) if other != BYPASS => {
            let why = format!("there is no behavior {:?}", short(other));
            let item = draft.left_out(place, what, &why, "its name is denied");
            draft.state(place, Some(item), said);
        }
        _ => {
            let why = "it has neither local data nor a behavior, or both";
            let item = draft.left_out(place, what, why, "its name is denied");
            draft.state(place, Some(item), said);
        }
    }
}

fn refuse(draft: &mut Draft<'_>, place: &Place, what: String, why: &str, above: Name) {
    draft.left_out(
        place,
        what,
        why,
        "correct the name; what is below the part of it that can be read is denied",
    );
    draft.close(place, above, 0);
}

/// A rule with local data.
fn data(
    rule: &PolicyRule<'_>,
    pattern: &Pattern,
    what: String,
    mut said: Said,
    draft: &mut Draft<'_>,
) {
    let item = draft.kept(rule.place, what);
    let mut records = Vec::new();
    for &(owner, rtype, ttl, rrdatas) in &rule.data {
        if owner.is_some_and(|owner| !same_name(owner, pattern)) {
            let why = format!(
                "its data is for {}, and its rule for {}",
                short(owner.unwrap_or_default()),
                rule.dns_name
            );
            draft.lower(
                Some(item),
                Kept::LeftOut,
                &why,
                "make both names equal; the rule's name is denied",
            );
            continue;
        }
        for data in rrdatas.items() {
            let text = format!(
                "@ {} {rtype} {}",
                ttl.unwrap_or("300"),
                data.text().unwrap_or_default()
            );
            match record(&text, &data.place) {
                Ok(line) => records.push(answer_of(&line)),
                Err(why) => draft.lower(Some(item), Kept::LeftOut, &why, "correct the record"),
            }
        }
    }
    said.effect = match records.is_empty() {
        true => Effect::Deny(Some(DenyWith::NoData)),
        false => Effect::Answer(records),
    };
    draft.state(rule.place, Some(item), said);
}

fn same_name(owner: &str, pattern: &Pattern) -> bool {
    matches!(shape::read(owner, Star::AnyDepth), Ok(Shape::Is(other)) if other == *pattern)
}

fn record(text: &str, place: &Place) -> Result<ZoneLine, String> {
    let record = parse_record(text, &Name::root()).map_err(|fault| short(&fault.message))?;
    if NOT_LOCAL.contains(&record.rtype) {
        return Err(format!("local data cannot have {} records", record.rtype));
    }
    Ok(ZoneLine {
        place: place.clone(),
        owner: record.owner,
        ttl: record.ttl,
        rtype: record.rtype,
        rdata: record.rdata,
    })
}
