//! The keys that the file may have, mapping by mapping.
//!
//! Keys that come with upstreams are part of the format already. They are refused by name, so that
//! nobody believes that they do something.

/// What a mapping of the file may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// What it is, for messages: "a rule".
    pub(super) what: &'static str,
    /// The keys, in the order in which an error lists them.
    pub(super) known: &'static [&'static str],
    /// Keys of the format that a later version reads.
    pub(super) later: &'static [Later],
}

/// A key that the format has and this version does not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Later {
    pub(super) key: &'static str,
    /// What to write for now.
    pub(super) help: &'static str,
}

/// The keys of the file itself.
pub(super) const FILE: Keys = Keys {
    what: "the configuration",
    known: &[
        "listen",
        "admin",
        "workers",
        "clients",
        "google_apis",
        "zones",
        "rules",
        "deny_with",
        "built_in",
        "limits",
        "log",
        "tests",
    ],
    later: &[
        Later {
            key: "upstreams",
            help: "leave it out; every answer comes from google_apis, zones and rules",
        },
        Later {
            key: "mode",
            help: "leave it out; what no rule allows is denied",
        },
        Later {
            key: "cache",
            help: "leave it out; there is nothing to cache",
        },
    ],
};

/// The keys of an entry of `clients`.
pub(super) const CLIENT_GROUP: Keys = Keys {
    what: "a client group",
    known: &["cidrs", "deny_with"],
    later: &[],
};

/// The keys of `google_apis`.
pub(super) const GOOGLE_APIS: Keys = Keys {
    what: "google_apis",
    known: &["vip", "addresses", "domains", "ipv6", "except"],
    later: &[],
};

/// The keys of an entry of `zones`.
pub(super) const ZONE: Keys = Keys {
    what: "a zone",
    known: &["origin", "file", "records"],
    later: &[],
};

/// The keys of an entry of `rules`.
pub(super) const RULE: Keys = Keys {
    what: "a rule",
    known: &[
        "name",
        "domains",
        "answer",
        "deny",
        "deny_with",
        "groups",
        "types",
        "until",
        "reason",
    ],
    later: &[
        Later {
            key: "forward",
            help: "a rule can `answer` or `deny`",
        },
        Later {
            key: "answers",
            help: "for fixed records write `answer: [A 10.0.0.5]`",
        },
        Later {
            key: "cname",
            help: "leave it out",
        },
        Later {
            key: "domains_file",
            help: "list the names under `domains`",
        },
    ],
};

/// The keys of `built_in`.
pub(super) const BUILT_IN: Keys = Keys {
    what: "built_in",
    known: &["metadata", "private_reverse", "doh_canaries"],
    later: &[],
};

/// The keys of `limits`.
pub(super) const LIMITS: Keys = Keys {
    what: "limits",
    known: &[
        "tcp_connections",
        "tcp_connections_per_client",
        "tcp_idle",
        "tcp_message",
        "tcp_pipeline",
        "log_queue",
        "drain",
    ],
    later: &[
        Later {
            key: "in_flight",
            help: "leave it out; no query waits for another server",
        },
        Later {
            key: "per_client_qps",
            help: "leave it out",
        },
    ],
};

/// The keys of `log`.
pub(super) const LOG: Keys = Keys {
    what: "log",
    known: &["queries", "format"],
    later: &[],
};

/// The keys of a file of policy tests beside a configuration.
pub(super) const TEST_FILE: Keys = Keys {
    what: "a file of tests",
    known: &["tests"],
    later: &[],
};

/// The keys of an entry of `tests`.
pub(super) const TEST: Keys = Keys {
    what: "a test",
    known: &["ask", "from", "over", "at", "expect"],
    later: &[],
};

/// The keys of `expect`.
pub(super) const EXPECT: Keys = Keys {
    what: "`expect`",
    known: &["verdict", "reason", "rule", "rcode", "contains", "within"],
    later: &[],
};

/// Every mapping with fixed keys; those of `clients` and `except` are the operator's own.
#[cfg(test)]
pub(super) const ALL: [&Keys; 11] = [
    &FILE,
    &CLIENT_GROUP,
    &GOOGLE_APIS,
    &ZONE,
    &RULE,
    &BUILT_IN,
    &LIMITS,
    &LOG,
    &TEST_FILE,
    &TEST,
    &EXPECT,
];
