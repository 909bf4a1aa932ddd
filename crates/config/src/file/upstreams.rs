//! The shape of `upstreams` and of `mode`, which names one of them.

use super::{
    super::{
        error::{Faults, nearest},
        keys,
        read::{At, Choice, Fields, bad_value},
        upstream::{ServerAddr, Strategy},
        value::Label,
        yaml::{Node, Value},
    },
    named, nameless,
};

/// One entry of `upstreams`. One that is wrong is still one: rules that name it are not.
#[derive(Debug)]
pub(crate) struct UpstreamEntry {
    pub(crate) name: At<Label>,
    /// `None`: none of them could be read.
    pub(crate) servers: Option<At<Vec<At<ServerAddr>>>>,
    pub(crate) strategy: Option<At<Strategy>>,
    pub(crate) ca_file: Option<At<String>>,
    /// Whether all of it could be read.
    pub(crate) whole: bool,
}

impl Choice for Strategy {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("fastest", Self::Fastest),
        ("ordered", Self::Ordered),
        ("spread", Self::Spread),
    ];
}

/// The `upstreams` section.
#[derive(Debug)]
pub(crate) struct UpstreamsSection {
    /// In the order of the file.
    pub(crate) entries: Vec<UpstreamEntry>,
    /// Whether every name could be read: an unknown one may be meant for one that could not.
    pub(crate) whole: bool,
}

impl Default for UpstreamsSection {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            whole: true,
        }
    }
}

impl UpstreamsSection {
    pub(super) fn read(node: &Node, faults: &mut Faults<'_>) -> Self {
        if nameless(
            node,
            "upstreams",
            "public: { servers: [tls://8.8.8.8#dns.google] }",
            faults,
        ) {
            return Self {
                entries: Vec::new(),
                whole: false,
            };
        }
        let named = named(node, "`upstreams`", "upstream", &keys::UPSTREAM, faults);
        let named = named.unwrap_or_default();
        let mut entries = Vec::with_capacity(named.len());
        for (name, fields) in named {
            let fields = fields.as_ref();
            let before = faults.count();
            if let Some(fields) = fields {
                fields.require("servers", faults);
            }
            let mut entry = UpstreamEntry {
                name,
                servers: fields.and_then(|fields| fields.scalars("servers", faults)),
                strategy: fields.and_then(|fields| fields.choice("strategy", faults)),
                ca_file: fields.and_then(|fields| fields.scalar("ca_file", faults)),
                whole: true,
            };
            entry.whole = faults.count() == before && fields.is_some_and(|fields| fields.whole);
            entries.push(entry);
        }
        let written = match &node.value {
            Value::Map(written) => Some(written.len()),
            _ => None,
        };
        Self {
            whole: written == Some(entries.len()),
            entries,
        }
    }
}

/// The value of `mode`.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// What is denied is denied.
    Enforce,
    /// It is forwarded to this upstream instead, and recorded.
    Observe(At<Label>),
}

impl Mode {
    pub(super) fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(word) if word == "enforce" => Some(Self::Enforce),
            Value::Scalar(word) => {
                let help = match nearest(word, ["enforce", "observe"]) {
                    Some("enforce") => "did you mean enforce?",
                    _ => "observe needs the upstream that is asked what would be denied",
                };
                faults.push_help(
                    node.place,
                    bad_value("mode", word, &"write enforce, or { observe: UPSTREAM }"),
                    help.to_owned(),
                );
                None
            }
            _ => {
                let fields = Fields::of(node, &keys::MODE, faults)?;
                fields.require("observe", faults);
                fields.scalar("observe", faults).map(Self::Observe)
            }
        }
    }
}
