//! Response policy zones (draft-vixie-dnsop-dns-rpz): QNAME and client address triggers.
//!
//! A resolver with policy zones resolves what no zone mentions. The first zone with a match decides, in the order of the files
//! here, and in a zone client address triggers come before QNAME triggers. Triggers on addresses and name servers of
//! answers cannot be kept; what is let through after them in the source's order is denied here.

use std::collections::BTreeMap;

use dnsgate_core::{
    dns::{Name, NameBuf, RecordType},
    policy::Pattern,
};
use ipnet::IpNet;

use crate::{
    ImportError, IncludeReader, Kept, Place, SourceFile, cidr_groups,
    draft::{Draft, Said, answer_of, label, without_suffix},
    format::zone_lines,
    statement::{Effect, Resolver, ZoneLine},
};

mod trigger;

use trigger::{Action, Trigger, action_of, client_range, kind_of, pattern_of, shown};

/// The layers of one zone: client addresses, names, and the rest.
const LAYERS: u32 = 3;
const CLIENT: u32 = 0;
const QNAME: u32 = 1;
const ANSWER: u32 = 2;

pub(crate) fn read(
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    let mut layer = 0;
    let mut zones = Vec::new();
    for source in sources {
        let origin = origin(source, includes, draft)?;
        let lines = zone_lines(source, &origin, includes)?;
        zones.push(PolicyZone::new(source, origin, lines, layer, draft)?);
        layer += LAYERS;
    }
    // All groups come first: a trigger is for every group inside its range, whichever zone has that.
    for range in zones.iter().flat_map(PolicyZone::client_ranges) {
        draft.groups.insert(cidr_groups::name(&range), vec![range]);
    }
    for zone in &zones {
        zone.state(draft);
    }
    if let Some(source) = sources.first() {
        let place = Place::line(&source.name, 1);
        draft.default_allow(
            &place,
            "every name that no policy zone mentions",
            Resolver::OPERATOR,
            layer,
        );
    }
    Ok(())
}

/// The zone's name: the operator's, else the owner of the SOA, which a `$ORIGIN` or an absolute name gives.
fn origin(
    source: &SourceFile,
    includes: &mut dyn IncludeReader,
    draft: &Draft<'_>,
) -> Result<Name, ImportError> {
    if let Some(origin) = &draft.options.origin {
        return Ok(origin.clone());
    }
    // Relative names keep this end, so the owner of the SOA tells whether the file itself names the zone.
    let unnamed = unnamed();
    let lines = zone_lines(source, &unnamed, includes)?;
    let soa = lines.iter().find(|line| line.rtype == RecordType::SOA);
    Ok(soa.map_or(unnamed, |soa| soa.owner.clone()))
}

/// Stands for the zone's name where the file does not have it: what `@` is then.
fn unnamed() -> Name {
    let mut buf = NameBuf::new();
    let _ = buf.push_label(b"policy-zone");
    let _ = buf.push_label(b"invalid");
    buf.as_ref().to_name()
}

struct PolicyZone {
    label: String,
    layer: u32,
    /// The triggers by owner, without the zone's name, and the place of each.
    owners: BTreeMap<Name, Vec<ZoneLine>>,
}

impl PolicyZone {
    fn new(
        source: &SourceFile,
        origin: Name,
        lines: Vec<ZoneLine>,
        layer: u32,
        draft: &mut Draft<'_>,
    ) -> Result<Self, ImportError> {
        let label = match origin == unnamed() {
            true => super::domains::stem(&source.name),
            false => label(&origin.to_string()),
        };
        let mut owners: BTreeMap<Name, Vec<ZoneLine>> = BTreeMap::new();
        for line in lines {
            if line.owner == origin && matches!(line.rtype, RecordType::SOA | RecordType::NS) {
                continue;
            }
            let Some(owner) = without_suffix(&line.owner, &origin) else {
                let place = line.place.clone();
                let why = format!(
                    "{} is not in the policy zone {origin}; if the zone has another name, pass --origin NAME",
                    line.owner
                );
                return Err(ImportError::Content { place, why });
            };
            if owner.as_ref().is_root() {
                draft.left_out(
                    &line.place,
                    format!("{} {}", line.owner, line.rtype),
                    "it is about the policy zone itself, not about a name",
                    "",
                );
                continue;
            }
            owners.entry(owner).or_default().push(line);
        }
        let zone = Self {
            label,
            layer,
            owners,
        };
        zone.warn_of_repeated_origin(&origin, draft);
        Ok(zone)
    }

    /// A name that ends in the zone's name has lost its final dot: it is about a name that nobody asks for.
    fn warn_of_repeated_origin(&self, origin: &Name, draft: &mut Draft<'_>) {
        let looks_so = |owner: &Name| {
            let named = *origin != unnamed() && owner.as_ref().is_within(origin.as_ref());
            let last = owner.as_ref().labels().last();
            named
                || last.is_some_and(|last| {
                    last == b"rpz"
                        || last.starts_with(b"rpz-")
                            && !last.ends_with(b"-ip")
                            && !last.starts_with(b"rpz-ns")
                })
        };
        let mut repeated = self.owners.iter().filter(|(owner, _)| looks_so(owner));
        if let Some((owner, lines)) = repeated.next()
            && let Some(line) = lines.first()
        {
            let count = 1 + repeated.count();
            let why = format!(
                "it repeats the policy zone's name, so the policy is about {owner} as it stands ({count} such names)"
            );
            draft.narrower(&line.place, owner.to_string(), &why, "write a final dot behind the zone's name, or a line $ORIGIN, where the source was meant otherwise");
        }
    }

    fn state(&self, draft: &mut Draft<'_>) {
        for (owner, lines) in &self.owners {
            let Some(first) = lines.first() else {
                continue;
            };
            let place = first.place.clone();
            match kind_of(owner) {
                Trigger::Qname => self.qname(owner, lines, &place, draft),
                Trigger::ClientIp => self.client(owner, lines, &place, draft),
                Trigger::Answer(kind) => self.unsupported(owner, kind, lines, &place, draft),
            }
        }
        self.stops(draft);
    }

    fn qname(&self, owner: &Name, lines: &[ZoneLine], place: &Place, draft: &mut Draft<'_>) {
        let pattern = pattern_of(owner);
        let layer = self.layer + QNAME;
        let (action, bad) = action_of(owner, lines);
        let what = format!("{owner} {}", shown(lines));
        let (rule, effect, item) = match action {
            Action::Deny(with) => {
                let item = draft.kept(place, what);
                (
                    format!("{}-{with}", self.label),
                    Effect::Deny(Some(with)),
                    item,
                )
            }
            Action::Pass => {
                let item = draft.kept(place, what);
                let effect = Effect::Forward(Resolver::OPERATOR);
                (format!("{}-passthru", self.label), effect, item)
            }
            Action::Data(lines) => {
                let item = draft.kept(place, what);
                let records = lines.iter().map(answer_of).collect();
                (
                    format!("{}-{owner}", self.label),
                    Effect::Answer(records),
                    item,
                )
            }
            Action::TcpOnly => {
                let why = "a rule cannot ask for TCP, so the name is denied over UDP and TCP";
                let item = draft.narrower(place, what, why, "");
                (format!("{}-tcp-only", self.label), Effect::Deny(None), item)
            }
            Action::Unsayable(why) => {
                let item = draft.left_out(
                    place,
                    what,
                    why,
                    "the name is denied; write a rule for it by hand",
                );
                (format!("{}-denied", self.label), Effect::Deny(None), item)
            }
        };
        if let Some(why) = bad {
            draft.lower(Some(item), Kept::Narrower, why, "");
        }
        draft.state(place, Some(item), Said::new(rule, pattern, effect, layer));
    }

    /// The ranges of the zone's triggers on client addresses.
    fn client_ranges(&self) -> impl Iterator<Item = IpNet> + '_ {
        let clients = self.owners.keys();
        let clients = clients.filter(|owner| matches!(kind_of(owner), Trigger::ClientIp));
        clients.filter_map(client_range)
    }

    /// A client address becomes a group, for which the action is a rule over every name.
    fn client(&self, owner: &Name, lines: &[ZoneLine], place: &Place, draft: &mut Draft<'_>) {
        let what = format!("{owner} {}", shown(lines));
        let Some(range) = client_range(owner) else {
            let why = "this is no address and prefix as policy zones write them";
            draft.left_out(place, what, why, "correct the owner");
            draft.close(place, Name::root(), self.layer + CLIENT);
            return;
        };
        let group = cidr_groups::name(&range);
        // In one zone the most specific range decides.
        let mut groups = cidr_groups::groups_within(draft, &[range]);
        for other in self
            .client_ranges()
            .filter(|other| *other != range && range.contains(other))
        {
            for inside in cidr_groups::groups_within(draft, &[other]) {
                groups.remove(&inside);
            }
        }
        let (kind, effect, item) = match action_of(owner, lines).0 {
            Action::Deny(with) => ("denied", Effect::Deny(Some(with)), draft.kept(place, what)),
            Action::Pass => (
                "passthru",
                Effect::Forward(Resolver::OPERATOR),
                draft.kept(place, what),
            ),
            Action::TcpOnly | Action::Data(_) | Action::Unsayable(_) => {
                let why =
                    "a rule for one group cannot do that for every name, so its clients are denied";
                (
                    "denied",
                    Effect::Deny(None),
                    draft.narrower(place, what, why, ""),
                )
            }
        };
        let mut said = Said::new(
            format!("{}-{group}-{kind}", self.label),
            Pattern::Subtree(Name::root()),
            effect,
            self.layer + CLIENT,
        );
        said.groups = Some(groups);
        draft.state(place, Some(item), said);
    }

    fn unsupported(
        &self,
        owner: &Name,
        kind: &str,
        lines: &[ZoneLine],
        place: &Place,
        draft: &mut Draft<'_>,
    ) {
        let why = format!(
            "a {kind} trigger looks at the answer or at its servers; no rule of dnsgate does"
        );
        let advice = "for addresses, narrow `addresses` of the rules that forward; nothing that the source lets through after this trigger is let through";
        draft.left_out(place, format!("{owner} {}", shown(lines)), &why, advice);
        if !matches!(action_of(owner, lines).0, Action::Pass) {
            draft.close(place, Name::root(), self.layer + ANSWER);
        }
    }

    /// A wildcard does not reach below names that exist beside it (RFC 4592). BIND and Unbound resolve such names as if they were not
    /// mentioned, PowerDNS Recursor applies the wildcard. Where the wildcard lets a name through or gives data, they are
    /// denied here.
    fn stops(&self, draft: &mut Draft<'_>) {
        let mut existing: BTreeMap<Name, &Place> = BTreeMap::new();
        for (owner, lines) in &self.owners {
            let Some(first) = lines
                .first()
                .filter(|_| matches!(kind_of(owner), Trigger::Qname))
            else {
                continue;
            };
            let mut at = Some(owner.as_ref());
            while let Some(name) = at {
                if !name.is_root() && name.labels().next() != Some(b"*") {
                    existing.entry(name.to_name()).or_insert(&first.place);
                }
                at = name.parent();
            }
        }
        for (name, place) in existing {
            let Some(open) = self.open_wildcard_above(&name) else {
                continue;
            };
            let has_wildcard = name
                .child(b"*")
                .is_ok_and(|star| self.owners.contains_key(&star));
            let pattern = match (self.owners.contains_key(&name), has_wildcard) {
                (true, true) => continue,
                (true, false) => Pattern::Below(name.clone()),
                (false, true) => Pattern::Exact(name.clone()),
                (false, false) => Pattern::Subtree(name.clone()),
            };
            let what = format!("names at and below {name}, beside a wildcard above them");
            let why = "a wildcard ends at names that exist beside it (RFC 4592), and not every resolver follows that; such names are denied";
            let item = draft.narrower(place, what, why, "write a rule for them if they are needed");
            if !open {
                continue; // the wildcard denies them
            }
            let said = Said::new(
                format!("{}-beside-wildcard", self.label),
                pattern,
                Effect::Deny(None),
                self.layer + QNAME,
            );
            draft.state(place, Some(item), said);
        }
    }

    /// Whether the nearest wildcard above the name gives data or lets names through; `None` if there is no wildcard.
    fn open_wildcard_above(&self, name: &Name) -> Option<bool> {
        let wildcard = |at: &Name| at.child(b"*").ok().and_then(|star| self.owners.get(&star));
        let mut above = name.as_ref().parent();
        while let Some(ancestor) = above {
            if let Some(lines) = wildcard(&ancestor.to_name()) {
                let action = action_of(name, lines).0;
                return Some(matches!(action, Action::Pass | Action::Data(_)));
            }
            above = ancestor.parent();
        }
        None
    }
}
