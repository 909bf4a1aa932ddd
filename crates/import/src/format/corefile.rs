//! CoreDNS's Corefile, as far as it can be said: forward, template, acl, hosts, file, rewrite, view.
//!
//! Of the server blocks the one with the longest zone gets a question. In it plugins follow each other in the order of CoreDNS's
//! plugin.cfg, whatever the order in the file, and the first that answers ends the search. So each block has layers, one a plugin,
//! and a last one that denies what no plugin answers. Blocks with longer zones come first.

use std::collections::BTreeSet;

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

use ipnet::IpNet;

use crate::{
    ImportError, IncludeReader, Place, SourceFile, cidr_groups,
    draft::{Draft, Said, label},
    report::short,
    statement::{Effect, Groups, Resolver},
};

mod acl;
mod data;
mod forward;
mod read;

use read::{Block, Directive, zone_of};

/// Layers of one block, in the order of plugin.cfg.
const ACL: u32 = 0;
const REWRITE: u32 = 1;
const TEMPLATE: u32 = 2;
const HOSTS: u32 = 3;
const OTHER_DATA: u32 = 4;
const FILE: u32 = 5;
const FORWARD: u32 = 6;
const REST: u32 = 7;
const LAYERS: u32 = 8;

/// Plugins that do not decide about names.
const NEUTRAL: [&str; 36] = [
    "any",
    "autopath",
    "bind",
    "bufsize",
    "cache",
    "cancel",
    "chaos",
    "debug",
    "dnssec",
    "dnstap",
    "errors",
    "geoip",
    "header",
    "health",
    "loadbalance",
    "local",
    "log",
    "loop",
    "metadata",
    "minimal",
    "multisocket",
    "nsid",
    "pprof",
    "prometheus",
    "quic",
    "ready",
    "reload",
    "root",
    "sign",
    "startup",
    "timeouts",
    "tls",
    "trace",
    "transfer",
    "tsig",
    "whoami",
];
/// Plugins that answer from elsewhere.
const ELSEWHERE: [&str; 12] = [
    "auto",
    "azure",
    "clouddns",
    "etcd",
    "grpc",
    "k8s_external",
    "kubernetes",
    "nomad",
    "on",
    "route53",
    "secondary",
    "erratic",
];

/// A server block for one of its zones.
struct Server<'b> {
    zone: Name,
    block: &'b Block,
    /// The clients of its view.
    groups: Groups,
    /// The first of its layers.
    layer: u32,
    label: String,
}

pub(crate) fn read(
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    let mut blocks: Vec<(Block, &SourceFile)> = Vec::new();
    for source in sources {
        blocks.extend(
            read::read(source, includes)?
                .into_iter()
                .map(|block| (block, source)),
        );
    }
    let ports: BTreeSet<u16> = blocks
        .iter()
        .flat_map(|(block, _)| block.ports.iter().copied())
        .collect();
    let port = match ports.contains(&53) {
        true => 53,
        false => ports.first().copied().unwrap_or(53),
    };
    for (block, _) in &blocks {
        if let Ok(Some((_, ranges))) = view_ranges(block) {
            acl::define(&ranges, draft);
        }
    }
    acl::define_groups(&blocks, draft);
    let mut servers = servers_on(port, &blocks, draft);
    let mut layer = 1;
    for (server, source) in &mut servers {
        server.layer = layer;
        server.state(source, includes, draft)?;
        layer += LAYERS;
    }
    Ok(())
}

/// The servers on one port, those of longer zones first; of one zone, blocks with a view come before the one without.
fn servers_on<'b>(
    port: u16,
    blocks: &'b [(Block, &'b SourceFile)],
    draft: &mut Draft<'_>,
) -> Vec<(Server<'b>, &'b SourceFile)> {
    let mut servers: Vec<(Server<'b>, &SourceFile)> = Vec::new();
    for (block, source) in blocks {
        let groups = view(block, draft);
        for (zone, of) in block.zones.iter().zip(&block.ports) {
            if *of != port {
                let why = format!(
                    "it listens on port {of}; only the servers on port {port} are imported"
                );
                draft.left_out(
                    &block.place,
                    "a server block",
                    &why,
                    "import the other ports from a file of their own",
                );
                continue;
            }
            match zone {
                Ok(zone) => servers.push((
                    Server {
                        zone: zone.clone(),
                        block,
                        groups: groups.clone().unwrap_or(None),
                        layer: 0,
                        label: label_of(zone),
                    },
                    source,
                )),
                Err(bad) => {
                    draft.left_out(&block.place, "the zone of a server block", &bad.why, "correct the zone; nothing below the part of it that can be read is let through");
                    draft.close(&block.place, bad.above.clone(), 0);
                }
            }
        }
        if groups.is_err() {
            for zone in block.zones.iter().flatten() {
                draft.close(&block.place, zone.clone(), 0);
            }
        }
    }
    servers.sort_by_key(|(server, _)| {
        (
            std::cmp::Reverse(server.zone.as_ref().label_count()),
            server.groups.is_none(),
        )
    });
    servers
}

fn label_of(zone: &Name) -> String {
    match zone.as_ref().is_root() {
        true => "root".to_owned(),
        false => label(&zone.to_string()),
    }
}

/// The ranges of a block's view: `None` without a view, an error if they cannot be said.
fn view_ranges(block: &Block) -> Result<Option<(&Directive, Vec<IpNet>)>, &Directive> {
    let view = block
        .directives
        .iter()
        .find(|directive| directive.head.first() == "view");
    let Some(view) = view else {
        return Ok(None);
    };
    let mut expressions = view.lines.iter().filter(|line| line.first() == "expr");
    let (Some(only), None) = (expressions.next(), expressions.next()) else {
        return Err(view);
    };
    let ranges = only.rest().join(" ");
    let ranges = ranges.split("||").map(|part| {
        let part = part.trim().strip_prefix("incidr(client_ip(),")?;
        let part = part.trim().strip_suffix(')')?;
        cidr_groups::range(part.trim().trim_matches(['\'', '"']))
    });
    let ranges: Option<Vec<IpNet>> = ranges.collect();
    ranges.map(|ranges| Some((view, ranges))).ok_or(view)
}

/// The clients of a block: everybody, those of its view, or an error if the view cannot be said. Ranges of other views and of acl that
/// are inside are groups of their own, and belong to it.
fn view(block: &Block, draft: &mut Draft<'_>) -> Result<Groups, ()> {
    match view_ranges(block) {
        Ok(None) => Ok(None),
        Ok(Some((view, ranges))) => {
            draft.kept(&view.head.place, view.head.words.join(" "));
            Ok(Some(cidr_groups::groups_within(draft, &ranges)))
        }
        Err(view) => {
            let why = "its condition is more than ranges of client addresses";
            let advice =
                "nothing of its zones is let through; write rules with groups for these clients";
            draft.left_out(&view.head.place, view.head.words.join(" "), why, advice);
            Err(())
        }
    }
}

impl Server<'_> {
    fn state(
        &self,
        source: &SourceFile,
        includes: &mut dyn IncludeReader,
        draft: &mut Draft<'_>,
    ) -> Result<(), ImportError> {
        for directive in &self.block.directives {
            if let Some(word) = placeholder(directive) {
                let why = format!(
                    "{} is a variable of the environment that was not filled in",
                    short(word)
                );
                draft.left_out(
                    &directive.head.place,
                    directive.head.first(),
                    &why,
                    "fill it in; nothing of the zone is let through",
                );
                draft.close(&directive.head.place, self.zone.clone(), self.layer);
                continue;
            }
            self.plugin(directive, source, includes, draft)?;
        }
        let said = self.said(
            "rest",
            Pattern::Subtree(self.zone.clone()),
            Effect::Deny(None),
            REST,
        );
        draft.implicitly(&self.block.place, said);
        Ok(())
    }

    fn plugin(
        &self,
        directive: &Directive,
        source: &SourceFile,
        includes: &mut dyn IncludeReader,
        draft: &mut Draft<'_>,
    ) -> Result<(), ImportError> {
        match directive.head.first() {
            "acl" => acl::state(self, directive, draft),
            "rewrite" => data::rewrite(self, directive, draft),
            "template" => data::template(self, directive, draft),
            "hosts" => data::hosts(self, directive, source, includes, draft),
            "file" => data::file(self, directive, source, includes, draft)?,
            "forward" => self.forward(directive, draft),
            "view" => {}
            "dns64" => {
                draft.left_out(
                    &directive.head.place,
                    "dns64",
                    "dnsgate makes no addresses of others",
                    "leave it to the platform",
                );
            }
            plugin if NEUTRAL.contains(&plugin) => {}
            plugin if ELSEWHERE.contains(&plugin) => self.elsewhere(directive, draft),
            plugin => {
                let why = "this plugin is not known here, and may deny names";
                draft.left_out(&directive.head.place, plugin, why, "nothing of the zone is let through; leave it out at its source to import the rest");
                draft.close(&directive.head.place, self.zone.clone(), self.layer);
            }
        }
        Ok(())
    }

    fn said(&self, what: &str, pattern: Pattern, effect: Effect, layer: u32) -> Said {
        let mut said = Said::new(
            format!("{}-{what}", self.label),
            pattern,
            effect,
            self.layer + layer,
        );
        said.groups.clone_from(&self.groups);
        said
    }

    /// The part of a zone that belongs to the block: the longer of the two names, if one is within the other.
    fn within(&self, zone: &Name) -> Option<Name> {
        if zone.as_ref().is_within(self.zone.as_ref()) {
            return Some(zone.clone());
        }
        self.zone
            .as_ref()
            .is_within(zone.as_ref())
            .then(|| self.zone.clone())
    }

    /// The zones of a plugin that names some, else the block's.
    fn zones(&self, words: &[String], place: &Place, draft: &mut Draft<'_>) -> Vec<Name> {
        if words.is_empty() {
            return vec![self.zone.clone()];
        }
        let mut zones = Vec::new();
        for word in words {
            match zone_of(word) {
                Ok(zone) => zones.extend(self.within(&zone)),
                Err(bad) => {
                    draft.left_out(
                        place,
                        word,
                        &bad.why,
                        "correct the zone; nothing of the block's zone is let through",
                    );
                    draft.close(place, self.zone.clone(), self.layer);
                }
            }
        }
        zones
    }

    /// A plugin whose data are elsewhere: denied, unless the operator names an upstream for it.
    fn elsewhere(&self, directive: &Directive, draft: &mut Draft<'_>) {
        let plugin = directive.head.first();
        let place = &directive.head.place;
        let words: Vec<String> = directive
            .head
            .rest()
            .iter()
            .filter(|word| word.parse::<u32>().is_err() && !word.contains(['/', ':']))
            .cloned()
            .collect();
        let own = draft.has_own_upstream(plugin);
        let item = match own {
            true => draft.narrower(place, plugin, "its names are asked for at the upstream that was named for it; answers may have private addresses only", ""),
            false => {
                let advice = format!("its names are denied; name a server that has them: --upstream {plugin}=SERVER");
                draft.left_out(place, plugin, "its data are not in this file", &advice)
            }
        };
        for zone in self.zones(&words, place, draft) {
            let effect = match own {
                true => Effect::Forward(Resolver {
                    upstream: Some(plugin.to_owned()),
                    is_private: true,
                    cname_allowed: false,
                }),
                false => Effect::Deny(Some(DenyWith::NxDomain)),
            };
            let said = self.said(plugin, Pattern::Subtree(zone), effect, OTHER_DATA);
            draft.state(place, Some(item), said);
        }
    }
}

/// A word that stands for a variable of the environment.
fn placeholder(directive: &Directive) -> Option<&str> {
    let lines = std::iter::once(&directive.head).chain(&directive.lines);
    let mut words = lines.flat_map(|line| &line.words);
    words
        .find(|word| word.contains("{$") || word.contains("{%") || word.contains("${"))
        .map(String::as_str)
}

/// The types that a plugin names; `ANY` and `*` are every type.
fn type_of(word: &str) -> Option<Option<RecordType>> {
    match word {
        "ANY" | "any" | "*" => Some(None),
        word => word.parse::<RecordType>().ok().map(Some),
    }
}
