//! The common form between formats and the writer: what a source says about names.

use std::collections::BTreeSet;

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

use crate::Place;

/// The record types of a statement; `None` is every type.
pub(crate) type Types = Option<BTreeSet<RecordType>>;
/// The client groups of a statement; `None` is every group.
pub(crate) type Groups = Option<BTreeSet<String>>;

/// One thing that a source says about names.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Where it stands.
    pub(crate) place: Place,
    /// The name of its rule. Statements with the same name, types, groups and effect become one rule.
    pub(crate) rule: String,
    /// Which names.
    pub(crate) pattern: Pattern,
    /// Which types.
    pub(crate) types: Types,
    /// Which clients.
    pub(crate) groups: Groups,
    /// What happens to such questions.
    pub(crate) effect: Effect,
    /// The source decides by the first layer with a match; within a layer the longest name decides.
    pub(crate) layer: u32,
    /// Its item in the report.
    pub(crate) item: Option<usize>,
    /// A denial that the source's program makes by itself: it is written only where something is allowed above it.
    pub(crate) implicit: bool,
}

/// What happens to a question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// The zone with this number answers.
    Zone(usize),
    /// These records are the answer, each without its owner.
    Answer(Vec<String>),
    /// It is denied.
    Deny(Option<DenyWith>),
    /// It is resolved by an upstream.
    Forward(Resolver),
}

impl Effect {
    /// Whether data or names pass.
    pub(crate) fn is_deny(&self) -> bool {
        matches!(self, Self::Deny(_))
    }
}

/// Where a name is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resolver {
    /// An upstream of the draft; `None` is the operator's.
    pub(crate) upstream: Option<String>,
    /// The upstream is inside, so its answers may have private addresses, and no others.
    pub(crate) is_private: bool,
    /// Aliases may lead only to names that are allowed.
    pub(crate) cname_allowed: bool,
}

impl Resolver {
    /// The upstream that the operator names.
    pub(crate) const OPERATOR: Self = Self {
        upstream: None,
        is_private: false,
        cname_allowed: false,
    };
}

/// A zone with data.
#[derive(Clone, Debug)]
pub(crate) struct ZoneData {
    /// Its origin.
    pub(crate) origin: Name,
    /// Where it begins.
    pub(crate) place: Place,
    /// Its records.
    pub(crate) records: Vec<ZoneLine>,
    /// Names with a record that was left out.
    pub(crate) holes: Vec<(Name, Place)>,
    /// Its item in the report.
    pub(crate) item: Option<usize>,
}

/// A record of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ZoneLine {
    /// Where it stands.
    pub(crate) place: Place,
    /// The owner.
    pub(crate) owner: Name,
    /// The TTL in seconds.
    pub(crate) ttl: u32,
    /// The type.
    pub(crate) rtype: RecordType,
    /// The data in wire form.
    pub(crate) rdata: Vec<u8>,
}

/// An upstream.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Its name.
    pub(crate) name: String,
    /// Its servers as the configuration writes them.
    pub(crate) servers: Vec<String>,
    /// The strategy, where the source says one.
    pub(crate) strategy: Option<&'static str>,
    /// Where it stands; `None` if the operator named it.
    pub(crate) place: Option<Place>,
}
