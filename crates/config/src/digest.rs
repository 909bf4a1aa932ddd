//! The digest of a policy: two instances with the same digest decide alike.
//!
//! It is the SHA-256 of the policy in a canonical form: client groups, rules with their names,
//! zones, upstreams, and the ways to deny, after defaults, presets, lists and zone files have been
//! filled in. So the order of entries, comments, and defaults that are written out do not change
//! it; a preset that changes with a version does. Settings that decide nothing (`listen`, `admin`,
//! `limits`, `cache`, `log`, `tests`) are not part of it.
//!
//! The canonical form is a tree. A [`Record`] is hashed as its kind and its labelled fields, each
//! with its length in front; the members of a set are hashed and sorted. A field without a value is
//! left out, so a setting that a later version adds changes no digest until somebody uses it. Every
//! type is taken apart here, so a new field does not compile until it has its place.
//!
//! What the same policy means is the program's part: the digest does not contain its version.

use std::{fmt, time::SystemTime};

use sha2::{Digest as _, Sha256};

use super::{
    upstream::{ServerAddr, Strategy, Upstream},
    upstreams::certificate_data,
};
use dnsgate_core::{
    dns::{NameRef, Rrset},
    policy::{
        Action, AnswerRanges, Budget, DenyWith, Forwarding, Group, GroupId, GroupSet, Pattern,
        Policy, Ranges, Rule, RuleId, RuleOrigin, UpstreamId, ZoneId,
    },
    zone::Zone,
};

/// The digest of a policy. Its text form is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyDigest(Hash);

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

type Hash = [u8; 32];

/// Some values of the canonical form: their labels and contents are in a fixed order.
struct Record(Sha256);

impl Record {
    fn new(kind: &str) -> Self {
        Self(Sha256::new()).bytes(kind.as_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn field(self, label: &str, value: impl AsRef<[u8]>) -> Self {
        self.bytes(label.as_bytes()).bytes(value.as_ref())
    }

    fn optional(self, label: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.field(label, value),
            None => self,
        }
    }

    /// Members whose order and repetition do not matter.
    fn set(self, label: &str, members: impl IntoIterator<Item = Hash>) -> Self {
        let mut members: Vec<Hash> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        self.field(label, members.as_flattened())
    }

    fn end(self) -> Hash {
        self.0.finalize().into()
    }
}

/// The hash of one value, as a member of a set.
fn one(value: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(value).into()
}

/// The hash of the names of each rule. Taken before the policy is built, because its tree takes the
/// names over.
pub(super) fn names(rules: &[Rule]) -> Vec<Hash> {
    rules.iter().map(|rule| names_of(&rule.patterns)).collect()
}

/// One hash over the sorted names: for a list of a million names half the work of a set of hashes.
fn names_of(patterns: &[Pattern]) -> Hash {
    let mut sorted: Vec<(&[u8], &str)> = patterns.iter().map(named).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let record = Record::new("names");
    let record = sorted
        .iter()
        .fold(record, |record, &(name, form)| record.field(form, name));
    record.end()
}

/// The name in a pattern, and the pattern's form.
fn named(pattern: &Pattern) -> (&[u8], &'static str) {
    let form = match pattern {
        Pattern::Exact(_) => "exact",
        Pattern::Subtree(_) => "subtree",
        Pattern::Below(_) => "below",
    };
    (pattern.name().wire(), form)
}

/// The digest of a policy with the zones and upstreams that it refers to by number; `names` are the
/// hashes of each rule's names.
pub(super) fn of(
    policy: &Policy,
    names: &[Hash],
    zones: &[Zone],
    upstreams: &[Upstream],
) -> PolicyDigest {
    let parts = InForce {
        policy,
        zones,
        upstreams,
    };
    parts.digest(names)
}

/// What a policy consists of.
struct InForce<'p> {
    policy: &'p Policy,
    zones: &'p [Zone],
    upstreams: &'p [Upstream],
}

impl InForce<'_> {
    fn digest(&self, names: &[Hash]) -> PolicyDigest {
        let policy = self.policy;
        let groups = (0..).map(GroupId).zip(policy.groups());
        let clients = policy.range_starts().map(|start| {
            let group = policy.admit(start).map(|id| self.group_name(id));
            let range = Record::new("clients").field("from", start.to_string());
            range.optional("group", group).end()
        });
        let rules = (0..).map(RuleId).zip(policy.rules()).zip(names);
        let observe = policy.observed().map(|it| self.forwarding(it, None));
        let record = Record::new("dnsgate policy 1")
            .field("deny_with", policy.deny_unknown_client().with.as_str())
            .set("groups", groups.map(|(id, group)| self.group(id, group)))
            .set("clients", clients)
            .set(
                "rules",
                rules.map(|((id, it), names)| self.rule(id, it, names)),
            )
            .optional("observe", observe);
        PolicyDigest(record.end())
    }

    fn group(&self, id: GroupId, group: &Group) -> Hash {
        let Group { name, deny_with: _ } = group;
        let with = self.policy.deny_with(id);
        let record = Record::new("group").field("name", name.as_bytes());
        record.field("deny_with", with.as_str()).end()
    }

    fn group_name(&self, id: GroupId) -> &str {
        self.policy.group_of(id).map_or("", |group| &group.name)
    }

    fn rule(&self, id: RuleId, rule: &Rule, names: &Hash) -> Hash {
        let Rule {
            name,
            patterns: _, // the policy's tree has them
            groups,
            types,
            until,
            reason,
            action,
            deny_with,
            origin,
        } = rule;
        let groups = groups.map(|groups| self.groups(groups));
        let types = types.listed().map(|types| {
            let types = types.iter().map(|rtype| one(rtype.0.to_be_bytes()));
            Record::new("types").set("type", types).end()
        });
        let origin = match origin {
            RuleOrigin::Configured => "configured",
            RuleOrigin::BuiltIn => "built in",
            RuleOrigin::Search => "search",
        };
        Record::new("rule")
            .field("name", name.as_bytes())
            .field("names", names)
            .optional("groups", groups)
            .optional("types", types)
            .optional("until", until.map(nanoseconds))
            .optional("reason", reason.as_ref().map(|reason| reason.as_bytes()))
            .field("action", self.action(id, action))
            .optional("deny_with", deny_with.map(DenyWith::as_str))
            .field("origin", origin)
            .end()
    }

    fn groups(&self, groups: GroupSet) -> Hash {
        let names = groups.iter().map(|id| one(self.group_name(id)));
        Record::new("groups").set("group", names).end()
    }

    fn action(&self, id: RuleId, action: &Action) -> Hash {
        match action {
            Action::Zone(id) => self.zone(*id),
            Action::Answer(sets) => {
                let sets = sets.iter().map(|set| records(None, set));
                Record::new("answer").set("records", sets).end()
            }
            Action::Forward(forwarding) => self.forwarding(forwarding, Some(id)),
            Action::Deny => Record::new("deny").end(),
        }
    }

    fn zone(&self, ZoneId(id): ZoneId) -> Hash {
        let record = Record::new("zone");
        let Some(zone) = self.zones.get(id as usize) else {
            return record.end();
        };
        let sets = zone.rrsets();
        record
            .field("origin", zone.origin().wire())
            .set(
                "records",
                sets.map(|(owner, set)| records(Some(owner.as_ref()), set)),
            )
            .end()
    }

    /// `rule` is the forwarding rule; `None` for the questions of observe mode.
    fn forwarding(&self, forwarding: &Forwarding, rule: Option<RuleId>) -> Hash {
        let Forwarding {
            upstream,
            answers,
            cname,
            budget,
        } = forwarding;
        let public = Ranges::public();
        let ranges = rule.map_or(&public, |id| self.policy.ranges_of(id));
        let answers = match answers {
            AnswerRanges::Public => "public",
            AnswerRanges::Within(_) => "within",
        };
        let [v4, v6] = ranges.spans().map(|spans| {
            let ends = spans.iter().flat_map(|&(first, last)| [first, last]);
            ends.flat_map(u128::to_be_bytes).collect::<Vec<u8>>()
        });
        Record::new("forward")
            .field("upstream", self.upstream(*upstream))
            .field("answers", answers)
            .field("v4", v4)
            .field("v6", v6)
            .field("cname", cname.as_str())
            .optional("budget", budget.as_ref().map(budget_of))
            .end()
    }

    fn upstream(&self, UpstreamId(id): UpstreamId) -> Hash {
        let record = Record::new("upstream");
        let Some(upstream) = self.upstreams.get(usize::from(id)) else {
            return record.end();
        };
        let Upstream {
            name,
            servers,
            strategy,
            ca,
        } = upstream;
        let numbered = |(at, server): (usize, &ServerAddr)| one(format!("{at} {server}"));
        let record = record.field("name", name.as_bytes());
        let record = match strategy {
            Strategy::Fastest => {
                record.set("fastest", servers.iter().map(|it| one(it.to_string())))
            }
            Strategy::Spread => record.set("spread", servers.iter().map(|it| one(it.to_string()))),
            Strategy::Ordered => record.set("ordered", servers.iter().enumerate().map(numbered)),
        };
        let ca = ca.as_deref().map(|pem| {
            let text = String::from_utf8_lossy(pem);
            let certificates = certificate_data(&text).into_iter().map(one);
            Record::new("ca").set("certificate", certificates).end()
        });
        record.optional("ca", ca).end()
    }
}

/// A budget. One that only reports is part of a policy, too: two that report otherwise are not the same.
fn budget_of(budget: &Budget) -> Hash {
    let Budget {
        names,
        bytes,
        window,
        per,
        over,
    } = budget;
    Record::new("budget")
        .field("names", names.to_be_bytes())
        .field("bytes", bytes.to_be_bytes())
        .field("window", window.as_nanos().to_be_bytes())
        .field("per", per.as_str())
        .field("over", over.as_str())
        .end()
}

/// The records of one name and type; the question gives the name of a rule's records.
fn records(owner: Option<NameRef<'_>>, set: &Rrset) -> Hash {
    Record::new("records")
        .optional("owner", owner.map(NameRef::wire))
        .field("type", set.rtype().0.to_be_bytes())
        .field("ttl", set.ttl().to_be_bytes())
        .set("data", set.rdatas().map(one))
        .end()
}

/// The time since 1970; every time before counts as the same, since it has passed.
fn nanoseconds(time: SystemTime) -> [u8; 16] {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_nanos().to_be_bytes()
}
