//! Lists each key of the file with its value, for comparison. No other code takes the structures of
//! the file apart for this purpose.
//!
//! Every structure is destructured completely, without `..`, so that a key added to the file does
//! not compile until it is compared here or ignored by name. A key has the same name here as in the
//! file.

use std::collections::HashMap;

use super::{
    super::{
        Startup,
        budget::{BudgetEntry, BudgetKeys},
        case::{Case, Expect},
        file::{
            BuiltIn, ClientGroup, Domains, File, GoogleApis, Mode, RuleEntry, UpstreamEntry,
            ZoneEntry,
        },
        given::{Given, NamedEntry},
        groups::Groups,
        host::HostName,
        limits::{Bounded as _, Limits},
        log::Log,
        text::shown,
        upstream::Upstream,
        value::{Bytes, Seconds},
    },
    Contents, Entry,
    compared_value::{ComparedValue, hash, word},
};
use dnsgate_core::{
    cache::CacheSettings,
    policy::{Action, Rule},
    zone::Zone,
};

/// The values that were built from the file.
pub(crate) struct Built<'b> {
    pub(crate) startup: &'b Startup,
    pub(crate) groups: &'b Groups,
    /// They still have their patterns; those of a built policy do not.
    pub(crate) rules: &'b [Rule],
    pub(crate) zones: &'b [Zone],
    pub(crate) upstreams: &'b [Upstream],
}

impl Contents {
    /// The contents of a file and of the files that it names.
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
            budget,
            built_in,
            cache: _, // built.startup has these, too
            limits: _,
            log: _,
            tests: _, // added one by one, with those of the file beside
            version: _,
            span: _,
        } = file;
        let mut contents = Self::default();
        contents.startup(built.startup);
        let one = ComparedValue::one(&"one a core");
        contents.alone(
            "workers",
            workers.map_or(one, |at| ComparedValue::one(&at.value.0)),
        );
        let refused = ComparedValue::one(&"refused");
        contents.alone(
            "deny_with",
            deny_with.map_or(refused, |at| ComparedValue::one(&at.value)),
        );
        contents.alone("mode", said_mode(mode.value()));
        match clients.value() {
            Some(clients) => clients
                .entries
                .iter()
                .for_each(|group| contents.group(group)),
            None => contents.default_groups(built.groups),
        }
        contents.google(google_apis.value());
        let rules_of: HashMap<&str, &Rule> =
            built.rules.iter().map(|rule| (&*rule.name, rule)).collect();
        for zone in zones.values() {
            contents.zone(zone, &rules_of, built.zones);
        }
        for rule in rules.values() {
            contents.rule(rule, &rules_of);
        }
        for entry in upstreams.entries() {
            contents.upstream(entry, built.upstreams);
        }
        contents.built_in(built_in.value());
        let mut default = Entry::default();
        default.budget(BUDGET, budget);
        contents.add("budget".to_owned(), default);
        contents
    }

    /// Adds the settings that take effect only at a start, with their defaults.
    fn startup(&mut self, startup: &Startup) {
        let Startup {
            listen,
            admin,
            admin_hosts,
            workers: _, // as the file has it
            cache,
            limits,
            log,
        } = startup;
        let hosts = admin_hosts.iter().map(HostName::as_str);
        self.alone("admin_hosts", ComparedValue::set(hosts));
        self.alone("listen", ComparedValue::set(listen));
        let off = ComparedValue::one(&"off");
        self.alone("admin", admin.map_or(off, |at| ComparedValue::one(&at)));
        self.cache(*cache);
        self.limits(limits);
        self.log(log);
    }

    fn group(&mut self, group: &NamedEntry<ClientGroup>) {
        let ClientGroup { cidrs, deny_with } = &**group;
        let mut entry = Entry::default();
        entry.note("cidrs", cidrs);
        entry.note("deny_with", deny_with);
        self.add(format!("group {}", group.name.value.0), entry);
    }

    /// Adds the default groups, used by a file without `clients`, in the form of the file.
    fn default_groups(&mut self, groups: &Groups) {
        for (group, cidrs) in &groups.groups {
            let mut entry = Entry::default();
            entry.set("cidrs", ComparedValue::set(cidrs));
            entry.note("deny_with", &group.deny_with);
            self.add(format!("group {}", group.name), entry);
        }
    }

    fn google(&mut self, section: Option<&GoogleApis>) {
        let mut entry = Entry::default();
        let default = ComparedValue::set(["googleapis.com."]);
        let Some(section) = section else {
            entry.set("addresses", ComparedValue::set([""; 0]));
            entry.set("domains", default);
            entry.set("except", ComparedValue::set([""; 0]));
            return self.add("google_apis".to_owned(), entry);
        };
        let GoogleApis {
            span: _,
            vip,
            addresses,
            domains,
            ipv6,
            except,
        } = section;
        entry.note("vip", vip);
        let addresses = addresses.values().map(|address| address.0);
        entry.set("addresses", ComparedValue::set(addresses));
        entry.set(
            "domains",
            match domains.value() {
                None => default,
                Some(Domains::Documented) => ComparedValue::one(&"documented"),
                Some(Domains::List(list)) => ComparedValue::set(list.iter().map(|at| &at.value)),
            },
        );
        entry.note("ipv6", ipv6);
        let except = except.iter().flat_map(|except| &except.value.0);
        let except = except.map(|(name, vip)| format!("{} {}", name.value, word(vip.value)));
        entry.set("except", ComparedValue::set(except));
        self.add("google_apis".to_owned(), entry);
    }

    fn zone(&mut self, zone: &ZoneEntry, rules: &HashMap<&str, &Rule>, zones: &[Zone]) {
        let ZoneEntry {
            span: _,
            origin,
            file,
            records,
        } = zone;
        let Some(origin) = origin.value() else { return };
        let name = format!("zone {}", shown(origin.as_ref()));
        let mut entry = Entry::default();
        entry.note("file", file);
        let data = match rules.get(&*name).map(|rule| &rule.action) {
            Some(Action::Zone(id)) => zones.get(id.0 as usize),
            _ => None,
        };
        match (&**records, data) {
            (Some(_), _) => entry.note("records", records),
            // A zone lists its records in the order of its file, which does not matter.
            (None, Some(data)) => entry.set("records", all(data.rrsets())),
            (None, None) => {}
        }
        self.add(name, entry);
    }

    fn rule(&mut self, rule: &RuleEntry, rules: &HashMap<&str, &Rule>) {
        let RuleEntry {
            span: _,
            name,
            domains,
            domains_file,
            records,
            deny,
            forward,
            addresses,
            cname,
            budget,
            groups,
            types,
            until,
            reason,
        } = rule;
        let Some(name) = name.value().map(|name| &name.0) else {
            return;
        };
        let mut entry = Entry::default();
        entry.note("domains", domains);
        entry.note("domains_file", domains_file);
        if let Some(rule) = rules.get(&**name).filter(|_| domains_file.is_some()) {
            entry.set("names", all(&rule.patterns));
        }
        entry.note("records", records);
        entry.note("deny", deny);
        entry.note("forward", forward);
        entry.note("addresses", addresses);
        entry.note("cname", cname);
        entry.budget(BUDGET_OF_RULE, budget);
        entry.note("groups", groups);
        entry.note("types", types);
        entry.note("until", until);
        entry.note("reason", reason);
        self.add(format!("rule {name}"), entry);
    }

    fn upstream(&mut self, upstream: &NamedEntry<UpstreamEntry>, built: &[Upstream]) {
        let UpstreamEntry {
            servers,
            strategy,
            ca_file,
            span: _,
        } = &**upstream;
        let name = &upstream.name.value.0;
        let mut entry = Entry::default();
        // In the order in which dnsgate asks them.
        let servers: Vec<String> = servers.values().map(ToString::to_string).collect();
        entry.set("servers", ComparedValue::one(&servers.join(" ")));
        entry.note("strategy", strategy);
        entry.note("ca_file", ca_file);
        let upstream = built.iter().find(|upstream| upstream.name == *name);
        if let Some(certificates) = upstream.and_then(|upstream| upstream.ca.as_deref()) {
            entry.set("certificates", ComparedValue::Many(1, hash(certificates)));
        }
        self.add(format!("upstream {name}"), entry);
    }

    fn built_in(&mut self, section: Option<&BuiltIn>) {
        let default = BuiltIn::default();
        let BuiltIn {
            metadata,
            private_reverse,
            doh_canaries,
            search,
        } = section.unwrap_or(&default);
        let mut entry = Entry::default();
        for (key, switch) in [
            ("metadata", metadata),
            ("private_reverse", private_reverse),
            ("doh_canaries", doh_canaries),
            ("search", search),
        ] {
            entry.note(key, &switch.into_value().unwrap_or(true));
        }
        self.add("built_in".to_owned(), entry);
    }

    fn cache(&mut self, settings: CacheSettings) {
        let CacheSettings {
            size,
            min_ttl,
            max_ttl,
            serve_stale,
            bridge_denials,
        } = settings;
        let mut entry = Entry::default();
        let none = ComparedValue::one(&0);
        let some = |size| ComparedValue::one(&Bytes(size).shown());
        entry.set("size", if size == 0 { none } else { some(size) });
        for (key, span) in [
            ("min_ttl", min_ttl),
            ("max_ttl", max_ttl),
            ("serve_stale", serve_stale),
        ] {
            entry.set(key, ComparedValue::one(&Seconds(span).shown()));
        }
        let on = if bridge_denials { "denial" } else { "failure" };
        entry.set("serve_stale_on", ComparedValue::one(&on));
        self.add("cache".to_owned(), entry);
    }

    fn limits(&mut self, limits: &Limits) {
        let mut entry = Entry::default();
        for (key, value) in limits.shown() {
            entry.note(key, &value);
        }
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
        entry.note("queries", queries);
        entry.note("sample", sample);
        entry.note("format", format);
        entry.note("output", output);
        self.add("log".to_owned(), entry);
    }

    /// Adds a policy test; its number is its name.
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
        entry.set("ask", ComparedValue::one(&format!("{name} {rtype}")));
        entry.set("from", ComparedValue::one(source));
        entry.set("over", ComparedValue::one(&transport.as_str()));
        entry.note("at", at);
        entry.note("expect.verdict", &verdict.map(str::to_owned));
        entry.note("expect.reason", &reason.map(str::to_owned));
        entry.note("expect.rule", rule);
        entry.note("expect.upstream", upstream);
        entry.note("expect.rcode", &rcode.map(|code| code.as_str().to_owned()));
        let contains = contains.iter().map(|wanted| &wanted.text);
        entry.set("expect.contains", ComparedValue::set(contains));
        entry.set("expect.within", ComparedValue::set(within));
        self.add(format!("test {number}"), entry);
    }
}

/// The names of the keys of the default budget, and of a rule's. The first stands for `off`.
const BUDGET: [&str; 6] = ["budget", "names", "bytes", "window", "per", "over"];
const BUDGET_OF_RULE: [&str; 6] = [
    "budget",
    "budget.names",
    "budget.bytes",
    "budget.window",
    "budget.per",
    "budget.over",
];

impl Entry {
    /// Adds the keys of a budget under these names.
    fn budget(&mut self, called: [&'static str; 6], given: &Given<BudgetEntry>) {
        let none = BudgetKeys::default();
        let keys = match given.value() {
            Some(BudgetEntry::Keys(keys)) => keys,
            Some(BudgetEntry::Off) => {
                self.set(called[0], ComparedValue::one(&"off"));
                &none
            }
            None => &none,
        };
        let BudgetKeys {
            names,
            bytes,
            window,
            per,
            over,
        } = keys;
        let [_, of_names, of_bytes, of_window, of_per, of_over] = called;
        self.note(of_names, names);
        self.note(of_bytes, &bytes.map(|at| at.value.shown()));
        self.note(of_window, &window.map(|at| at.value.shown()));
        self.note(of_per, per);
        self.note(of_over, over);
    }
}

fn said_mode(mode: Option<&Mode>) -> ComparedValue {
    match mode {
        None | Some(Mode::Enforce) => ComparedValue::one(&"enforce"),
        Some(Mode::Observe(upstream)) => {
            ComparedValue::one(&format!("observe {}", upstream.value.0))
        }
    }
}

/// A collection whose order does not matter: its size, and the sum of the hashes.
fn all<T: std::hash::Hash>(things: impl IntoIterator<Item = T>) -> ComparedValue {
    let hashes = things.into_iter().map(|thing| hash(&thing));
    let (number, sum) = hashes.fold((0usize, 0u64), |(number, sum), hash| {
        (number + 1, sum.wrapping_add(hash))
    });
    ComparedValue::Many(number, sum)
}
