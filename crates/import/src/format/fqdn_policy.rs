//! Egress policies by name of Kubernetes clusters: CiliumNetworkPolicy, both FQDNNetworkPolicy schemas of GKE, and
//! ClusterNetworkPolicy (AdminNetworkPolicy).
//!
//! They allow only. Which workloads a policy is for becomes client groups by the table that the operator gives. What `*` means
//! differs: one label in Cilium's `matchPattern` and in GKE's `pattern`, any depth in `domainNames`. Cilium's `**.` meant one label
//! before 1.19 and means any depth since; a file does not say which Cilium reads it.

use std::collections::BTreeSet;

use dnsgate_core::policy::Pattern;

use crate::{
    ImportError, Place, SourceFile,
    draft::{Draft, Said, label},
    report::short,
    shape::{self, Shape, Star},
    statement::{Effect, Groups, Resolver},
    tree::{self, Tree},
};

pub(crate) fn read(sources: &[SourceFile], draft: &mut Draft<'_>) -> Result<(), ImportError> {
    for source in sources {
        for document in tree::read(source)? {
            match document.get("items") {
                Some(items) => items
                    .items()
                    .iter()
                    .for_each(|policy| self::policy(policy, draft)),
                None => policy(&document, draft),
            }
        }
    }
    Ok(())
}

/// One policy: its name, and the workloads that it is for.
struct PolicyOf {
    name: String,
    groups: Option<Groups>,
}

fn policy(document: &Tree, draft: &mut Draft<'_>) {
    let kind = document.text_of("kind").unwrap_or_default();
    let metadata = document.get("metadata");
    let name = metadata
        .and_then(|metadata| metadata.text_of("name"))
        .unwrap_or("policy");
    let what = format!("{kind} {name}");
    let specs: Vec<&Tree> = document
        .get("spec")
        .into_iter()
        .chain(document.list_of("specs"))
        .collect();
    match kind {
        "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy" => {
            for spec in specs {
                if spec.get("nodeSelector").is_some() {
                    draft.left_out(
                        &spec.place,
                        &*what,
                        "it is for nodes, not for workloads",
                        "",
                    );
                    continue;
                }
                let policy = policy_of(
                    name,
                    spec.get("endpointSelector"),
                    &spec.place,
                    &what,
                    draft,
                );
                cilium(spec, &policy, draft);
            }
        }
        "FQDNNetworkPolicy" => {
            for spec in specs {
                let policy = policy_of(name, spec.get("podSelector"), &spec.place, &what, draft);
                gke(spec, &policy, draft);
            }
        }
        "ClusterNetworkPolicy" | "AdminNetworkPolicy" => {
            for spec in specs {
                let pods = spec.get("subject").and_then(|subject| subject.get("pods"));
                let selector = match (spec.get("subject"), pods) {
                    (Some(subject), None) => subject.get("namespaces"),
                    (_, Some(pods)) => pods
                        .get("podSelector")
                        .filter(|selector| !is_everything(selector))
                        .or_else(|| pods.get("namespaceSelector")),
                    (None, None) => None,
                };
                let policy = policy_of(name, selector, &spec.place, &what, draft);
                cluster(spec, &policy, draft);
            }
        }
        "NetworkPolicy" => {
            draft.left_out(
                &document.place,
                what,
                "it is about addresses, not names",
                "",
            );
        }
        _ => {
            let why = format!(
                "{:?} is not a policy by names that is known here",
                short(kind)
            );
            draft.left_out(&document.place, what, &why, "");
        }
    }
}

fn is_everything(selector: &Tree) -> bool {
    selector.entries().is_empty()
}

/// The groups of a selector: every label of it must be in the operator's table.
fn policy_of(
    name: &str,
    selector: Option<&Tree>,
    place: &Place,
    what: &str,
    draft: &mut Draft<'_>,
) -> PolicyOf {
    let name = label(name);
    let Some(selector) = selector.filter(|selector| !is_everything(selector)) else {
        return PolicyOf {
            name,
            groups: Some(None),
        };
    };
    let labels: Vec<String> = selector
        .get("matchLabels")
        .map_or(&[][..], Tree::entries)
        .iter()
        .map(|(key, value)| format!("{key}={}", value.text().unwrap_or_default()))
        .collect();
    let advice = |label: &str| {
        format!(
            "name the addresses of these workloads: --group {}=CIDR",
            short(label)
        )
    };
    if selector.get("matchExpressions").is_some() || labels.is_empty() {
        let why =
            "its selector is more than labels with values, and a group is a range of addresses";
        draft.left_out(place, what, why, "write the rule by hand");
        return PolicyOf { name, groups: None };
    }
    // All labels must hold, so the workloads are in the range of each of them; the table may have the whole selector, too.
    let whole = labels.join(",");
    let known = draft
        .options
        .groups
        .iter()
        .filter(|(label, _)| *label == whole);
    let ranges: Vec<_> = known.map(|(_, range)| *range).collect();
    let told = (!ranges.is_empty()).then_some((whole.clone(), ranges));
    let told = told.or_else(|| {
        let [only] = &*labels else {
            return None;
        };
        let bare = only
            .strip_prefix("k8s:")
            .or_else(|| only.strip_prefix("any:"))
            .unwrap_or(only);
        let known = draft
            .options
            .groups
            .iter()
            .filter(|(label, _)| label == bare);
        let ranges: Vec<_> = known.map(|(_, range)| *range).collect();
        (!ranges.is_empty()).then(|| (bare.to_owned(), ranges))
    });
    let Some((label_text, ranges)) = told else {
        let why = format!(
            "which addresses its workloads ({}) have does not stand in it",
            short(&whole)
        );
        draft.left_out(place, what, &why, &advice(&whole));
        return PolicyOf { name, groups: None };
    };
    let group = label(&label_text.replace('=', "-"));
    draft.groups.insert(group.clone(), ranges);
    PolicyOf {
        name,
        groups: Some(Some(BTreeSet::from([group]))),
    }
}

/// One name of a policy.
fn allow(
    policy: &PolicyOf,
    text: &str,
    place: &Place,
    read: Result<Shape, shape::BadShape>,
    draft: &mut Draft<'_>,
) {
    let Some(groups) = &policy.groups else {
        return; // the policy as a whole was left out
    };
    let what = format!("{} {text}", policy.name);
    let pattern = match read {
        Ok(Shape::Is(pattern)) => pattern,
        Ok(Shape::Within { above, why }) => {
            let advice = format!(
                "list the names that are needed, or write \"*.{}\" where any depth is meant",
                above.to_string().trim_end_matches('.')
            );
            draft.left_out(place, what, why, &advice);
            return;
        }
        Err(bad) => {
            draft.left_out(place, what, &bad.why, "list the names that are needed");
            return;
        }
    };
    if pattern.name().is_root() {
        draft.default_allow(place, &what, Resolver::OPERATOR, 1);
        return;
    }
    let item = draft.kept(place, what);
    let mut said = Said::new(
        &*policy.name,
        pattern,
        Effect::Forward(Resolver::OPERATOR),
        0,
    );
    said.groups.clone_from(groups);
    draft.state(place, Some(item), said);
}

/// `toFQDNs` is what may be connected to, `rules.dns` what may be asked for; where both are there, both must allow a name.
fn cilium(spec: &Tree, policy: &PolicyOf, draft: &mut Draft<'_>) {
    let mut asked: Vec<&Tree> = Vec::new();
    let mut connected: Vec<&Tree> = Vec::new();
    for egress in spec.list_of("egress") {
        connected.extend(egress.list_of("toFQDNs"));
        for ports in egress.list_of("toPorts") {
            asked.extend(
                ports
                    .get("rules")
                    .map_or(&[][..], |rules| rules.list_of("dns")),
            );
        }
    }
    for deny in spec.list_of("egressDeny") {
        draft.left_out(
            &deny.place,
            format!("{} egressDeny", policy.name),
            "it is about addresses and workloads, not names",
            "",
        );
    }
    let selectors = if connected.is_empty() {
        &asked
    } else {
        &connected
    };
    for selector in selectors {
        if let Some(name) = selector.text_of("matchName") {
            let shape = shape::read(name, Star::Literal);
            let may_be_asked = connected.is_empty()
                || asked.is_empty()
                || asked.iter().any(|dns| covers(dns, name));
            if !may_be_asked {
                let why = "its own policy for DNS (rules.dns) does not let the name be asked for";
                draft.left_out(&selector.place, format!("{} {name}", policy.name), why, "");
                continue;
            }
            allow(policy, name, &selector.place, checked(shape), draft);
        } else if let Some(pattern) = selector.text_of("matchPattern") {
            allow(
                policy,
                pattern,
                &selector.place,
                cilium_pattern(pattern),
                draft,
            );
        }
    }
}

/// A literal name must be a host's name: a `*` in it would be one that nobody has.
fn checked(shape: Result<Shape, shape::BadShape>) -> Result<Shape, shape::BadShape> {
    shape.and_then(|shape| match &shape {
        Shape::Is(Pattern::Exact(name))
            if name.as_ref().labels().any(|label| label.contains(&b'*')) =>
        {
            Err(shape::BadShape {
                why: "matchName has no wildcards; a `*` in it is a character".to_owned(),
                above: name.clone(),
            })
        }
        _ => Ok(shape),
    })
}

/// Whether an entry of `rules.dns` surely lets a name be asked for.
fn covers(dns: &Tree, name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if let Some(own) = dns.text_of("matchName") {
        return own.trim_end_matches('.').eq_ignore_ascii_case(&name);
    }
    let Some(pattern) = dns.text_of("matchPattern") else {
        return false;
    };
    let pattern = pattern.trim_end_matches('.').to_ascii_lowercase();
    if pattern == "*" {
        return true;
    }
    match pattern.strip_prefix("*.") {
        Some(rest) if !rest.contains('*') => name
            .split_once('.')
            .is_some_and(|(_, behind)| behind == rest),
        _ => pattern == name,
    }
}

fn cilium_pattern(text: &str) -> Result<Shape, shape::BadShape> {
    if text.trim_end_matches('.') == "*" {
        // Alone it stands for every name.
        return shape::read("*", Star::AnyDepth);
    }
    if let Some(rest) = text.strip_prefix("**.") {
        return shape::plain(rest)
            .map(|above| Shape::Within {
                above,
                why: "`**.` stands for any depth since Cilium 1.19 and for one label before, and the file does not say which reads it",
            })
            .map_err(|error| shape::BadShape { why: error.to_string(), above: shape::readable_end(text) });
    }
    shape::read(text, Star::OneLabel)
}

fn gke(spec: &Tree, policy: &PolicyOf, draft: &mut Draft<'_>) {
    for egress in spec.list_of("egress") {
        for matched in egress.list_of("matches") {
            if let Some(name) = matched.text_of("name") {
                allow(
                    policy,
                    name,
                    &matched.place,
                    checked(shape::read(name, Star::Literal)),
                    draft,
                );
            }
            if let Some(pattern) = matched.text_of("pattern") {
                allow(
                    policy,
                    pattern,
                    &matched.place,
                    shape::read(pattern, Star::OneLabel),
                    draft,
                );
            }
        }
        for fqdn in egress
            .list_of("to")
            .iter()
            .flat_map(|to| to.list_of("fqdns"))
        {
            let name = fqdn.text().unwrap_or_default();
            allow(
                policy,
                name,
                &fqdn.place,
                checked(shape::read(name, Star::Literal)),
                draft,
            );
        }
    }
}

fn cluster(spec: &Tree, policy: &PolicyOf, draft: &mut Draft<'_>) {
    for egress in spec.list_of("egress") {
        let action = egress.text_of("action").unwrap_or_default();
        let names: Vec<&Tree> = egress
            .list_of("to")
            .iter()
            .flat_map(|to| to.list_of("domainNames"))
            .collect();
        if names.is_empty() {
            continue;
        }
        if !matches!(action, "Accept" | "Allow") {
            let why = format!(
                "domainNames are for Accept rules; this one says {:?}",
                short(action)
            );
            draft.left_out(
                &egress.place,
                format!("{} domainNames", policy.name),
                &why,
                "what no rule allows is denied anyway",
            );
            continue;
        }
        for name in names {
            let text = name.text().unwrap_or_default();
            allow(
                policy,
                text,
                &name.place,
                shape::read(text, Star::AnyDepth),
                draft,
            );
        }
    }
}
