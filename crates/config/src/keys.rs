//! The keys that the file may have, mapping by mapping.
//!
//! Keys that the format had before its first release are refused by name, each with the one to write instead.

/// What a mapping of the file may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// What it is, for messages: "a rule".
    pub(super) what: &'static str,
    /// The keys, in the order in which an error lists them.
    pub(super) known: &'static [&'static str],
    /// Keys of the format before its first release, each with the one that took its place.
    pub(super) former: &'static [(&'static str, &'static str)],
}

/// The keys of the file itself.
pub(super) const FILE: Keys = Keys {
    what: "the configuration",
    known: &[
        "version",
        "listen",
        "admin",
        "admin_hosts",
        "workers",
        "clients",
        "google_apis",
        "zones",
        "rules",
        "upstreams",
        "mode",
        "deny_with",
        "built_in",
        "cache",
        "limits",
        "log",
        "tests",
    ],
    former: &[],
};

/// The keys of an entry of `clients`.
pub(super) const CLIENT_GROUP: Keys = Keys {
    what: "a client group",
    known: &["cidrs", "deny_with"],
    former: &[],
};

/// The keys of `google_apis`.
pub(super) const GOOGLE_APIS: Keys = Keys {
    what: "google_apis",
    known: &["vip", "addresses", "domains", "ipv6", "except"],
    former: &[],
};

/// The keys of an entry of `zones`.
pub(super) const ZONE: Keys = Keys {
    what: "a zone",
    known: &["origin", "file", "records"],
    former: &[],
};

/// The keys of an entry of `rules`.
pub(super) const RULE: Keys = Keys {
    what: "a rule",
    known: &[
        "name",
        "domains",
        "domains_file",
        "records",
        "deny",
        "forward",
        "addresses",
        "cname",
        "groups",
        "types",
        "until",
        "reason",
    ],
    former: &[
        ("answer", "records"),
        ("answers", "addresses"),
        ("deny_with", "deny"),
    ],
};

/// The keys of an entry of `upstreams`.
pub(super) const UPSTREAM: Keys = Keys {
    what: "an upstream",
    known: &["servers", "strategy", "ca_file"],
    former: &[],
};

/// The keys of `mode` where it is not the word `enforce`.
pub(super) const MODE: Keys = Keys {
    what: "`mode`",
    known: &["observe"],
    former: &[],
};

/// The keys of `cache`.
pub(super) const CACHE: Keys = Keys {
    what: "`cache`",
    known: &[
        "size",
        "min_ttl",
        "max_ttl",
        "serve_stale",
        "serve_stale_on",
    ],
    former: &[],
};

/// The keys of `built_in`.
pub(super) const BUILT_IN: Keys = Keys {
    what: "built_in",
    known: &["metadata", "private_reverse", "doh_canaries", "search"],
    former: &[],
};

/// The keys of `limits`.
pub(super) const LIMITS: Keys = Keys {
    what: "limits",
    known: &[
        "tcp_connections",
        "tcp_connections_per_client",
        "tcp_idle_timeout",
        "tcp_message_timeout",
        "tcp_pipeline",
        "tcp_unread",
        "tcp_unread_per_connection",
        "tcp_socket_buffer",
        "log_queue",
        "in_flight",
        "coalesced",
        "upstream_connections",
        "upstream_pipeline",
        "upstream_probes",
        "upstream_timeout",
        "upstream_near_misses",
        "drain",
        "reload_timeout",
        "per_client_qps",
        "per_client_slip",
        "per_client_ipv4_prefix",
        "per_client_ipv6_prefix",
    ],
    former: &[
        ("tcp_idle", "tcp_idle_timeout"),
        ("tcp_message", "tcp_message_timeout"),
        ("waiters", "coalesced"),
    ],
};

/// The keys of `log`.
pub(super) const LOG: Keys = Keys {
    what: "log",
    known: &["queries", "sample", "format", "output"],
    former: &[],
};

/// The keys of a file of policy tests beside a configuration.
pub(super) const TEST_FILE: Keys = Keys {
    what: "a file of tests",
    known: &["tests"],
    former: &[],
};

/// The keys of an entry of `tests`.
pub(super) const TEST: Keys = Keys {
    what: "a test",
    known: &["ask", "from", "over", "at", "expect"],
    former: &[],
};

/// The keys of `expect`.
pub(super) const EXPECT: Keys = Keys {
    what: "`expect`",
    known: &[
        "verdict", "reason", "rule", "upstream", "rcode", "contains", "within",
    ],
    former: &[],
};

/// Every mapping with fixed keys; those of `clients` and `except` are the operator's own.
#[cfg(test)]
pub(super) const ALL: [&Keys; 14] = [
    &FILE,
    &CLIENT_GROUP,
    &GOOGLE_APIS,
    &ZONE,
    &RULE,
    &UPSTREAM,
    &MODE,
    &BUILT_IN,
    &CACHE,
    &LIMITS,
    &LOG,
    &TEST_FILE,
    &TEST,
    &EXPECT,
];
