//! Warns of rules that take names out of the Google preset.
//!
//! A longer name takes precedence over the preset's, so a rule that forwards
//! `storage.googleapis.com` sends clients to Google's public addresses. They bypass the VIP of the
//! preset, and with it VPC Service Controls and the firewall rules for it.

use std::{collections::HashMap, net::IpAddr};

use super::super::{
    error::{Faults, MAX_NOTICES, Notice},
    google::{Settings, Shared, is_carved_out},
    parts::{Parts, Source},
    text::shown,
};
use dnsgate_core::{
    dns::Name,
    policy::{Action, Pattern, Rule},
};

/// Warnings for the names of rules that the preset would have answered, up to the limit.
pub(crate) fn preset(google: Option<&Settings>, parts: &Parts, faults: &Faults<'_>) -> Vec<Notice> {
    let Some(google) = google else {
        return Vec::new();
    };
    let preset = Preset::of(google);
    let mut notes = Vec::new();
    for (rule, source) in parts.rules() {
        if notes.len() >= MAX_NOTICES {
            break;
        }
        if let Some(does) = preset.leads_away(rule) {
            preset.of_rule(rule, does, source, (faults, &mut notes));
        }
    }
    notes.truncate(MAX_NOTICES);
    notes
}

struct Preset<'g> {
    /// The domains by their wire form; `true` means that only the name itself is served.
    domains: HashMap<&'g [u8], (&'g Name, bool)>,
    google: &'g Settings,
}

impl<'g> Preset<'g> {
    fn of(google: &'g Settings) -> Self {
        let domains = google.domains();
        Self {
            domains: domains
                .map(|(name, exact)| (name.as_ref().wire(), (name, exact)))
                .collect(),
            google,
        }
    }

    /// How a rule leads clients elsewhere, if it does. Addresses of the operator's own network count as
    /// endpoints, and addresses of the preset are what it would have answered.
    fn leads_away(&self, rule: &Rule) -> Option<&'static str> {
        let elsewhere = |address: IpAddr| {
            let own = match address {
                IpAddr::V4(v4) => v4.is_private() || self.google.endpoints().contains(&v4),
                IpAddr::V6(v6) => v6.is_unique_local(),
            };
            !own && Shared::holding(address).is_none()
        };
        match &rule.action {
            Action::Forward(_) => Some("forwards"),
            Action::Answer(records) => {
                let mut addresses = records.iter().flat_map(|set| set.addresses());
                addresses.any(elsewhere).then_some("answers")
            }
            Action::Zone(_) | Action::Deny => None,
        }
    }

    /// The domain of the preset from which a pattern takes names.
    fn domain_of(&self, pattern: &Pattern) -> Option<&'g Name> {
        let name = pattern.name();
        let mut at = Some(name);
        while let Some(above) = at {
            if let Some(&(domain, exact)) = self.domains.get(above.wire()) {
                let served = !exact || (above == name && !matches!(pattern, Pattern::Below(_)));
                return (served && !is_carved_out(&name.to_name())).then_some(domain);
            }
            at = above.parent();
        }
        None
    }

    fn of_rule(
        &self,
        rule: &Rule,
        does: &str,
        source: &Source,
        (faults, notes): (&Faults<'_>, &mut Vec<Notice>),
    ) {
        let room = MAX_NOTICES.saturating_sub(notes.len());
        let told = |pattern: &Pattern| {
            let domain = self.domain_of(pattern)?;
            let domain = shown(domain.as_ref());
            Some(format!(
                "rule `{}` {does} `{pattern}`, which google_apis would answer ({domain}): clients leave the VIP for another address",
                rule.name
            ))
        };
        let own = source.names.iter().filter_map(|(pattern, place)| {
            Some(faults.warning(*place, told(pattern)?, Some(HELP.to_owned())))
        });
        notes.extend(own.take(room));
        let Some(list) = &source.list else { return };
        // The patterns of the list come first in the rule.
        let listed = rule.patterns.len().saturating_sub(source.names.len());
        let found = rule.patterns.iter().take(listed).enumerate();
        let found = found.filter_map(|(at, pattern)| Some((at, told(pattern)?)));
        let (numbers, messages): (Vec<_>, Vec<_>) = found.take(room).unzip();
        if numbers.is_empty() {
            return;
        }
        let places = list.places(&numbers).into_iter().zip(messages);
        let file = list.file();
        notes.extend(
            places.map(|(place, message)| file.warning(place, message, Some(HELP.to_owned()))),
        );
    }
}

const HELP: &str = "leave the name to the preset; google_apis.except sends a name to the other VIP, and a rule with the address of an endpoint of yours is not warned of";
