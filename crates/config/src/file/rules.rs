//! The shape of an entry of `rules`.

use super::super::{
    error::{Faults, Place},
    keys,
    read::{At, Choice, Fields},
    value::{Cidr, Label, ReasonText, Until},
    yaml::Node,
};
use dnsgate_core::{
    dns::RecordType,
    policy::{CnameMode, DenyWith, Pattern},
};

/// One entry of `rules`.
#[derive(Debug)]
pub(crate) struct RuleEntry {
    pub(crate) place: Place,
    pub(crate) name: Option<At<Label>>,
    pub(crate) domains: Option<At<Vec<At<Pattern>>>>,
    pub(crate) domains_file: Option<At<String>>,
    pub(crate) records: Option<At<Vec<At<String>>>>,
    pub(crate) deny: Option<At<Deny>>,
    pub(crate) forward: Option<At<Label>>,
    pub(crate) addresses: Option<At<Vec<At<Cidr>>>>,
    pub(crate) cname: Option<At<CnameMode>>,
    pub(crate) groups: Option<At<Vec<At<Label>>>>,
    pub(crate) types: Option<At<Vec<At<RecordType>>>>,
    pub(crate) until: Option<At<Until>>,
    pub(crate) reason: Option<At<ReasonText>>,
    /// Whether all of it could be read.
    pub(crate) whole: bool,
}

/// The value of a rule's `deny`: whether, or in one word with how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deny {
    /// `true`: as `deny_with` of the group or the file says.
    Yes,
    /// In this way.
    With(DenyWith),
}

impl Choice for Deny {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("true", Self::Yes),
        ("refused", Self::With(DenyWith::Refused)),
        ("nxdomain", Self::With(DenyWith::NxDomain)),
        ("nodata", Self::With(DenyWith::NoData)),
        ("drop", Self::With(DenyWith::Drop)),
    ];
}

impl Choice for DenyWith {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("refused", Self::Refused),
        ("nxdomain", Self::NxDomain),
        ("nodata", Self::NoData),
        ("drop", Self::Drop),
    ];
}

impl Choice for CnameMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("any", Self::Any), ("allowed", Self::Allowed)];
}

impl RuleEntry {
    pub(super) fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        let before = faults.count();
        let fields = Fields::of(node, &keys::RULE, faults)?;
        fields.require("name", faults);
        if fields.whole && fields.get("domains").is_none() && fields.get("domains_file").is_none() {
            faults.push(
                fields.key_place("domains").unwrap_or(fields.place),
                "a rule needs the key `domains` or `domains_file`",
            );
        }
        let mut rule = Self {
            place: fields.place,
            name: fields.scalar("name", faults),
            domains: fields.scalars("domains", faults),
            domains_file: fields.scalar("domains_file", faults),
            records: fields.scalars("records", faults),
            deny: fields.choice("deny", faults),
            forward: fields.scalar("forward", faults),
            addresses: fields.scalars("addresses", faults),
            cname: fields.choice("cname", faults),
            groups: fields.scalars("groups", faults),
            types: fields.scalars("types", faults),
            until: fields.scalar("until", faults),
            reason: fields.scalar("reason", faults),
            whole: true,
        };
        rule.whole = faults.count() == before;
        Some(rule)
    }
}
