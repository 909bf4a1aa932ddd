//! Which keys a mapping must have, and which keys the format had before its first release.

/// Keys that a mapping must have, by what it is called.
const REQUIRED: [(&str, &[&str]); 6] = [
    ("a client group", &["cidrs"]),
    ("a zone", &["origin"]),
    ("an upstream", &["servers"]),
    ("a rule", &["name"]),
    ("`mode`", &["observe"]),
    ("a test", &["ask", "from", "expect"]),
];

/// The keys that a mapping must have.
pub(super) fn required(what: &str) -> &'static [&'static str] {
    let found = REQUIRED.iter().find(|(of, _)| *of == what);
    found.map_or(&[], |(_, keys)| keys)
}

/// Keys of the format before its first release, each with its mapping and the key that took its place.
pub(super) const FORMER: [(&str, &str, &str); 6] = [
    ("a rule", "answer", "records"),
    ("a rule", "answers", "addresses"),
    ("a rule", "deny_with", "deny"),
    ("limits", "tcp_idle", "tcp_idle_timeout"),
    ("limits", "tcp_message", "tcp_message_timeout"),
    ("limits", "waiters", "coalesced"),
];
