//! The plugin forward: a zone, its servers, and names that are not forwarded.

use dnsgate_core::policy::Pattern;

use crate::{
    draft::Draft,
    format::servers,
    statement::{Effect, Resolver},
};

use super::{Directive, FORWARD, Server, zone_of};

impl Server<'_> {
    pub(super) fn forward(&self, directive: &Directive, draft: &mut Draft<'_>) {
        let place = &directive.head.place;
        let what = directive.head.words.join(" ");
        let Some((from, targets)) = directive.head.rest().split_first() else {
            draft.left_out(place, what, "it names no zone and no server", "");
            return;
        };
        let zone = match zone_of(from) {
            Ok(zone) => zone,
            Err(bad) => {
                draft.left_out(place, what, &bad.why, "correct its zone");
                return;
            }
        };
        let Some(zone) = self.within(&zone) else {
            draft.kept(place, format!("{what} (never used in this block)"));
            return;
        };
        let resolver = self.resolver(directive, targets, draft);
        self.except(directive, draft);
        let Some(resolver) = resolver else {
            let item = draft.left_out(
                place,
                what,
                "none of its servers is an address that dnsgate can ask",
                "name one: --upstream NAME=SERVER",
            );
            let said = self.said(
                "forward",
                Pattern::Subtree(zone),
                Effect::Deny(None),
                FORWARD,
            );
            return draft.state(place, Some(item), said);
        };
        if zone.as_ref().is_root() && self.groups.is_none() {
            return draft.default_allow(place, &what, resolver, self.layer + FORWARD);
        }
        if zone.as_ref().is_root() && !draft.options.keep_default_allow {
            draft.narrower(
                place,
                what,
                "it resolves every name for the clients of its view",
                "list the names that are needed, or pass --keep-default-allow",
            );
            return;
        }
        let item = draft.kept_forward(place, what, &resolver);
        let said = self.said(
            "forward",
            Pattern::Subtree(zone),
            Effect::Forward(resolver),
            FORWARD,
        );
        draft.state(place, Some(item), said);
    }

    fn resolver(
        &self,
        directive: &Directive,
        targets: &[String],
        draft: &mut Draft<'_>,
    ) -> Option<Resolver> {
        let option = |name: &str| directive.lines.iter().find(|line| line.first() == name);
        let tls_name = option("tls_servername").and_then(|line| line.rest().first());
        let mut servers = Vec::new();
        let mut operators = false;
        for target in targets {
            let (transport, bare) = target.split_once("://").unwrap_or(("dns", target));
            if bare.starts_with('/') {
                // The machine's own resolver, which no other machine knows.
                operators = true;
                continue;
            }
            let (address, port) = split_port(bare);
            let transport = match (transport, option("force_tcp").is_some()) {
                ("tls", _) => "tls",
                ("dns", true) => "tcp",
                ("dns", false) => "udp",
                _ => "",
            };
            let address = address.split('%').next().unwrap_or(address);
            match servers::server(transport, address, port, tls_name.map(String::as_str)) {
                Some(server) => servers.push(server),
                None => {
                    draft.left_out(
                        &directive.head.place,
                        format!("server {target}"),
                        "it is not the address of a server that dnsgate can ask",
                        "name another",
                    );
                }
            }
        }
        servers.dedup();
        if servers.is_empty() {
            if operators {
                draft.narrower(
                    &directive.head.place,
                    "servers of a file like /etc/resolv.conf",
                    "they stand elsewhere",
                    "the upstream that --upstream names first is asked instead",
                );
            }
            return operators.then_some(Resolver::OPERATOR);
        }
        let strategy = option("policy")
            .and_then(|line| line.rest().first())
            .map(String::as_str);
        let strategy = match strategy {
            Some("sequential") => Some("ordered"),
            _ => Some("spread"),
        };
        let is_private = !self.zone.as_ref().is_root() && servers::are_private(&servers);
        let upstream = draft.upstream(
            &directive.head.place,
            &format!("{}-servers", self.label),
            servers,
            strategy,
        );
        Some(Resolver {
            upstream: Some(upstream),
            is_private,
            cname_allowed: false,
        })
    }

    /// Names that the plugin does not forward: no other plugin comes behind it, so they are not resolved.
    fn except(&self, directive: &Directive, draft: &mut Draft<'_>) {
        for line in directive
            .lines
            .iter()
            .filter(|line| line.first() == "except")
        {
            for zone in self.zones(line.rest(), &line.place, draft) {
                let item = draft.kept(&line.place, format!("except {zone}"));
                let said = self.said(
                    "except",
                    Pattern::Subtree(zone),
                    Effect::Deny(None),
                    FORWARD - 1,
                );
                draft.state(&line.place, Some(item), said);
            }
        }
    }
}

/// `ADDRESS`, `ADDRESS:PORT`, `[V6]:PORT`.
fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return (
            address,
            rest.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match text.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') => (address, port.parse().ok()),
        _ => (text, None),
    }
}
