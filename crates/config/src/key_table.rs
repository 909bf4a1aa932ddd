//! The required keys of each mapping, and the keys that the format had before its first release.

/// The required keys of each mapping, by the mapping's name in messages.
const REQUIRED: [(&str, &[&str]); 6] = [
    ("a client group", &["cidrs"]),
    ("a zone", &["origin"]),
    ("an upstream", &["servers"]),
    ("a rule", &["name"]),
    ("`mode`", &["observe"]),
    ("a test", &["ask", "from", "expect"]),
];

/// The required keys of a mapping.
pub(super) fn required(what: &str) -> &'static [&'static str] {
    let found = REQUIRED.iter().find(|(of, _)| *of == what);
    found.map_or(&[], |(_, keys)| keys)
}

/// The keys of a rule that restrict it. Without a value they are errors.
const RESTRICTIONS: [&str; 6] = ["groups", "types", "addresses", "cname", "until", "budget"];

/// Whether a key of a mapping restricts what it allows.
pub(super) fn restricts(what: &str, key: &str) -> bool {
    what == "a rule" && RESTRICTIONS.contains(&key)
}

/// Keys of the format before its first release: the mapping, the former key, and its replacement.
pub(super) const FORMER: [(&str, &str, &str); 6] = [
    ("a rule", "answer", "records"),
    ("a rule", "answers", "addresses"),
    ("a rule", "deny_with", "deny"),
    ("limits", "tcp_idle", "tcp_idle_timeout"),
    ("limits", "tcp_message", "tcp_message_timeout"),
    ("limits", "waiters", "coalesced"),
];
