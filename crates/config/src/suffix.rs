//! Names under which anybody can have one: the Public Suffix List, and what it lacks.
//!
//! A rule for all names below such a suffix also lets through names that other people register. Who warns
//! of that, and who writes rules, asks here.

use dnsgate_core::dns::NameRef;

/// Suffixes under which anybody can have a name and that the Public Suffix List does not have:
/// services in which the customer chooses the first label.
const OPEN_SUFFIXES: [&str; 3] = [
    "googleusercontent.com",
    "sharepoint.com",
    "storage.googleapis.com",
];

/// What stands before a name, so that the list is asked of a name below: `*.run.app` of the list
/// makes run.app open, too.
const BELOW: &[u8] = b"x.";

/// The part of a name in which anybody can have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicSuffix {
    /// How many labels it has, from the right. A name with one more is somebody's own.
    pub labels: usize,
    /// Whether it is run by a service for its customers, such as github.io, and not by a registry.
    pub is_service: bool,
}

impl PublicSuffix {
    /// The longest such part of a name, which may be all of it. Of a name that no list knows it is
    /// the last label.
    #[must_use]
    pub fn of(name: NameRef<'_>) -> Self {
        let mut text = Vec::new();
        let starts = name.label_starts();
        let longer = starts.as_slice().iter().zip((1..=name.label_count()).rev());
        for (&start, labels) in longer {
            if is_open(name.from_label(start), &mut text) {
                let listed = psl::suffix(&text).filter(|_| !is_ours(&text));
                let listed = listed.and_then(|suffix| suffix.typ());
                return Self {
                    labels,
                    is_service: listed != Some(psl::Type::Icann),
                };
            }
        }
        Self {
            labels: name.label_count().min(1),
            is_service: false,
        }
    }
}

/// Whether anybody can have a name under this one. `text` is a buffer, so that a long list does not
/// allocate for each of its names.
pub(super) fn is_open(name: NameRef<'_>, text: &mut Vec<u8>) -> bool {
    text.clear();
    text.extend(BELOW);
    for (at, label) in name.labels().enumerate() {
        if at > 0 {
            text.push(b'.');
        }
        // A dot inside a label is none between labels.
        text.extend(
            label
                .iter()
                .map(|&byte| if byte == b'.' { b'?' } else { byte }),
        );
    }
    let own = text.get(BELOW.len()..).unwrap_or_default();
    own.is_empty() || is_ours(text) || is_listed(text, own)
}

/// Whether our own list has the name that `below` is below.
fn is_ours(below: &[u8]) -> bool {
    let name = below.strip_prefix(BELOW).unwrap_or_default();
    OPEN_SUFFIXES.iter().any(|open| open.as_bytes() == name)
}

/// Whether the Public Suffix List has the name, or all that are directly below it; `below` is a
/// name below it.
fn is_listed(below: &[u8], name: &[u8]) -> bool {
    psl::suffix(below)
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() >= name.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnsgate_core::dns::Name;

    #[test]
    fn our_own_list_has_only_what_the_public_one_lacks() {
        for suffix in OPEN_SUFFIXES {
            let below = format!("x.{suffix}");
            assert!(!is_listed(below.as_bytes(), suffix.as_bytes()), "{suffix}");
        }
    }

    #[test]
    fn suffixes_are_told_from_names_below_them() {
        for (name, open) in [
            ("com", true),
            ("co.uk", true),
            ("github.io", true),
            ("appspot.com", true),
            ("run.app", true),
            ("storage.googleapis.com", true),
            (".", true),
            ("example.com", false),
            ("mine.github.io", false),
            ("googleapis.com", true),
            ("internal", false),
            ("corp.internal", false),
            (r"a\.github.io", false),
        ] {
            let name: Name = name.parse().expect(name);
            assert_eq!(is_open(name.as_ref(), &mut Vec::new()), open, "{name}");
        }
    }

    #[test]
    fn the_longest_suffix_counts() {
        for (name, labels, is_service) in [
            ("a.b.example.com", 1, false),
            ("a.example.co.uk", 2, false),
            ("co.uk", 2, false),
            ("com", 1, false),
            ("a.mine.github.io", 2, true),
            ("github.io", 2, true),
            ("o.bucket.storage.googleapis.com", 3, true),
            ("www.googleapis.com", 2, true),
            ("mine.sharepoint.com", 2, true),
            ("db.corp.internal", 1, false),
            ("localhost", 1, false),
            (r"a\.co.uk", 1, false),
            (".", 0, false),
        ] {
            let parsed: Name = name.parse().expect(name);
            let suffix = PublicSuffix { labels, is_service };
            assert_eq!(PublicSuffix::of(parsed.as_ref()), suffix, "{name}");
        }
    }
}
