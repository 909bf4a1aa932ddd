//! What each key of the file says: the one place where the shape of the file is taken apart in order
//! to be compared.
//!
//! Every structure is taken apart whole, without `..`: a key that is added to the file does not
//! compile before it is compared here, or left out by name. A key stands under the name that it has
//! in the file.

use std::collections::HashMap;

use super::{
    super::{
        Startup,
        case::{Case, Expect},
        file::{
            BuiltIn, CacheSection, ClientGroup, Domains, File, GoogleApis, LimitsSection, Mode,
            RuleEntry, UpstreamEntry, UpstreamsSection, ZoneEntry,
        },
        groups::Groups,
        host::HostName,
        limits::{Bounded as _, Limits},
        log::Log,
        upstream::Upstream,
        value::{Bytes, Seconds},
    },
    Contents, Entry,
    said::{Said, hash, word},
};
use dnsgate_core::{
    cache::CacheSettings,
    policy::{Action, Rule},
    zone::Zone,
};

/// What the file names was read into.
pub(crate) struct Built<'b> {
    pub(crate) startup: &'b Startup,
    pub(crate) groups: &'b Groups,
    /// They still have their patterns: a built policy's have not.
    pub(crate) rules: &'b [Rule],
    pub(crate) zones: &'b [Zone],
    pub(crate) upstreams: &'b [Upstream],
}

impl Contents {
    /// Takes stock of a file and of what it names.
    pub(crate) fn of(file: &File, built: &Built<'_>) -> Self {
        let File {
            listen: _, // built.startup has it, or its default
            admin: _,
            admin_hosts: _,
            workers,
            clients,
            google_apis,
            zones,
            rules,
            deny_with,
            upstreams,
            mode,
            built_in,
            cache,
            limits,
            log,
            tests: _, // added one by one, with those of the file beside
            named: _, // what a faulty file could not name
        } = file;
        let mut contents = Self::default();
        let Startup {
            listen,
            admin,
            admin_hosts,
            ..
        } = built.startup;
        contents.alone(
            "admin_hosts",
            Said::set(admin_hosts.iter().map(HostName::as_str)),
        );
        contents.alone("listen", Said::set(listen));
        contents.alone(
            "admin",
            admin.map_or_else(|| Said::one(&"off"), |at| Said::one(&at)),
        );
        let one = Said::one(&"one a core");
        contents.alone("workers", workers.map_or(one, |at| Said::one(&at.value.0)));
        let refused = Said::one(&"refused");
        contents.alone(
            "deny_with",
            deny_with.map_or(refused, |at| Said::one(&at.value)),
        );
        contents.alone("mode", said_mode(mode.as_ref()));
        match clients {
            Some(clients) => clients.value.iter().for_each(|group| contents.group(group)),
            None => contents.default_groups(built.groups),
        }
        contents.google(google_apis.as_ref());
        let rules_of: HashMap<&str, &Rule> =
            built.rules.iter().map(|rule| (&*rule.name, rule)).collect();
        for zone in zones {
            contents.zone(zone, &rules_of, built.zones);
        }
        for rule in rules {
            contents.rule(rule, &rules_of);
        }
        let UpstreamsSection { entries, whole: _ } = upstreams;
        for entry in entries {
            contents.upstream(entry, built.upstreams);
        }
        contents.built_in(*built_in);
        contents.cache(cache);
        contents.limits(limits);
        contents.log(log);
        contents
    }

    fn group(&mut self, group: &ClientGroup) {
        let ClientGroup {
            name,
            cidrs,
            deny_with,
        } = group;
        let mut entry = Entry::default();
        entry.say("cidrs", cidrs);
        entry.say("deny_with", deny_with);
        self.add(format!("group {}", name.value.0), entry);
    }

    /// The groups of a file without `clients`, said as a file would say them.
    fn default_groups(&mut self, groups: &Groups) {
        for (group, cidrs) in &groups.groups {
            let mut entry = Entry::default();
            entry.set("cidrs", Said::set(cidrs));
            entry.say("deny_with", &group.deny_with);
            self.add(format!("group {}", group.name), entry);
        }
    }

    fn google(&mut self, section: Option<&GoogleApis>) {
        let mut entry = Entry::default();
        let default = Said::set(["googleapis.com."]);
        let Some(section) = section else {
            entry.set("addresses", Said::set([""; 0]));
            entry.set("domains", default);
            entry.set("except", Said::set([""; 0]));
            return self.add("google_apis".to_owned(), entry);
        };
        let GoogleApis {
            place: _,
            is_known: _,
            bad_addresses: _,
            bad_domains: _,
            vip,
            addresses,
            domains,
            ipv6,
            except,
        } = section;
        entry.say("vip", vip);
        let addresses = addresses.iter().flat_map(|list| &list.value);
        entry.set("addresses", Said::set(addresses.map(|at| at.value.0)));
        entry.set(
            "domains",
            match domains {
                None => default,
                Some(Domains::Documented) => Said::one(&"documented"),
                Some(Domains::List(list)) => Said::set(list.value.iter().map(|at| &at.value)),
            },
        );
        entry.say("ipv6", ipv6);
        let except = except.iter();
        let except = except.map(|(name, vip)| format!("{} {}", name.value, word(vip.value)));
        entry.set("except", Said::set(except));
        self.add("google_apis".to_owned(), entry);
    }

    fn zone(&mut self, zone: &ZoneEntry, rules: &HashMap<&str, &Rule>, zones: &[Zone]) {
        let ZoneEntry {
            place: _,
            whole: _,
            origin,
            file,
            records,
        } = zone;
        let Some(origin) = origin else { return };
        let name = format!("zone {}", super::shown(&origin.value));
        let mut entry = Entry::default();
        entry.say("file", file);
        let data = match rules.get(&*name).map(|rule| &rule.action) {
            Some(Action::Zone(id)) => zones.get(id.0 as usize),
            _ => None,
        };
        match (records, data) {
            (Some(_), _) => entry.say("records", records),
            // The order in which it lists its records follows its file.
            (None, Some(data)) => entry.set("records", all(data.rrsets())),
            (None, None) => {}
        }
        self.add(name, entry);
    }

    fn rule(&mut self, rule: &RuleEntry, rules: &HashMap<&str, &Rule>) {
        let RuleEntry {
            place: _,
            name,
            domains,
            domains_file,
            records,
            deny,
            forward,
            addresses,
            cname,
            groups,
            types,
            until,
            reason,
            whole: _,
        } = rule;
        let Some(name) = name else { return };
        let name = &name.value.0;
        let mut entry = Entry::default();
        entry.say("domains", domains);
        entry.say("domains_file", domains_file);
        if let Some(rule) = rules.get(&**name).filter(|_| domains_file.is_some()) {
            entry.set("names", all(&rule.patterns));
        }
        entry.say("records", records);
        entry.say("deny", deny);
        entry.say("forward", forward);
        entry.say("addresses", addresses);
        entry.say("cname", cname);
        entry.say("groups", groups);
        entry.say("types", types);
        entry.say("until", until);
        entry.say("reason", reason);
        self.add(format!("rule {name}"), entry);
    }

    fn upstream(&mut self, upstream: &UpstreamEntry, built: &[Upstream]) {
        let UpstreamEntry {
            name,
            servers,
            strategy,
            ca_file,
            whole: _,
        } = upstream;
        let name = &name.value.0;
        let mut entry = Entry::default();
        // In the order in which they are asked.
        let servers = servers.iter().flat_map(|list| &list.value);
        let servers: Vec<String> = servers.map(|at| at.value.to_string()).collect();
        entry.set("servers", Said::one(&servers.join(" ")));
        entry.say("strategy", strategy);
        entry.say("ca_file", ca_file);
        let upstream = built.iter().find(|upstream| upstream.name == *name);
        if let Some(certificates) = upstream.and_then(|upstream| upstream.ca.as_deref()) {
            entry.set("certificates", Said::Many(1, hash(certificates)));
        }
        self.add(format!("upstream {name}"), entry);
    }

    fn built_in(&mut self, section: BuiltIn) {
        let BuiltIn {
            metadata,
            private_reverse,
            doh_canaries,
            search,
        } = section;
        let mut entry = Entry::default();
        entry.say("metadata", &metadata);
        entry.say("private_reverse", &private_reverse);
        entry.say("doh_canaries", &doh_canaries);
        entry.say("search", &search);
        self.add("built_in".to_owned(), entry);
    }

    fn cache(&mut self, section: &CacheSection) {
        let CacheSection {
            settings,
            min_ttl: _, // a place
        } = section;
        let CacheSettings {
            size,
            min_ttl,
            max_ttl,
            serve_stale,
            bridge_denials,
        } = *settings;
        let mut entry = Entry::default();
        let none = Said::one(&0);
        let some = |size| Said::one(&Bytes(size).shown());
        entry.set("size", if size == 0 { none } else { some(size) });
        for (key, span) in [
            ("min_ttl", min_ttl),
            ("max_ttl", max_ttl),
            ("serve_stale", serve_stale),
        ] {
            entry.set(key, Said::one(&Seconds(span).shown()));
        }
        let on = if bridge_denials { "denial" } else { "failure" };
        entry.set("serve_stale_on", Said::one(&on));
        self.add("cache".to_owned(), entry);
    }

    fn limits(&mut self, section: &LimitsSection) {
        /// Each by the name that it has in the file.
        macro_rules! say {
            ($limits:expr, $($key:ident),+ $(,)?) => {{
                let Limits { $($key),+ } = $limits;
                let mut entry = Entry::default();
                $(entry.say(stringify!($key), $key);)+
                entry
            }};
        }
        let LimitsSection {
            limits,
            per_client: _, // places
            coalesced: _,
            unread_per_connection: _,
        } = section;
        let entry = say!(
            limits,
            tcp_connections,
            tcp_connections_per_client,
            tcp_idle_timeout,
            tcp_message_timeout,
            tcp_pipeline,
            tcp_unread,
            tcp_unread_per_connection,
            tcp_socket_buffer,
            log_queue,
            in_flight,
            coalesced,
            upstream_timeout,
            upstream_near_misses,
            upstream_connections,
            upstream_pipeline,
            upstream_probes,
            drain,
            reload_timeout,
            per_client_qps,
            per_client_slip,
            per_client_ipv4_prefix,
            per_client_ipv6_prefix,
        );
        self.add("limits".to_owned(), entry);
    }

    fn log(&mut self, section: &Log) {
        let Log {
            queries,
            sample,
            format,
            output,
        } = section;
        let mut entry = Entry::default();
        entry.say("queries", queries);
        entry.say("sample", sample);
        entry.say("format", format);
        entry.say("output", output);
        self.add("log".to_owned(), entry);
    }

    /// Adds a policy test; they have no names but their numbers.
    pub(crate) fn test(&mut self, number: usize, case: &Case) {
        let Case {
            file: _,
            line: _,
            name,
            rtype,
            source,
            transport,
            at,
            expect,
        } = case;
        let Expect {
            verdict,
            reason,
            rule,
            upstream,
            rcode,
            contains,
            within,
        } = expect;
        let mut entry = Entry::default();
        entry.set("ask", Said::one(&format!("{name} {rtype}")));
        entry.set("from", Said::one(source));
        entry.set("over", Said::one(&transport.as_str()));
        entry.say("at", at);
        entry.say("expect.verdict", &verdict.map(str::to_owned));
        entry.say("expect.reason", &reason.map(str::to_owned));
        entry.say("expect.rule", rule);
        entry.say("expect.upstream", upstream);
        entry.say("expect.rcode", &rcode.map(|code| code.as_str().to_owned()));
        let contains = contains.iter().map(|wanted| &wanted.text);
        entry.set("expect.contains", Said::set(contains));
        entry.set("expect.within", Said::set(within));
        self.add(format!("test {number}"), entry);
    }
}

fn said_mode(mode: Option<&Mode>) -> Said {
    match mode {
        None | Some(Mode::Enforce) => Said::one(&"enforce"),
        Some(Mode::Observe(upstream)) => Said::one(&format!("observe {}", upstream.value.0)),
    }
}

/// Any number of things, of which the order does not matter: how many, and the sum of their hashes.
fn all<T: std::hash::Hash>(things: impl IntoIterator<Item = T>) -> Said {
    let hashes = things.into_iter().map(|thing| hash(&thing));
    let (number, sum) = hashes.fold((0usize, 0u64), |(number, sum), hash| {
        (number + 1, sum.wrapping_add(hash))
    });
    Said::Many(number, sum)
}
